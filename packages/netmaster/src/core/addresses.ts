/** Choosing and holding addresses (spec/contiv §2.1, §6). One store key per address in use, made only where none is. */
import {
  type AllocAddressRequest,
  type AllocAddressResponse,
  formatPrefix,
  ipv4FromNumber,
  ipv4ToNumber,
  ipv6FromBigInt,
  ipv6ToBigInt,
  Refusal,
  type ReleaseAddressRequest,
} from '@contiv/model';
import { answer, Draft, type Plan } from './plan.js';
import { type AddressRecord, type EntryOf, keys } from './records.js';
import type { State } from './state.js';
import { inside4, inside6, poolRange } from './subnet.js';
import { findTarget, type Target } from './targets.js';

/** Who asks: a host, and the endpoint when there is one already, or else the reservation. */
export interface Holder {
  readonly host: string;
  readonly endpointId?: string;
  readonly reservation?: string | undefined;
}

export function allocAddress(state: State, request: AllocAddressRequest): Plan<AllocAddressResponse> {
  const target = findTarget(state, request.NetworkID ?? '', request.AddressPool ?? '');
  const { network, networkId } = target;
  const layout = state.layout(network);
  const wanted = request.PreferredIPv4Address ?? '';
  const v6 = request.IPv6 === true || wanted.includes(':');
  const prefix = v6 ? layout.v6?.prefix : layout.v4.prefix;
  if (!prefix) throw new Refusal('invalid', `network ${network.place.first} has no IPv6 subnet`);
  const reply = (address: string): AllocAddressResponse => ({ NetworkID: networkId, IPv4Address: `${address}/${prefix.length}` });
  if (request.Gateway === true) return answer(reply(gatewayAddress(state, network, v6, wanted)));
  const draft = new Draft();
  const holder = { host: request.Host ?? '', reservation: request.Reservation };
  const address =
    wanted === ''
      ? v6
        ? claimFree6(state, draft, target, holder)
        : claimFree4(state, draft, target, holder)
      : claim(state, draft, target, wanted, holder);
  return draft.done(reply(address));
}

/** Gives a reservation back. What an endpoint holds stays: it goes with the endpoint. */
export function releaseAddress(state: State, request: ReleaseAddressRequest): Plan<'success'> {
  let target: Target;
  try {
    target = findTarget(state, request.NetworkID, '');
  } catch (error) {
    // The network is gone, and its addresses with it.
    if (error instanceof Refusal) return answer('success');
    throw error;
  }
  const address = canonical(request.IPv4Address.split('/')[0] ?? '');
  const held = address === undefined ? undefined : state.address(target.network.place.first, address);
  if (!held || held.record.endpointId !== undefined) return answer('success');
  if (request.Host !== undefined && held.record.host !== request.Host) return answer('success');
  // A release whose answer was lost is asked for again, and by then the host may have reserved the address anew.
  const { reservation } = held.record;
  if (reservation !== undefined && request.Reservation !== undefined && reservation !== request.Reservation) return answer('success');
  const draft = new Draft();
  draft.remove(held);
  return draft.done('success');
}

const FULL = 'every address is taken; remove containers that are not needed, or make a larger network';

/** Lowest free IPv4 address of the group's pool or the network; highest where another IPAM hands out the low ones. */
export function claimFree4(state: State, draft: Draft, target: Target, holder: Holder): string {
  const { network, group } = target;
  const { v4 } = state.layout(network);
  const key = network.place.first;
  const usage = state.usage(key);
  const pool = group?.record.ipPool ?? '';
  let found: number | undefined;
  if (pool !== '') {
    const range = poolRange(pool);
    found = usage.lowest4(range.first, range.last, (n) => n === v4.gateway);
    if (found === undefined) throw new Refusal('exhausted', `auto allocation failed - address exhaustion in pool ${pool}`, FULL);
  } else {
    const pools = state.pools(key);
    const barred = (n: number) => n === v4.gateway || pools.some((p) => n >= p.first && n <= p.last);
    const fromTop = network.record.foreignIpam && holder.host !== network.record.origin;
    found = fromTop ? usage.highest4(v4.usable.first, v4.usable.last, barred) : usage.lowest4(v4.usable.first, v4.usable.last, barred);
    if (found === undefined)
      throw new Refusal('exhausted', `auto allocation failed - address exhaustion in subnet ${formatPrefix(v4.prefix)}`, FULL);
  }
  return hold(draft, target, ipv4FromNumber(found), holder);
}

