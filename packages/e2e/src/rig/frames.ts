/** Ethernet frames by hand, honest and forged. Pure. */

export interface Ends {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly srcIp: string;
  readonly dstIp: string;
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number));
const be16 = (...values: readonly number[]): Buffer => Buffer.concat(values.map((v) => Buffer.from([v >> 8, v & 0xff])));

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const ethernet = (dst: string, src: string, type: number, payload: Buffer): Buffer =>
  Buffer.concat([mac(dst), mac(src), be16(type), payload, Buffer.alloc(Math.max(0, 46 - payload.length))]);

export function udpFrame(ends: Ends, ports: { readonly src: number; readonly dst: number }, payload: Buffer): Buffer {
  const length = 8 + payload.length;
  const pseudo = Buffer.concat([ip(ends.srcIp), ip(ends.dstIp), Buffer.from([0, 17]), be16(length)]);
  const bare = Buffer.concat([be16(ports.src, ports.dst, length, 0), payload]);
  const sum = checksum(Buffer.concat([pseudo, bare])) || 0xffff;
  const udp = Buffer.concat([be16(ports.src, ports.dst, length, sum), payload]);
  const head = (check: number) =>
    Buffer.concat([Buffer.from([0x45, 0]), be16(20 + length, 0, 0), Buffer.from([64, 17]), be16(check), ip(ends.srcIp), ip(ends.dstIp)]);
  return ethernet(ends.dstMac, ends.srcMac, 0x0800, Buffer.concat([head(checksum(head(0))), udp]));
}

/** `mark` is put behind the packet, where Ethernet pads. */
export function arpReply(
  claim: { readonly mac: string; readonly ip: string },
  to: { readonly mac: string; readonly ip: string },
  mark: Buffer,
  from = claim.mac,
): Buffer {
  const arp = Buffer.concat([be16(1, 0x0800, 0x0604, 2), mac(claim.mac), ip(claim.ip), mac(to.mac), ip(to.ip), mark]);
  return ethernet(to.mac, from, 0x0806, arp);
}

/** Payload of a UDP packet that a VTEP takes for a frame of network `vni` (RFC 7348). */
export const vxlanPayload = (vni: number, frame: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0x08, 0, 0, 0, (vni >> 16) & 0xff, (vni >> 8) & 0xff, vni & 0xff, 0]), frame]);

/** The frame with an 802.1Q tag. */
export const taggedFrame = (frame: Buffer, vlan: number): Buffer =>
  Buffer.concat([frame.subarray(0, 12), be16(0x8100, vlan), frame.subarray(12)]);
