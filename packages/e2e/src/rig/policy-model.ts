/**
 * What policies mean, worked out the obvious way and with nothing of the product: one rule after the other, for one connection. And the requests
 * that turn one set of policies into another. Pure.
 */
import { BlockList, isIPv6 } from 'node:net';
import type { Kind } from './prober.js';

export interface RuleSpec {
  readonly way: 'in' | 'out';
  readonly action: 'allow' | 'deny';
  /** 1–100, the higher one wins; 1 if absent. */
  readonly priority?: number;
  /** Of the peer. Lists are separated by commas. */
  readonly group?: string;
  readonly network?: string;
  /** Addresses, `a/len`, or `a-b` where `b` is the last octet alone. */
  readonly address?: string;
  /** The container's own address, for rules on what it is asked. */
  readonly own?: string;
  /** `tcp`, `udp`, `icmp` or a number; any if absent. */
  readonly protocol?: string;
  readonly port?: number;
  readonly endPort?: number;
  /** Several ports: `80,82-90`. */
  readonly ports?: string;
}

/** Groups and policies are named `tenant:name`, as in netmaster's keys. */
export interface World {
  readonly postures: Readonly<Record<string, 'allow' | 'deny'>>;
  readonly policies: Readonly<Record<string, { readonly admin: boolean; readonly rules: readonly RuleSpec[] }>>;
  /** Names of the policies of each group. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** One end of a connection. */
export interface End {
  readonly tenant: string;
  readonly group: string;
  readonly address: string;
}

export interface Service {
  readonly kind: Kind;
  readonly port: number;
}

/** May `from` open this connection to `to`, a container of the same tenant? */
export function mayOpen(world: World, subnets: readonly string[], from: End, to: End, service: Service): boolean {
  return decides(world, subnets, 'out', from, to, service) && decides(world, subnets, 'in', to, from, service);
}

function decides(world: World, subnets: readonly string[], way: RuleSpec['way'], own: End, peer: End, service: Service): boolean {
  const policies = Object.entries(world.policies).filter(([key, { admin }]) => {
    const [tenant, name = ''] = key.split(':');
    return tenant === own.tenant && (admin || world.groups[`${own.tenant}:${own.group}`]?.includes(name));
  });
  const ranked = policies
    .flatMap(([, { admin, rules }]) => rules.map((rule) => ({ rule, rank: (rule.priority ?? 1) + (admin ? 1000 : 0) })))
    .filter(({ rule }) => rule.way === way && isAbout(rule, subnets, own, peer, service));
  const highest = Math.max(...ranked.map(({ rank }) => rank));
  const deciding = ranked.filter(({ rank }) => rank === highest);
  if (deciding.length === 0) return world.postures[own.tenant] !== 'deny';
  return deciding.every(({ rule }) => rule.action === 'allow');
}

function isAbout(rule: RuleSpec, subnets: readonly string[], own: End, peer: End, { kind, port }: Service): boolean {
  if (rule.group !== undefined && !rule.group.split(',').includes(peer.group)) return false;
  if (rule.address !== undefined && !covers(rule.address.split(','), peer.address)) return false;
  if (rule.network !== undefined && !covers(subnets, peer.address)) return false;
  if (rule.own !== undefined && !covers(rule.own.split(','), own.address)) return false;
  if (rule.protocol !== undefined && !protocolsOf(kind).includes(rule.protocol)) return false;
  if (rule.ports !== undefined) return rule.ports.split(',').some((item) => within(port, item));
  return rule.port === undefined || (port >= rule.port && port <= (rule.endPort ?? rule.port));
}

function within(port: number, item: string): boolean {
  const [first, last = first] = item.split('-').map(Number);
  return first !== undefined && last !== undefined && port >= first && port <= last;
}

/** What rules call it: `icmp` is that of both families, a number is that of one. */
function protocolsOf(kind: Kind): readonly string[] {
  if (kind.startsWith('253')) return ['253'];
  if (kind.startsWith('sctp')) return ['132'];
  return kind.startsWith('ping') ? ['icmp', kind === 'ping6' ? '58' : '1'] : [kind.slice(0, 3)];
}

const family = (text: string) => (isIPv6(text) ? 'ipv6' : 'ipv4');
const lists = new Map<string, BlockList>();

function covers(texts: readonly string[], address: string): boolean {
  const known = lists.get(texts.join());
  if (known) return known.check(address, family(address));
  const list = new BlockList();
  lists.set(texts.join(), list);
  for (const text of texts) {
    const [base = '', length] = text.split('/');
    const [first = '', last] = base.split('-');
    if (length !== undefined) list.addSubnet(base, Number(length), family(base));
    else if (last !== undefined) list.addRange(first, first.replace(/\d+$/, last), family(first));
    else list.addAddress(first, family(first));
  }
  return list.check(address, family(address));
}

export interface Request {
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
}

/** The same rule has the same id in every world. */
export function ruleId(rule: RuleSpec): string {
  const { way, action, priority = 1, group, network, address, own, protocol, port, endPort, ports } = rule;
  const words = [way, action, priority, group, network, address, own && `own-${own}`, protocol, port, endPort, ports];
  return words
    .filter((word) => word !== undefined)
    .join('-')
    .replaceAll(/[^a-z0-9]+/g, '-');
}

/** What has to be asked of netmaster, in an order it accepts: rules on own addresses need their group, and groups their policies. */
export function changes(before: World, after: World, network: string): Request[] {
  const object = (collection: string, key: string, fields: object): Request => ({
    method: 'POST',
    path: `/api/v1/${collection}/${key}/`,
    body: { key, tenantName: key.split(':')[0], ...fields },
  });
  const removal = (collection: string, key: string): Request => ({ method: 'DELETE', path: `/api/v1/${collection}/${key}/` });
  const rulesOf = (world: World) =>
    new Map(Object.entries(world.policies).flatMap(([key, { rules }]) => rules.map((rule) => [`${key}:${ruleId(rule)}`, rule] as const)));
  const [old, fresh] = [rulesOf(before), rulesOf(after)];
  const added = [...fresh].filter(([key]) => !old.has(key));
  const rule = ([key, spec]: readonly [string, RuleSpec]) => {
    const end = spec.way === 'in' ? 'from' : 'to';
    const [, policyName, id] = key.split(':');
    return object('rules', key, {
      policyName,
      ruleId: id,
      direction: spec.way,
      action: spec.action,
      priority: spec.priority ?? 1,
      ...(spec.protocol === undefined ? {} : { protocol: spec.protocol }),
      ...(spec.port === undefined ? {} : { port: spec.port }),
      ...(spec.endPort === undefined ? {} : { endPort: spec.endPort }),
      ...(spec.ports === undefined ? {} : { ports: spec.ports }),
      ...(spec.group === undefined ? {} : { [`${end}EndpointGroup`]: spec.group }),
      ...(spec.network === undefined ? {} : { [`${end}Network`]: spec.network }),
      ...(spec.address === undefined ? {} : { [`${end}IpAddress`]: spec.address }),
      ...(spec.own === undefined ? {} : { toIpAddress: spec.own }),
    });
  };
  return [
    ...Object.entries(after.policies)
      .filter(([key]) => !before.policies[key])
      .map(([key, { admin }]) => object('policys', key, { policyName: key.split(':')[1], ...(admin ? { admin } : {}) })),
    ...added.filter(([, spec]) => spec.own === undefined).map(rule),
    ...Object.entries(after.groups)
      .filter(([key, policies]) => before.groups[key]?.join() !== policies.join())
      .map(([key, policies]) => object('endpointGroups', key, { groupName: key.split(':')[1], networkName: network, policies })),
    ...added.filter(([, spec]) => spec.own !== undefined).map(rule),
    ...Object.entries(after.postures)
      .filter(([tenant, posture]) => before.postures[tenant] !== posture)
      .map(([tenant, posture]) => object('tenants', tenant, { posture })),
    ...[...old.keys()].filter((key) => !fresh.has(key)).map((key) => removal('rules', key)),
    ...Object.keys(before.policies)
      .filter((key) => !after.policies[key])
      .map((key) => removal('policys', key)),
  ];
}
