import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyMirror } from '@contiv/client';
import type { FlowEvent } from '@contiv/datapath';
import type { Ipv4 } from '@contiv/model';
import { createLogger, createMetrics } from '@contiv/observe';
import { afterEach, expect, test, vi } from 'vitest';
import { FakeFlows } from '../testing/fake-datapath.js';
import { Flows } from './flows.js';
import { FlowLog } from './log.js';
import { FlowNames } from './names.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

const denied: FlowEvent = {
  kind: 'denied',
  connection: {
    domain: 7,
    protocol: 6,
    src: { ip: '10.1.1.1' as Ipv4, port: 1 },
    dst: { ip: '10.1.1.2' as Ipv4, port: 80 },
    started: 0,
    seen: 0,
    rule: 0,
    denied: true,
    replied: false,
    end: undefined,
    told: true,
    logged: false,
    way: 'out',
    packets: [1, 0],
    bytes: [60, 0],
  },
};

/** Flows as the agent has them, recorded below `place`. */
function start(place: string) {
  const lines: string[] = [];
  const source = new FakeFlows();
  const flows = new Flows({
    source,
    names: new FlowNames(
      () => emptyMirror(),
      () => new Map(),
    ),
    host: 'h1',
    log: new FlowLog(place, 1_000_000),
    logger: createLogger({ name: 'test', format: 'json', write: (line) => lines.push(line) }),
    metrics: createMetrics('test'),
  });
  flows.start();
  cleanups.push(() => flows.stop());
  return { flows, source, lines };
}

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'flows-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('that records cannot be written is said once, and again when it comes anew', async () => {
  const place = join(directory(), 'flows');
  const { flows, source, lines } = start(place);
  for (const round of [1, 2]) {
    rmSync(place, { recursive: true });
    writeFileSync(place, '');
    for (const lost of [1, 2]) {
      source.events.push(denied);
      await expect.poll(() => flows.leftOut).toBe(2 * (round - 1) + lost);
    }
    expect(lines.length).toBe(round);
    expect(lines.at(-1)).toMatch(/cannot be written and are lost/);
    expect(flows.fault).toMatch(/^E/);
    rmSync(place);
    source.events.push(denied);
    await expect.poll(() => existsSync(place) && readdirSync(place).some((name) => statSync(join(place, name)).size > 0)).toBe(true);
  }
  expect([flows.leftOut, flows.fault]).toEqual([4, '']);
});

test('a clock that is set back delays no end of a connection', async () => {
  const { flows, source } = start(directory());
  const open = { ...denied.connection, denied: false, replied: true };
  const states = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { records } of flows.answer({ filter: {}, limit: 10 }, new AbortController().signal))
      found.push(...records.map(({ state }) => state));
    return found;
  };
  source.table = [open];
  source.events.push({ kind: 'opened', connection: open });
  await expect.poll(states).toEqual(['open']);
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(Date.now() - 3_600_000);
  source.table = [];
  await expect.poll(states).toEqual([expect.stringMatching(/^(lost|expired)$/)]);
});

test('records that the disk does not give back are said to be missing, after those that are there', async () => {
  const place = join(directory(), 'flows');
  const { flows, source } = start(place);
  source.events.push(denied);
  await expect.poll(() => readdirSync(place).length).toBe(1);
  mkdirSync(join(place, 'flows-0000000000.ndjson'));
  let records = 0;
  const asked = async () => {
    for await (const chunk of flows.answer({ filter: {}, limit: 10 }, new AbortController().signal)) records += chunk.records.length;
  };
  await expect(asked()).rejects.toThrow(/records in .* cannot be read: EISDIR/);
  expect(records).toBe(1);
});
