/** Frames made byte by byte, for trials of the programs and for tests that they are to take or refuse. */
import { type Ipv4, type Ipv6, ipv4Bytes, ipv6Bytes, type Mac, macBytes, parseIpv4, parseIpv6, parseMac } from '@contiv/model';

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd } as const;
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, fragment: 44, icmp6: 58, options: 60, sctp: 132 } as const;
export const BROADCAST = 'ff:ff:ff:ff:ff:ff' as Mac;
export const TCP = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;

/** Ones' complement sum of RFC 1071, as it stands in a header. */
export function checksum(...parts: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

const be16 = (value: number): Buffer => Buffer.of((value >> 8) & 0xff, value & 0xff);
const be32 = (value: number): Buffer => Buffer.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);

export interface Ends<Address> {
  readonly src: Address;
  readonly dst: Address;
}

export const ethernet = (ends: Ends<Mac>, ethertype: number, payload: Uint8Array): Buffer =>
  Buffer.concat([macBytes(ends.dst), macBytes(ends.src), be16(ethertype), payload]);

export interface Ipv4Options extends Ends<Ipv4> {
  readonly protocol: number;
  /** In bytes, a multiple of 8. */
  readonly offset?: number;
  readonly more?: boolean;
  readonly id?: number;
  readonly options?: Uint8Array;
  readonly version?: number;
  readonly headerWords?: number;
}

export function ipv4(o: Ipv4Options, payload: Uint8Array): Buffer {
  const options = o.options ?? Buffer.alloc(0);
  const words = o.headerWords ?? 5 + options.length / 4;
  const header = Buffer.concat([
    Buffer.of(((o.version ?? 4) << 4) | words, 0),
    be16(20 + options.length + payload.length),
    be16(o.id ?? 0),
    be16((o.more === true ? 0x2000 : 0) | ((o.offset ?? 0) / 8)),
    Buffer.of(64, o.protocol, 0, 0),
    ipv4Bytes(o.src),
    ipv4Bytes(o.dst),
    options,
  ]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

export const ipv6 = (o: Ends<Ipv6> & { readonly next: number; readonly version?: number }, payload: Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.of((o.version ?? 6) << 4, 0, 0, 0),
    be16(payload.length),
    Buffer.of(o.next, 255),
    ipv6Bytes(o.src),
    ipv6Bytes(o.dst),
    payload,
  ]);

/** Fragment header of IPv6. */
export const fragment6 = (next: number, id: number, offset: number, more: boolean, payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(next, 0), be16(offset | (more ? 1 : 0)), be32(id), payload]);

/** A destination options header of 8 bytes, filled with padding. */
export const options6 = (next: number, payload: Uint8Array): Buffer => Buffer.concat([Buffer.of(next, 0, 1, 4, 0, 0, 0, 0), payload]);

const isV4 = (ip: Ipv4 | Ipv6): ip is Ipv4 => !ip.includes(':');
export function pseudoHeader({ src, dst }: Ends<Ipv4 | Ipv6>, protocol: number, length: number): Buffer {
  const address = (ip: Ipv4 | Ipv6) => (isV4(ip) ? ipv4Bytes(ip) : ipv6Bytes(ip));
  return Buffer.concat([address(src), address(dst), be32(length), be32(protocol)]);
}

/** With `ends` the checksum is right, else 0. */
export function udp(sport: number, dport: number, data: Uint8Array = Buffer.alloc(0), ends?: Ends<Ipv4 | Ipv6>): Buffer {
  const datagram = Buffer.concat([be16(sport), be16(dport), be16(8 + data.length), be16(0), data]);
  if (ends) datagram.writeUInt16BE(checksum(pseudoHeader(ends, PROTOCOL.udp, datagram.length), datagram) || 0xffff, 6);
  return datagram;
}

export function tcp(sport: number, dport: number, flags: number, ends?: Ends<Ipv4 | Ipv6>): Buffer {
  const segment = Buffer.concat([be16(sport), be16(dport), be32(1), be32(1), Buffer.of(0x50, flags), be16(65535), be16(0), be16(0)]);
  if (ends) segment.writeUInt16BE(checksum(pseudoHeader(ends, PROTOCOL.tcp, segment.length), segment), 16);
  return segment;
}

export function icmp(type: number, code: number, rest: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const message = Buffer.concat([Buffer.of(type, code, 0, 0), be32(rest), data]);
  message.writeUInt16BE(checksum(message), 2);
  return message;
}

