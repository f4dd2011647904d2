import type { z } from 'zod';
import { Refusal } from '../errors.js';

/**
 * Parses a posted object; the first fault in alphabetical order of the fields is the refusal (spec/contiv §1.2).
 * `null` members count as absent, as a Go decoder takes them.
 */
export function validate<T>(schema: z.ZodType<T>, body: unknown): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Refusal('invalid', 'the body must be a JSON object');
  const present = Object.fromEntries(Object.entries(body).filter(([, v]) => v !== null));
  const parsed = schema.safeParse(present);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues.toSorted((a, b) => compare(String(a.path[0] ?? ''), String(b.path[0] ?? '')));
  const [message = 'malformed request', hint] = (first?.message ?? 'malformed request').split('\n');
  throw new Refusal('invalid', message, hint);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
