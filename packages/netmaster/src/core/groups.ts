/** Rules of endpoint groups (spec/contiv §1.4, §6.2). */
import { type EndpointGroupInput, formatPrefix, groupKey, ipv4FromNumber, networkKey, overlaps4, Refusal } from '@contiv/model';
import { answer, Draft, holds, type Plan } from './plan.js';
import { type Entry, type GroupRecord, keys } from './records.js';
import type { State } from './state.js';
import { poolRange } from './subnet.js';

/** Highest id the data path can carry. */
const MAX_GROUP_ID = 0xffff_ffff;

/** As in Contiv, a tag is given with the first request and never changed. */
export const putGroup = (state: State, input: EndpointGroupInput): Plan<void> => planGroup(state, input, false);

/** Makes the group what the input says, where that may be changed at all. */
export const setGroup = (state: State, input: EndpointGroupInput): Plan<void> => planGroup(state, input, true);

function planGroup(state: State, input: EndpointGroupInput, replaces: boolean): Plan<void> {
  const { tenantName, groupName, networkName } = input;
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', 'Tenant not found');
  const key = groupKey(tenantName, groupName);
  const seen = state.group(key);
  if (seen) {
    const old = seen.record;
    if (old.networkName !== networkName) throw new Refusal('conflict', 'Cannot change network association after epg is created.');
    if (old.ipPool !== input.ipPool) throw new Refusal('conflict', 'Cannot change IP pool after epg is created.');
    const used = references(state, input);
    const next: GroupRecord = {
      ...old,
      policies: once(input.policies),
      netProfile: input.netProfile,
      extContractsGrps: once(input.extContractsGrps),
      cfgdTag: replaces ? input.cfgdTag : old.cfgdTag,
    };
    if (holds(seen, next)) return answer(undefined);
    const draft = new Draft();
    draft.replace(seen, next);
    for (const entry of used) draft.touch(entry);
    return draft.done(undefined);
  }
  const atNetwork = networkKey(tenantName, networkName);
  const network = state.network(atNetwork);
  if (!network) throw new Refusal('not-found', `Network ${networkName} not found`);
  if (state.network(key)) throw new Refusal('conflict', `Network ${groupName} conflicts with the endpointGroup name`);
  if (input.ipPool !== '') refusePool(state, atNetwork, input.ipPool);
  const used = references(state, input);
  const draft = new Draft();
  const counter = state.groupCounter;
  const id = (counter?.record.last ?? 0) + 1;
  if (id > MAX_GROUP_ID) throw new Refusal('exhausted', 'no endpoint group ids left');
  if (counter) draft.replace(counter, { last: id });
  else draft.create('counter', keys.groupCounter, { last: id });
  draft.touch(tenant);
  draft.touch(network);
  for (const entry of used) draft.touch(entry);
  const { key: _key, ...asked } = input;
  draft.create('group', keys.group(key), { ...asked, policies: once(input.policies), extContractsGrps: once(input.extContractsGrps), id });
  return draft.done(undefined);
}

export function deleteGroup(state: State, tenant: string, group: string): Plan<void> {
  const key = groupKey(tenant, group);
  const seen = state.group(key);
  if (!seen) throw new Refusal('not-found', 'endpointGroup not found');
  const [profile] = [...state.entries('appProfile', state.appProfilesOfGroup.of(key))];
  if (profile)
    throw new Refusal('in-use', `Cannot delete ${group}, associated to appProfile ${profile.place.first}`, 'take it out of that first');
  if (state.endpointsOfGroup.of(key).size > 0)
    throw new Refusal('in-use', `Error: EPG ${group} has active endpoints`, `netctl group inspect -t ${tenant} ${group} shows them`);
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}

function refusePool(state: State, atNetwork: string, pool: string): void {
  const network = state.network(atNetwork);
  if (!network) return;
  const { v4 } = state.layout(network);
  const range = poolRange(pool);
  if (range.first < v4.whole.first || range.last > v4.whole.last)
    throw new Refusal('invalid', `bad ip-pool ${pool}, EPG ip-pool must be a subset of network ${formatPrefix(v4.prefix)}`);
  const usage = state.usage(atNetwork);
  const pools = state.pools(atNetwork);
  // The lowest address that is not free, found by what is taken: a pool may have millions.
  let lowest = Number.POSITIVE_INFINITY;
  const taken = (n: number) => {
    if (n >= range.first && n <= range.last) lowest = Math.min(lowest, n);
  };
  if (range.first < v4.usable.first) taken(range.first);
  if (range.last > v4.usable.last) taken(Math.max(range.first, v4.usable.last + 1));
  if (v4.gateway !== undefined) taken(v4.gateway);
  for (const other of pools) if (overlaps4(other, range)) taken(Math.max(other.first, range.first));
  for (const n of usage.v4.keys()) taken(n);
  if (lowest <= range.last) throw new Refusal('conflict', `ip address ${ipv4FromNumber(lowest)} is not available`);
}

/** What the group refers to; touched when it is attached, so that it cannot be deleted at the same time. */
function references(state: State, input: EndpointGroupInput): Entry[] {
  const { tenantName } = input;
  const used: Entry[] = input.policies.map((name) => {
    const policy = state.policy(`${tenantName}:${name}`);
    if (!policy) throw new Refusal('not-found', 'Policy not found', `tenant ${tenantName} has no policy ${name}`);
    return policy;
  });
  const profile = state.netprofile(`${tenantName}:${input.netProfile}`);
  if (profile) used.push(profile);
  else if (input.netProfile !== '')
    throw new Refusal('not-found', 'netprofile not found', `tenant ${tenantName} has no netprofile ${input.netProfile}`);
  for (const name of input.extContractsGrps) {
    const contracts = state.extContracts(`${tenantName}:${name}`);
    if (!contracts) throw new Refusal('not-found', `External contracts group ${name} not found`);
    used.push(contracts);
  }
  return used;
}

const once = (names: readonly string[]): string[] => [...new Set(names)];