export const echo = (type: number, id: number): Buffer => icmp(type, 0, id * 65536 + 1, Buffer.from('abcdefgh'));

export interface Arp {
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: Ipv4;
  readonly targetMac: Mac;
  readonly targetIp: Ipv4;
  readonly hardware?: number;
}

export const arp = (o: Arp): Buffer =>
  Buffer.concat([
    be16(o.hardware ?? 1),
    be16(0x0800),
    Buffer.of(6, 4),
    be16(o.operation),
    macBytes(o.senderMac),
    ipv4Bytes(o.senderIp),
    macBytes(o.targetMac),
    ipv4Bytes(o.targetIp),
  ]);

export interface Nd extends Ends<Ipv6> {
  readonly type: number;
  readonly target?: Ipv6;
  /** Option 1 (source) or 2 (target) link-layer address. */
  readonly option?: readonly [type: number, mac: Mac];
  readonly more?: Uint8Array;
}

/** A neighbour or router discovery message in its IPv6 packet. */
export function nd(o: Nd): Buffer {
  const body = Buffer.concat([
    Buffer.of(o.type, 0, 0, 0, 0, 0, 0, 0),
    o.target === undefined ? Buffer.alloc(0) : ipv6Bytes(o.target),
    o.option === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.of(o.option[0], 1), macBytes(o.option[1])]),
    o.more ?? Buffer.alloc(0),
  ]);
  body.writeUInt16BE(checksum(pseudoHeader(o, PROTOCOL.icmp6, body.length), body), 2);
  return ipv6({ ...o, next: PROTOCOL.icmp6 }, body);
}

/** The first packet of a connection: SYN, a datagram, or an echo request. */
export function opening(macs: Ends<Mac>, ends: Ends<Ipv4 | Ipv6>, protocol: number, port: number): Buffer {
  const payload = openingPayload(ends, protocol, port);
  const [src, dst] = [parseIpv4(ends.src), parseIpv4(ends.dst)];
  if (src !== undefined && dst !== undefined) return ethernet(macs, ETHERTYPE.ipv4, ipv4({ src, dst, protocol }, payload));
  const [src6, dst6] = [parseIpv6(ends.src), parseIpv6(ends.dst)];
  if (src6 === undefined || dst6 === undefined) throw new RangeError(`${ends.src} and ${ends.dst} are not of one family`);
  return ethernet(macs, ETHERTYPE.ipv6, ipv6({ src: src6, dst: dst6, next: protocol }, payload));
}

/** One nobody listens on. */
const OWN_PORT = 40_000;

function openingPayload(ends: Ends<Ipv4 | Ipv6>, protocol: number, port: number): Buffer {
  if (protocol === PROTOCOL.tcp) return tcp(OWN_PORT, port, TCP.syn, ends);
  if (protocol === PROTOCOL.udp) return udp(OWN_PORT, port, Buffer.alloc(8), ends);
  return echo(protocol === PROTOCOL.icmp6 ? 128 : 8, OWN_PORT);
}

/** The answer to an opening frame, as its receiver would send it. The program looks at no checksum of a payload, and the header's stays right. */
export function replyTo(frame: Uint8Array): Buffer {
  const reply = Buffer.from(frame);
  const swap = (at: number, length: number) => {
    const first = Buffer.from(reply.subarray(at, at + length));
    reply.copyWithin(at, at + length, at + 2 * length);
    first.copy(reply, at + length);
  };
  swap(0, 6);
  const v4 = reply.readUInt16BE(12) === ETHERTYPE.ipv4;
  swap(v4 ? 26 : 22, v4 ? 4 : 16);
  const protocol = reply.readUInt8(v4 ? 23 : 20);
  const payload = v4 ? 34 : 54;
  if (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp) swap(payload, 2);
  else reply.writeUInt8(protocol === PROTOCOL.icmp6 ? 129 : 0, payload);
  if (protocol === PROTOCOL.tcp) reply.writeUInt8(TCP.syn | TCP.ack, payload + 13);
  return reply;
}

/** Whose MAC an ARP answer tells; `undefined` for other frames. */
export function arpAnswer(frame: Buffer): Mac | undefined {
  if (frame.length < 42 || frame.readUInt16BE(12) !== ETHERTYPE.arp || frame.readUInt16BE(20) !== 2) return undefined;
  return parseMac([...frame.subarray(22, 28)].map((b) => b.toString(16).padStart(2, '0')).join(':'));
}
