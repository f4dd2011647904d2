/** From a stored rule to what it says in numbers. Pure. */
import { type AddressRange, parseAddressRange } from '../ip/match.js';
import { itemsOf, type PortRange, parsePortRange } from '../objects/lists.js';
import { protocolNumber } from '../objects/primitives.js';
import type { RuleState } from '../wire/agent.js';
import type { PolicyRule, PolicyService } from './rule.js';

/** Rules of an admin policy outrank all others. */
export const ADMIN_RANK = 1_000;

/** What names in rules stand for at present; `undefined`: nothing of that name is there. */
export interface Names {
  readonly group: (name: string) => number | undefined;
  /** The network's IPv6 prefix as text. */
  readonly subnet6: (network: string) => string | undefined;
}

/** FNV-1a over the rule's key: the same everywhere, without anybody having to hand out numbers. Never 0. */
export function ruleNumber(key: string): number {
  let hash = 0x811c_9dc5;
  for (const char of key) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x0100_0193) >>> 0;
  return hash === 0 ? 1 : hash;
}

/** Protocols whose port is where TCP has it. */
const PORTED = [6, 17, 132, 136];
export const hasPorts = (protocol: string): boolean => protocol === '' || PORTED.includes(protocolNumber(protocol) ?? 0);

function portsOf({ port = 0, endPort = 0, ports }: RuleState): PortRange[] {
  if (ports !== undefined) return itemsOf(ports).map(parsePortRange).filter(isThere);
  return port === 0 ? [] : [{ first: port, last: Math.max(port, endPort) }];
}

function servicesOf(rule: RuleState): PolicyService[] | undefined {
  const { protocol = '' } = rule;
  const ranges = portsOf(rule);
  if (ranges.length === 0) {
    if (protocol === '') return undefined;
    // The name stands for what either family calls so, a number for itself.
    return protocol === 'icmp' ? [{ protocol: 1 }, { protocol: 58 }] : [{ protocol: protocolNumber(protocol) ?? 0 }];
  }
  const protocols = protocol === '' ? PORTED : [protocolNumber(protocol) ?? 0];
  return protocols.flatMap((number) => ranges.map((ports) => ({ protocol: number, ports })));
}

const isThere = <T>(item: T | undefined): item is T => item !== undefined;
const rangesOf = (texts: readonly string[]): AddressRange[] => texts.map(parseAddressRange).filter(isThere);

/** What a rule says in numbers. One that names only what is not there matches nobody, and is none. */
export function meaningOf(rule: RuleState, admin: boolean, names: Names): PolicyRule[] {
  const base = {
    way: rule.way,
    rank: rule.priority + (admin ? ADMIN_RANK : 0),
    deny: rule.deny,
    ...(rule.log === true ? { log: true } : {}),
    number: ruleNumber(rule.key),
    own: rule.own === undefined ? undefined : rangesOf(itemsOf(rule.own)),
    services: servicesOf(rule),
  };
  const groups = rule.group === undefined ? undefined : itemsOf(rule.group).map(names.group).filter(isThere);
  if (groups?.length === 0) return [];
  const addresses = [...itemsOf(rule.address), ...itemsOf(rule.network).map(names.subnet6).filter(isThere)];
  const peers = rule.address === undefined && rule.network === undefined ? undefined : rangesOf(addresses);
  return [{ ...base, groups, peers }];
}
