/** Networks of `docker network create`, in the moments between Docker and netmaster. */
import { serveEngine } from '@contiv/docker/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NetworkDriver } from '../driver/networks.js';
import { openRig } from '../testing/rig.js';
import { DockerNetworks } from './docker-networks.js';

const ID = `0123456789ab${'c'.repeat(52)}`;
const PROVISIONAL = 'default:docker-0123456789ab';
const FINAL = 'default:proj-net';

const cleanups: (() => unknown)[] = [];
let rig: Awaited<ReturnType<typeof openRig>>;
beforeEach(async () => {
  rig = await openRig();
  cleanups.push(() => rig.close());
});
afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** An engine with the networks of `names`, by id; what it is told to make or remove. */
async function networksOf(names: Map<string, string>) {
  const told: string[] = [];
  const { engine, close } = await serveEngine((path, res, method) => {
    if (method !== 'GET') {
      told.push(`${method} ${path}`);
      res.end('{"Id":"made"}');
    } else res.end(JSON.stringify([...names].map(([Id, Name]) => ({ Id, Name, Driver: 'netplugin', Options: {} }))));
  });
  const networks = new DockerNetworks(engine, rig.context, 'netplugin');
  cleanups.push(close, () => networks.stop());
  return { networks, told };
}

/** Docker has asked for a network, and has not told its name yet. */
async function created(): Promise<void> {
  const IPv4Data = [{ AddressSpace: 'LocalDefault', Pool: '10.9.0.0/24' }];
  expect((await rig.call('NetworkDriver.CreateNetwork', { NetworkID: ID, Options: {}, IPv4Data })).status).toBe(200);
  await expect.poll(() => [...rig.cluster.mirror.networks.keys()]).toEqual([PROVISIONAL]);
}

test('a network that is removed in the moment it gets its name is gone for good', async () => {
  const names = new Map([[ID, 'proj_net']]);
  const { networks, told } = await networksOf(names);
  await created();
  let goOn = (): void => undefined;
  rig.master.hold.set(`/api/v1/networks/${FINAL}/`, new Promise<void>((resolve) => (goOn = resolve)));
  networks.soon();
  await expect.poll(() => rig.master.paths()).toContain(`POST /api/v1/networks/${FINAL}/`);
  names.clear();
  expect((await rig.call('NetworkDriver.DeleteNetwork', { NetworkID: ID })).status).toBe(200);
  goOn();
  await expect.poll(() => rig.master.paths()).toContain(`DELETE /api/v1/networks/${FINAL}/`);
  await expect.poll(() => rig.state.networks.size).toBe(0);
  networks.soon();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([...rig.master.networks.keys()]).toEqual([]);
  expect(told).toEqual([]);
});

test('a network that gets its name late stays, although the stream is later still', async () => {
  const { networks, told } = await networksOf(new Map([[ID, 'proj_net']]));
  await created();
  const record = rig.state.networks.get(ID);
  if (record) rig.state.networks.set(ID, { ...record, createdAt: Date.now() - 60_000 });
  const { master } = rig;
  const send = master.send.bind(master);
  master.send = (line) => void setTimeout(() => send(line), 200);
  networks.soon();
  await expect.poll(() => rig.cluster.mirror.networks.get(FINAL)?.dockerName).toBe('proj_net');
  networks.soon();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await expect.poll(() => rig.state.networks.get(ID)).toMatchObject({ ref: { network: 'proj-net' }, dockerName: 'proj_net' });
  expect(told).toEqual([]);
});

test('what is left of a docker network create that broke off goes, after a while, and nothing else', async () => {
  const { networks } = await networksOf(new Map([[ID, 'proj_net']]));
  const { master } = rig;
  master.addNetwork('default', 'docker-000000000000', '10.7.0.0', { origin: 'h1' });
  master.addNetwork('default', 'docker-111111111111', '10.8.0.0', { origin: 'another host' });
  master.addNetwork('default', 'docker-0123456789ab', '10.9.0.0', { origin: 'h1' });
  master.addNetwork('default', 'made', '10.10.0.0', { origin: 'h1', dockerName: 'made' });
  await expect.poll(() => rig.cluster.mirror.networks.size).toBe(4);
  vi.useFakeTimers({ toFake: ['Date'] });
  const removed = () => master.paths().filter((path) => path.startsWith('DELETE'));
  const look = async (): Promise<void> => {
    networks.soon();
    await new Promise((resolve) => setTimeout(resolve, 100));
  };
  await look();
  expect(removed()).toEqual([]);
  vi.setSystemTime(Date.now() + 31_000);
  await look();
  await expect.poll(removed).toEqual(['DELETE /api/v1/networks/default:docker-000000000000/']);
});

