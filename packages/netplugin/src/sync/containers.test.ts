import { serveEngine } from '@contiv/docker/testing';
import { createLogger } from '@contiv/observe';
import { afterEach, expect, test } from 'vitest';
import { endpointOf, openRig } from '../testing/rig.js';
import { Containers } from './containers.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test('a container that netmaster refuses to know is named once in the log, and told again and again', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.refuse.set('/plugin/updateEndpoint', 'endpoint not found');
  rig.state.endpoints.set('e1', endpointOf('e1'));
  const { engine, close } = await serveEngine((path, res) =>
    res.end(
      path.endsWith('/c1/json')
        ? '{"Id":"c1","Name":"/web","NetworkSettings":{"Networks":{"n":{"EndpointID":"e1"}}}}'
        : '[{"Id":"c1","NetworkSettings":{"Networks":{}}}]',
    ),
  );
  const lines: string[] = [];
  const log = createLogger({ name: 'test', format: 'json', write: (line) => lines.push(line) });
  const containers = new Containers(engine, { ...rig.context, log });
  cleanups.push(close, () => containers.stop());
  const reports = () => rig.master.paths().filter((path) => path === 'POST /plugin/updateEndpoint').length;
  for (let n = 1; n <= 3; n++) {
    containers.changed('c1');
    await expect.poll(reports).toBeGreaterThanOrEqual(n);
  }
  await expect.poll(() => lines.filter((line) => line.includes('endpoint not found')).length).toBe(1);
  rig.master.refuse.clear();
  containers.changed('c1');
  await expect.poll(reports).toBeGreaterThanOrEqual(4);
});

test('of an adopted endpoint the engine tells the sandbox, and another interface there gets no second route to the DNS service', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  rig.state.endpoints.set('adopted', endpointOf('adopted', { networkId: '' }));
  const Networks = { n: { EndpointID: 'adopted', NetworkID: 'net1' } };
  const detail = { Id: 'c1', Name: '/web', NetworkSettings: { SandboxKey: '/ns/1', Networks } };
  const { engine, close } = await serveEngine((path, res) => res.end(JSON.stringify(path.endsWith('/c1/json') ? detail : [])));
  const containers = new Containers(engine, rig.context);
  cleanups.push(close, () => containers.stop());
  containers.changed('c1');
  await expect.poll(() => rig.state.endpoints.get('adopted')).toMatchObject({ networkId: 'net1', sandboxKey: '/ns/1', dnsRoute: true });
  rig.state.endpoints.set('second', endpointOf('second', { networkId: 'net2' }));
  const joined = await rig.call('NetworkDriver.Join', { NetworkID: 'net2', EndpointID: 'second', SandboxKey: '/ns/1' });
  expect(joined.body.InterfaceName).toBeDefined();
  expect(joined.body.StaticRoutes).toBeUndefined();
});

test('what netmaster refuses to know of one of its networks keeps a container from no other one', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  for (const network of ['a', 'b']) {
    rig.master.addNetwork('default', network, '10.1.2.0');
    rig.state.endpoints.set(network, endpointOf(network, { ref: { tenant: 'default', network } }));
  }
  rig.master.refuseIf = (path, body) => (path === '/plugin/updateEndpoint' && body.EndpointID === 'a' ? 'endpoint not found' : undefined);
  const Networks = { a: { EndpointID: 'a' }, b: { EndpointID: 'b' } };
  const detail = { Id: 'c1', Name: '/web', NetworkSettings: { Networks } };
  const { engine, close } = await serveEngine((path, res) => res.end(JSON.stringify(path.endsWith('/c1/json') ? detail : [])));
  const containers = new Containers(engine, rig.context);
  cleanups.push(close, () => containers.stop());
  containers.changed('c1');
  const reported = () => rig.master.calls.filter(({ path }) => path === 'POST /plugin/updateEndpoint').map(({ body }) => body.EndpointID);
  await expect.poll(reported).toContain('b');
});

test('whoever stops while netmaster hangs waits for one container, not for all', async () => {
  const rig = await openRig({ deadlineMs: 400 });
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  rig.master.hold.set('/plugin/updateEndpoint', new Promise(() => undefined));
  const ids = Array.from({ length: 8 }, (_, i) => `c${i}`);
  for (const id of ids) rig.state.endpoints.set(id, endpointOf(id));
  const { engine, close } = await serveEngine((path, res) => {
    const id = /containers\/(c\d)\//.exec(path)?.[1];
    res.end(JSON.stringify(id === undefined ? [] : { Id: id, Name: `/${id}`, NetworkSettings: { Networks: { n: { EndpointID: id } } } }));
  });
  const containers = new Containers(engine, rig.context);
  cleanups.push(close, () => containers.stop());
  for (const id of ids) containers.changed(id);
  await expect.poll(() => rig.master.paths()).toContain('POST /plugin/updateEndpoint');
  const began = performance.now();
  await containers.stop();
  expect(performance.now() - began).toBeLessThan(1_200);
});
