/** Connections as the data path recorded them, with names (`GET /api/v1/flows`, and the question `flows`). */
import { z } from 'zod';
import { parseIpv6 } from '../ip/ipv6.js';
import { contains4, contains6, parsePrefix4, parsePrefix6 } from '../ip/prefix.js';

const count = z.number().nonnegative();

/** One end of a connection; only the address of an end that is no container of ours. */
export const flowPeer = z.object({
  ip: z.string().max(64),
  /** Of ICMP the identifier; 0 where a protocol has none. */
  port: z.number().int().min(0).max(65_535),
  container: z.string().max(256).optional(),
  group: z.string().max(64).optional(),
  network: z.string().max(64).optional(),
  host: z.string().max(253).optional(),
});
export type FlowPeer = z.infer<typeof flowPeer>;

/** A connection, from whoever opened it to whoever was called. */
export const flowRecord = z.object({
  /** Hosts that saw it: of a connection between two hosts both may. */
  hosts: z.array(z.string().max(253)).min(1).max(2),
  tenant: z.string().max(64),
  /** `open`: it goes on; `denied`: it never was, or new rules cut it; the others say how it ended. `lost`: its entry made room for another one. */
  state: z.enum(['open', 'closed', 'reset', 'expired', 'lost', 'denied']),
  verdict: z.enum(['allow', 'deny']),
  /** Milliseconds since 1970, to about a second. */
  start: count,
  /** Of the last thing known: its end, its denial, or when the counters were read. */
  time: count,
  /** IANA's number. */
  protocol: z.number().int().min(0).max(255),
  src: flowPeer,
  dst: flowPeer,
  /** The rule that decided; absent when the default did. */
  policy: z.string().max(64).optional(),
  rule: z.string().max(64).optional(),
  /** Whose rules decided: `out` those of `src`, `in` those of `dst`. */
  way: z.enum(['in', 'out']),
  /** The rule says that its connections are always recorded. */
  logged: z.boolean().optional(),
  /** What `src` sent, what `dst` sent. Bytes with headers. */
  packets: z.tuple([count, count]),
  bytes: z.tuple([count, count]),
});
export type FlowRecord = z.infer<typeof flowRecord>;

const name = z.string().min(1).max(253);

/** Which records are wanted. Members that are absent let everything through. */
export const flowFilter = z.object({
  tenant: z.string().min(1).max(64).optional(),
  /** Of the caller, of the called: a container, a group, a network, a host, an address or a prefix. */
  from: name.optional(),
  to: name.optional(),
  verdict: z.enum(['allow', 'deny']).optional(),
  /** IANA's number; ICMP is that of both families, as in rules. */
  protocol: z.number().int().min(0).max(255).optional(),
  /** Of the called one. */
  port: z.number().int().min(1).max(65_535).optional(),
  /** Milliseconds since 1970: whatever went on at that time or later. */
  since: count.optional(),
});
export type FlowFilter = z.infer<typeof flowFilter>;

/** Body of the question `flows`. */
export const flowQuestion = z.object({
  filter: flowFilter,
  /** The newest so many of those that ended; all that go on come besides, as many at most. */
  limit: z.number().int().min(0).max(100_000),
  /** Only what goes on, with counters of this moment. */
  live: z.boolean().optional(),
  /** Instead, what happens from now on, until the asker goes. */
  follow: z.boolean().optional(),
});
export type FlowQuestion = z.infer<typeof flowQuestion>;

/** A piece of the answer. */
export const flowChunk = z.object({
  records: z.array(flowRecord).max(256),
  /** Records that were not made since the last piece: more happened than is recorded. In the first piece, since the agent began. */
  leftOut: count,
});
export type FlowChunk = z.infer<typeof flowChunk>;

/** A line of `GET /api/v1/flows`: a record, or what is missing on a host. */
export const flowLine = z.union([
  z.object({ type: z.literal('flow'), flow: flowRecord }),
  z.object({ type: z.literal('left-out'), host: name, records: count }),
  z.object({ type: z.literal('missing'), host: name, reason: z.string().max(2_000) }),
  /** What was recorded before has been said; what follows happens now. */
  z.object({ type: z.literal('now') }),
]);
export type FlowLine = z.infer<typeof flowLine>;

const ICMP = 1;
const ICMPV6 = 58;

/** Is the record one of those that are wanted? */
export function flowMatches(filter: FlowFilter, flow: FlowRecord): boolean {
  return (
    (filter.tenant === undefined || flow.tenant === filter.tenant) &&
    (filter.verdict === undefined || flow.verdict === filter.verdict) &&
    (filter.protocol === undefined || flow.protocol === filter.protocol || (filter.protocol === ICMP && flow.protocol === ICMPV6)) &&
    (filter.port === undefined || flow.dst.port === filter.port) &&
    (filter.since === undefined || flow.time >= filter.since) &&
    (filter.from === undefined || isPeer(filter.from, flow.src)) &&
    (filter.to === undefined || isPeer(filter.to, flow.dst))
  );
}

function isPeer(wanted: string, peer: FlowPeer): boolean {
  if (wanted === peer.ip || wanted === peer.container || wanted === peer.group || wanted === peer.network || wanted === peer.host)
    return true;
  // An IPv6 address may be written in many ways.
  if (!wanted.includes('/')) return wanted.includes(':') && parseIpv6(wanted) === peer.ip;
  const [four, six] = [parsePrefix4(wanted), parsePrefix6(wanted)];
  return (four !== undefined && contains4(four, peer.ip)) || (six !== undefined && contains6(six, peer.ip));
}
