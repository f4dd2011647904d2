import { createHash } from 'node:crypto';

/** Locally administered and stable, so that a host that comes back keeps its addresses. */
export function macOf(lab: string, what: string): string {
  const hash = createHash('sha256').update(`${lab}/${what}`).digest('hex');
  return ['02', '1a', ...[0, 2, 4, 6].map((i) => hash.slice(i, i + 2))].join(':');
}
