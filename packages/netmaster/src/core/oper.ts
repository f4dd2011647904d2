/** What became of an object: the `Oper` half of an inspection (spec/contiv §1.3, §6.1). */
import {
  type AciGwOper,
  type BgpOper,
  type EndpointGroupOper,
  type EndpointOper,
  formatRanges4,
  type GlobalOper,
  type NetworkOper,
  type PolicyOper,
  type Range4,
  Refusal,
  type ServiceOper,
  subtract4,
  type TenantOper,
  toRanges,
} from '@contiv/model';
import { withoutZeros } from './present.js';
import type { EntryOf } from './records.js';
import { presentStage } from './staged/staged.js';
import type { State } from './state.js';
import { poolRange } from './subnet.js';
import { tagRange, tagText } from './tags.js';

export function endpointOper(state: State, endpoint: EntryOf<'endpoint'>): EndpointOper {
  const e = endpoint.record;
  const group = e.group === undefined ? undefined : state.group(`${e.tenant}:${e.group}`);
  return withoutZeros({
    containerID: e.containerId,
    containerName: e.containerName,
    endpointGroupId: group?.record.id,
    endpointGroupKey: e.group === undefined ? undefined : `${e.group}:${e.tenant}`,
    endpointID: e.endpointId,
    homingHost: e.host,
    ipAddress: [e.ip, e.ip6 ?? ''],
    labels: `map[${Object.entries(e.labels ?? {})
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${k}:${v}`)
      .join(' ')}]`,
    macAddress: e.mac,
    network: `${e.network}.${e.tenant}`,
    serviceName: e.group,
    vtepIP: state.host(e.host)?.record.vtepIp,
  });
}

const opers = (state: State, storeKeys: Iterable<string>): EndpointOper[] =>
  [...state.entries('endpoint', storeKeys)].toSorted(byKey).map((e) => endpointOper(state, e));

const byKey = (a: { key: string }, b: { key: string }): number => (a.key < b.key ? -1 : 1);

export function networkOper(state: State, network: EntryOf<'network'>): NetworkOper {
  const key = network.place.first;
  const { v4 } = state.layout(network);
  const taken = [...state.usage(key).v4.keys()];
  const used = merge([
    ...toRanges(taken.toSorted((a, b) => a - b)),
    ...state.pools(key),
    ...(v4.gateway === undefined ? [] : [{ first: v4.gateway, last: v4.gateway }]),
  ]);
  const { encap, tag, cfgdTag, networkName, tenantName } = network.record;
  return withoutZeros({
    allocatedAddressesCount: taken.length,
    // The list leaves out whatever lies beyond the range the network was given.
    allocatedIPAddresses: formatRanges4(clip(used, v4.usable)),
    availableIPAddresses: formatRanges4(v4.usable.first <= v4.usable.last ? subtract4(v4.usable, used) : []),
    endpoints: opers(state, state.endpointsOfNetwork.of(key)),
    externalPktTag: encap === 'vxlan' ? tag : 0,
    mtu: networkMtu(state, encap),
    networkTag: cfgdTag === '' ? `${networkName}.${tenantName}` : cfgdTag,
    numEndpoints: state.endpointsOfNetwork.of(key).size,
    pktTag: tag,
  });
}

/** That of the narrowest host: the underlay's less VXLAN's headers (RFC 7348 §5), or the uplink's. 0: no host carries such networks. */
function networkMtu(state: State, encap: 'vlan' | 'vxlan'): number {
  const mtus = [...state.all('host')].flatMap(({ record: { mtu, uplinkMtu, vtepIp } }) => {
    if (encap === 'vlan') return uplinkMtu === undefined ? [] : [uplinkMtu];
    return [mtu - (vtepIp.includes(':') ? 70 : 50)];
  });
  return mtus.length === 0 ? 0 : Math.min(...mtus);
}

export function groupOper(state: State, group: EntryOf<'group'>): EndpointGroupOper {
  const key = group.place.first;
  const { tenantName, networkName, groupName, ipPool, cfgdTag } = group.record;
  const network = state.network(`${tenantName}:${networkName}`);
  const pool = ipPool === '' ? undefined : poolRange(ipPool);
  const whole = pool ?? (network && state.layout(network).v4.usable);
  const taken = pool
    ? clip(toRanges([...state.usage(`${tenantName}:${networkName}`).v4.keys()].toSorted((a, b) => a - b)), pool)
    : // Without a pool of its own a group holds what its endpoints hold.
      toRanges(groupAddresses(state, key));
  return withoutZeros({
    allocatedIPAddresses: formatRanges4(taken),
    availableIPAddresses: formatRanges4(whole && whole.first <= whole.last ? subtract4(whole, taken) : []),
    endpoints: opers(state, state.endpointsOfGroup.of(key)),
    externalPktTag: network?.record.encap === 'vxlan' ? network.record.tag : 0,
    groupTag: cfgdTag === '' ? `${groupName}.${tenantName}` : cfgdTag,
    numEndpoints: state.endpointsOfGroup.of(key).size,
    pktTag: network?.record.tag,
  });
}

function groupAddresses(state: State, groupKey: string): number[] {
  const own = new Set([...state.entries('endpoint', state.endpointsOfGroup.of(groupKey))].map((e) => e.record.endpointId));
  const group = state.group(groupKey);
  if (!group) return [];
  const usage = state.usage(`${group.record.tenantName}:${group.record.networkName}`);
  return [...usage.v4]
    .filter(([, held]) => held.record.endpointId !== undefined && own.has(held.record.endpointId))
    .map(([value]) => value)
    .toSorted((a, b) => a - b);
}

export function policyOper(state: State, policy: EntryOf<'policy'>): PolicyOper {
  const groups = [...state.entries('group', state.groupsOfPolicy.of(policy.place.first))].toSorted(byKey);
  const endpoints = groups.flatMap((g) => opers(state, state.endpointsOfGroup.of(g.place.first)));
  const staged = state.staged(policy.place.first);
  return withoutZeros({ endpoints, numEndpoints: endpoints.length, staged: staged && presentStage(state, staged) });
}

/** What is kept and checked while nothing acts on it says so. */
const NO_EFFECT = 'stored and checked; this version does not act on it';

/** Providers are the tenant's containers that bear every selector as a label. */
export function serviceOper(state: State, service: EntryOf<'service'>): ServiceOper {
  const { tenantName, selectors } = service.record;
  const wanted = selectors.map((s) => s.split('=') as [string, string]);
  const networks = state.networksOfTenant.of(tenantName);
  const providers = [...state.entries('network', networks)]
    .flatMap((n) => [...state.entries('endpoint', state.endpointsOfNetwork.of(n.place.first))])
    .filter((e) => wanted.every(([label, value]) => e.record.labels?.[label] === value))
    .toSorted(byKey);
  return withoutZeros({ effect: NO_EFFECT, numProviders: providers.length, providers: providers.map((e) => endpointOper(state, e)) });
}

export const bgpOper = (): BgpOper => ({ effect: NO_EFFECT });

export const aciGwOper = (state: State): AciGwOper => withoutZeros({ effect: NO_EFFECT, numAppProfiles: state.count('appProfile') });

export function tenantOper(state: State, name: string): TenantOper {
  const networks = [...state.entries('network', state.networksOfTenant.of(name))].toSorted(byKey);
  const groups = [...state.entries('group', state.groupsOfTenant.of(name))].toSorted(byKey);
  const services = [...state.entries('service', state.servicesOfTenant.of(name))].toSorted(byKey);
  const policies = [...state.entries('policy', state.policiesOfTenant.of(name))].toSorted(byKey);
  const endpoints = networks.flatMap((n) => opers(state, state.endpointsOfNetwork.of(n.place.first)));
  return withoutZeros({
    endpointGroups: groups.map((g) => groupOper(state, g)),
    endpoints,
    networks: networks.map((n) => networkOper(state, n)),
    policies: policies.map((p) => policyOper(state, p)),
    servicelbs: services.map((s) => serviceOper(state, s)),
    totalAppProfiles: state.appProfilesOfTenant.of(name).size,
    totalEPGs: groups.length,
    totalEndpoints: endpoints.length,
    totalNetprofiles: state.netprofilesOfTenant.of(name).size,
    totalNetworks: networks.length,
    totalPolicies: policies.length,
    totalServicelbs: services.length,
  });
}

export function globalOper(state: State, clusterMode: string): GlobalOper {
  const range = state.global && tagRange('vxlan', state.global.record.vxlans);
  return withoutZeros({
    clusterMode,
    freeVXLANsStart: range && range.min - 1,
    numNetworks: state.tagCount('vlan') + state.tagCount('vxlan'),
    vlansInUse: tagText(state.tagsInUse('vlan')),
    vxlansInUse: tagText(state.tagsInUse('vxlan')),
  });
}

/** By endpoint id, container id or name: an exact match, else the first that contains the text. */
export function findEndpoint(state: State, text: string): EntryOf<'endpoint'> {
  const names = ({ record }: EntryOf<'endpoint'>) => [record.endpointId, record.containerId ?? '', record.containerName ?? ''];
  let partial: EntryOf<'endpoint'> | undefined;
  for (const endpoint of state.all('endpoint')) {
    if (names(endpoint).includes(text)) return endpoint;
    if (text !== '' && !partial && names(endpoint).some((name) => name.includes(text))) partial = endpoint;
  }
  if (!partial) throw new Refusal('not-found', 'endpoint not found');
  return partial;
}

/** Sorts and joins ranges that overlap or touch. */
function merge(ranges: readonly Range4[]): Range4[] {
  const out: { first: number; last: number }[] = [];
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    const tail = out.at(-1);
    if (tail && first <= tail.last + 1) tail.last = Math.max(tail.last, last);
    else out.push({ first, last });
  }
  return out;
}

const clip = (ranges: readonly Range4[], within: Range4): Range4[] =>
  ranges.map((r) => ({ first: Math.max(r.first, within.first), last: Math.min(r.last, within.last) })).filter((r) => r.first <= r.last);
