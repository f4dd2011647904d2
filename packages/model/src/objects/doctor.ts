import { z } from 'zod';

const sentence = z.string().max(2_000);
const address = z.union([z.ipv4(), z.ipv6()]);

/** What an agent is asked about its host: itself, and the way to the others. */
export const checkupQuestion = z.object({
  /** `mtu`: of the link there; frames of that size must get through whole. */
  peers: z.array(z.object({ host: z.string().max(253), vtepIp: address, mtu: z.number().int().min(576).max(65_535) })).max(4_096),
});
export type CheckupQuestion = z.infer<typeof checkupQuestion>;

export const peerCheck = z.object({
  host: z.string().max(253),
  /** Did it answer a small echo request to its VTEP, and one that fills the link? */
  answers: z.boolean(),
  fullSize: z.boolean(),
  /** Bytes of the largest packet asked for. */
  size: z.number().int(),
  /** Why none could be sent. */
  fault: sentence.optional(),
});
export type PeerCheck = z.infer<typeof peerCheck>;

export const checkup = z.object({
  version: z.string().max(64),
  kernel: z.string().max(128),
  /** Milliseconds since 1970 on the host's clock. */
  now: z.number(),
  startedAt: z.string().max(64),
  mtu: z.number().int(),
  vxlanPort: z.number().int(),
  revision: z.number().int(),
  inSync: z.boolean(),
  /** Changes netmaster has yet to be told. */
  pending: z.number().int(),
  repaired: z.number().int(),
  lastRepairs: z.array(sentence).max(100),
  endpoints: z.number().int(),
  docker: z.boolean(),
  problems: z.array(sentence).max(1_000),
  warnings: z.array(sentence).max(1_000),
  peers: z.array(peerCheck).max(4_096),
});
export type Checkup = z.infer<typeof checkup>;

export const SEVERITIES = ['error', 'warning', 'note'] as const;

export const finding = z.object({
  severity: z.enum(SEVERITIES),
  /** What it is about: `host node1`, `network blue/net1`. */
  thing: z.string(),
  reason: z.string(),
  /** What to do about it. */
  way: z.string(),
});
export type DoctorFinding = z.infer<typeof finding>;

/** `GET /api/v1/doctor/` */
export const doctorAnswer = z.object({
  /** Nothing is wrong: there are notes at most. */
  healthy: z.boolean(),
  version: z.string(),
  revision: z.number(),
  hosts: z.array(
    z.object({
      host: z.string(),
      state: z.enum(['connected', 'silent', 'no answer']),
      version: z.string(),
      kernel: z.string(),
      mtu: z.number(),
      /** How far its clock is ahead of netmaster's, in milliseconds; absent where it was not told. */
      clockMs: z.number().optional(),
      /** Changes it does not have yet. */
      behind: z.number().optional(),
      endpoints: z.number(),
      repaired: z.number().optional(),
      /** Peers that answer at full size, of all. */
      peers: z.object({ good: z.number(), all: z.number() }).optional(),
    }),
  ),
  findings: z.array(finding),
});
export type DoctorAnswer = z.infer<typeof doctorAnswer>;

/** `POST /api/v1/hosts/NAME/repair`: what differed in the host's tables and was mended, and what could not be, as sentences. */
export const hostRepair = z.object({
  repaired: z.array(z.string().max(2_000)).max(1_000),
  failed: z.array(z.string().max(2_000)).max(1_000),
});
export type HostRepair = z.infer<typeof hostRepair>;
