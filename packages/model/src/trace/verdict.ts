/** Which rule of which policy, or which default, decides about a connection, by the stored intent. Pure; the slow, obvious way. */
import { ipv4ToNumber, parseIpv4 } from '../ip/ipv4.js';
import { ipv6ToBigInt } from '../ip/ipv6.js';
import { itemsOf } from '../objects/lists.js';
import { meaningOf } from '../policy/meaning.js';
import { type Address, decide, type PolicyRule, type Way } from '../policy/rule.js';
import type { EndpointState, RuleState } from '../wire/agent.js';
import { networkOf, segmentOf, type TraceView } from './view.js';

/** Number in the data path of the containers of a network that are in no group: beyond the numbers of groups. */
export const ungroupedNumber = (segment: number): number => (0x8000_0000 | segment) >>> 0;

/** Number of an endpoint's group; `undefined` when its group is gone, and it may nothing. */
export function groupNumberOf(view: TraceView, endpoint: EndpointState): number | undefined {
  if (endpoint.group !== undefined) return view.groups.get(`${endpoint.tenant}:${endpoint.group}`)?.id;
  const network = networkOf(view, endpoint);
  return network && ungroupedNumber(segmentOf(network));
}

/** What decided at one end. */
export interface EndVerdict {
  /** `out`: whether the caller may open it, `in`: whether the called one may be asked. */
  readonly way: Way;
  readonly endpoint: EndpointState;
  readonly deny: boolean;
  /** Absent: the tenant's default. */
  readonly rule?: RuleState;
  /** The endpoint's group is gone. */
  readonly groupless?: true;
}

export interface Call {
  /** `undefined`: an address of nobody's. */
  readonly from: EndpointState | undefined;
  readonly fromIp: string;
  readonly to: EndpointState | undefined;
  readonly toIp: string;
  /** IANA number. */
  readonly protocol: number;
  /** 0 for protocols without ports. */
  readonly port: number;
}

/** Both ends, in the order in which they are asked; after an end that denies nobody is. */
export function judge(view: TraceView, call: Call): EndVerdict[] {
  const { from, to } = call;
  const verdicts: EndVerdict[] = [];
  if (from) verdicts.push(judgeEnd(view, call, 'out', from, to));
  if (to && verdicts.every(({ deny }) => !deny)) verdicts.push(judgeEnd(view, call, 'in', to, from));
  return verdicts;
}

function judgeEnd(view: TraceView, call: Call, way: Way, own: EndpointState, peer: EndpointState | undefined): EndVerdict {
  if (groupNumberOf(view, own) === undefined) return { way, endpoint: own, deny: true, groupless: true };
  const rules = rulesFor(view, own);
  const [ownIp, peerIp] = way === 'out' ? [call.fromIp, call.toIp] : [call.toIp, call.fromIp];
  const { protocol, port } = call;
  const verdict = decide(
    { rules: rules.map(({ meaning }) => meaning), denies: view.tenants.get(own.tenant)?.denies ?? false },
    { way, group: peer ? (groupNumberOf(view, peer) ?? 0) : 0, peer: addressOf(peerIp), own: addressOf(ownIp), protocol, port },
  );
  const rule = verdict.rule === 0 ? undefined : rules.find(({ meaning }) => meaning.number === verdict.rule)?.rule;
  return { way, endpoint: own, deny: verdict.deny, ...(rule ? { rule } : {}) };
}

interface Known {
  readonly rule: RuleState;
  readonly meaning: PolicyRule;
}

/** Of the groups of each view: ten thousand rules take a tenth of a second, and a group is traced to with all its containers. */
const known = new WeakMap<TraceView, Map<string, readonly Known[]>>();

function rulesFor(view: TraceView, { tenant, group }: EndpointState): readonly Known[] {
  const ofView = known.get(view) ?? new Map<string, readonly Known[]>();
  known.set(view, ofView);
  const key = `${tenant}:${group ?? ''}`;
  const rules = ofView.get(key) ?? workedOut(view, tenant, group);
  ofView.set(key, rules);
  return rules;
}

/** Rules of the policies of the group, and of the tenant's admin policies. */
function workedOut(view: TraceView, tenant: string, group: string | undefined): readonly Known[] {
  const policies = new Set(group === undefined ? [] : view.groups.get(`${tenant}:${group}`)?.policies);
  for (const policy of view.policies.values()) if (policy.tenant === tenant && policy.admin) policies.add(policy.policy);
  const names = {
    group: (name: string) => view.groups.get(`${tenant}:${name}`)?.id,
    subnet6: (name: string) => {
      const prefix = view.networks.get(`${tenant}:${name}`)?.subnet6;
      return prefix && `${prefix.address}/${prefix.length}`;
    },
  };
  return [...view.rules.values()]
    .filter((rule) => rule.tenant === tenant && policies.has(rule.policy))
    .flatMap((rule) => {
      const admin = view.policies.get(`${tenant}:${rule.policy}`)?.admin ?? false;
      return meaningOf(rule, admin, names).map((meaning) => ({ rule, meaning }));
    });
}

function addressOf(text: string): Address {
  if (parseIpv4(text) !== undefined) return { family: 4, value: BigInt(ipv4ToNumber(text) ?? 0) };
  return { family: 6, value: ipv6ToBigInt(text) ?? 0n };
}

/** `rule 3 of policy db (in, priority 10): deny tcp/80,443 from group app or ops, 10.1.1.0/24` */
export function ruleText(rule: RuleState): string {
  const { key, policy, way, priority, deny, group, network, address, own, protocol, port, endPort } = rule;
  const id = key.split(':').slice(2).join(':');
  const ports = rule.ports ?? (port === undefined ? '' : `${port}${endPort === undefined ? '' : `-${endPort}`}`);
  const what = protocol === undefined && ports === '' ? 'everything' : `${protocol ?? 'ports '}${ports && `/${ports}`}`;
  const any = (list: string) => itemsOf(list).join(' or ');
  const peer = [group && `group ${any(group)}`, network && `network ${any(network)}`, address && any(address)].filter(Boolean).join(', ');
  const whom = peer === '' ? '' : ` ${way === 'in' ? 'from' : 'to'} ${peer}`;
  const at = own ? ` at ${any(own)}` : '';
  return `rule ${id} of policy ${policy} (${way}, priority ${priority}): ${deny ? 'deny' : 'allow'} ${what}${whom}${at}`;
}
