/** Records as API objects (spec/contiv §1.1: zero values absent, `key` first, `link-sets` and `links` last). */
import {
  type AciGw,
  type AppProfile,
  type Bgp,
  bandwidthBits,
  type EndpointGroup,
  type ExtContractsGroup,
  type Global,
  type GlobalState,
  type GroupState,
  type HostInfo,
  type HostState,
  itemsOf,
  type LinkSet,
  type Netprofile,
  type NetprofileState,
  type Network,
  type NetworkState,
  type Policy,
  type PolicyState,
  parseIpv6,
  type Rule,
  type RuleState,
  type Service,
  type Tenant,
  type TenantState,
} from '@contiv/model';
import type { EntryOf, Kind, RuleRecord } from './records.js';
import type { State } from './state.js';

/** Drops members that are empty text, 0, false or an empty list. */
export function withoutZeros<T extends object>(object: T): T {
  return Object.fromEntries(
    Object.entries(object).filter(
      ([, v]) => v !== '' && v !== 0 && v !== false && v !== undefined && !(Array.isArray(v) && v.length === 0),
    ),
  ) as T;
}

function linkSet(type: string, entries: Iterable<EntryOf<Kind>>): LinkSet | undefined {
  const links: LinkSet = {};
  for (const entry of entries) links[entry.place.first] = { type, key: entry.place.first };
  return Object.keys(links).length === 0 ? undefined : links;
}

/** Without the sets that are empty. */
const present = <T extends Record<string, LinkSet | undefined>>(sets: T): Partial<Record<keyof T, LinkSet>> =>
  Object.fromEntries(Object.entries(sets).filter(([, set]) => set !== undefined)) as Partial<Record<keyof T, LinkSet>>;

export function presentTenant(state: State, tenant: EntryOf<'tenant'>): Tenant {
  const name = tenant.place.first;
  const groups = linkSet('endpointGroup', state.entries('group', state.groupsOfTenant.of(name)));
  const networks = linkSet('network', state.entries('network', state.networksOfTenant.of(name)));
  const policies = linkSet('policy', state.entries('policy', state.policiesOfTenant.of(name)));
  return {
    ...withoutZeros({ key: name, ...tenant.record }),
    'link-sets': present({
      AppProfiles: linkSet('appProfile', state.entries('appProfile', state.appProfilesOfTenant.of(name))),
      EndpointGroups: groups,
      NetProfiles: linkSet('netprofile', state.entries('netprofile', state.netprofilesOfTenant.of(name))),
      Networks: networks,
      Policies: policies,
      Servicelbs: linkSet('serviceLB', state.entries('service', state.servicesOfTenant.of(name))),
    }),
  };
}

export function presentNetwork(state: State, network: EntryOf<'network'>): Network {
  const key = network.place.first;
  const { tag: _tag, ...asked } = network.record;
  const groups = linkSet('endpointGroup', state.entries('group', state.groupsOfNetwork.of(key)));
  return {
    ...withoutZeros({ key, ...asked }),
    'link-sets': present({
      EndpointGroups: groups,
      Servicelbs: linkSet('serviceLB', state.entries('service', state.servicesOfNetwork.of(key))),
    }),
    links: { Tenant: { type: 'tenant', key: asked.tenantName } },
  };
}

export function presentGroup(state: State, group: EntryOf<'group'>): EndpointGroup {
  const key = group.place.first;
  const { id: _id, ...asked } = group.record;
  const [profile] = [...state.entries('appProfile', state.appProfilesOfGroup.of(key))].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return {
    ...withoutZeros({ key, ...asked }),
    'link-sets': present({
      ExtContractsGrps: linkSet('extContractsGroup', contractsOf(state, group)),
      MatchRules: linkSet('rule', state.entries('rule', state.rulesOfPeer.of(key))),
      Policies: linkSet('policy', policiesOf(state, group)),
    }),
    links: {
      AppProfile: profile ? { type: 'appProfile', key: profile.place.first } : {},
      NetProfile: asked.netProfile === '' ? {} : { type: 'netprofile', key: `${asked.tenantName}:${asked.netProfile}` },
      Network: { type: 'network', key: `${asked.tenantName}:${asked.networkName}` },
      Tenant: { type: 'tenant', key: asked.tenantName },
    },
  };
}

