import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Sharer, shapeOf } from './shaper.js';

const sharer = fc.record({
  index: fc.integer({ min: 1, max: 8191 }),
  group: fc.integer({ min: 1, max: 100_000 }),
});
const limitOf = (group: number) => ({ bytesPerSecond: 1 + ((group * 7_919) % 10_000_000), burstBytes: (group % 3) * 40_000 });
const sharers = fc
  .uniqueArray(sharer, { selector: ({ index }) => index, maxLength: 60 })
  .map((list): Sharer[] => list.map((one) => ({ ...one, limit: limitOf(one.group) })));

describe('classes of those who share', () => {
  it('each container has one a way, below its group that no other group has, with its bandwidth', () => {
    fc.assert(
      fc.property(sharers, (list) => {
        const { classes, queues } = shapeOf(list);
        const byHandle = new Map(classes.map((htb) => [htb.handle, htb]));
        expect(byHandle.size).toBe(classes.length);
        const groups = new Set(list.map(({ group }) => group));
        expect(classes.length).toBe(2 * (groups.size + list.length));
        expect(queues.size).toBe(2 * list.length);
        const parents = new Map<number, number>();
        for (const { index, group, limit } of list) {
          for (const way of [0x2000, 0x4000]) {
            const own = byHandle.get(0x0c04_0000 + way + index);
            const above = byHandle.get(own?.parent ?? 0);
            expect(above).toMatchObject({ rate: limit.bytesPerSecond, ceil: limit.bytesPerSecond, parent: 0x0c04_0000 });
            expect(above?.burst).toBeGreaterThanOrEqual(limit.burstBytes);
            expect(parents.get(above?.handle ?? 0) ?? group).toBe(group);
            parents.set(above?.handle ?? 0, group);
          }
        }
        expect(parents.size).toBe(2 * groups.size);
      }),
    );
  });

  it('does not depend on the order, and those above come first', () => {
    fc.assert(
      fc.property(sharers, (list) => {
        const { classes } = shapeOf(list);
        expect(shapeOf([...list].reverse()).classes).toEqual(classes);
        const seen = new Set([0x0c04_0000]);
        for (const { handle, parent } of classes) {
          expect(seen.has(parent)).toBe(true);
          seen.add(handle);
        }
      }),
    );
  });
});
