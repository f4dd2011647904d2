/**
 * Everything the store holds, in memory, with the indexes that rules need. It is a mirror and never the truth: writes are
 * planned on it and decided by the store.
 *
 * `set` returns what stood there before, so that a planner can try a change and take it back (`set(key, before)`).
 */
import { ipv4ToNumber, ipv6ToBigInt, itemsOf, type Range4 } from '@contiv/model';
import { Intervals } from './intervals.js';
import type { Entry, EntryOf, Kind, NetworkRecord } from './records.js';
import { keys, placeOf } from './records.js';
import { type Plan4, type Plan6, plan4, plan6, poolRange } from './subnet.js';
import { Usage } from './usage.js';

/** Addresses of a network, worked out once per record. */
export interface Layout {
  readonly v4: Plan4;
  readonly v6: Plan6 | undefined;
}

/** Sets by key that vanish when empty. */
class Index {
  readonly #sets = new Map<string, Set<string>>();
  add(at: string, member: string): void {
    const set = this.#sets.get(at);
    if (set) set.add(member);
    else this.#sets.set(at, new Set([member]));
  }
  remove(at: string, member: string): void {
    const set = this.#sets.get(at);
    if (set?.delete(member) && set.size === 0) this.#sets.delete(at);
  }
  of(at: string): ReadonlySet<string> {
    return this.#sets.get(at) ?? NONE;
  }
}
const NONE: ReadonlySet<string> = new Set();