/** The group's policies that are there. */
export const policiesOf = (state: State, group: EntryOf<'group'>): EntryOf<'policy'>[] =>
  group.record.policies.map((name) => state.policy(`${group.record.tenantName}:${name}`)).filter((policy) => policy !== undefined);

/** The group's external contracts that are there. */
const contractsOf = (state: State, group: EntryOf<'group'>): EntryOf<'extContracts'>[] =>
  group.record.extContractsGrps
    .map((name) => state.extContracts(`${group.record.tenantName}:${name}`))
    .filter((contracts) => contracts !== undefined);

export function presentPolicy(state: State, policy: EntryOf<'policy'>): Policy {
  const key = policy.place.first;
  return {
    ...withoutZeros({ key, ...policy.record }),
    'link-sets': present({
      EndpointGroups: linkSet('endpointGroup', state.entries('group', state.groupsOfPolicy.of(key))),
      Rules: linkSet('rule', state.entries('rule', state.rulesOfPolicy.of(key))),
    }),
    links: { Tenant: { type: 'tenant', key: policy.record.tenantName } },
  };
}

export function presentRule(_state: State, rule: EntryOf<'rule'>): Rule {
  const { tenantName, policyName, fromEndpointGroup, toEndpointGroup } = rule.record;
  const policy = `${tenantName}:${policyName}`;
  const peers = itemsOf(fromEndpointGroup || toEndpointGroup).map((group) => ({ type: 'endpointGroup', key: `${tenantName}:${group}` }));
  const [peer = {}] = peers;
  return {
    ...withoutZeros({ key: rule.place.first, ...rule.record }),
    'link-sets': {
      ...(peers.length > 1 ? { MatchEndpointGroups: Object.fromEntries(peers.map((link) => [link.key, link])) } : {}),
      Policies: { [policy]: { type: 'policy', key: policy } },
    },
    links: { MatchEndpointGroup: peer },
  };
}

export function presentGlobal(_state: State, global: EntryOf<'global'>): Global {
  return withoutZeros({ key: 'global', name: 'global', ...global.record });
}

export function presentHost(state: State, host: EntryOf<'host'>): HostInfo {
  const key = host.place.first;
  return {
    key,
    ...hostState(state, host),
    ...withoutZeros({ silentSince: host.record.silentSince, numEndpoints: state.endpointsOfHost.of(key).size }),
  };
}

/** What agents are told of the host. */
export function hostState(state: State, host: EntryOf<'host'>): HostState {
  const { silentSince: _since, ...registration } = host.record;
  return { name: host.place.first, ...registration, alive: state.alive(host.place.first) !== undefined };
}

export function networkState(state: State, network: EntryOf<'network'>): NetworkState {
  const { tenantName, networkName, nwType, encap, tag, origin, dockerName } = network.record;
  const { v4, v6 } = state.layout(network);
  return {
    key: network.place.first,
    tenant: tenantName,
    network: networkName,
    nwType,
    encap,
    tag,
    subnet: v4.prefix,
    ...(network.record.gateway === '' ? {} : { gateway: network.record.gateway }),
    ...(v6 ? { subnet6: v6.prefix } : {}),
    // However it was written: agents compare it with what their engines and packets say.
    ...(network.record.ipv6Gateway === '' ? {} : { gateway6: parseIpv6(network.record.ipv6Gateway) ?? network.record.ipv6Gateway }),
    ...(origin === '' ? {} : { origin }),
    // Also when it is the derived one: by it agents know that the engine's network has come to its end.
    ...(dockerName === '' ? {} : { dockerName }),
  };
}

export function groupState(group: EntryOf<'group'>): GroupState {
  const { tenantName, groupName, networkName, id, ipPool, policies, netProfile } = group.record;
  return {
    key: group.place.first,
    tenant: tenantName,
    group: groupName,
    network: networkName,
    id,
    ...(ipPool === '' ? {} : { ipPool }),
    ...(policies.length === 0 ? {} : { policies }),
    ...(netProfile === '' ? {} : { netProfile }),
  };
}

