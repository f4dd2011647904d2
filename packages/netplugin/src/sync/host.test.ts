import type { Engine } from '@contiv/docker';
import { serveEngine } from '@contiv/docker/testing';
import { afterEach, expect, test } from 'vitest';
import { interfaceNames } from '../state/records.js';
import { openRig } from '../testing/rig.js';
import { HostSync } from './host.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** An engine that is starting a container: its network has the endpoint (as 20.10 and 28 show one without a sandbox), no container has it yet. */
async function engineThatStarts(endpoints: ReadonlySet<string>): Promise<Engine> {
  const { engine, close } = await serveEngine((path, res) => {
    if (path.includes('/containers/json'))
      res.end('[{"Id":"c1","State":"created","NetworkSettings":{"Networks":{"n":{"NetworkID":"","EndpointID":""}}}}]');
    else if (path.endsWith('/networks/net1')) {
      const Containers = Object.fromEntries([...endpoints].map((id) => [`ep-${id}`, { Name: 'c1', EndpointID: id }]));
      res.end(JSON.stringify({ Name: 'n', Id: 'net1', Driver: 'netplugin', Containers }));
    } else res.writeHead(404).end('{"message":"no such network"}');
  });
  cleanups.push(close);
  return engine;
}

test('a container that takes minutes to start keeps its endpoint; what the engine does not have any more goes', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  const made = (endpointId: string, minutesAgo: number, networkId = 'net1') =>
    rig.state.endpoints.set(endpointId, {
      endpointId,
      networkId,
      ref: { tenant: 'default', network: 'n' },
      ip: '10.1.2.3',
      mac: '02:02:0a:01:02:03',
      ...interfaceNames(endpointId),
      createdAt: Date.now() - minutesAgo * 60_000,
      stage: 'ready',
    });
  made('starting', 5);
  made('vanished', 5);
  made('of a network that is gone', 5, 'net2');
  made('forgotten by the engine', 60);
  const engine = await engineThatStarts(new Set(['starting', 'forgotten by the engine']));
  const sync = new HostSync(engine, rig.context);
  cleanups.push(() => sync.stop());
  sync.soon(0);
  const kept = () =>
    rig.state.endpoints
      .values()
      .filter((record) => record.stage !== 'deleting')
      .map((record) => record.endpointId);
  await expect.poll(kept).toEqual(['starting']);
  await expect
    .poll(() => rig.master.calls.find((call) => call.path.includes('reconcile'))?.body)
    .toMatchObject({ EndpointIDs: ['starting'] });
});