export class State {
  readonly #kinds: { [K in Kind]: Map<string, EntryOf<K>> } = {
    global: new Map(),
    counter: new Map(),
    background: new Map(),
    epochs: new Map(),
    tenant: new Map(),
    network: new Map(),
    group: new Map(),
    policy: new Map(),
    rule: new Map(),
    netprofile: new Map(),
    appProfile: new Map(),
    extContracts: new Map(),
    service: new Map(),
    bgp: new Map(),
    aciGw: new Map(),
    staged: new Map(),
    stagedRule: new Map(),
    history: new Map(),
    address: new Map(),
    endpoint: new Map(),
    host: new Map(),
    alive: new Map(),
    master: new Map(),
  };
  readonly #layouts = new WeakMap<NetworkRecord, Layout>();
  readonly #usage = new Map<string, Usage>();
  readonly #tags = { vlan: new Map<number, string>(), vxlan: new Map<number, string>() };
  readonly #tagHints = { vlan: 1, vxlan: 1 };
  readonly #versions = new Map<Kind, number>();
  readonly #subnets4 = new Map<string, Intervals<number>>();
  readonly #subnets6 = new Map<string, Intervals<bigint>>();
  /** Store keys by tenant, network key, group key, host or endpoint id. */
  readonly networksOfTenant = new Index();
  readonly groupsOfTenant = new Index();
  readonly groupsOfNetwork = new Index();
  readonly policiesOfTenant = new Index();
  readonly rulesOfPolicy = new Index();
  readonly stagedRulesOfPolicy = new Index();
  readonly groupsOfPolicy = new Index();
  /** Rules that name the group as a peer, by group key. */
  readonly rulesOfPeer = new Index();
  readonly netprofilesOfTenant = new Index();
  readonly groupsOfNetprofile = new Index();
  readonly appProfilesOfTenant = new Index();
  readonly appProfilesOfGroup = new Index();
  readonly extContractsOfTenant = new Index();
  readonly groupsOfExtContracts = new Index();
  readonly servicesOfTenant = new Index();
  readonly servicesOfNetwork = new Index();
  readonly endpointsOfNetwork = new Index();
  readonly endpointsOfGroup = new Index();
  readonly endpointsOfHost = new Index();
  readonly endpointsOfId = new Index();
  /** Reserved addresses no endpoint has taken over. */
  readonly reservationsOfHost = new Index();

  get global(): EntryOf<'global'> | undefined {
    return this.#kinds.global.get(keys.global);
  }
  get aciGw(): EntryOf<'aciGw'> | undefined {
    return this.#kinds.aciGw.get(keys.aciGw);
  }
  get background(): EntryOf<'background'> | undefined {
    return this.#kinds.background.get(keys.background);
  }
  get epochs(): EntryOf<'epochs'> | undefined {
    return this.#kinds.epochs.get(keys.epochs);
  }
  get groupCounter(): EntryOf<'counter'> | undefined {
    return this.#kinds.counter.get(keys.groupCounter);
  }
  tenant = (name: string) => this.#kinds.tenant.get(keys.tenant(name));
  network = (networkKey: string) => this.#kinds.network.get(keys.network(networkKey));
  group = (groupKey: string) => this.#kinds.group.get(keys.group(groupKey));
  policy = (policyKey: string) => this.#kinds.policy.get(keys.policy(policyKey));
  staged = (policyKey: string) => this.#kinds.staged.get(keys.staged(policyKey));
  stagedRule = (ruleKey: string) => this.#kinds.stagedRule.get(keys.stagedRule(ruleKey));
  rule = (ruleKey: string) => this.#kinds.rule.get(keys.rule(ruleKey));
  netprofile = (profileKey: string) => this.#kinds.netprofile.get(keys.netprofile(profileKey));
  appProfile = (profileKey: string) => this.#kinds.appProfile.get(keys.appProfile(profileKey));
  extContracts = (groupKey: string) => this.#kinds.extContracts.get(keys.extContracts(groupKey));
  service = (serviceKey: string) => this.#kinds.service.get(keys.service(serviceKey));
  bgp = (host: string) => this.#kinds.bgp.get(keys.bgp(host));
  host = (name: string) => this.#kinds.host.get(keys.host(name));
  alive = (name: string) => this.#kinds.alive.get(keys.alive(name));
  address = (networkKey: string, address: string) => this.#kinds.address.get(keys.address(networkKey, address));
  endpoint = (networkKey: string, id: string) => this.#kinds.endpoint.get(keys.endpoint(networkKey, id));

  /** By store key. */
  at<K extends Kind>(kind: K, key: string): EntryOf<K> | undefined {
    return this.#kinds[kind].get(key);
  }
  all<K extends Kind>(kind: K): IterableIterator<EntryOf<K>> {
    return this.#kinds[kind].values();
  }
  count(kind: Kind): number {
    return this.#kinds[kind].size;
  }
  /** Grows with every change of the kind: for caches. */
  version(kind: Kind): number {
    return this.#versions.get(kind) ?? 0;
  }

  /** Entries of the store keys an index names. */
  *entries<K extends Kind>(kind: K, storeKeys: Iterable<string>): Generator<EntryOf<K>> {
    for (const key of storeKeys) {
      const found = this.at(kind, key);
      if (found) yield found;
    }
  }

  layout(network: EntryOf<'network'>): Layout {
    const r = network.record;
    let layout = this.#layouts.get(r);
    if (!layout) {
      layout = { v4: plan4(r.subnet, r.gateway), v6: plan6(r.ipv6Subnet, r.ipv6Gateway) };
      this.#layouts.set(r, layout);
    }
    return layout;
  }

  /** Key of a network of the tenant whose addresses overlap. */
  overlapping4(tenant: string, range: Range4): string | undefined {
    return this.#subnets4.get(tenant)?.overlapping(range.first, range.last)?.owner;
  }
  overlapping6(tenant: string, first: bigint, last: bigint): string | undefined {
    return this.#subnets6.get(tenant)?.overlapping(first, last)?.owner;
  }

  usage(networkKey: string): Usage {
    let usage = this.#usage.get(networkKey);
    if (!usage) {
      usage = new Usage();
      this.#usage.set(networkKey, usage);
    }
    return usage;
  }

  /** Pools of the network's groups, ascending. */
  pools(networkKey: string): (Range4 & { readonly groupKey: string })[] {
    const pools = [];
    for (const group of this.entries('group', this.groupsOfNetwork.of(networkKey))) {
      if (group.record.ipPool !== '') pools.push({ ...poolRange(group.record.ipPool), groupKey: group.place.first });
    }
    return pools.toSorted((a, b) => a.first - b.first);
  }

  /** Key of the network that uses the tag. */
  tagOwner(encap: 'vlan' | 'vxlan', tag: number): string | undefined {
    return this.#tags[encap].get(tag);
  }
  tagsInUse(encap: 'vlan' | 'vxlan'): IterableIterator<number> {
    return this.#tags[encap].keys();
  }
  tagCount(encap: 'vlan' | 'vxlan'): number {
    return this.#tags[encap].size;
  }
  lowestFreeTag(encap: 'vlan' | 'vxlan', min: number, max: number): number | undefined {
    let tag = min;
    const hint = this.#tagHints[encap];
    // INVARIANT: every tag from 1 up to the hint that was ever looked at is in use.
    if (min === 1) tag = Math.max(tag, hint);
    while (tag <= max && this.#tags[encap].has(tag)) tag++;
    if (min === 1) this.#tagHints[encap] = tag;
    return tag <= max ? tag : undefined;
  }

  /** Puts the entry, or removes the key when `undefined`; answers what stood there before. */
  set(key: string, next: Entry | undefined): Entry | undefined {
    const kind = next?.kind ?? placeOf(key)?.kind;
    if (!kind) return undefined;
    const map = this.#kinds[kind] as Map<string, Entry>;
    const before = map.get(key);
    const same = before !== undefined && before.record === next?.record;
    if (before && !same) this.#index(before, false);
    if (next) map.set(key, next);
    else map.delete(key);
    if (next && !same) this.#index(next, true);
    if (before?.text !== next?.text) this.#versions.set(kind, this.version(kind) + 1);
    return before;
  }

  #index(entry: Entry, present: boolean): void {
    const change = (index: Index, at: string) => (present ? index.add(at, entry.key) : index.remove(at, entry.key));
    switch (entry.kind) {
      case 'network': {
        const { tenantName, encap, tag } = entry.record;
        change(this.networksOfTenant, tenantName);
        this.#indexSubnets(entry, present);
        if (present) this.#tags[encap].set(tag, entry.place.first);
        else if (this.tagOwner(encap, tag) === entry.place.first) {
          // Unless its next owner became known first: where history was lost, what is gone is found last.
          this.#tags[encap].delete(tag);
          this.#tagHints[encap] = Math.min(this.#tagHints[encap], tag);
        }
        break;
      }
      case 'group': {
        const { tenantName, networkName, ipPool, policies, netProfile, extContractsGrps } = entry.record;
        change(this.groupsOfTenant, tenantName);
        change(this.groupsOfNetwork, `${tenantName}:${networkName}`);
        for (const policy of policies) change(this.groupsOfPolicy, `${tenantName}:${policy}`);
        if (netProfile !== '') change(this.groupsOfNetprofile, `${tenantName}:${netProfile}`);
        for (const contracts of extContractsGrps) change(this.groupsOfExtContracts, `${tenantName}:${contracts}`);
        if (ipPool !== '') this.usage(`${tenantName}:${networkName}`).forgetHints();
        break;
      }
      case 'policy':
        change(this.policiesOfTenant, entry.record.tenantName);
        break;
      case 'netprofile':
        change(this.netprofilesOfTenant, entry.record.tenantName);
        break;
      case 'appProfile': {
        const { tenantName, endpointGroups } = entry.record;
        change(this.appProfilesOfTenant, tenantName);
        for (const group of endpointGroups) change(this.appProfilesOfGroup, `${tenantName}:${group}`);
        break;
      }
      case 'extContracts':
        change(this.extContractsOfTenant, entry.record.tenantName);
        break;
      case 'service': {
        const { tenantName, networkName } = entry.record;
        change(this.servicesOfTenant, tenantName);
        change(this.servicesOfNetwork, `${tenantName}:${networkName}`);
        break;
      }
      case 'rule': {
        const { tenantName, policyName, fromEndpointGroup, toEndpointGroup } = entry.record;
        change(this.rulesOfPolicy, `${tenantName}:${policyName}`);
        for (const group of [fromEndpointGroup, toEndpointGroup].flatMap(itemsOf)) change(this.rulesOfPeer, `${tenantName}:${group}`);
        break;
      }
      case 'stagedRule': {
        const { tenantName, policyName } = entry.record;
        change(this.stagedRulesOfPolicy, `${tenantName}:${policyName}`);
        break;
      }
      case 'endpoint': {
        const { tenant, network, group, host, endpointId } = entry.record;
        change(this.endpointsOfNetwork, `${tenant}:${network}`);
        if (group !== undefined) change(this.endpointsOfGroup, `${tenant}:${group}`);
        change(this.endpointsOfHost, host);
        change(this.endpointsOfId, endpointId);
        break;
      }
      case 'address': {
        this.#indexAddress(entry, present);
        if (entry.record.endpointId === undefined) change(this.reservationsOfHost, entry.record.host);
        break;
      }
      case 'epochs':
      case 'staged':
      case 'history':
      case 'global':
      case 'counter':
      case 'background':
      case 'bgp':
      case 'aciGw':
      case 'tenant':
      case 'host':
      case 'alive':
      case 'master':
    }
  }

  #indexSubnets(network: EntryOf<'network'>, present: boolean): void {
    const { tenantName } = network.record;
    const owner = network.place.first;
    const { v4, v6 } = this.layout(network);
    const own4 = this.#subnets4.get(tenantName) ?? new Intervals<number>();
    own4[present ? 'add' : 'remove']({ first: v4.asked.first, last: v4.asked.last, owner });
    if (own4.size > 0) this.#subnets4.set(tenantName, own4);
    else this.#subnets4.delete(tenantName);
    if (!v6) return;
    const own6 = this.#subnets6.get(tenantName) ?? new Intervals<bigint>();
    own6[present ? 'add' : 'remove']({ first: v6.base, last: v6.last, owner });
    if (own6.size > 0) this.#subnets6.set(tenantName, own6);
    else this.#subnets6.delete(tenantName);
  }

  #indexAddress(entry: EntryOf<'address'>, present: boolean): void {
    const { first: networkKey, second: address } = entry.place;
    const usage = this.usage(networkKey);
    const v4 = ipv4ToNumber(address);
    if (v4 !== undefined) usage.set4(v4, present ? entry : undefined);
    else {
      const v6 = ipv6ToBigInt(address);
      if (v6 !== undefined) usage.set6(v6, present ? entry : undefined);
    }
    if (usage.empty) this.#usage.delete(networkKey);
  }
}
