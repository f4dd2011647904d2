/** Rules of the cluster-wide settings (spec/contiv §1.4). */
import { DEFAULT_PRIVATE_SUBNET, type GlobalInput, ipv4Value, parseIpv4, parsePrefix4, Refusal } from '@contiv/model';
import { answer, Draft, type Plan } from './plan.js';
import { type GlobalRecord, keys } from './records.js';
import type { State } from './state.js';
import { tagRange, tagText } from './tags.js';

export const defaultGlobal: GlobalRecord = {
  networkInfraType: 'default',
  fwdMode: 'bridge',
  arpMode: 'proxy',
  pvtSubnet: DEFAULT_PRIVATE_SUBNET,
  vlans: '1-4094',
  vxlans: '1-10000',
};

/** Members left empty stay as they are. */
export function putGlobal(state: State, input: GlobalInput, boot: GlobalRecord): Plan<void> {
  const seen = state.global;
  const old = seen?.record ?? boot;
  const next: GlobalRecord = {
    networkInfraType: input.networkInfraType || old.networkInfraType,
    fwdMode: input.fwdMode === 'bridge' || input.fwdMode === 'routing' ? input.fwdMode : old.fwdMode,
    arpMode: input.arpMode === 'proxy' || input.arpMode === 'flood' ? input.arpMode : old.arpMode,
    pvtSubnet: input.pvtSubnet || old.pvtSubnet,
    vlans: input.vlans || old.vlans,
    vxlans: input.vxlans || old.vxlans,
  };
  if (next.networkInfraType !== 'default')
    throw new Refusal('invalid', 'invalid fabric mode', `this netmaster has no ${next.networkInfraType} gateway; use "default"`);
  const users = inUse(state);
  if (next.fwdMode !== old.fwdMode && users !== '')
    throw new Refusal('in-use', `Unable to update forwarding mode due to existing ${users}`);
  if (old.fwdMode === 'routing' && next.fwdMode !== 'routing' && state.count('bgp') > 0)
    throw new Refusal('in-use', 'please delete existing Bgp configs');
  if (next.pvtSubnet !== old.pvtSubnet && users !== '')
    throw new Refusal('in-use', `Unable to update private subnet due to existing ${users}`);
  if (next.pvtSubnet !== old.pvtSubnet) refuseNodes(state, next.pvtSubnet);
  for (const encap of ['vlan', 'vxlan'] as const) {
    const text = encap === 'vlan' ? next.vlans : next.vxlans;
    if (text === (encap === 'vlan' ? old.vlans : old.vxlans)) continue;
    const range = tagRange(encap, text);
    const tags = [...state.tagsInUse(encap)];
    if (tags.some((tag) => tag < range.min || tag > range.max))
      throw new Refusal('in-use', `cannot update the ${encap} range due to existing ${encap}s ${tagText(tags)}`);
  }
  if (seen && JSON.stringify(seen.record) === JSON.stringify(next)) return answer(undefined);
  const draft = new Draft();
  if (seen) draft.replace(seen, next);
  else draft.create('global', keys.global, next);
  return draft.done(undefined);
}

/** Settings cannot go while networks need them; without networks they return to what the flags say. */
export function deleteGlobal(state: State, boot: GlobalRecord): Plan<void> {
  const seen = state.global;
  if (!seen) throw new Refusal('not-found', 'global not found');
  const users = inUse(state);
  if (users !== '') throw new Refusal('in-use', `Unable to delete global settings due to existing ${users}`);
  const draft = new Draft();
  draft.replace(seen, boot);
  return draft.done(undefined);
}

/** What a fresh store needs before anything can be made in it: settings and the tenant `default`. */
export function bootstrap(state: State, boot: GlobalRecord): Plan<void> {
  const draft = new Draft();
  if (!state.global) draft.create('global', keys.global, boot);
  if (!state.tenant('default')) draft.create('tenant', keys.tenant('default'), { tenantName: 'default', defaultNetwork: '', posture: '' });
  return draft.done(undefined);
}

/** Every host has the whole private subnet for itself: a node's own address in it could not be reached any more. */
function refuseNodes(state: State, pvtSubnet: string): void {
  const subnet = parsePrefix4(pvtSubnet);
  if (!subnet) return;
  for (const host of state.all('host')) {
    const { vtepIp, control } = host.record;
    for (const text of [vtepIp, control.slice(0, control.lastIndexOf(':'))]) {
      const ip = parseIpv4(text);
      if (ip !== undefined && ipv4Value(ip) >>> 16 === ipv4Value(subnet.address) >>> 16)
        throw new Refusal(
          'conflict',
          `private subnet ${pvtSubnet} holds ${ip}, which is an address of host ${host.place.first}; choose another one`,
        );
    }
  }
}

/** `1 vlans and 2 vxlans`, without the parts that are none. */
function inUse(state: State): string {
  return (['vlan', 'vxlan'] as const)
    .filter((encap) => state.tagCount(encap) > 0)
    .map((encap) => `${state.tagCount(encap)} ${encap}s`)
    .join(' and ');
}
