import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@contiv/observe';
import { afterEach, expect, test, vi } from 'vitest';
import { type EndpointRecord, openLocalState } from '../state/records.js';
import { ContainerMtus } from './mtus.js';

const record = (endpointId: string, mtu?: number): EndpointRecord => ({
  endpointId,
  networkId: 'n',
  ref: { tenant: 'default', network: 'net' },
  ip: '10.1.1.1',
  mac: `02:02:0a:01:01:0${endpointId}`,
  port: `cv${endpointId}`,
  peer: `cp${endpointId}`,
  createdAt: 0,
  stage: 'ready',
  sandboxKey: `/sandbox/${endpointId}`,
  ...(mtu === undefined ? {} : { mtu }),
});
const PATIENCE_MS = 30_000;
let mtus: ContainerMtus | undefined;
afterEach(() => mtus?.stop());

test('containers get a smaller MTU and no larger one, and each is looked at only when it must be', async () => {
  const endpoints = new Map([record('1', 1450), record('2', 1450), record('3')].map((r) => [r.endpointId, r]));
  const inside = new Map([
    ['/sandbox/1', 1450],
    ['/sandbox/2', 1300],
    ['/sandbox/3', 1450],
  ]);
  const looks: string[] = [];
  let away = '/sandbox/1';
  let network = 1450;
  mtus = new ContainerMtus({
    endpoints: { get: (id) => endpoints.get(id), setAnyway: (id, r) => void endpoints.set(id, r), values: () => [...endpoints.values()] },
    mtuOf: () => network,
    sandboxes: {
      find: async (sandbox) => {
        looks.push(sandbox);
        if (sandbox === away) throw new Error('not there yet');
        return {
          name: 'eth0',
          mtu: inside.get(sandbox) ?? 0,
          ip: async (...args) => {
            expect(args.slice(0, 5)).toEqual(['link', 'set', 'dev', 'eth0', 'mtu']);
            inside.set(sandbox, Number(args[5]));
          },
        };
      },
    },
    log: silentLogger(),
    everyMs: 10,
  });
  mtus.start();
  // Of an earlier agent, which kept no MTUs.
  await vi.waitFor(() => expect(endpoints.get('3')?.mtu).toBe(1450), PATIENCE_MS);
  await new Promise((wake) => setTimeout(wake, 50));
  expect(looks).toEqual(['/sandbox/3']);

  network = 1350;
  await vi.waitFor(() => expect(looks).toContain('/sandbox/1'), PATIENCE_MS);
  expect(endpoints.get('1')?.mtu).toBe(1450);
  away = '';
  await vi.waitFor(() => expect([...endpoints.values()].map((r) => r.mtu)).toEqual([1350, 1350, 1350]), PATIENCE_MS);
  expect([...inside.values()]).toEqual([1350, 1300, 1350]);

  network = 8950;
  const before = looks.length;
  await new Promise((wake) => setTimeout(wake, 50));
  expect(looks).toHaveLength(before);
});

test('a disk that takes nothing keeps no container from its smaller MTU', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mtus-'));
  const { endpoints } = openLocalState(dir, () => undefined);
  for (const id of ['1', '2']) endpoints.set(id, record(id, 1450));
  rmSync(dir, { recursive: true });
  const lowered: string[] = [];
  const find = async (name: string) => ({ name, mtu: 1450, ip: async () => void lowered.push(name) });
  mtus = new ContainerMtus({ endpoints, mtuOf: () => 1350, sandboxes: { find }, log: silentLogger(), everyMs: 10 });
  mtus.start();
  await vi.waitFor(() => expect(endpoints.values().map(({ mtu }) => mtu)).toEqual([1350, 1350]), 5_000);
  expect(lowered).toEqual(['/sandbox/1', '/sandbox/2']);
});
