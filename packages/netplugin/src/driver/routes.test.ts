import { createLogger } from '@contiv/observe';
import { afterEach, expect, test, vi } from 'vitest';
import { endpointOf, openRig } from '../testing/rig.js';
import { Routes } from './routes.js';

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
