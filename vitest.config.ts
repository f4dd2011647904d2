import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['source'] };
const ssr = { resolve };

/** `unit`: seconds, no root. `kernel`: this machine's kernel, stores and engines, as root. `hosts`: real hosts of the lab, minutes. */
export default defineConfig({
  resolve,
  ssr,
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts'],
          exclude: ['**/*.kernel.test.ts', '**/*.hosts.test.ts'],
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
          // Each file has namespaces, devices and directories of its own, and waits about half of its time.
          maxWorkers: 2,
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
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
