import { afterEach, expect, test } from 'vitest';
import { interfaceNames } from './state/records.js';
import { endpointOf, openRig } from './testing/rig.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test('what cannot be taken over at present is tried again, and nothing else suffers', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  const { port } = interfaceNames('e1');
  let asked = 0;
  rig.datapath.listPorts = async () => {
    if (++asked === 1) throw new Error('the kernel does not list interfaces');
    return [port];
  };
  rig.datapath.published = [{ port, protocol: 'tcp', hostPort: 9_099, containerPort: 80 }];
  const value = {
    key: 'n.default-e1',
    tenant: 'default',
    network: 'n',
    endpointId: 'e1',
    host: 'h1',
    ip: '10.1.2.9',
    mac: '02:02:0a:01:02:09',
  };
  rig.master.send({ type: 'put', rev: 100, kind: 'endpoint', key: value.key, value });
  await expect.poll(() => rig.cluster.mirror.endpoints.size).toBe(1);
  rig.dataplane.schedule(0);
  await expect.poll(() => rig.dataplane.status.failed).toEqual(['the kernel does not list interfaces']);
  await expect.poll(() => rig.state.endpoints.get('e1')?.stage).toBe('ready');
  expect(rig.state.endpoints.get('e1')?.published).toEqual([{ protocol: 'tcp', hostPort: 9_099, containerPort: 80 }]);
  await expect.poll(() => rig.dataplane.status.failed).toEqual([]);
});

test('ports that no way leads to are taken back, and nothing else of what became known meanwhile', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  rig.state.endpoints.set('e1', endpointOf('e1'));
  const apply = rig.datapath.apply.bind(rig.datapath);
  rig.datapath.apply = async (...args) => {
    const record = rig.state.endpoints.get('e1');
    if (record?.published) rig.state.endpoints.set('e1', { ...record, labelsRead: true });
    return { ...(await apply(...args)), outsideFault: 'the private subnet is taken' };
  };
  const publishing = rig.dataplane.publish('e1', [{ protocol: 'tcp', hostPort: 9_099, containerPort: 80 }]);
  await expect(publishing).rejects.toThrow('the private subnet is taken');
  expect(rig.state.endpoints.get('e1')).toEqual(
    endpointOf('e1', { labelsRead: true, createdAt: rig.state.endpoints.get('e1')?.createdAt ?? 0 }),
  );
});
