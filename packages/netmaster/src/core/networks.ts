/** Rules of networks (spec/contiv §1.4, §6.1, §6.4). */
import { formatPrefix, type NetworkInput, networkKey, Refusal } from '@contiv/model';
import { listed } from './in-use.js';
import { answer, Draft, type Plan } from './plan.js';
import { type EntryOf, type GlobalRecord, keys, type NetworkRecord } from './records.js';
import type { Layout, State } from './state.js';
import { plan4, plan6 } from './subnet.js';
import { tagRange } from './tags.js';

/** Posting the same network again is no error; changing one is. */
export function putNetwork(state: State, input: NetworkInput): Plan<void> {
  const { global, tenant } = foundations(state, input.tenantName);
  const key = networkKey(input.tenantName, input.networkName);
  const seen = state.network(key);
  if (seen) {
    if (!sameRequest(seen.record, input))
      throw new Refusal('conflict', 'Cant change network parameters after its created', 'remove it first, or choose another name');
    return answer(undefined);
  }
  const layout = { v4: plan4(input.subnet, input.gateway), v6: plan6(input.ipv6Subnet, input.ipv6Gateway) };
  refuseUnusable(input, layout);
  refuseEmpty(input, layout);
  refuseOverlap(state, input, layout);
  refuseUnfit(global.record, input);
  if (state.group(key)) throw new Refusal('conflict', `EndpointGroup ${input.networkName} conflicts with the network name`);
  refuseDockerName(state, input);
  const encap = input.encap === 'vlan' ? 'vlan' : 'vxlan';
  const tag = chooseTag(state, global.record, encap, input.pktTag);
  const draft = new Draft();
  // The tenant says "no overlap, no such group", the global settings "this tag is free".
  draft.touch(tenant);
  draft.touch(global);
  draft.create('network', keys.network(key), { ...requested(input), encap, tag });
  return draft.done(undefined);
}

export function deleteNetwork(state: State, tenant: string, network: string): Plan<void> {
  const key = networkKey(tenant, network);
  const seen = state.network(key);
  if (!seen) throw new Refusal('not-found', 'network not found');
  const groups = [...state.entries('group', state.groupsOfNetwork.of(key))].map((g) => g.record.groupName);
  if (groups.length > 0)
    throw new Refusal('in-use', `cannot delete ${network} has ${groups.length} endpoint groups`, `delete them first: ${listed(groups)}`);
  const services = [...state.entries('service', state.servicesOfNetwork.of(key))].map((s) => s.record.serviceName);
  if (services.length > 0)
    throw new Refusal('in-use', `cannot delete ${network} has ${services.length} services `, `delete them first: ${listed(services)}`);
  const endpoints = state.endpointsOfNetwork.of(key).size;
  if (endpoints > 0 && seen.record.nwType === 'data')
    throw new Refusal('in-use', 'Error: Network has active endpoints', `netctl net inspect -t ${tenant} ${network} shows them`);
  const draft = new Draft();
  draft.remove(seen);
  // Reservations belong to containers that never came; they go with their network, and so do an infra network's endpoints.
  draft.clear(keys.address(key, ''));
  draft.clear(keys.endpoint(key, ''));
  return draft.done(undefined);
}

function foundations(state: State, tenantName: string): { global: EntryOf<'global'>; tenant: EntryOf<'tenant'> } {
  const global = state.global;
  if (!global) throw new Refusal('unavailable', 'Global configuration is not ready: global configuration is not ready');
  if (tenantName === '') throw new Refusal('invalid', 'Invalid tenant name');
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', 'Tenant not found');
  return { global, tenant };
}

function requested(input: NetworkInput): Omit<NetworkRecord, 'encap' | 'tag'> {
  const { key: _key, encap: _encap, nwType, ...rest } = input;
  return { ...rest, nwType: nwType === 'infra' ? 'infra' : 'data' };
}

function sameRequest(record: NetworkRecord, input: NetworkInput): boolean {
  const { tag: _tag, ...stored } = record;
  const asked: Omit<NetworkRecord, 'tag'> = { ...requested(input), encap: input.encap === 'vlan' ? 'vlan' : 'vxlan' };
  return (Object.keys(stored) as (keyof typeof stored)[]).every((field) => stored[field] === asked[field]);
}

function refuseOverlap(state: State, input: NetworkInput, layout: Layout): void {
  const name = (key: string) => key.slice(key.indexOf(':') + 1);
  const { v4, v6 } = layout;
  const other6 = v6 && state.overlapping6(input.tenantName, v6.base, v6.last);
  if (other6 !== undefined)
    throw new Refusal('conflict', `network ${name(other6)} conflicts with subnetv6  ${input.ipv6Subnet}`, subnetsOf(input.tenantName));
  const other4 = state.overlapping4(input.tenantName, v4.asked);
  if (other4 !== undefined)
    throw new Refusal('conflict', `network ${name(other4)} conflicts with subnet ${input.subnet}`, subnetsOf(input.tenantName));
}

