/** Addresses, routes and neighbours of interfaces. */
import { AF_INET, AF_INET6, AF_UNSPEC } from '@contiv/syscall';
import { ipFromBytes, ipToBytes, macFromBytes, macToBytes } from './address.js';
import { type Attribute, decodeAttributes, readU32, u32 } from './codec.js';
import { IFA, IFA_F_NODAD, NDA, NUD_PERMANENT, RT_SCOPE, RT_TABLE_MAIN, RTA, RTN_UNICAST, RTPROT_STATIC } from './constants.js';

const familyOf = (ip: string): number => (ip.includes(':') ? AF_INET6 : AF_INET);

export interface Address {
  readonly link: number;
  readonly ip: string;
  readonly length: number;
}

/** `struct ifaddrmsg` */
export function addressBody({ link, ip, length }: Address): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt8(familyOf(ip), 0);
  body.writeUInt8(length, 1);
  body.writeUInt8(IFA_F_NODAD, 2);
  body.writeUInt32LE(link, 4);
  return body;
}

export const addressAttributes = ({ ip }: Address): Attribute[] => [
  [IFA.local, ipToBytes(ip)],
  [IFA.address, ipToBytes(ip)],
];

export const addressesBody = (): Buffer => Buffer.alloc(8);

export function decodeAddress(payload: Buffer): Address {
  const attributes = decodeAttributes(payload.subarray(8));
  const bytes = attributes.get(IFA.local) ?? attributes.get(IFA.address) ?? Buffer.alloc(4);
  return { link: payload.readUInt32LE(4), ip: ipFromBytes(bytes), length: payload.readUInt8(1) };
}

export interface Route {
  /** Destination; the default route has length 0. */
  readonly ip: string;
  readonly length: number;
  readonly link?: number;
  readonly gateway?: string;
  /** Address packets of this host bear on that way. */
  readonly source?: string;
  readonly table?: number;
}

/** `struct rtmsg` */
export function routeBody(route: Route): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt8(familyOf(route.ip), 0);
  body.writeUInt8(route.length, 1);
  body.writeUInt8(RT_TABLE_MAIN, 4);
  body.writeUInt8(RTPROT_STATIC, 5);
  body.writeUInt8(route.gateway === undefined && familyOf(route.ip) === AF_INET ? RT_SCOPE.link : RT_SCOPE.universe, 6);
  body.writeUInt8(RTN_UNICAST, 7);
  return body;
}

export function routeAttributes(route: Route): Attribute[] {
  const out: Attribute[] = [];
  if (route.length > 0) out.push([RTA.dst, ipToBytes(route.ip)]);
  if (route.link !== undefined) out.push([RTA.oif, u32(route.link)]);
  if (route.gateway !== undefined) out.push([RTA.gateway, ipToBytes(route.gateway)]);
  if (route.source !== undefined) out.push([RTA.prefsrc, ipToBytes(route.source)]);
  return out;
}

export function routesBody(): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt8(AF_UNSPEC, 0);
  return body;
}

export function decodeRoute(payload: Buffer): Route {
  const v6 = payload.readUInt8(0) === AF_INET6;
  const attributes = decodeAttributes(payload.subarray(12));
  const link = readU32(attributes.get(RTA.oif));
  const gateway = attributes.get(RTA.gateway);
  const source = attributes.get(RTA.prefsrc);
  return {
    ip: ipFromBytes(attributes.get(RTA.dst) ?? Buffer.alloc(v6 ? 16 : 4)),
    length: payload.readUInt8(1),
    table: readU32(attributes.get(RTA.table)) ?? payload.readUInt8(4),
    ...(link === undefined ? {} : { link }),
    ...(gateway === undefined ? {} : { gateway: ipFromBytes(gateway) }),
    ...(source === undefined ? {} : { source: ipFromBytes(source) }),
  };
}

export interface Neighbour {
  readonly link: number;
  readonly ip: string;
  readonly mac: string;
}

/** `struct ndmsg` of a permanent entry */
export function neighbourBody({ link, ip }: Pick<Neighbour, 'link' | 'ip'>): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt8(familyOf(ip), 0);
  body.writeInt32LE(link, 4);
  body.writeUInt16LE(NUD_PERMANENT, 8);
  return body;
}

export const neighbourAttributes = ({ ip, mac }: Neighbour): Attribute[] => [
  [NDA.dst, ipToBytes(ip)],
  [NDA.lladdr, macToBytes(mac)],
];
export const neighbourKey = (ip: string): Attribute[] => [[NDA.dst, ipToBytes(ip)]];
export const neighboursBody = (): Buffer => Buffer.alloc(12);

export function decodeNeighbour(payload: Buffer): Neighbour {
  const attributes = decodeAttributes(payload.subarray(12));
  return {
    link: payload.readInt32LE(4),
    ip: ipFromBytes(attributes.get(NDA.dst) ?? Buffer.alloc(4)),
    mac: macFromBytes(attributes.get(NDA.lladdr) ?? Buffer.alloc(0)),
  };
}
