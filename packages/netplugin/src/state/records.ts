/** What the agent keeps of its own host, beside the last snapshot: enough to go on after `kill -9` with every master dead. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { Table } from './table.js';

/** Which netmaster object a Docker network, a pool or an endpoint stands for. */
export const networkRef = z.object({ tenant: z.string(), network: z.string(), group: z.string().optional() });
export type NetworkRef = z.infer<typeof networkRef>;

/** What `docker network create -d netplugin` asked for; kept until netmaster's network has its final name. */
export const networkWish = z.object({
  encap: z.enum(['vlan', 'vxlan']),
  pktTag: z.number().int(),
  subnet: z.string(),
  gateway: z.string(),
  subnet6: z.string(),
  gateway6: z.string(),
  foreignIpam: z.boolean(),
  /** Addresses the engine keeps for itself (`--aux-address`, the default IPAM's gateway). */
  reserved: z.array(z.string()),
});
export type NetworkWish = z.infer<typeof networkWish>;

export const networkRecord = z.object({
  networkId: z.string(),
  ref: networkRef,
  /** Present when this host's `docker network create` made the netmaster network. */
  wish: networkWish.optional(),
  /** Its Docker name; unknown until the engine has told it. */
  dockerName: z.string().optional(),
  createdAt: z.number(),
  /** The Docker network is gone; the netmaster network follows. */
  deleting: z.boolean().optional(),
});
export type NetworkRecord = z.infer<typeof networkRecord>;

export const poolRecord = z.object({
  poolId: z.string(),
  pool: z.string(),
  v6: z.boolean(),
  /** `--ip-range` of a network that is being made. */
  subPool: z.string().optional(),
  /** Explicit `--gateway` of a network that is being made. */
  gateway: z.string().optional(),
  /** Absent until `CreateNetwork` tells which network the pool is for. */
  ref: networkRef.optional(),
  networkId: z.string().optional(),
  createdAt: z.number(),
});
export type PoolRecord = z.infer<typeof poolRecord>;

/** An address netmaster handed to this host's IPAM driver that no endpoint has yet. */
export const reservationRecord = z.object({
  ref: networkRef,
  /** `net.tenant` or `net:group.tenant` as netmaster was asked. */
  netmasterId: z.string(),
  address: z.string(),
  /** What netmaster was told that it is called; one of an earlier version has no name. */
  id: z.string().optional(),
  createdAt: z.number(),
  /** Stays without an endpoint: an auxiliary address. */
  kept: z.boolean(),
  releasing: z.boolean().optional(),
});
export type ReservationRecord = z.infer<typeof reservationRecord>;

/** A port of this host that leads to a container of ours. */
export const publishedPort = z.object({
  protocol: z.enum(['tcp', 'udp', 'sctp']),
  /** Absent: every address of the host; `0.0.0.0` or `::`: every one of that family. */
  hostIp: z.string().optional(),
  hostPort: z.number().int().min(1).max(65535),
  containerPort: z.number().int().min(1).max(65535),
});
export type PublishedRecord = z.infer<typeof publishedPort>;

export const endpointRecord = z.object({
  endpointId: z.string(),
  networkId: z.string(),
  ref: networkRef,
  ip: z.string(),
  ip6: z.string().optional(),
  mac: z.string(),
  /** Host-side and container-side interface names. */
  port: z.string(),
  peer: z.string(),
  createdAt: z.number(),
  /** `creating`: netmaster was asked, the interface may or may not be there. `deleting`: netmaster has yet to be told. */
  stage: z.enum(['creating', 'ready', 'deleting']),
  /** netmaster has given its address to another: nothing may pass until that is over. */
  disputed: z.boolean().optional(),
  /** The container's labels are known, and netmaster has put the endpoint into the group they name. */
  labelsRead: z.boolean().optional(),
  sandboxKey: z.string().optional(),
  /** What its container was given, or has been lowered to since. */
  mtu: z.number().int().optional(),
  /** This interface carries the route to the DNS service address in its sandbox. */
  dnsRoute: z.boolean().optional(),
  /** … from another interface that has left, and is not known to have got here yet. */
  routeDue: z.boolean().optional(),
  published: z.array(publishedPort).optional(),
});
export type EndpointRecord = z.infer<typeof endpointRecord>;

/** This host's own address in an infra network. */
export const infraRecord = z.object({
  /** `tenant:network` */
  key: z.string(),
  ref: networkRef,
  ip: z.string(),
  mac: z.string(),
  /** Interface of the data path; the host's own end is called like the network. */
  port: z.string(),
});
export type InfraRecord = z.infer<typeof infraRecord>;

export interface LocalState {
  readonly networks: Table<typeof networkRecord>;
  readonly pools: Table<typeof poolRecord>;
  readonly reservations: Table<typeof reservationRecord>;
  readonly endpoints: Table<typeof endpointRecord>;
  readonly infra: Table<typeof infraRecord>;
}

export function openLocalState(dir: string, bad: (sentence: string) => void): LocalState {
  return {
    networks: new Table(join(dir, 'networks'), networkRecord, bad),
    pools: new Table(join(dir, 'pools'), poolRecord, bad),
    reservations: new Table(join(dir, 'reservations'), reservationRecord, bad),
    endpoints: new Table(join(dir, 'endpoints'), endpointRecord, bad),
    infra: new Table(join(dir, 'infra'), infraRecord, bad),
  };
}

/** Host-side and container-side interface names of an endpoint: at most 15 characters (IFNAMSIZ), recognisable as ours. */
export function interfaceNames(endpointId: string): { readonly port: string; readonly peer: string } {
  // Docker's ids are hexadecimal; another caller's text may hold anything.
  const id = /^[0-9a-f]{11}/.test(endpointId)
    ? endpointId.slice(0, 11)
    : createHash('sha256').update(endpointId).digest('hex').slice(0, 11);
  return { port: `cv${id}`, peer: `cp${id}` };
}

/** netmaster's name of a network or group in address calls (spec/contiv §2.1). */
export function netmasterId(ref: NetworkRef): string {
  return ref.group === undefined ? `${ref.network}.${ref.tenant}` : `${ref.network}:${ref.group}.${ref.tenant}`;
}

export const reservationKey = (ref: NetworkRef, address: string): string => `${ref.tenant}:${ref.network}|${address}`;
