/** Waits on a rig for what has to be gone, or has to come to rest. */
import type { Rig } from './rig.js';
import { eventually } from './run.js';
import { difference, traces } from './traces.js';

/** Agents leave alone for half a minute what may be in the making, and look at all they hold once a minute. */
export const SETTLES_MS = 180_000;

/** Waits until there is what there was, no more and no less; of the lines that count. */
export const settled = (rig: Rig, expected: readonly string[], counts: (line: string) => boolean = () => true): Promise<void> =>
  eventually(
    'as before',
    async () => {
      const rest = difference(expected.filter(counts), (await traces(rig)).filter(counts));
      if (rest !== '') throw new Error(`\n${rest}`);
    },
    SETTLES_MS,
    1_000,
  );

/** What there is as soon as nothing changes any more. */
export async function atRest(rig: Rig): Promise<readonly string[]> {
  let last = await traces(rig);
  await eventually(
    'nothing changes any more',
    async () => {
      const now = await traces(rig);
      const moved = difference(last, now);
      last = now;
      if (moved !== '') throw new Error(`\n${moved}`);
    },
    SETTLES_MS,
    2_000,
  );
  return last;
}
