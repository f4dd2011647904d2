/** Keys and values of the tables in bpf/maps.h, byte for byte. Pure. */
import {
  type Ipv4,
  type Ipv6,
  ipv4Bytes,
  ipv4FromNumber,
  ipv4Value,
  ipv6Bytes,
  ipv6FromBigInt,
  type Mac,
  macBytes,
  parseIpv4,
} from '@contiv/model';

export const MAX_PORTS = 8192;
export const MAX_COPIES = 512;
/** Marks a domain, which shares its numbers with VNIs otherwise. */
export const DOMAIN_BIT = 0x8000_0000;
/** Interface index of the gateway, which is on every host. */
const AT_ROUTER = 0xffff_ffff;
/** Set in an interface index: the other end is in the host's own namespace. */
const IN_HOST = 0x8000_0000;
/** Set in a local port's interface index: its group has a bandwidth. */
const TO_LIMITED = 0x4000_0000;
const PORT_HAS_IP6 = 1;
const PORT_IN_HOST = 2;
const PORT_LIMITED = 4;
/** Link-layer address of every gateway on every host, as in Contiv. */
export const ROUTER_MAC = '00:00:11:11:11:11' as Mac;

const isV4 = (ip: Ipv4 | Ipv6): ip is Ipv4 => parseIpv4(ip) !== undefined;

/** `struct address`: IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2), network order. */
export function addressBytes(ip: Ipv4 | Ipv6): Buffer {
  if (!isV4(ip)) return Buffer.from(ipv6Bytes(ip));
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16BE(0xffff, 10);
  bytes.set(ipv4Bytes(ip), 12);
  return bytes;
}

export function addressText(bytes: Buffer): string {
  if (bytes.readBigUInt64BE(0) === 0n && bytes.readUInt32BE(8) === 0xffff) return ipv4FromNumber(bytes.readUInt32BE(12));
  return ipv6FromBigInt((bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8));
}

/** A VTEP as `struct bpf_tunnel_key` has it: IPv4 in host order in the last word, IPv6 in network order. */
export function vtepBytes(ip: Ipv4 | Ipv6): Buffer {
  if (!isV4(ip)) return Buffer.from(ipv6Bytes(ip));
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(ipv4Value(ip), 12);
  return bytes;
}

export function vtepText(bytes: Buffer): string {
  const low = bytes.readBigUInt64LE(0) === 0n && bytes.readUInt32LE(8) === 0;
  return low ? ipv4FromNumber(bytes.readUInt32LE(12)) : addressText(bytes);
}

/** IPv6 link-local address that follows from the MAC (RFC 4291 appendix A). */
export function linkLocal(mac: Mac): Ipv6 {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  const bytes = Buffer.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f);
  return ipv6FromBigInt((bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8));
}

export function u32Key(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export interface ConfigValue {
  readonly epoch: number;
  readonly vxlanIfindex: number;
  readonly dnsIfindex: number;
  readonly dnsMac: Mac;
  readonly vtep: Ipv4 | Ipv6;
  readonly setsLocal: boolean;
  /** 1: policies are enforced. */
  readonly policies: number;
  /** Index of the uplink in use, 0 for none. */
  readonly uplink: number;
  readonly uplinkMac: Mac | undefined;
  /** UDP port of the tunnel where packets may pass by its device; absent: they may not. */
  readonly shortPort?: number | undefined;
  /** Absent: no way leads out of the tenants. */
  readonly outside?: { readonly ifindex: number; readonly privateNet: Ipv4 /** Also for IPv6. */; readonly ipv6: boolean } | undefined;
  /** Index of the shaper's near end, 0 for none. */
  readonly shaper?: number;
}

/** Whether policies are enforced, and behind it whether IPv6 leads outside. */
const POLICIES_AT = 36;
/** Where the uplink's index stands, and its MAC behind it. */
const UPLINK_AT = 40;
const SHORT_PORT_AT = 50;
/** The uplink in use, as a configuration has it. */
export const configUplink = (config: Buffer): number => config.readUInt32LE(UPLINK_AT);

/** `struct config` */
export function configBytes(config: ConfigValue): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(config.epoch, 0);
  bytes.writeUInt32LE(config.vxlanIfindex, 4);
  bytes.writeUInt32LE(config.dnsIfindex, 8);
  bytes.set(macBytes(config.dnsMac), 12);
  bytes.writeUInt8(isV4(config.vtep) ? 0 : 1, 18);
  bytes.writeUInt8(config.setsLocal ? 1 : 0, 19);
  bytes.set(vtepBytes(config.vtep), 20);
  bytes.writeUInt8(config.policies, POLICIES_AT);
  bytes.writeUInt32LE(config.uplink, UPLINK_AT);
  if (config.uplinkMac !== undefined) bytes.set(macBytes(config.uplinkMac), UPLINK_AT + 4);
  if (config.shortPort !== undefined) bytes.writeUInt16BE(config.shortPort, SHORT_PORT_AT);
  if (config.outside) {
    bytes.writeUInt32LE(config.outside.ifindex, 52);
    bytes.set(ipv4Bytes(config.outside.privateNet), 56);
    bytes.writeUInt8(config.outside.ipv6 ? 1 : 0, POLICIES_AT + 1);
  }
  bytes.writeUInt32LE(config.shaper ?? 0, 60);
  return bytes;
}

