import { createLogger } from '@contiv/observe';
import { afterEach, expect, test } from 'vitest';
import { openRig } from '../testing/rig.js';
import { InfraNetworks } from './infra.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test('what keeps this host out of infra networks is logged once for each, and shown for as long as it is so', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  const { master, context } = rig;
  master.refuse.set('/plugin/createEndpoint', 'no address is left');
  const lines: string[] = [];
  const log = createLogger({ name: 'test', format: 'json', write: (line) => lines.push(line) });
  const infra = new InfraNetworks({ ...context, log });
  cleanups.push(() => infra.stop());
  const asked = () => master.paths().filter((path) => path === 'POST /plugin/createEndpoint').length;
  for (let round = 1; round <= 3; round++) {
    const before = asked();
    for (const [i, name] of ['infra1', 'infra2'].entries()) master.addNetwork('default', name, `10.${i}.0.0`, { nwType: 'infra' });
    await expect.poll(asked).toBeGreaterThanOrEqual(before + 2);
  }
  await expect.poll(() => infra.fault).toBe('infra network infra1: no address is left');
  await expect.poll(() => lines.length).toBe(2);
});
