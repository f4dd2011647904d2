/** What a policy's rule says of a connection's first packet, and what a set of rules decides. Pure; the slow, obvious way. */
import type { AddressRange } from '../ip/match.js';

/** `in`: connections to a container, `out`: connections it opens. */
export type Way = 'in' | 'out';

/** Connections of one protocol (IANA number), to all ports or to those within the range. */
export interface PolicyService {
  readonly protocol: number;
  readonly ports?: { readonly first: number; readonly last: number };
}

/** A rule in numbers. Members that are `undefined` match everything; all others have to match. */
export interface PolicyRule {
  readonly way: Way;
  /** The highest of the matching rules decides; of equal ones, one that denies. */
  readonly rank: number;
  readonly deny: boolean;
  /** Connections it decides are always recorded. */
  readonly log?: boolean;
  /** Names the rule in verdicts; never 0. */
  readonly number: number;
  /** Numbers of groups, one of which the peer is in. */
  readonly groups: readonly number[] | undefined;
  /** Where the peer's address is. */
  readonly peers: readonly AddressRange[] | undefined;
  /** Where the container's own address is. */
  readonly own: readonly AddressRange[] | undefined;
  readonly services: readonly PolicyService[] | undefined;
}

/** Everything that decides about the connections of a container. */
export interface PolicySet {
  readonly rules: readonly PolicyRule[];
  /** What becomes of a connection that no rule matches. */
  readonly denies: boolean;
}

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** The first packet of a connection, seen from one of its ends. */
export interface Opening {
  readonly way: Way;
  /** Number of the peer's group, 0 for none. */
  readonly group: number;
  readonly peer: Address;
  readonly own: Address;
  readonly protocol: number;
  /** The port that is called; 0 for protocols without ports. */
  readonly port: number;
}

export interface Verdict {
  readonly deny: boolean;
  /** Number of the rule that decided, 0 when none matched. */
  readonly rule: number;
}

export function decide(set: PolicySet, opening: Opening): Verdict {
  let best: PolicyRule | undefined;
  for (const rule of set.rules) if (matches(rule, opening) && (!best || outranks(rule, best))) best = rule;
  return best ? { deny: best.deny, rule: best.number } : { deny: set.denies, rule: 0 };
}

/** A total order, so that every evaluation names the same rule. */
export function outranks(a: Pick<PolicyRule, 'rank' | 'deny' | 'number'>, b: Pick<PolicyRule, 'rank' | 'deny' | 'number'>): boolean {
  if (a.rank !== b.rank) return a.rank > b.rank;
  if (a.deny !== b.deny) return a.deny;
  return a.number < b.number;
}

function matches(rule: PolicyRule, opening: Opening): boolean {
  return (
    rule.way === opening.way &&
    (rule.groups?.includes(opening.group) ?? true) &&
    (rule.peers?.some((range) => isIn(opening.peer, range)) ?? true) &&
    (rule.own?.some((range) => isIn(opening.own, range)) ?? true) &&
    (rule.services?.some((service) => isOf(opening, service)) ?? true)
  );
}

const isIn = ({ family, value }: Address, range: AddressRange): boolean =>
  family === range.family && value >= range.first && value <= range.last;

const isOf = ({ protocol, port }: Opening, service: PolicyService): boolean =>
  protocol === service.protocol && (service.ports === undefined || (port >= service.ports.first && port <= service.ports.last));
