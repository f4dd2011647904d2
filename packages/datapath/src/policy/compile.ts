/**
 * A set of rules as tables whose look-up takes the same steps however many rules there are.
 *
 * Addresses and ports become classes (which predicates of the set hold them), found by one longest-prefix look-up each. A rule names some of
 * {group, peer's class, own class, service} and leaves the others open: its pattern. The rules of one pattern are one hash table, so a
 * decision is one look-up for each pattern the set uses, 24 at most, and the highest rank of what was found. Pure.
 */
import { createHash } from 'node:crypto';
import { type AddressRange, outranks, type PolicyRule, type PolicyService, type PolicySet, type Way } from '@contiv/model';
import { classify, coverRange, type Prefix } from './prefixes.js';

export const BY_GROUP = 1;
export const BY_PEER = 2;
export const BY_OWN = 4;
/** The service is open, a protocol, or a class of ports of a protocol. */
export const BY_PROTOCOL = 8;
export const BY_PORT = 16;
export const PATTERNS = 24;

export interface RuleEntry {
  readonly way: Way;
  readonly pattern: number;
  readonly group: number;
  readonly peer: number;
  readonly own: number;
  /** A protocol or a class of ports, as the pattern says. */
  readonly service: number;
  readonly rank: number;
  readonly deny: boolean;
  readonly log: boolean;
  readonly number: number;
}

export interface AddressEntry extends Prefix {
  readonly way: Way;
  /** Class of the container's own address instead of the peer's. */
  readonly own: boolean;
  readonly number: number;
}

export interface PortEntry extends Prefix {
  readonly way: Way;
  readonly number: number;
}

/** A set in the form the tables have. */
export interface CompiledSet {
  /** Follows from the content: the same rules have the same number on every host and after every restart. Below 2^30. */
  readonly number: number;
  /** What the number was made from. */
  readonly digest: string;
  readonly denies: boolean;
  /** The patterns in use: bit n stands for pattern n. */
  readonly patterns: Readonly<Record<Way, number>>;
  readonly rules: readonly RuleEntry[];
  /** Over 128 bits, IPv4 mapped into IPv6. */
  readonly addresses: readonly AddressEntry[];
  /** Over 24 bits: protocol and port. */
  readonly ports: readonly PortEntry[];
}

/** More entries than this are not written for one set: whoever it applies to is cut off instead, and told so. */
export const MAX_ENTRIES = 200_000;

export function compile(set: PolicySet): CompiledSet | 'too large' {
  const rules: RuleEntry[] = [];
  const addresses: AddressEntry[] = [];
  const ports: PortEntry[] = [];
  const patterns = { in: 0, out: 0 };
  for (const way of ['in', 'out'] as const) {
    const mine = set.rules.filter((rule) => rule.way === way);
    const peer = addressClasses(mine.map((rule) => rule.peers));
    const own = addressClasses(mine.map((rule) => rule.own));
    const port = portClasses(mine.map((rule) => rule.services));
    addresses.push(...peer.prefixes.map((prefix) => ({ ...prefix, way, own: false })));
    addresses.push(...own.prefixes.map((prefix) => ({ ...prefix, way, own: true })));
    ports.push(...port.prefixes.map((prefix) => ({ ...prefix, way })));
    const best = new Map<string, RuleEntry>();
    for (const rule of mine) {
      for (const entry of expand(rule, peer.of(rule.peers), own.of(rule.own), port.of(rule.services))) {
        const key = `${entry.pattern} ${entry.group} ${entry.peer} ${entry.own} ${entry.service}`;
        const other = best.get(key);
        if (!other || outranks(entry, other)) best.set(key, entry);
        if (best.size > MAX_ENTRIES) return 'too large';
        patterns[way] |= 1 << entry.pattern;
      }
    }
    rules.push(...best.values());
  }
  if (rules.length + addresses.length + ports.length > MAX_ENTRIES) return 'too large';
  const content = { denies: set.denies, patterns, rules, addresses, ports };
  const digest = digestOf(content);
  return { number: Number.parseInt(digest.slice(0, 8), 16) >>> 2, digest, ...content };
}

/** One entry for each class the rule's predicates have. */
function* expand(
  rule: PolicyRule,
  peers: readonly number[] | undefined,
  own: readonly number[] | undefined,
  ports: readonly number[],
): Generator<RuleEntry> {
  const { way, rank, deny, log = false, number } = rule;
  const services: [level: number, service: number][] = rule.services
    ? [
        ...rule.services.filter((service) => !service.ports).map(({ protocol }): [number, number] => [BY_PROTOCOL, protocol]),
        ...ports.map((n): [number, number] => [BY_PORT, n]),
      ]
    : [[0, 0]];
  const fixed = (rule.groups ? BY_GROUP : 0) | (peers ? BY_PEER : 0) | (own ? BY_OWN : 0);
  for (const group of rule.groups ?? [0])
    for (const peer of peers ?? [0])
      for (const mine of own ?? [0])
        for (const [level, service] of services)
          yield { way, pattern: fixed | level, group, peer, own: mine, service, rank, deny, log, number };
}

const V4 = 0xffff_0000_0000n;
/** An address among those of 128 bits (RFC 4291 §2.5.5.2). */
export const widened = (family: 4 | 6, value: bigint): bigint => (family === 4 ? V4 | value : value);

const textOf = (ranges: readonly AddressRange[]): string =>
  ranges.map(({ family, first, last }) => `${widened(family, first)}-${widened(family, last)}`).join(' ');

function addressClasses(lists: readonly (readonly AddressRange[] | undefined)[]) {
  const index = new Map<string, number>();
  const predicates: Prefix[][] = [];
  for (const ranges of lists) {
    if (!ranges || index.has(textOf(ranges))) continue;
    index.set(textOf(ranges), predicates.length);
    predicates.push(ranges.flatMap((r) => coverRange(widened(r.family, r.first), widened(r.family, r.last), 128)));
  }
  const classes = classify(predicates, 128);
  return {
    prefixes: classes.prefixes,
    of: (ranges: readonly AddressRange[] | undefined) => ranges && (classes.of[index.get(textOf(ranges)) ?? -1] ?? []),
  };
}

const serviceText = (services: readonly PolicyService[]): string =>
  services.map(({ protocol, ports }) => (ports ? `${protocol}/${ports.first}-${ports.last}` : '')).join(' ');

/** All ports a rule names are one predicate, as all its addresses are: a long list takes no more entries than a range. */
function portClasses(lists: readonly (readonly PolicyService[] | undefined)[]) {
  const index = new Map<string, number>();
  const predicates: Prefix[][] = [];
  for (const services of lists) {
    if (!services || index.has(serviceText(services))) continue;
    index.set(serviceText(services), predicates.length);
    predicates.push(
      services.flatMap(({ protocol, ports }) =>
        ports ? coverRange(BigInt(protocol * 65_536 + ports.first), BigInt(protocol * 65_536 + ports.last), 24) : [],
      ),
    );
  }
  const classes = classify(predicates, 24);
  return {
    prefixes: classes.prefixes,
    of: (services: readonly PolicyService[] | undefined) => classes.of[index.get(serviceText(services ?? [])) ?? -1] ?? [],
  };
}

function digestOf(content: object): string {
  const text = JSON.stringify(content, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value));
  return createHash('sha256').update(text).digest('hex');
}