/** Lowest free IPv6 address, `::1` upwards; pools are IPv4 only. */
export function claimFree6(state: State, draft: Draft, target: Target, holder: Holder): string {
  const { network } = target;
  const { v6 } = state.layout(network);
  if (!v6) throw new Refusal('invalid', `network ${network.place.first} has no IPv6 subnet`);
  const usage = state.usage(network.place.first);
  const fromTop = network.record.foreignIpam && holder.host !== network.record.origin;
  const barred = (n: bigint) => n === v6.gateway;
  const found = fromTop ? usage.highest6(v6.first, v6.last, barred) : usage.lowest6(v6.first, v6.last, barred);
  if (found === undefined)
    throw new Refusal('exhausted', `auto allocation failed - address exhaustion in subnet ${formatPrefix(v6.prefix)}`, FULL);
  return hold(draft, target, ipv6FromBigInt(found), holder);
}

/** This very address: refused when somebody else has it, kept when the same host reserved it or the same endpoint holds it. */
export function claim(state: State, draft: Draft, target: Target, wanted: string, holder: Holder): string {
  const { network } = target;
  const address = canonical(wanted);
  if (address === undefined) throw new Refusal('invalid', `invalid IP address ${wanted}`);
  refuseReserved(state, target, address);
  const held = state.address(network.place.first, address);
  if (!held) return hold(draft, target, address, holder);
  const { host, endpointId } = held.record;
  const ours = endpointId === undefined ? host === holder.host || host === '' : endpointId === holder.endpointId;
  if (!ours) throw new Refusal('conflict', `ip address ${address} is not available: ${nameHolder(state, network, held.record)}`);
  const renamed = holder.reservation !== undefined && holder.reservation !== held.record.reservation;
  if (endpointId !== undefined || (holder.endpointId === undefined && !renamed)) draft.unchanged(held);
  else {
    touchTarget(draft, target);
    draft.replace(held, recordOf(holder));
  }
  return address;
}

/** Canonical text of an IPv4 or IPv6 address. */
export function canonical(text: string): string | undefined {
  if (ipv4ToNumber(text) !== undefined) return text;
  const v6 = ipv6ToBigInt(text);
  return v6 === undefined ? undefined : ipv6FromBigInt(v6);
}

function hold(draft: Draft, target: Target, address: string, holder: Holder): string {
  touchTarget(draft, target);
  draft.create('address', keys.address(target.network.place.first, address), recordOf(holder));
  return address;
}

function recordOf({ host, endpointId, reservation }: Holder): AddressRecord {
  if (endpointId !== undefined) return { host, endpointId };
  return reservation === undefined ? { host } : { host, reservation };
}

/** So that neither network nor group is deleted on the belief that nothing is in it. */
function touchTarget(draft: Draft, target: Target): void {
  draft.touch(target.network);
  if (target.group) draft.touch(target.group);
}

function refuseReserved(state: State, target: Target, address: string): void {
  const { v4, v6 } = state.layout(target.network);
  const refuse = (why: string) => {
    throw new Refusal('conflict', `ip address ${address} is not available: ${why}`);
  };
  if (address.includes(':')) {
    if (!v6) throw new Refusal('invalid', `network ${target.network.place.first} has no IPv6 subnet`);
    const value = inside6(v6.prefix, address);
    if (value === v6.gateway) refuse("it is the network's gateway");
    if (value < v6.first) refuse('it is the address of the subnet itself');
    return;
  }
  const value = inside4(v4.prefix, address);
  if (value === v4.gateway) refuse("it is the network's gateway");
  if (value === v4.whole.first || value === v4.whole.last) refuse("it is the subnet's network or broadcast address");
  const pool = state.pools(target.network.place.first).find((p) => value >= p.first && value <= p.last);
  if (pool && pool.groupKey !== target.group?.place.first) refuse(`it belongs to the pool of group ${pool.groupKey}`);
}

function gatewayAddress(state: State, network: EntryOf<'network'>, v6: boolean, wanted: string): string {
  const layout = state.layout(network);
  const gateway = v6 ? network.record.ipv6Gateway : network.record.gateway;
  if (wanted !== '') {
    const address = canonical(wanted);
    if (address === undefined) throw new Refusal('invalid', `invalid IP address ${wanted}`);
    if (gateway !== '' && canonical(gateway) !== address)
      throw new Refusal('conflict', `network ${network.place.first} has the gateway ${gateway}, not ${wanted}`);
    if (v6 && layout.v6) inside6(layout.v6.prefix, address);
    else inside4(layout.v4.prefix, address);
    return address;
  }
  const address = canonical(gateway);
  if (address === undefined) throw new Refusal('not-found', `network ${network.place.first} has no gateway`);
  return address;
}

function nameHolder(state: State, network: EntryOf<'network'>, record: AddressRecord): string {
  const host = record.host === '' ? 'an unnamed host' : `host ${record.host}`;
  if (record.endpointId === undefined) return `${host} has reserved it`;
  const name = state.endpoint(network.place.first, record.endpointId)?.record.containerName;
  return `endpoint ${record.endpointId.slice(0, 12)}${name ? ` (container ${name})` : ''} on ${host} holds it`;
}
