/** Who changed what, and when. */
import { z } from 'zod';
import { objectChange } from './change.js';

/** One request that changed something. Many changes are told in several entries of one time. */
export const historyEntry = z.object({
  /** ISO 8601, UTC. */
  time: z.string(),
  /** Address the request came from. */
  from: z.string(),
  /** What the client calls itself. */
  client: z.string(),
  /** The file that was applied. */
  source: z.string().optional(),
  changes: z.array(objectChange),
});
export type HistoryEntry = z.infer<typeof historyEntry>;

/** Query of `history`. */
export const historyQuery = z.object({
  /** ISO 8601: only what was changed since. */
  since: z.iso.datetime({ offset: true }).optional(),
  /** `KIND`, `KIND/KEY`, a key or a name; several, comma separated. */
  objects: z.string().max(4_096).optional(),
});