/** The same configuration, but packets take the tunnel device. */
export function withoutShortcut(config: Buffer): Buffer {
  const bytes = Buffer.from(config);
  bytes.writeUInt16BE(0, SHORT_PORT_AT);
  return bytes;
}
export const configEpoch = (config: Buffer): number => config.readUInt32LE(0);
export const configEnforces = (config: Buffer): boolean => config.readUInt8(POLICIES_AT) === 1;

/** What a running data path has; `undefined` when it has no way out. */
export function parseOutside(config: Buffer): ConfigValue['outside'] {
  const ifindex = config.readUInt32LE(52);
  return ifindex === 0
    ? undefined
    : { ifindex, privateNet: ipv4FromNumber(config.readUInt32BE(56)), ipv6: config.readUInt8(POLICIES_AT + 1) === 1 };
}

/** Copies what a configuration says of the uplink in use into another. */
export const keepUplink = (from: Buffer, into: Buffer): void => void from.copy(into, UPLINK_AT, UPLINK_AT, UPLINK_AT + 10);

export interface PortValue {
  readonly vni: number;
  readonly group: number;
  readonly ip: Ipv4;
  readonly ip6?: Ipv6 | undefined;
  readonly index: number;
  readonly mac: Mac;
  /** The VNI itself when nothing is routed. */
  readonly domain: number;
  /** The other end is in the host's own namespace. */
  readonly inHost?: boolean;
  /** Its group has a bandwidth. */
  readonly limited?: boolean;
  /** What its packets are marked with; 0 or absent: they stay as they are. */
  readonly dscp?: number | undefined;
}

/** `struct port` */
export function portBytes(port: PortValue): Buffer {
  const bytes = Buffer.alloc(44);
  bytes.writeUInt32LE(port.vni, 0);
  bytes.writeUInt32LE(port.group, 4);
  bytes.set(ipv4Bytes(port.ip), 8);
  bytes.writeUInt16LE(port.index, 12);
  bytes.set(macBytes(port.mac), 14);
  if (port.ip6 !== undefined) {
    bytes.set(ipv6Bytes(port.ip6), 28);
  }
  const flags = [port.ip6 !== undefined && PORT_HAS_IP6, port.inHost === true && PORT_IN_HOST, port.limited === true && PORT_LIMITED];
  bytes.writeUInt8(
    flags.reduce<number>((all, flag) => all | Number(flag), 0),
    20,
  );
  bytes.writeUInt8(port.dscp ?? 0, 21);
  bytes.writeUInt32LE(port.domain, 24);
  return bytes;
}

export function parsePort(bytes: Buffer): PortValue {
  return {
    vni: bytes.readUInt32LE(0),
    group: bytes.readUInt32LE(4),
    ip: ipv4FromNumber(bytes.readUInt32BE(8)),
    index: bytes.readUInt16LE(12),
    mac: macText(bytes.subarray(14, 20)),
    ip6:
      (bytes.readUInt8(20) & PORT_HAS_IP6) !== 0
        ? ipv6FromBigInt((bytes.readBigUInt64BE(28) << 64n) | bytes.readBigUInt64BE(36))
        : undefined,
    domain: bytes.readUInt32LE(24),
    ...((bytes.readUInt8(20) & PORT_IN_HOST) === 0 ? {} : { inHost: true }),
    ...((bytes.readUInt8(20) & PORT_LIMITED) === 0 ? {} : { limited: true }),
    ...(bytes.readUInt8(21) === 0 ? {} : { dscp: bytes.readUInt8(21) }),
  };
}

/** What stands in a port in the same place in every version: by its number it is known beyond the tables. */
export const portNumber = (bytes: Buffer): { readonly index: number; readonly inHost: boolean } => ({
  index: bytes.readUInt16LE(12),
  inHost: (bytes.readUInt8(20) & PORT_IN_HOST) !== 0,
});

export const macText = (bytes: Buffer): Mac => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(':') as Mac;

/** `struct endpoint_key` */
export const endpointKey = (vni: number, ip: Ipv4 | Ipv6): Buffer => Buffer.concat([u32Key(vni), addressBytes(ip)]);

export interface EndpointValue {
  readonly group: number;
  readonly mac: Mac;
  readonly vni: number;
  readonly domain: number;
  readonly at:
    | { readonly vtep: Ipv4 | Ipv6; readonly mtu?: number }
    | { readonly uplink: true; readonly mtu?: number }
    | { readonly ifindex: number; readonly port: number; readonly inHost?: boolean; readonly limited?: boolean }
    | 'router';
}

/** The address in an endpoint's key, in 16 bytes. */
export const endpointAddress = (key: Buffer): Buffer => key.subarray(4, 20);

