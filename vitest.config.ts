import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const resolve = { conditions: ['source'] };
const ssr = { resolve };
/** What is waited for is there in a moment; on a machine that is busy with something else it may take its time. */
const expect = { poll: { timeout: 30_000 } };

/** Files that take minutes, the longest first. */
const LONGEST = ['matrix', 'survival', 'losses', 'leaks', 'swarm/api', 'routing', 'swarm/life', 'tutorial', 'networks', 'swarm/cluster'];

/** What takes longest begins first: begun last, it would run on alone when all else has ended. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.hosts.test.ts`));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** `unit`: seconds, no root. `kernel`: this machine's kernel, stores and engines, as root. `hosts`: real hosts of the lab, minutes. */
export default defineConfig({
  resolve,
  ssr,
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts'],
          exclude: ['**/*.kernel.test.ts', '**/*.hosts.test.ts'],
          // Starting a process for each file took longer than the tests; they keep nothing that outlives them.
          isolate: false,
          // They wait for more than half of their time, and vitest would take one process less than there are processors.
          maxWorkers: 3,
          expect,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'kernel',
          include: ['packages/*/src/**/*.kernel.test.ts'],
          pool: 'forks',
          // Each file has namespaces, devices and directories of its own, and waits about a third of its time; what measures rates needs the rest.
          maxWorkers: 2,
          expect,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'hosts',
          include: ['packages/*/src/**/*.hosts.test.ts'],
          pool: 'forks',
          // Labs of different names share nothing, and their tests wait for about half of their time.
          maxWorkers: 3,
          expect,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
