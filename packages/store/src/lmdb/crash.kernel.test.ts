import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { collect, revisionOf } from '../conformance.js';
import { LmdbStore } from './store.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'contiv-lmdb-crash-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('SIGKILL in the middle of writes: what was acknowledged is there, history is whole, the directory is free', async () => {
  const program = join(import.meta.dirname, 'crash-writer.ts');
  const path = join(directory, 'store');
  const acknowledged: { revision: number; key: string }[] = [];
  for (let round = 0; round < 4; round++) {
    const child = spawn(process.execPath, ['--import', 'tsx', '--conditions', 'source', program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const lines = createInterface({ input: child.stdout });
    const done = new Set<string>();
    lines.on('line', (line) => {
      const [revision, writer, i] = line.split(' ');
      done.add(`/all/${writer}/${i}`);
      acknowledged.push({ revision: Number(revision), key: `/all/${writer}/${i}` });
      if (done.size === 500 + round * 137) {
        // Its owner is alive: nobody else gets in.
        expect(() => new LmdbStore(path)).toThrow(new RegExp(`process ${child.pid} has it open`));
        child.kill('SIGKILL');
      }
    });
    await Promise.all([exited, once(lines, 'close')]);
    const store = new LmdbStore(path);
    const { revision, kvs } = await store.range('/all/');
    const present = new Set(kvs.map((kv) => kv.key));
    expect([...done].filter((key) => !present.has(key))).toEqual([]);
    const events = await collect(store.watch('/', 1, AbortSignal.timeout(50)));
    const revisions = [...new Set(events.map(revisionOf))];
    expect(revisions).toEqual(Array.from({ length: revision }, (_, i) => i + 1));
    for (const written of acknowledged) expect(written.revision).toBeLessThanOrEqual(revision);
    await store.close();
  }
});

test('a disk that is full refuses what would be written and nothing else; what a dead holder had goes once there is room', async () => {
  const disk = join(directory, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'full', disk]);
  try {
    const path = join(disk, 'store');
    const first = new LmdbStore(path);
    const lease = await first.lease(1);
    await first.txn([], [{ put: '/leased', value: '', lease: lease.id }]);
    await first.close();
    const second = new LmdbStore(path);
    expect(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(4 * 1024 * 1024))).toThrow('ENOSPC');
    const large = 'x'.repeat(100_000);
    for (const end = performance.now() + 1_500; performance.now() < end; ) {
      const written = second.txn([], [{ put: '/large', value: large }]);
      await expect(written).rejects.toThrow(/^cannot write to the store in .*: No space left on device/);
      await setTimeout(200);
    }
    expect((await second.range('/')).kvs.map((kv) => kv.key)).toEqual(['/leased']);
    rmSync(join(disk, 'filler'));
    await expect.poll(() => second.get('/leased'), { timeout: 5_000 }).toBeUndefined();
    await second.txn([], [{ put: '/large', value: large }]);
    await second.close();
  } finally {
    execFileSync('umount', [disk]);
  }
});