/** Bursts are kilobytes of 1,024 bytes, as bandwidths are counted in powers of it. */
export function netprofileState(profile: EntryOf<'netprofile'>): NetprofileState {
  const { tenantName, profileName, DSCP, bandwidth, burst } = profile.record;
  return {
    key: profile.place.first,
    tenant: tenantName,
    profile: profileName,
    dscp: DSCP,
    bitsPerSecond: Math.min(bandwidthBits(bandwidth), Number.MAX_SAFE_INTEGER),
    burstBytes: burst * 1024,
  };
}

export const tenantState = (tenant: EntryOf<'tenant'>): TenantState => ({
  name: tenant.place.first,
  denies: tenant.record.posture === 'deny',
});

export function policyState(policy: EntryOf<'policy'>): PolicyState {
  const { tenantName, policyName, admin } = policy.record;
  return { key: policy.place.first, tenant: tenantName, policy: policyName, admin };
}

export const ruleState = (rule: EntryOf<'rule'>): RuleState => ruleStateOf(rule.place.first, rule.record);

export function ruleStateOf(key: string, r: RuleRecord): RuleState {
  const incoming = r.direction === 'in';
  return {
    key,
    tenant: r.tenantName,
    policy: r.policyName,
    way: r.direction,
    priority: r.priority,
    deny: r.action === 'deny',
    ...withoutZeros({
      group: incoming ? r.fromEndpointGroup : r.toEndpointGroup,
      network: incoming ? r.fromNetwork : r.toNetwork,
      address: incoming ? r.fromIpAddress : r.toIpAddress,
      own: incoming ? r.toIpAddress : '',
      protocol: r.protocol,
      port: r.port,
      endPort: r.endPort,
      ports: r.ports,
      log: r.log,
    }),
  };
}

export function globalState(global: EntryOf<'global'>): GlobalState {
  const { fwdMode, arpMode, pvtSubnet } = global.record;
  return { fwdMode, arpMode, pvtSubnet };
}

export function presentNetprofile(state: State, profile: EntryOf<'netprofile'>): Netprofile {
  const key = profile.place.first;
  return {
    ...withoutZeros({ key, ...profile.record }),
    'link-sets': present({ EndpointGroups: linkSet('endpointGroup', state.entries('group', state.groupsOfNetprofile.of(key))) }),
    links: { Tenant: { type: 'tenant', key: profile.record.tenantName } },
  };
}

export function presentAppProfile(state: State, profile: EntryOf<'appProfile'>): AppProfile {
  const { tenantName, endpointGroups } = profile.record;
  const groups = endpointGroups.map((name) => state.group(`${tenantName}:${name}`)).filter((group) => group !== undefined);
  return {
    ...withoutZeros({ key: profile.place.first, ...profile.record }),
    'link-sets': present({ EndpointGroups: linkSet('endpointGroup', groups) }),
    links: { Tenant: { type: 'tenant', key: tenantName } },
  };
}

export function presentExtContracts(state: State, contracts: EntryOf<'extContracts'>): ExtContractsGroup {
  const key = contracts.place.first;
  return {
    ...withoutZeros({ key, ...contracts.record }),
    'link-sets': present({ EndpointGroups: linkSet('endpointGroup', state.entries('group', state.groupsOfExtContracts.of(key))) }),
  };
}

export function presentService(_state: State, service: EntryOf<'service'>): Service {
  const { tenantName, networkName } = service.record;
  return {
    ...withoutZeros({ key: service.place.first, ...service.record }),
    links: { Network: { type: 'network', key: `${tenantName}:${networkName}` }, Tenant: { type: 'tenant', key: tenantName } },
  };
}

export const presentBgp = (_state: State, bgp: EntryOf<'bgp'>): Bgp => withoutZeros({ key: bgp.place.first, ...bgp.record });

export const presentAciGw = (_state: State, gateway: EntryOf<'aciGw'>): AciGw => withoutZeros({ key: 'aciGw', ...gateway.record });
