/** What a request changes, object by object: plans, differences and the history are made of it. */
import { z } from 'zod';
import { intentSchema } from './schema.js';

/** A member of an object before and after; absent: it had or has no value. */
export const fieldChange = z.object({ field: z.string(), before: z.unknown().optional(), after: z.unknown().optional() });
export type FieldChange = z.infer<typeof fieldChange>;

export const objectChange = z.object({
  action: z.enum(['create', 'update', 'delete']),
  /** `tenant`, `network`, `group`, `policy`, `rule` … */
  kind: z.string(),
  /** `tenant:name`, as in the REST API's paths. */
  key: z.string(),
  fields: z.array(fieldChange),
});
export type ObjectChange = z.infer<typeof objectChange>;

/** What a client posts to `intent`. */
export const applyRequest = z.object({
  intent: intentSchema,
  /** Delete what the document does not have. */
  prune: z.boolean().prefault(false),
  /** Answer the plan and change nothing. */
  dryRun: z.boolean().prefault(false),
  /** Id of a plan that was looked at: refused when it would not be the same any more. */
  expect: z.string().max(64).optional(),
  /** Where the document comes from, for the history. */
  source: z.string().max(256).optional(),
});
export type ApplyRequest = z.infer<typeof applyRequest>;

/** What is to be done, or was done, in the order in which it can be done. */
export const intentPlan = z.object({
  /** Follows from the content: the same changes have the same id. */
  id: z.string(),
  applied: z.boolean(),
  steps: z.array(objectChange),
});
export type IntentPlan = z.infer<typeof intentPlan>;

const SECRET = /passw|secret|token|psk|community|authkey|auth-key/i;
export const MASKED = '***';

/** The members that differ, ascending by name; the values of secret ones are never shown. */
export function changedFields(before: object | undefined, after: object | undefined): FieldChange[] {
  const [old, now] = [new Map(Object.entries(before ?? {})), new Map(Object.entries(after ?? {}))];
  const fields: FieldChange[] = [];
  for (const field of [...new Set([...old.keys(), ...now.keys()])].toSorted()) {
    const [a, b] = [old.get(field), now.get(field)];
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    const shown = (value: unknown) => (SECRET.test(field) ? MASKED : value);
    fields.push({ field, ...(a === undefined ? {} : { before: shown(a) }), ...(b === undefined ? {} : { after: shown(b) }) });
  }
  return fields;
}
