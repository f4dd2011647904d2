import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { closedFlow } from '../testing/flow.js';
import { FlowLog } from './log.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'flows-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const times = async (log: FlowLog): Promise<number[]> => {
  const found: number[] = [];
  for await (const group of log.backwards()) found.push(...group.map((r) => r.time));
  return found;
};
const onDisk = () => readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);

it('gives back what was written, the newest first, also to who opens it anew', async () => {
  const log = new FlowLog(dir, 10_000_000);
  for (let time = 1; time <= 1_200; time++) log.append(closedFlow(time));
  expect(await times(log)).toEqual(Array.from({ length: 1_200 }, (_, i) => 1_200 - i));
  log.close();
  const again = new FlowLog(dir, 10_000_000);
  again.append(closedFlow(1_201));
  expect((await times(again)).slice(0, 2)).toEqual([1_201, 1_200]);
  again.close();
});

it('never takes more room than it has, and keeps the newest', async () => {
  const bound = 300_000;
  const log = new FlowLog(dir, bound);
  for (let time = 1; time <= 3_000; time++) {
    log.append(closedFlow(time));
    if (time % 7 === 0) log.flush();
    if (time % 500 === 0) expect(onDisk()).toBeLessThanOrEqual(bound);
  }
  const kept = await times(log);
  expect(kept[0]).toBe(3_000);
  expect(kept.length).toBeGreaterThan(500);
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => 3_000 - i));
  expect(log.size()).toBe(onDisk());
  log.close();
});

it('however much room it has, no segment is longer than can be read at once', async () => {
  const log = new FlowLog(dir, 100_000_000_000);
  for (let time = 1; time <= 3_000; time++) log.append({ ...closedFlow(time), policy: 'x'.repeat(6_000) });
  log.flush();
  expect(Math.max(...readdirSync(dir).map((name) => statSync(join(dir, name)).size))).toBeLessThanOrEqual(16 * 1024 * 1024);
  expect(onDisk()).toBeGreaterThan(17 * 1024 * 1024);
  log.close();
});

it('a line cut short by a crash, and bytes that are no record, cost nothing else', async () => {
  const log = new FlowLog(dir, 10_000_000);
  log.append(closedFlow(1));
  log.flush();
  log.close();
  const [file = ''] = readdirSync(dir);
  appendFileSync(join(dir, file), '{"hosts":[1]}\n{"hosts":["h1"],"ten');
  const again = new FlowLog(dir, 10_000_000);
  again.append(closedFlow(2));
  expect(await times(again)).toEqual([2, 1]);
  again.close();
});

it('a disk that takes nothing is counted and survived, with its reason', async () => {
  const log = new FlowLog(dir, 10_000_000);
  rmSync(dir, { recursive: true });
  writeFileSync(dir, '');
  log.append(closedFlow(1));
  log.flush();
  expect([log.lost, log.fault]).toEqual([1, expect.stringMatching(/^E/)]);
  rmSync(dir);
  log.append(closedFlow(2));
  expect(await times(log)).toEqual([2]);
  expect([log.lost, log.fault]).toEqual([1, '']);
  log.close();
});

it('goes on in a directory that somebody has removed', async () => {
  const log = new FlowLog(dir, 10_000_000);
  rmSync(dir, { recursive: true });
  expect(await times(log)).toEqual([]);
  log.append(closedFlow(1));
  expect(await times(log)).toEqual([1]);
  rmSync(dir, { recursive: true });
  log.append(closedFlow(2));
  expect(await times(log)).toEqual([2]);
  log.close();
  expect(log.lost).toBe(0);
});

it('finds what is newer behind what is older: clocks are set; and reads no further than a segment that is all too old', async () => {
  const log = new FlowLog(dir, 300_000);
  const far = 1_000_000;
  for (let time = 1; time <= 500; time++) {
    log.append(closedFlow(time));
    if (time % 50 === 0) log.flush();
  }
  for (const time of [far + 1, far + 2, 5, 6, far + 3]) log.append(closedFlow(time));
  const found: number[] = [];
  for await (const group of log.backwards(far)) found.push(...group.map((r) => r.time));
  expect(found).toEqual([far + 3, far + 2, far + 1]);
  const unread: string[] = [];
  const [oldest = ''] = readdirSync(dir).toSorted();
  rmSync(join(dir, oldest));
  mkdirSync(join(dir, oldest));
  for await (const group of log.backwards(far, (reason) => unread.push(reason))) expect(group.every(({ time }) => time >= far)).toBe(true);
  expect(unread).toEqual([]);
  let groups = 0;
  for await (const _ of log.backwards(0, (reason) => unread.push(reason))) groups++;
  expect(groups).toBeGreaterThan(1);
  expect(unread).toEqual([expect.stringMatching(/^records in .*\.ndjson cannot be read: EISDIR/)]);
  log.close();
});
