import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { presence } from './presence.js';
import { openLocalState } from './state/records.js';

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function host() {
  const dir = mkdtempSync(join(tmpdir(), 'contiv-presence-'));
  dirs.push(dir);
  const state = openLocalState(dir, () => undefined);
  const cluster = { mirror: { networks: new Map() }, fault: '' };
  const engine = { errors: new Map<string, string>(), fault: '' };
  const ask = (wanted: boolean, waitMs: number) =>
    presence({ state, cluster }, () => engine, { tenant: 'blue', network: 'web', wanted, waitMs });
  const make = () =>
    state.networks.set('id1', {
      networkId: 'id1',
      ref: { tenant: 'blue', network: 'web' },
      dockerName: 'web/blue',
      createdAt: Date.now(),
    });
  return { state, engine, cluster, ask, make };
}

test('is told as soon as the engine has it, and as soon as it has it no more', async () => {
  const { state, ask, make } = host();
  const made = ask(true, 5_000);
  setTimeout(make, 30);
  expect(await made).toEqual({ present: true, reason: '' });
  const gone = ask(false, 5_000);
  setTimeout(() => state.networks.delete('id1'), 30);
  expect(await gone).toEqual({ present: false, reason: '' });
});

test('after its time the reason is told: the engine, a clash of names, the stream', async () => {
  const { engine, cluster, ask, make } = host();
  expect(await ask(true, 0)).toEqual({ present: false, reason: 'the engine has not made it yet' });
  cluster.fault = 'stream broke';
  expect((await ask(true, 0)).reason).toBe('stream broke');
  engine.errors.set('web/blue', 'network name used by another driver');
  expect((await ask(true, 0)).reason).toBe('network name used by another driver');
  engine.fault = 'no engine';
  expect((await ask(true, 0)).reason).toBe('no engine');
  make();
  engine.fault = '';
  engine.errors.clear();
  cluster.fault = '';
  expect(await ask(false, 0)).toEqual({ present: true, reason: 'the engine has not removed it yet' });
});

test('a group of the network is not the network, and neither is one whose making is not finished', async () => {
  const { state, ask, make } = host();
  state.networks.set('id2', { networkId: 'id2', ref: { tenant: 'blue', network: 'web', group: 'g' }, dockerName: 'g/blue', createdAt: 1 });
  expect((await ask(true, 0)).present).toBe(false);
  make();
  expect((await ask(true, 0)).present).toBe(true);
});
