/** What the programs keep and tell of connections, as bytes of bpf/maps.h. Pure. */
import { type Ipv4, type Ipv6, ipv4FromNumber, ipv6FromBigInt } from '@contiv/model';

export interface FlowEnd {
  readonly ip: Ipv4 | Ipv6;
  /** Of ICMP the identifier; 0 where a protocol has none. */
  readonly port: number;
}

/** A connection as the data path tracks it, from whoever opened it to whoever was called. */
export interface TrackedConnection {
  /** Number of the routing domain on this host. */
  readonly domain: number;
  /** IANA's number. */
  readonly protocol: number;
  readonly src: FlowEnd;
  readonly dst: FlowEnd;
  /** Units of 2^30 ns since boot. */
  readonly started: number;
  readonly seen: number;
  /** Number of the rule that decided, 0 for a default. */
  readonly rule: number;
  readonly denied: boolean;
  /** Whose rules decided: `out` those of `src`, `in` those of `dst`. */
  readonly way: 'in' | 'out';
  readonly replied: boolean;
  readonly end: 'fin' | 'rst' | undefined;
  /** Its beginning was told; without it, its end is not. */
  readonly told: boolean;
  readonly logged: boolean;
  /** What `src` sent, what `dst` sent. */
  readonly packets: readonly [number, number];
  readonly bytes: readonly [number, number];
}

export const FLOW_KINDS = ['opened', 'ended', 'denied'] as const;
export interface FlowEvent {
  readonly kind: (typeof FLOW_KINDS)[number];
  readonly connection: TrackedConnection;
}

const REPLIED = 1;
const FIN = 2 | 4;
const RESET = 8;
const TOLD = 1;
const LOGGED = 2;
const BY_CALLED = 4;
/** `struct tracked` and `struct flow_event` */
export const TRACKED_BYTES = 56;
export const EVENT_BYTES = 104;

/** Exact up to 2^53. */
const u64 = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
const ip4 = (bytes: Buffer, at: number): Ipv4 => ipv4FromNumber(bytes.readUInt32BE(at));
const ip6 = (bytes: Buffer, at: number): Ipv6 => ipv6FromBigInt((bytes.readBigUInt64BE(at) << 64n) | bytes.readBigUInt64BE(at + 8));

type Key = Pick<TrackedConnection, 'domain' | 'protocol'> & { readonly ends: readonly [FlowEnd, FlowEnd] };

function connection({ domain, protocol, ends }: Key, state: Buffer, at: number): TrackedConnection {
  const opener = state.readUInt8(at + 13) & 1;
  const flags = state.readUInt8(at + 14);
  const told = state.readUInt8(at + 15);
  const counter = (from: number, side: number) => u64(state, at + from + side * 8);
  return {
    domain,
    protocol,
    src: ends[opener === 0 ? 0 : 1],
    dst: ends[opener === 0 ? 1 : 0],
    seen: state.readUInt32LE(at),
    rule: state.readUInt32LE(at + 8),
    denied: state.readUInt8(at + 12) !== 0,
    started: state.readUInt32LE(at + 16),
    way: (told & BY_CALLED) === 0 ? 'out' : 'in',
    replied: (flags & REPLIED) !== 0,
    end: (flags & RESET) !== 0 ? 'rst' : (flags & FIN) === FIN ? 'fin' : undefined,
    told: (told & TOLD) !== 0,
    logged: (told & LOGGED) !== 0,
    packets: [counter(24, opener), counter(24, 1 - opener)],
    bytes: [counter(40, opener), counter(40, 1 - opener)],
  };
}

/** `struct flow_event`; nothing for bytes that are none. */
export function parseEvent(bytes: Buffer): FlowEvent | undefined {
  const kind = bytes.length === EVENT_BYTES ? FLOW_KINDS[bytes.readUInt8(0)] : undefined;
  if (kind === undefined) return undefined;
  const six = bytes.readUInt8(2) === 6;
  const end = (n: number): FlowEnd => ({
    ip: six ? ip6(bytes, 8 + n * 16) : ip4(bytes, 20 + n * 16),
    port: bytes.readUInt16BE(40 + n * 2),
  });
  const key: Key = { domain: bytes.readUInt32LE(4), protocol: bytes.readUInt8(1), ends: [end(0), end(1)] };
  return { kind, connection: connection(key, bytes, 48) };
}

/** Was the beginning told of the connection whose value this is? */
export const isTold = (value: Buffer): boolean => (value.readUInt8(15) & TOLD) !== 0;

/** An entry of `connections4` (20 bytes of key) or `connections6` (44). */
export function parseTracked(key: Buffer, value: Buffer): TrackedConnection {
  const size = key.length === 20 ? 4 : 16;
  const ports = 4 + 2 * size;
  const end = (n: number): FlowEnd => ({
    ip: size === 4 ? ip4(key, 4 + n * size) : ip6(key, 4 + n * size),
    port: key.readUInt16BE(ports + n * 2),
  });
  const ends: [FlowEnd, FlowEnd] = [end(0), end(1)];
  return connection({ domain: key.readUInt32LE(0), protocol: key.readUInt8(ports + 4), ends }, value, 0);
}

const TCP = 6;
/** As in bpf/conntrack.h: units an entry is believed without traffic. */
const TIMEOUT = { established: 21_600, opening: 60, closing: 10, lingering: 120, datagram: 180 } as const;

/** Is the entry a connection still? */
export function isExpired({ seen, protocol, end, replied }: TrackedConnection, now: number): boolean {
  const idle = (now - seen) >>> 0;
  // Written by a CPU whose clock is a little ahead.
  if (idle < TIMEOUT.closing || idle > 0x8000_0000) return false;
  if (protocol !== TCP) return idle > TIMEOUT.datagram;
  if (end !== undefined) return end === 'rst' || idle > TIMEOUT.lingering;
  return idle > (replied ? TIMEOUT.established : TIMEOUT.opening);
}

/** Records in a window of 2^30 ns (`struct flow_limits`). */
export interface FlowLimits {
  readonly opened: number;
  readonly denied: number;
  readonly logged: number;
  /** Denied ones of one container, or of one group when they come from other hosts. */
  readonly deniedEach: number;
}

/** Nothing is told without limits. */
export function limitBytes(limits: FlowLimits | undefined): Buffer {
  const bytes = Buffer.alloc(20);
  if (!limits) return bytes;
  const words = [1, limits.opened, limits.denied, limits.logged, limits.deniedEach];
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word, i * 4);
  return bytes;
}

/** Why records were left out, in the order of `flow_left_out`. */
export const LEFT_OUT = ['opened', 'denied', 'logged', 'room'] as const;
export type LeftOut = (typeof LEFT_OUT)[number];
