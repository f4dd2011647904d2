import type { HostRegistration } from '@contiv/model';
import { afterEach, expect, test, vi } from 'vitest';
import type { ClusterListener } from '../cluster.js';
import { Registrar } from './registrar.js';

const first: HostRegistration = {
  vtepIp: '192.0.2.1',
  control: '192.0.2.1:9090',
  vxlanPort: 8472,
  mtu: 1500,
  uplinkMtu: 1500,
  version: '2.0.0',
};
let registrar: Registrar | undefined;
afterEach(() => registrar?.stop());

test('netmaster is told once that the uplinks have another MTU, also when it was away at first', async () => {
  let now = first;
  let away = true;
  const told: HostRegistration[] = [];
  const listeners: ClusterListener[] = [];
  const cluster = { synced: true, listen: (listener: ClusterListener) => void listeners.push(listener) };
  const register = async (_host: string, registration: HostRegistration): Promise<void> => {
    if (away) throw new Error('away');
    told.push(registration);
  };
  registrar = new Registrar({ host: 'h1', cluster, calls: { register }, registration: () => now, everyMs: 10 });
  for (const listener of listeners) listener.synced?.();
  await new Promise((wake) => setTimeout(wake, 50));
  now = { ...first, uplinkMtu: 9000 };
  await new Promise((wake) => setTimeout(wake, 50));
  expect(told).toEqual([]);
  away = false;
  await vi.waitFor(() => expect(told).toEqual([now]), 30_000);
  await new Promise((wake) => setTimeout(wake, 50));
  expect(told).toHaveLength(1);
});
