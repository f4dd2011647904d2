/** An agent of another version: the same program, started again with other BPF programs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Rig, ROOT } from './rig.js';
import { eventually, run, succeed } from './run.js';

/** Other code over the same tables, and tables of another layout. */
export const OTHER = { code: '-fno-strict-aliasing', tables: '-DCONTIV_SCHEMA=77' } as const;

/** Builds programs with each of the flags, for as long as `work` takes; all hosts have their own at their next start. */
export async function withPrograms(
  rig: Rig,
  hosts: readonly string[],
  flags: readonly string[],
  work: (objects: readonly string[]) => Promise<unknown>,
): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'contiv-e2e-bpf-'));
  try {
    const objects = flags.map((_, i) => join(dir, `${i}.bpf.o`));
    for (const [i, object] of objects.entries())
      await succeed('build', run(join(ROOT, 'scripts', 'build-bpf.sh'), [object, flags[i] ?? ''], { timeoutMs: 300_000 }));
    await work(objects);
  } finally {
    for (const host of hosts) await rig.setEnvironment(host, 'netplugin', {});
    await rm(dir, { recursive: true });
  }
}

/** Restarts the agents with these programs, or with their own; resolves when they have taken over and the others are gone. */
export async function upgrade(rig: Rig, hosts: readonly string[], object: string | undefined): Promise<void> {
  const programs = (host: string) => rig.on(host, 'find', '/sys/fs/bpf/contiv', '-name', 'from_container');
  await Promise.all(
    hosts.map(async (host) => {
      const before = await programs(host);
      await rig.setEnvironment(host, 'netplugin', object === undefined ? {} : { CONTIV_BPF_OBJECT: object });
      await rig.service(host, 'netplugin', 'restart');
      await eventually(`the new programs on ${host}`, async () => {
        const now = await programs(host);
        expect(now).not.toBe(before);
        expect(now.split('\n')).toHaveLength(1);
      });
    }),
  );
}
