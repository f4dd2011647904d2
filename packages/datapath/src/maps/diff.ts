/** From what a table holds to what it should hold. Pure. */
import type { Entries, KeyText } from './tables.js';

export interface TableDiff {
  readonly put: readonly (readonly [KeyText, Buffer])[];
  readonly remove: readonly KeyText[];
  /** Keys among them that somebody else had changed: missing, different or strange beside what we last wrote. */
  readonly drifted: readonly (readonly [KeyText, 'was missing' | 'was changed' | 'was strange'])[];
}

/**
 * @param kernel what was read back.
 * @param known what we last wrote; `undefined` when nothing is known yet (after a start), then nothing counts as drift.
 */
export function diffTable(desired: Entries, kernel: Entries, known: Entries | undefined): TableDiff {
  const put: (readonly [KeyText, Buffer])[] = [];
  const remove: KeyText[] = [];
  const drifted: (readonly [KeyText, 'was missing' | 'was changed' | 'was strange'])[] = [];
  for (const [key, value] of desired) {
    const held = kernel.get(key);
    if (held?.equals(value)) continue;
    put.push([key, value]);
    const last = known?.get(key);
    if (last && !held) drifted.push([key, 'was missing']);
    else if (held && known && !last?.equals(held)) drifted.push([key, 'was changed']);
  }
  for (const [key] of kernel) {
    if (desired.has(key)) continue;
    remove.push(key);
    if (known && !known.has(key)) drifted.push([key, 'was strange']);
  }
  return { put, remove, drifted };
}
