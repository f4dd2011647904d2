import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyMirror } from '@contiv/client';
import type { FlowEvent } from '@contiv/datapath';
import type { Ipv4 } from '@contiv/model';
import { createLogger, createMetrics } from '@contiv/observe';
import { afterEach, expect, test } from 'vitest';
import { FakeFlows } from '../testing/fake-datapath.js';
import { Flows } from './flows.js';
import { FlowLog } from './log.js';
import { FlowNames } from './names.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
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

test('that records cannot be written is said once, and again when it comes anew', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'flows-'));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  const place = join(dir, 'flows');
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
  for (const round of [1, 2]) {
    rmSync(place, { recursive: true });
    writeFileSync(place, '');
    for (const lost of [1, 2]) {
      source.events.push(denied);
      await expect.poll(() => flows.leftOut).toBe(2 * (round - 1) + lost);
    }
    expect(lines.length).toBe(round);
    expect(lines.at(-1)).toMatch(/cannot be written and are lost/);
    rmSync(place);
    source.events.push(denied);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(flows.leftOut).toBe(4);
});
