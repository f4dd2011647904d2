/** Tells a VLAN's switches and stations where an address is: gratuitous ARP (RFC 5227 §3) and unsolicited advertisements (RFC 4861 §7.2.6). */
import { type Ipv4, type Ipv6, ipv4Bytes, ipv6Bytes, type Mac, macBytes, type VlanId } from '@contiv/model';
import { AF_PACKET, close, isErrno, SOCK_RAW, sendTo, socket } from '@contiv/syscall';

const ETH_P_8021Q = 0x8100;
const BROADCAST = Buffer.alloc(6, 0xff);
const ALL_NODES = Buffer.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC = Buffer.of(0x33, 0x33, 0, 0, 0, 1);

export interface Announced {
  readonly vlan: VlanId;
  readonly mac: Mac;
  readonly ip: Ipv4;
  readonly ip6?: Ipv6 | undefined;
}

const tagged = (to: Buffer, { mac, vlan }: Announced, ethertype: number, payload: Buffer): Buffer => {
  const tag = Buffer.alloc(6);
  tag.writeUInt16BE(ETH_P_8021Q, 0);
  tag.writeUInt16BE(vlan, 2);
  tag.writeUInt16BE(ethertype, 4);
  const frame = Buffer.concat([to, macBytes(mac), tag, payload]);
  // Ethernet's least, which short frames are filled up to.
  return frame.length >= 64 ? frame : Buffer.concat([frame, Buffer.alloc(64 - frame.length)]);
};

function gratuitousArp({ mac, ip }: Announced): Buffer {
  const head = Buffer.of(0, 1, 8, 0, 6, 4, 0, 1);
  return Buffer.concat([head, macBytes(mac), ipv4Bytes(ip), Buffer.alloc(6), ipv4Bytes(ip)]);
}

/** IPv6 packet with an advertisement to all nodes: override, not solicited. */
function unsolicitedAdvertisement(mac: Mac, ip6: Ipv6): Buffer {
  const ip = Buffer.alloc(40);
  ip.writeUInt8(0x60, 0);
  ip.writeUInt16BE(32, 4);
  ip.writeUInt8(58, 6);
  ip.writeUInt8(255, 7);
  ip.set(ipv6Bytes(ip6), 8);
  ip.set(ALL_NODES, 24);
  const nd = Buffer.alloc(32);
  nd.writeUInt8(136, 0);
  nd.writeUInt32BE(0x2000_0000, 4);
  nd.set(ipv6Bytes(ip6), 8);
  nd.writeUInt8(2, 24);
  nd.writeUInt8(1, 25);
  nd.set(macBytes(mac), 26);
  const pseudo = Buffer.concat([ip.subarray(8, 40), Buffer.of(0, 0, 0, nd.length, 0, 0, 0, 58)]);
  nd.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, nd])), 2);
  return Buffer.concat([ip, nd]);
}

/** RFC 1071 */
export function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Frames that announce an endpoint, tag included. Pure. */
export function announcement(endpoint: Announced): Buffer[] {
  const { mac, ip6 } = endpoint;
  const arp = tagged(BROADCAST, endpoint, 0x0806, gratuitousArp(endpoint));
  return ip6 === undefined ? [arp] : [arp, tagged(ALL_NODES_MAC, endpoint, 0x86dd, unsolicitedAdvertisement(mac, ip6))];
}

/** Sends frames out of an interface. One that has just gone is no error: the next uplink's turn announces again. */
export function announce(ifindex: number, endpoints: readonly Announced[]): void {
  if (endpoints.length === 0) return;
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_8021Q, 2);
  address.writeInt32LE(ifindex, 4);
  address.writeUInt8(6, 11);
  const fd = socket(AF_PACKET, SOCK_RAW, 0);
  try {
    for (const frame of endpoints.flatMap(announcement)) sendTo(fd, frame, address);
  } catch (error) {
    if (!isErrno(error, 'ENETDOWN', 'ENXIO', 'ENODEV', 'ENOBUFS', 'EAGAIN')) throw error;
  } finally {
    close(fd);
  }
}
