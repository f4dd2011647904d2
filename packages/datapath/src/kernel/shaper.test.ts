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

const FRAME = 1_468;

describe('classes of those who share', () => {
  it('each container has one a way, below its group that no other group has, with its bandwidth', () => {
    fc.assert(
      fc.property(sharers, (list) => {
        const { classes, queues } = shapeOf(list, FRAME);
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
        const { classes } = shapeOf(list, FRAME);
        expect(shapeOf([...list].reverse(), FRAME).classes).toEqual(classes);
        const seen = new Set([0x0c04_0000]);
        for (const { handle, parent } of classes) {
          expect(seen.has(parent)).toBe(true);
          seen.add(handle);
        }
      }),
    );
  });

  it('a turn is worth any packet that can be waiting, for whoever has it sends one in any case', () => {
    const bandwidth = fc.integer({ min: 1, max: 5_000_000_000 });
    fc.assert(
      fc.property(bandwidth, fc.integer({ min: 1_294, max: 65_553 }), (bytesPerSecond, frame) => {
        const { classes, queues } = shapeOf([{ index: 1, group: 1, limit: { bytesPerSecond, burstBytes: 0 } }], frame);
        for (const [handle, queue] of queues) {
          // 64 KiB of payload in frames of 536 bytes, the least that a host need take.
          const largest = queue.frame ?? 65_536 + Math.ceil(65_536 / 536) * 66;
          expect(classes.find((htb) => htb.handle === handle)?.quantum).toBeGreaterThanOrEqual(largest);
          expect(queue.frame ?? frame).toBe(frame);
        }
      }),
    );
  });
});
