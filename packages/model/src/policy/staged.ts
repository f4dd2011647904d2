/** Staged policies: what they are, and whom they would concern. */
import { z } from 'zod';
import { objectChange } from '../intent/change.js';
import { ruleIntents } from '../intent/schema.js';
import { type Address, decide, type PolicySet, type Verdict } from './rule.js';

/** A policy's staged version: how its rules differ from those that act. */
export const stagedPolicy = z.object({
  /** `tenant:policy` */
  key: z.string(),
  /** ISO 8601. */
  since: z.string(),
  /** The policy's own rules have changed since: it cannot be committed. */
  stale: z.boolean(),
  changes: z.array(objectChange),
});
export type StagedPolicy = z.infer<typeof stagedPolicy>;

/** What a client posts to stage a policy: nothing to open it, or all rules it shall have. */
export const stageRequest = z.object({ rules: ruleIntents.optional() });

/** A connection that the staged version would treat differently. */
export const affectedConnection = z.object({
  /** `cut`: allowed now and denied then; `open`: the other way round. */
  effect: z.enum(['cut', 'open']),
  /** It goes on at present; otherwise it was recorded. */
  live: z.boolean(),
  protocol: z.number().int(),
  /** Ends with their addresses, and names where they are containers of ours. */
  from: z.object({ ip: z.string(), port: z.number().int(), container: z.string().optional(), group: z.string().optional() }),
  to: z.object({ ip: z.string(), port: z.number().int(), container: z.string().optional(), group: z.string().optional() }),
  /** `policy:rule` that would decide; absent: the tenant's default. */
  rule: z.string().optional(),
  /** Connections between these ends to this port. */
  count: z.number().int(),
});
export type AffectedConnection = z.infer<typeof affectedConnection>;

/** The answer to "whom does it concern": what is missing is said. */
export const stagedEffect = z.object({
  ...stagedPolicy.shape,
  connections: z.array(affectedConnection),
  /** So many more are not shown. */
  leftOut: z.number().int().optional(),
  /** Connections that were looked at. */
  examined: z.number().int(),
  /** So many more were not: there are too many, or too many rules. */
  unexamined: z.number().int().optional(),
  /** Hosts of which not everything is known, and why. */
  missing: z.array(z.object({ host: z.string(), reason: z.string() })),
});
export type StagedEffect = z.infer<typeof stagedEffect>;

/** One end of a connection, with all that decides about it; no rules: nobody asks them. */
export interface JudgedEnd {
  readonly address: Address;
  /** Number of its group, 0 for none. */
  readonly group: number;
  readonly rules: PolicySet | undefined;
}

/**
 * What becomes of a connection: what the caller may open, then what the called one may be asked. The same steps as `judge` in
 * packages/datapath/bpf/conntrack.h.
 */
export function judgeOpening(caller: JudgedEnd, called: JudgedEnd, protocol: number, port: number): Verdict {
  const out = caller.rules
    ? decide(caller.rules, { way: 'out', group: called.group, peer: called.address, own: caller.address, protocol, port })
    : { deny: false, rule: 0 };
  if (out.deny || !called.rules) return out;
  const into = decide(called.rules, { way: 'in', group: caller.group, peer: caller.address, own: called.address, protocol, port });
  return into.rule === 0 && !into.deny ? { deny: false, rule: out.rule } : into;
}