test('a network that the engine is still making is not asked for again because another one could not be made', async () => {
  const held: (() => void)[] = [];
  let made = 0;
  const { engine, close } = await serveEngine((_path, res, method) => {
    if (method === 'GET') res.end('[]');
    else if (++made === 1) res.destroy();
    else held.push(() => res.end('{"Id":"made"}'));
  });
  const networks = new DockerNetworks(engine, rig.context, 'netplugin');
  cleanups.push(
    close,
    () => networks.stop(),
    () => {
      for (const answer of held) answer();
    },
  );
  for (const name of ['a', 'b']) rig.master.addNetwork('default', name, '10.7.0.0');
  networks.soon();
  await expect.poll(() => made).toBe(2);
  // The first failure is followed by another round within half a second.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(made).toBe(2);
});

test('what a Docker network stands for is what it was made for, whatever the driver took it for', async () => {
  const ids = { web: `1${ID.slice(1)}`, db: `2${ID.slice(1)}` };
  rig.master.addNetwork('default', 'n', '10.7.0.0');
  await expect.poll(() => rig.cluster.mirror.networks.size).toBe(1);
  const listed = Object.entries(ids).map(([group, Id]) => {
    rig.cluster.mirror.groups.set(`default:${group}`, { key: `default:${group}`, tenant: 'default', group, network: 'n', id: 7 });
    const IPAM = { Driver: 'netplugin', Options: { network: 'n', tenant: 'default', group }, Config: [{ Subnet: '10.7.0.0/24' }] };
    return { Id, Name: group, Driver: 'netplugin', Options: { encap: 'vxlan', 'pkt-tag': '1', tenant: 'default' }, IPAM };
  });
  const told: string[] = [];
  const { engine, close } = await serveEngine((path, res, method) => {
    if (method !== 'GET') told.push(`${method} ${path}`);
    res.end(method === 'GET' ? JSON.stringify(listed) : '{"Id":"made"}');
  });
  const networks = new DockerNetworks(engine, rig.context, 'netplugin');
  cleanups.push(close, () => networks.stop());
  // An agent that was killed before it had the engine's answer left the two the wrong way round.
  const mistaken = (networkId: string, group: string) =>
    rig.state.networks.set(networkId, { networkId, ref: { tenant: 'default', network: 'n', group }, createdAt: Date.now() });
  mistaken(ids.web, 'db');
  mistaken(ids.db, 'web');
  networks.soon();
  const groupOf = (id: string) => rig.state.networks.get(id)?.ref.group;

  await expect.poll(() => [groupOf(ids.web), groupOf(ids.db)]).toEqual(['web', 'db']);
  await expect.poll(() => told).toContain('POST /v1.41/networks/create');
  expect(told.filter((line) => line.startsWith('DELETE'))).toEqual([]);
});

test('a network of docker network create gets its name while hundreds of others are still to be made', async () => {
  const ALL = 60;
  const made: string[] = [];
  let listed: { Id: string; Name: string }[] = [];
  const { engine, close } = await serveEngine((path, res, method) => {
    if (method === 'GET') res.end(JSON.stringify(path.includes('/networks') ? listed.map((one) => ({ ...one, Driver: 'netplugin' })) : []));
    else
      setTimeout(() => {
        const Id = `made-${made.length}`;
        made.push(Id);
        res.end(JSON.stringify({ Id }));
      }, 30);
  });
  const networks = new DockerNetworks(engine, rig.context, 'netplugin');
  cleanups.push(close, () => networks.stop());
  for (let i = 0; i < ALL; i++) rig.master.addNetwork('default', `n${i}`, `10.8.${i}.0`);
  await expect.poll(() => rig.cluster.mirror.networks.size).toBe(ALL);
  const context = { ...rig.context, nudge: () => networks.soon() };
  networks.soon();
  await expect.poll(() => made.length).toBeGreaterThan(0);
  listed = [{ Id: ID, Name: 'proj_net' }];
  await new NetworkDriver(context).create({
    NetworkID: ID,
    IPv4Data: [{ AddressSpace: 'LocalDefault', Pool: '10.9.0.0/24', Gateway: '' }],
  });
  await expect.poll(() => rig.state.networks.get(ID)?.dockerName).toBe('proj_net');
  expect(made.length).toBeLessThan(ALL / 2);
  await expect.poll(() => made.length).toBeGreaterThanOrEqual(ALL);
});