/** `struct endpoint` */
export function endpointBytes({ group, mac, vni, domain, at }: EndpointValue): Buffer {
  const bytes = Buffer.alloc(40);
  if (at === 'router') bytes.writeUInt32LE(AT_ROUTER, 0);
  else if ('vtep' in at || 'uplink' in at) {
    if ('vtep' in at) bytes.set(vtepBytes(at.vtep), 8);
    bytes.writeUInt16LE(at.mtu ?? 0, 30);
  } else {
    bytes.writeUInt32LE(at.ifindex + (at.inHost === true ? IN_HOST : 0) + (at.limited === true ? TO_LIMITED : 0), 0);
    bytes.writeUInt16LE(at.port, 30);
  }
  bytes.writeUInt32LE(vni, 32);
  bytes.writeUInt32LE(domain, 36);
  bytes.writeUInt32LE(group, 4);
  bytes.set(macBytes(mac), 24);
  return bytes;
}

export const endpointIfindex = (bytes: Buffer): number => bytes.readUInt32LE(0) % TO_LIMITED;
export const endpointDomain = (bytes: Buffer): number => bytes.readUInt32LE(36);

export interface NetworkValue {
  readonly flood: boolean;
  readonly locals: number;
  readonly remotes: number;
  readonly domain: number;
  readonly gateway?: Ipv4 | undefined;
  readonly gateway6?: Ipv6 | undefined;
}

/** `struct network` */
export function networkBytes({ flood, locals, remotes, domain, gateway, gateway6 }: NetworkValue): Buffer {
  const bytes = Buffer.alloc(36);
  bytes.writeUInt32LE(flood ? 1 : 0, 0);
  bytes.writeUInt32LE(locals, 4);
  bytes.writeUInt32LE(remotes, 8);
  bytes.writeUInt32LE(domain, 12);
  if (gateway !== undefined) bytes.set(ipv4Bytes(gateway), 16);
  if (gateway6 !== undefined) bytes.set(ipv6Bytes(gateway6), 20);
  return bytes;
}

export const networkDomain = (bytes: Buffer): number => bytes.readUInt32LE(12);

/** The same network with another number of local members. */
export function withLocals(network: Buffer, locals: number): Buffer {
  const bytes = Buffer.from(network);
  bytes.writeUInt32LE(locals, 4);
  return bytes;
}

/** `struct subnet_key` */
export function subnetKey(domain: number, ip: Ipv4 | Ipv6, length: number): Buffer {
  const bits = 32 + (isV4(ip) ? 96 : 0) + length;
  return Buffer.concat([u32Key(bits), u32Key(domain), addressBytes(ip)]);
}

/** `struct member_key` */
export function memberKey(vni: number, remote: boolean, number: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(vni, 0);
  bytes.writeUInt32LE(remote ? 1 : 0, 4);
  bytes.writeUInt32LE(number, 8);
  return bytes;
}

/** `struct member` */
export function memberBytes(at: { readonly vtep: Ipv4 | Ipv6 } | { readonly ifindex: number }): Buffer {
  const bytes = Buffer.alloc(20);
  if ('vtep' in at) bytes.set(vtepBytes(at.vtep), 4);
  else bytes.writeUInt32LE(at.ifindex, 0);
  return bytes;
}

/** `struct mac_key` */
export function macKey(vni: number, mac: Mac): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(vni, 0);
  bytes.set(macBytes(mac), 4);
  return bytes;
}

export interface StationValue {
  readonly vni: number;
  readonly mac: Mac;
  /** Units of 2^30 ns since boot. */
  readonly seen: number;
  readonly ifindex: number;
  readonly ip: Ipv4 | undefined;
}

/** `struct mac_key` and `struct station` */
export function parseStation(key: Buffer, value: Buffer): StationValue {
  const ip = value.readUInt32BE(8);
  return {
    vni: key.readUInt32LE(0),
    mac: macText(key.subarray(4, 10)),
    seen: value.readUInt32LE(0),
    ifindex: value.readUInt32LE(4),
    ip: ip === 0 ? undefined : ipv4FromNumber(ip),
  };
}

/** `struct uplink`: how many stations were one too many. */
export const refusedStations = (value: Buffer): bigint => value.readBigUInt64LE(8);
export const UPLINK_BYTES = 16;

/** `struct dns_client` */
export function dnsClientBytes(ifindex: number, ip: Ipv4, mac: Mac): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(ifindex, 0);
  bytes.set(ipv4Bytes(ip), 4);
  bytes.set(macBytes(mac), 8);
  return bytes;
}

/** First address of the DNS service's clients, 169.254.128.0/19; the port's index is added. */
const DNS_CLIENTS = 0xa9fe8000;

/** Index of the port behind a client address of the DNS service; `undefined` for any other address. */
export function dnsClientIndex(address: string): number | undefined {
  const ip = parseIpv4(address);
  if (ip === undefined) return undefined;
  const index = ipv4Value(ip) - DNS_CLIENTS;
  return index >= 0 && index < MAX_PORTS ? index : undefined;
}
