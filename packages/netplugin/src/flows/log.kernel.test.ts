/** On a disk that really is full. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { closedFlow } from '../testing/flow.js';
import { FlowLog } from './log.js';

test('a disk that is nearly full takes what it can, and whole lines when it has room again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'flows-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'flows', dir]);
  try {
    const log = new FlowLog(join(dir, 'flows'), 10_000_000);
    writeFileSync(join(dir, 'other'), Buffer.alloc(40 * 1024));
    const append = (from: number, count: number) => {
      for (let time = from; time < from + count; time++) log.append(closedFlow(time));
    };
    append(1, 500);
    log.flush();
    const kept = 500 - log.lost;
    expect(kept).toBeGreaterThan(50);
    expect(log.lost).toBeGreaterThan(100);
    expect(log.fault).toMatch(/ENOSPC/);
    rmSync(join(dir, 'other'));
    append(1_001, 3);
    const found: number[] = [];
    for await (const group of log.backwards()) found.push(...group.map((r) => r.time));
    expect(found).toEqual([1_003, 1_002, 1_001, ...Array.from({ length: kept }, (_, i) => kept - i)]);
    log.close();
  } finally {
    execFileSync('umount', [dir]);
    rmSync(dir, { recursive: true });
  }
});
