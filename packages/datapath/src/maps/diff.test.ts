import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffTable } from './diff.js';
import type { Entries } from './tables.js';

const entries = fc
  .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.constantFrom(0, 1, 2)), { selector: ([key]) => key })
  .map((list): Entries => new Map(list.map(([key, value]) => [key, Buffer.of(value)])));

function applied(kernel: Entries, { put, remove }: Pick<ReturnType<typeof diffTable>, 'put' | 'remove'>): Entries {
  const result: Entries = new Map(kernel);
  for (const [key, value] of put) result.set(key, value);
  for (const key of remove) result.delete(key);
  return result;
}

describe('diffTable', () => {
  it('leads from any table to the desired one, with nothing written twice', () => {
    fc.assert(
      fc.property(entries, entries, fc.option(entries, { nil: undefined }), (desired, kernel, known) => {
        const diff = diffTable(desired, kernel, known);
        expect(applied(kernel, diff)).toEqual(desired);
        for (const [key, value] of diff.put) expect(kernel.get(key)?.equals(value) ?? false).toBe(false);
        for (const key of diff.remove) expect(kernel.has(key)).toBe(true);
        expect(diffTable(desired, applied(kernel, diff), desired)).toEqual({ put: [], remove: [], drifted: [] });
      }),
    );
  });

  it('calls drift what the kernel holds differently from what was last written, and nothing after a start', () => {
    fc.assert(
      fc.property(entries, entries, (desired, kernel) => {
        expect(diffTable(desired, kernel, undefined).drifted).toEqual([]);
        // Nobody interfered: a new desired state is no drift.
        expect(diffTable(desired, kernel, kernel).drifted).toEqual([]);
      }),
    );
    const known: Entries = new Map([
      ['gone', Buffer.of(1)],
      ['bent', Buffer.of(1)],
    ]);
    const kernel: Entries = new Map([
      ['bent', Buffer.of(2)],
      ['new', Buffer.of(3)],
    ]);
    expect(diffTable(known, kernel, known).drifted).toEqual([
      ['gone', 'was missing'],
      ['bent', 'was changed'],
      ['new', 'was strange'],
    ]);
  });
});
