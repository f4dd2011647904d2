import { createLogger, silentLogger } from '@contiv/observe';
import { afterEach, expect, test, vi } from 'vitest';
import { endpointOf, openRig } from '../testing/rig.js';
import { Routes } from './routes.js';
import { leaveSandbox, resumeMoves } from './sandbox-routes.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test('a route that cannot be moved is told of, unless the container is leaving that network as well', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  const { endpoints } = rig.state;
  const endpointId = 'e1';
  const lines: string[] = [];
  const log = createLogger({ name: 'test', format: 'json', write: (line) => lines.push(line) });
  let tried = 0;
  const find = async (): Promise<never> => {
    tried++;
    throw new Error('the sandbox is gone');
  };
  const routes = new Routes(log, { find }, endpoints);
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  endpoints.set(endpointId, endpointOf(endpointId, { sandboxKey: 's1' }));
  routes.moveTo('s1', { endpointId, mac: '02:02:0a:01:02:03' });
  await vi.advanceTimersByTimeAsync(10_000);
  expect([tried, lines.length]).toEqual([4, 1]);
  routes.moveTo('s1', { endpointId, mac: '02:02:0a:01:02:03' });
  endpoints.delete(endpointId);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([tried, lines.length]).toEqual([4, 1]);
});

test('a route whose move an agent was killed in is moved by the next one, once', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  const { state } = rig;
  const inSandbox = (endpointId: string, more = {}) =>
    state.endpoints.set(endpointId, endpointOf(endpointId, { sandboxKey: 's1', mac: `02:02:0a:01:02:0${endpointId}`, ...more }));
  inSandbox('1', { dnsRoute: true });
  inSandbox('2');
  inSandbox('3');
  leaveSandbox({ state, routes: { moveTo: () => undefined } }, '1');
  const done: string[] = [];
  const find = async (_sandbox: string, { mac }: { mac: string }) => ({
    name: 'eth1',
    mtu: 1450,
    ip: async (...args: readonly string[]) => void done.push(`${mac} ${args.join(' ')}`),
  });
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  const start = async () => {
    resumeMoves({ state, routes: new Routes(silentLogger(), { find }, state.endpoints) });
    await vi.advanceTimersByTimeAsync(10_000);
    return new Set(done.splice(0));
  };
  expect(await start()).toEqual(new Set(['02:02:0a:01:02:02 route replace 169.254.20.10/32 dev eth1 scope link']));
  expect(state.endpoints.get('2')).toMatchObject({ dnsRoute: true });
  expect(await start()).toEqual(new Set());
});
