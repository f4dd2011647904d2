import type { Engine } from '@contiv/docker';
import { serveEngine } from '@contiv/docker/testing';
import { afterEach, expect, test } from 'vitest';
import { endpointOf, openRig } from '../testing/rig.js';
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
    } else if (path.endsWith('/networks/')) res.end('[]');
    else res.writeHead(404).end('{"message":"no such network"}');
  });
  cleanups.push(close);
  return engine;
}

const recordOf = (endpointId: string, minutesAgo: number, networkId = 'net1') =>
  endpointOf(endpointId, { networkId, createdAt: Date.now() - minutesAgo * 60_000 });

test('a container that takes minutes to start keeps its endpoint; what the engine does not have any more goes', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  const made = (...args: Parameters<typeof recordOf>) => rig.state.endpoints.set(args[0], recordOf(...args));
  made('starting', 5);
  made('vanished', 5);
  made('of a network that is gone', 5, 'net2');
  made('forgotten by the engine', 60);
  // Its record was lost, and it was taken over from netmaster.
  made('adopted', 5, '');
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

test('an endpoint that went without a call leaves the route to the DNS service to the others of its container', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  const sandboxKey = '/var/run/docker/netns/s1';
  for (const id of ['gone', 'gone too']) rig.state.endpoints.set(id, { ...recordOf(id, 60), sandboxKey, dnsRoute: id === 'gone' });
  rig.state.endpoints.set('stays', { ...recordOf('stays', 5), sandboxKey, mac: '02:02:0a:01:02:04' });
  const sync = new HostSync(await engineThatStarts(new Set(['stays'])), rig.context);
  cleanups.push(() => sync.stop());
  sync.soon(0);
  await expect.poll(() => rig.moved).toEqual([`${sandboxKey} 02:02:0a:01:02:04`]);
  expect(rig.state.endpoints.get('stays')?.dnsRoute).toBe(true);
});

test('an endpoint whose container ends while netmaster is asked for it again is not left there', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  for (const id of ['a', 'b']) rig.state.endpoints.set(id, recordOf(id, 5));
  let answer = (): void => undefined;
  rig.master.hold.set(
    '/plugin/createEndpoint',
    new Promise<void>((resolve) => {
      answer = resolve;
    }),
  );
  const told = (path: string) => rig.master.calls.filter((call) => call.path === `POST /plugin/${path}`).map(({ body }) => body.EndpointID);
  const sync = new HostSync(await engineThatStarts(new Set(['a', 'b'])), rig.context);
  cleanups.push(() => sync.stop());
  sync.soon(0);
  await expect.poll(() => told('createEndpoint')).toEqual(['a']);
  for (const id of ['a', 'b']) await rig.call('NetworkDriver.DeleteEndpoint', { NetworkID: 'net1', EndpointID: id });
  expect(told('deleteEndpoint')).toEqual(['a', 'b']);
  answer();
  await expect.poll(() => told('deleteEndpoint')).toEqual(['a', 'b', 'a']);
  await expect.poll(() => rig.master.paths()).toContain('POST /plugin/reconcileHost');
  expect(told('createEndpoint')).toEqual(['a']);
});
