import type { DoctorAnswer } from '@contiv/model';
import { expect, test } from 'vitest';
import { jsonLine } from '../output/document.js';
import { isControl } from '../output/table.js';
import { doctorText } from './doctor.js';
import { traceText } from './trace.js';

const page = (host: string): DoctorAnswer => ({
  healthy: false,
  version: '2.0.0',
  revision: 7,
  hosts: [
    {
      host,
      state: 'connected',
      version: '2.0.0',
      kernel: '6.1.0-28-cloud-amd64',
      mtu: 1500,
      clockMs: 0,
      behind: 0,
      endpoints: 1,
      peers: { good: 1, all: 1 },
    },
  ],
  findings: [{ severity: 'error', thing: `host ${host}`, reason: 'its agent is not connected', way: 'start netplugin there' }],
});
const heads = (text: string): string[] => text.split('\n')[0]?.trim().split(/ {2,}/) ?? [];

test.each([
  ['node1', ['Host', 'State', 'Version', 'Kernel', 'MTU', 'Clock', 'Behind', 'Peers']],
  ['a-host-with-a-long-name', ['Host', 'State', 'Version', 'MTU', 'Clock', 'Behind', 'Peers']],
  ['a-host-with-a-long-name.example.com', ['Host', 'State', 'MTU', 'Clock', 'Behind', 'Peers']],
])('the page about %s fits 80 columns, and has all of them where there is room', (host, shown) => {
  const text = doctorText(page(host), 80);
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  expect(heads(text)).toEqual(shown);
  expect(heads(doctorText(page(host), 160))).toContain('Kernel');
});

test('nothing that hosts say steers the terminal', () => {
  const clears = 'c\u001b[2J\u009b2J';
  const finding = { severity: 'error', thing: clears, reason: clears, way: clears } as const;
  const side = { name: clears, ip: '10.1.1.1', tenant: 'blue', network: 'net', group: '', host: 'node1' };
  const stage = {
    stage: 'source',
    host: 'node1',
    ok: true,
    says: clears,
    intent: true,
    liveSays: clears,
    warning: clears,
    mend: clears,
  } as const;
  const path = { from: side, to: side, service: 'icmp', reachable: true, stages: [stage], differences: [], unasked: [] };
  const texts = [
    doctorText({ ...page('node1'), findings: [finding] }, 80),
    traceText({ reachable: true, paths: [path], notes: [] }, 80),
    jsonLine({ name: clears }),
  ];
  for (const text of texts) expect(Array.from(text).filter((c) => c !== '\n' && isControl(c))).toEqual([]);
  expect(texts[0]).toContain('✗ c?[2J?2J: c?[2J?2J');
  expect(texts[2]).toBe('{"name":"c\\u001b[2J\\u009b2J"}');
});
