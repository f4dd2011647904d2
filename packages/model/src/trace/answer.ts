/** `GET /api/v1/trace`: what is asked, and the path of a packet, stage by stage. */
import { z } from 'zod';
import { protocolNumber } from '../objects/primitives.js';

export const STAGES = ['source', 'address', 'route', 'policy', 'tunnel', 'mtu', 'entry', 'answer'] as const;
export type StageName = (typeof STAGES)[number];

export const traceQuery = z.object({
  /** A container's name, a prefix of its id, or an address. */
  from: z.string().min(1).max(256),
  /** The same, or the name of a group or service. */
  to: z.string().min(1).max(256),
  /** `tcp/443`, `udp/53`, `icmp`. */
  service: z.string().max(32).default('icmp'),
  tenant: z.string().max(64).optional(),
  network: z.string().max(64).optional(),
});
export type TraceQuery = z.infer<typeof traceQuery>;

export interface TraceService {
  /** IANA number; ICMP is that of the addresses' family. */
  readonly protocol: number;
  readonly port: number;
}

/** `undefined` when it is neither `tcp/PORT`, `udp/PORT` nor `icmp`. */
export function parseTraceService(text: string, v6: boolean): TraceService | undefined {
  const match = /^(?:(icmp|icmpv6)|(tcp|udp)[/:]([0-9]{1,5}))$/i.exec(text.trim());
  if (!match) return undefined;
  if (match[1] !== undefined) return { protocol: v6 ? 58 : 1, port: 0 };
  const port = Number(match[3]);
  const protocol = protocolNumber((match[2] ?? '').toLowerCase());
  return protocol === undefined || port < 1 || port > 65_535 ? undefined : { protocol, port };
}

const side = z.object({
  /** Container, or empty for an address of nobody's. */
  name: z.string(),
  ip: z.string(),
  tenant: z.string(),
  network: z.string(),
  group: z.string(),
  host: z.string(),
});
export type TraceSide = z.infer<typeof side>;

export const traceStage = z.object({
  stage: z.enum(STAGES),
  host: z.string(),
  ok: z.boolean(),
  /** By the stored intent. */
  says: z.string(),
  intent: z.boolean(),
  /** By the tables at work; absent where they were not asked. */
  live: z.boolean().optional(),
  /** What the tables at work make of it, where that is something else. */
  liveSays: z.string().optional(),
  /** Reachable, but worth a thought. */
  warning: z.string().optional(),
  /** A command that changes the outcome. */
  mend: z.string().optional(),
});
export type TraceStage = z.infer<typeof traceStage>;

export const traceDifference = z.object({
  host: z.string(),
  /** What the tables hold otherwise than the stored intent says. */
  entries: z.array(z.string()),
  command: z.string(),
});
export type TraceDifference = z.infer<typeof traceDifference>;

export const tracePath = z.object({
  from: side,
  to: side,
  service: z.string(),
  reachable: z.boolean(),
  stages: z.array(traceStage),
  differences: z.array(traceDifference),
  /** Whose tables could not be asked, and why. */
  unasked: z.array(z.object({ host: z.string(), reason: z.string() })),
});
export type TracePath = z.infer<typeof tracePath>;

export const traceAnswer = z.object({
  reachable: z.boolean(),
  paths: z.array(tracePath),
  /** What the answer leaves out. */
  notes: z.array(z.string()),
});
export type TraceAnswer = z.infer<typeof traceAnswer>;

const frame = z.string().max(4_096);
const address = z.union([z.ipv4(), z.ipv6()]);

/** What an agent is asked to try with the programs at work on its host. */
export const trialQuestion = z.object({
  /** This host's end. */
  tenant: z.string().max(64),
  network: z.string().max(64),
  ip: address,
  /** The other end, and whose network it is in, if anybody's. */
  peer: address,
  peerNetwork: z.string().max(64).optional(),
  protocol: z.number().int().min(0).max(255),
  port: z.number().int().min(0).max(65_535),
  /** `caller`: opens the connection, `called`: is asked. */
  role: z.enum(['caller', 'called']),
  /** The other host's frame, in base64, and what it comes through: the first packet for the called, the answer for the caller. */
  arrival: z
    .discriminatedUnion('by', [
      z.object({ by: z.literal('tunnel'), vni: z.number().int().min(1).max(16_777_215), vtep: address, frame }),
      z.object({ by: z.literal('uplink'), vlan: z.number().int().min(0).max(4_094), frame }),
    ])
    .optional(),
});
export type TrialQuestion = z.infer<typeof trialQuestion>;

export const trialRun = z.object({
  /** `question`: who has the address (ARP); `packet`: the connection's first; `arrival`: what the other host sent; `reply`: the answer to it. */
  what: z.enum(['question', 'packet', 'arrival', 'reply']),
  to: z.enum(['nowhere', 'container', 'tunnel', 'uplink', 'outside', 'sender', 'host']),
  /** Of a drop. */
  reason: z.string().max(64).optional(),
  vtep: z.string().max(64).optional(),
  vni: z.number().int().optional(),
  vlan: z.number().int().optional(),
  /** Number of the rule that decided, 0 for the default. */
  rule: z.number().int().optional(),
  denied: z.boolean().optional(),
  frame: frame.optional(),
});
export type TrialRun = z.infer<typeof trialRun>;

export const trialAnswer = z.object({
  runs: z.array(trialRun).max(8),
  /** What the tables hold otherwise than this agent wants, of what the connection depends on. */
  differs: z.array(z.string().max(512)).max(200),
  /** Why there are no runs. */
  fault: z.string().max(2_000).optional(),
});
export type TrialAnswer = z.infer<typeof trialAnswer>;
