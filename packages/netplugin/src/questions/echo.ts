/** Echo requests to other hosts' VTEPs that no router may cut up (DF): do packets as long as the link takes get there and back? */
import { type Checkup, type CheckupQuestion, ipv4Bytes, ipv6Bytes, parseIpv4, parseIpv6 } from '@contiv/model';
import { sleep } from '@contiv/observe';
import {
  AF_INET,
  AF_INET6,
  bind,
  close,
  isErrno,
  MSG_DONTWAIT,
  recv,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  sendTo,
  setSocketOption,
  socket,
} from '@contiv/syscall';

type Peer = CheckupQuestion['peers'][number];
type PeerCheck = Checkup['peers'][number];

const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
/** Never cut up, whatever is remembered of the path. */
const PMTUDISC_PROBE = 3;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMPV6_FILTER = 1;
const ECHO_REPLY = 0;
const ECHO_REPLY_V6 = 129;
/** Beyond what a host allows its programs, for who may: an agent does. */
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
/** What the kernel takes for a packet besides its bytes, generously. */
const PER_PACKET = 2_048;
const SMALL = 64;
/** Asked anew so often, each time with so long to answer. */
const TRIES = 3;
const WAIT_MS = 700;
const POLL_MS = 10;

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress(ip: string): Buffer {
  const v4 = parseIpv4(ip);
  const address = Buffer.alloc(v4 === undefined ? 28 : 16);
  address.writeUInt16LE(v4 === undefined ? AF_INET6 : AF_INET, 0);
  const v6 = parseIpv6(ip);
  if (v4 !== undefined) address.set(ipv4Bytes(v4), 4);
  else if (v6 !== undefined) address.set(ipv6Bytes(v6), 8);
  return address;
}

/** An echo request that makes a packet of `size` bytes. The kernel puts in the checksum of ICMPv6 only. */
function echoRequest(v6: boolean, size: number, id: number, sequence: number): Buffer {
  const message = Buffer.alloc(Math.max(8, size - (v6 ? 40 : 20)));
  message.writeUInt8(v6 ? 128 : 8, 0);
  message.writeUInt16BE(id, 4);
  message.writeUInt16BE(sequence, 6);
  if (v6) return message;
  let sum = 0;
  for (let i = 0; i < message.length; i += 2) sum += message.readUInt8(i) * 256 + (message[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  message.writeUInt16BE(~sum & 0xffff, 2);
  return message;
}

/** @param own this host's VTEP, @param mtu that of its link. */
export async function echoPeers(own: string, mtu: number, peers: readonly Peer[], signal: AbortSignal): Promise<PeerCheck[]> {
  const v6 = parseIpv4(own) === undefined;
  const same = peers.filter(({ vtepIp }) => (parseIpv4(vtepIp) === undefined) === v6);
  const id = (process.pid ^ Date.now()) & 0xffff;
  const fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_NONBLOCK, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
  /** Numbers of requests that were answered: peer × 2, and one more for the long one. */
  const answered = new Set<number>();
  const faults = new Map<number, string>();
  const sizeOf = (peer: Peer): number => Math.min(mtu, peer.mtu);
  try {
    bind(fd, socketAddress(own));
    hearReplies(fd, v6);
    // All of them may wait for a neighbour to be found, and all may answer at once.
    for (const option of [SO_SNDBUFFORCE, SO_RCVBUFFORCE])
      setSocketOption(fd, SOL_SOCKET, option, same.length * (mtu + SMALL + 2 * PER_PACKET));
    if (v6) setSocketOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    else setSocketOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
    for (let attempt = 0; attempt < TRIES && answered.size < same.length * 2 && !signal.aborted; attempt++) {
      for (const [i, peer] of same.entries()) {
        for (const [which, size] of [SMALL, sizeOf(peer)].entries()) {
          const sequence = i * 2 + which;
          if (answered.has(sequence)) continue;
          try {
            sendTo(fd, echoRequest(v6, size, id, sequence), socketAddress(peer.vtepIp));
          } catch (error) {
            faults.set(i, error instanceof Error ? error.message : String(error));
          }
        }
      }
      const until = performance.now() + WAIT_MS;
      while (performance.now() < until && answered.size < same.length * 2 && !signal.aborted) {
        collect(fd, v6, id, answered);
        await sleep(POLL_MS);
      }
    }
  } finally {
    close(fd);
  }
  return same.map((peer, i) => {
    const [answers, fullSize] = [answered.has(i * 2), answered.has(i * 2 + 1)];
    const fault = answers && fullSize ? undefined : faults.get(i);
    return { host: peer.host, answers: answers || fullSize, fullSize, size: sizeOf(peer), ...(fault === undefined ? {} : { fault }) };
  });
}

/** Whatever else comes to this host by ICMP, as the requests of all others that look after each other, takes no room. */
function hearReplies(fd: number, v6: boolean): void {
  if (!v6) {
    setSocketOption(fd, SOL_RAW, ICMP_FILTER, ~(1 << ECHO_REPLY));
    return;
  }
  const blocked = Buffer.alloc(32, 0xff);
  blocked.writeUInt8(~(1 << (ECHO_REPLY_V6 % 8)) & 0xff, Math.floor(ECHO_REPLY_V6 / 8));
  setSocketOption(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, blocked);
}

/** A raw ICMP socket hears every reply that comes to this host. IPv4 packets come with their header. */
function collect(fd: number, v6: boolean, id: number, answered: Set<number>): void {
  const packet = Buffer.alloc(65_536);
  for (;;) {
    let length: number;
    try {
      length = recv(fd, packet, MSG_DONTWAIT);
    } catch (error) {
      if (isErrno(error, 'EAGAIN', 'EWOULDBLOCK', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNREFUSED', 'EMSGSIZE')) return;
      throw error;
    }
    const at = v6 ? 0 : (packet.readUInt8(0) & 15) * 4;
    if (length < at + 8 || packet.readUInt8(at) !== (v6 ? ECHO_REPLY_V6 : ECHO_REPLY) || packet.readUInt16BE(at + 4) !== id) continue;
    answered.add(packet.readUInt16BE(at + 6));
  }
}
