/** What compiled rules are made of: the keys and values of the three tables, as numbers. Pure. */
import type { PolicyRule, Way } from '@contiv/model';
import type { Prefix } from './prefixes.js';

export const BY_GROUP = 1;
export const BY_PEER = 2;
export const BY_OWN = 4;
/** The service is open, a protocol, or a class of ports of a protocol. */
export const BY_PROTOCOL = 8;
export const BY_PORT = 16;
export const PATTERNS = 24;

export interface RuleKey {
  readonly way: Way;
  readonly pattern: number;
  readonly group: number;
  readonly peer: number;
  readonly own: number;
  /** A protocol or a class of ports, as the pattern says. */
  readonly service: number;
}

export type RuleValue = Pick<PolicyRule, 'rank' | 'deny' | 'log' | 'number'>;

export interface PrefixKey extends Prefix {
  readonly way: Way;
  /** Class of the container's own address instead of the peer's. */
  readonly own: boolean;
}

/** Entries by a name of their key, with what they hold from now on; `undefined`: nothing. */
export interface Difference {
  readonly rules: ReadonlyMap<string, readonly [RuleKey, RuleValue | undefined]>;
  /** Over 128 bits, IPv4 mapped into IPv6. */
  readonly addresses: ReadonlyMap<string, readonly [PrefixKey, number: number | undefined]>;
  /** Over 24 bits: protocol and port. */
  readonly ports: ReadonlyMap<string, readonly [PrefixKey, number: number | undefined]>;
}

/** More entries than this are not written for one set: whoever it applies to is cut off instead, and told so. */
export const MAX_ENTRIES = 200_000;

export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

/** Entries that are in several take those of the last. */
export const joined = (all: readonly Difference[]): Difference => ({
  rules: new Map(all.flatMap(({ rules }) => [...rules])),
  addresses: new Map(all.flatMap(({ addresses }) => [...addresses])),
  ports: new Map(all.flatMap(({ ports }) => [...ports])),
});
