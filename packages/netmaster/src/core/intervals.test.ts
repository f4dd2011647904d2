import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Interval, Intervals } from './intervals.js';

const step = fc.record({ add: fc.boolean(), first: fc.integer({ min: 0, max: 60 }), length: fc.integer({ min: 0, max: 9 }) });

test('finds what a search through all would find', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const index = new Intervals<number>();
      let all: Interval<number>[] = [];
      for (const [i, { add, first, length }] of steps.entries()) {
        const last = first + length;
        const lowest = all.filter((x) => x.first <= last && first <= x.last).toSorted((a, b) => a.first - b.first)[0];
        expect(index.overlapping(first, last)).toEqual(lowest);
        if (add && !lowest) {
          const interval = { first, last, owner: String(i) };
          all.push(interval);
          index.add(interval);
        } else if (!add && lowest) {
          all = all.filter((x) => x !== lowest);
          index.remove({ ...lowest });
        }
        expect(index.size).toBe(all.length);
      }
    }),
  );
});
