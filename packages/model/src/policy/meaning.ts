/** From a stored rule to what it says in numbers. Pure. */
import { type AddressRange, parseAddressRange } from '../ip/match.js';
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

function servicesOf({ protocol = '', port = 0, endPort = 0 }: RuleState): PolicyService[] | undefined {
  if (port === 0) {
    if (protocol === '') return undefined;
    // The name stands for what either family calls so, a number for itself.
    return protocol === 'icmp' ? [{ protocol: 1 }, { protocol: 58 }] : [{ protocol: protocolNumber(protocol) ?? 0 }];
  }
  const ports = { first: port, last: Math.max(port, endPort) };
  return (protocol === '' ? PORTED : [protocolNumber(protocol) ?? 0]).map((number) => ({ protocol: number, ports }));
}

const ranges = (texts: readonly (string | undefined)[]): AddressRange[] =>
  texts.map((text) => (text === undefined || text === '' ? undefined : parseAddressRange(text))).filter((range) => range !== undefined);

/** A rule whose peers are of several kinds is several rules of one number. One that names what is not there matches nobody. */
export function meaningOf(rule: RuleState, admin: boolean, names: Names): PolicyRule[] {
  const base = {
    way: rule.way,
    rank: rule.priority + (admin ? ADMIN_RANK : 0),
    deny: rule.deny,
    ...(rule.log === true ? { log: true } : {}),
    number: ruleNumber(rule.key),
    own: rule.own === undefined ? undefined : ranges([rule.own]),
    services: servicesOf(rule),
  };
  const group = rule.group === undefined ? undefined : names.group(rule.group);
  if (rule.group !== undefined && group === undefined) return [];
  const addresses = [rule.address, rule.network === undefined ? undefined : names.subnet6(rule.network)];
  const peers = rule.address === undefined && rule.network === undefined ? undefined : ranges(addresses);
  return [{ ...base, groups: group === undefined ? undefined : [group], peers }];
}
