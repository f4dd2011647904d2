/** On a disk that really is full: nothing new begins, and what ends does so to its end. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openRig } from '../testing/rig.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test('a container can be removed, and none is made', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'full', dir]);
  cleanups.push(() => {
    execFileSync('umount', [dir]);
    rmSync(dir, { recursive: true });
  });
  const rig = await openRig({ dir });
  cleanups.push(() => rig.close(true));
  rig.master.addNetwork('default', 'n', '10.1.2.0');
  await expect.poll(() => rig.cluster.mirror.networks.size).toBe(1);
  rig.state.networks.set('net1', { networkId: 'net1', ref: { tenant: 'default', network: 'n' }, createdAt: 0, dockerName: 'n' });
  const endpoint = (EndpointID: string) => ({ NetworkID: 'net1', EndpointID });
  const create = (id: string, last: number) =>
    rig.call('NetworkDriver.CreateEndpoint', {
      ...endpoint(id),
      Interface: { Address: `10.1.2.${last}/24`, AddressIPv6: '', MacAddress: '' },
    });
  const Options = { 'com.docker.network.portmap': [{ Proto: 6, Port: 80, HostPort: 0, HostPortEnd: 0 }] };
  for (const [name, body] of [
    ['Join', { SandboxKey: '/ns/1' }],
    ['ProgramExternalConnectivity', { Options }],
  ] as const) {
    if (name === 'Join') expect((await create('leaves', 9)).status).toBe(200);
    expect((await rig.call(`NetworkDriver.${name}`, { ...endpoint('leaves'), ...body })).body.Err).toBeUndefined();
  }
  expect(rig.state.endpoints.get('leaves')).toMatchObject({ sandboxKey: '/ns/1', published: [{ containerPort: 80 }] });
  expect(() => {
    for (let i = 0; ; i++) writeFileSync(join(dir, `filler${i}`), Buffer.alloc(4_096));
  }).toThrow(/ENOSPC/);

  const refused = await create('comes', 10);
  expect(refused).toMatchObject({
    status: 500,
    body: { Err: expect.stringMatching(/endpoints.* cannot be written: ENOSPC.*; make room/) },
  });
  expect(rig.state.endpoints.has('comes')).toBe(false);
  for (const name of ['RevokeExternalConnectivity', 'Leave', 'DeleteEndpoint'])
    expect(await rig.call(`NetworkDriver.${name}`, endpoint('leaves')), name).toMatchObject({ status: 200 });
  expect(rig.datapath.ports.size).toBe(0);
  await expect.poll(() => rig.state.endpoints.size).toBe(0);
  expect(rig.master.calls.filter(({ path }) => path === 'POST /plugin/deleteEndpoint').map(({ body }) => body.EndpointID)).toEqual([
    'leaves',
  ]);
});