/** Addresses that no interface in a network can have (RFC 6890, RFC 4291 §2.4). */
const UNUSABLE4 = [
  { what: 'those of "this host"', first: 0, last: 0x00ff_ffff },
  { what: 'loopback addresses', first: 0x7f00_0000, last: 0x7fff_ffff },
  { what: 'multicast addresses', first: 0xe000_0000, last: 0xefff_ffff },
];
const UNUSABLE6 = [
  { what: 'loopback addresses', first: 0n, last: 1n },
  { what: 'link-local addresses', first: 0xfe80n << 112n, last: (0xfec0n << 112n) - 1n },
  { what: 'multicast addresses', first: 0xff00n << 112n, last: (1n << 128n) - 1n },
];

function refuseUnusable({ subnet, ipv6Subnet }: NetworkInput, { v4, v6 }: Layout): void {
  const found4 = UNUSABLE4.find(({ first, last }) => v4.asked.first <= last && first <= v4.asked.last);
  const found6 = v6 && UNUSABLE6.find(({ first, last }) => v6.base <= last && first <= v6.last);
  for (const [text, found] of [[subnet, found4] as const, [ipv6Subnet, found6] as const])
    if (found)
      throw new Refusal(
        'invalid',
        `subnet ${text} holds ${found.what}, which no container can have`,
        'take a private one, such as 10.1.0.0/16 or fd00:1::/64',
      );
}

/** Nobody could ever get an address of it. */
function refuseEmpty({ subnet, ipv6Subnet }: NetworkInput, { v4, v6 }: Layout): void {
  const refuse = (text: string) => {
    throw new Refusal('invalid', `subnet ${text} has no address for a container`, 'take a larger one, or another gateway');
  };
  const inside = <N extends number | bigint>(gateway: N | undefined, first: N, last: N) =>
    gateway !== undefined && gateway >= first && gateway <= last;
  const { first, last } = v4.usable;
  if (last - first + 1 - (inside(v4.gateway, first, last) ? 1 : 0) < 1) refuse(subnet);
  if (v6 && v6.last - v6.first + 1n - (inside(v6.gateway, v6.first, v6.last) ? 1n : 0n) < 1n) refuse(ipv6Subnet);
}

const subnetsOf = (tenant: string): string => `take another one; netctl net ls -t ${tenant} shows those in use`;

/** Interfaces of Linux have names of at most so many characters. */
const INTERFACE_NAME = 15;

/** What hosts could not carry out. */
function refuseUnfit(global: GlobalRecord, { networkName, nwType, gateway }: NetworkInput): void {
  if (nwType === 'infra' && networkName.length > INTERFACE_NAME) {
    throw new Refusal(
      'invalid',
      `infra network name ${networkName} is longer than ${INTERFACE_NAME} characters, and every host names an interface after it; choose a shorter one`,
    );
  }
  if (global.fwdMode === 'routing' && nwType !== 'infra' && gateway === '') {
    throw new Refusal('invalid', `network ${networkName} needs a gateway, for networks are routed to each other; name one with --gateway`);
  }
}

/** One engine cannot have two Docker networks of one name. */
function refuseDockerName(state: State, input: NetworkInput): void {
  if (input.dockerName === '') return;
  for (const other of state.all('network')) {
    if (other.record.dockerName === input.dockerName && other.record.origin === input.origin)
      throw new Refusal(
        'conflict',
        `docker network ${input.dockerName} of host ${input.origin} is already network ${other.place.first}; remove that first`,
      );
  }
}

function chooseTag(state: State, global: GlobalRecord, encap: 'vlan' | 'vxlan', wanted: number): number {
  const range = tagRange(encap, encap === 'vlan' ? global.vlans : global.vxlans);
  if (wanted === 0) {
    const tag = state.lowestFreeTag(encap, range.min, range.max);
    if (tag === undefined) throw new Refusal('exhausted', `no ${encap}s available`);
    return tag;
  }
  const within = wanted >= range.min && wanted <= range.max;
  const owner = state.tagOwner(encap, wanted);
  const hint = within
    ? `network ${owner} has it; leave the tag out and a free one is chosen`
    : `the range is ${range.min}-${range.max}; netctl global set --${encap}-range changes it`;
  if (encap === 'vlan') {
    if (!within || owner !== undefined)
      throw new Refusal(within ? 'conflict' : 'invalid', `requested vlan not available - vlan:${wanted}`, hint);
  } else {
    if (!within) throw new Refusal('invalid', 'requested vxlan is out of range', hint);
    if (owner !== undefined) throw new Refusal('conflict', 'requested vxlan not available', hint);
  }
  return wanted;
}

/** `10.1.1.0/24` of a network. */
export const subnetText = (state: State, network: EntryOf<'network'>): string => formatPrefix(state.layout(network).v4.prefix);
