import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { join } from 'node:path';
import { heapInUse } from '@contiv/observe/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openRig } from '../testing/rig.js';
import { driverRoutes } from './server.js';

type Rig = Awaited<ReturnType<typeof openRig>>;
const rigs: Rig[] = [];
async function rig(...args: Parameters<typeof openRig>): Promise<Rig> {
  const made = await openRig(...args);
  rigs.push(made);
  return made;
}
afterEach(async () => {
  for (const made of rigs.splice(0)) await made.close();
});

const NET = 'a'.repeat(64);
const EP = `${'b'.repeat(60)}0001`;
const options = (extra: Record<string, string> = {}) => ({ 'com.docker.network.generic': { tenant: 'default', encap: 'vxlan', ...extra } });

/** What an engine does for a network an agent makes, and one container in it. */
async function attach(r: Rig, ep = EP, sandbox = '/var/run/docker/netns/s1') {
  const pool = await r.call('IpamDriver.RequestPool', { Pool: '10.1.2.0/24', Options: { network: 'net', tenant: 'default' } });
  await r.call('NetworkDriver.CreateNetwork', {
    NetworkID: NET,
    Options: options({ 'pkt-tag': '1' }),
    IPv4Data: [{ AddressSpace: 'contiv', Pool: '10.1.2.0/24', Gateway: '10.1.2.0/24' }],
  });
  const address = await r.call('IpamDriver.RequestAddress', { PoolID: pool.body.PoolID, Address: '' });
  const created = await r.call('NetworkDriver.CreateEndpoint', {
    NetworkID: NET,
    EndpointID: ep,
    Interface: { Address: address.body.Address, AddressIPv6: '', MacAddress: '' },
  });
  const joined = await r.call('NetworkDriver.Join', { NetworkID: NET, EndpointID: ep, SandboxKey: sandbox });
  return { pool, address, created, joined };
}

describe('driver socket', () => {
  it('puts a container into the group that an option of its endpoint names, and refuses another with a sentence', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    await attach(r);
    const create = (group: unknown) =>
      r.call('NetworkDriver.CreateEndpoint', {
        NetworkID: NET,
        EndpointID: `${'c'.repeat(60)}0002`,
        Interface: { Address: '10.1.2.9/24', AddressIPv6: '', MacAddress: '' },
        Options: { 'io.contiv.group': group },
      });
    expect((await create('web')).body.Err).toBe(
      'tenant default has no endpoint group web; make it: netctl group create -t default net web',
    );
    for (const [name, network] of [
      ['web', 'net'],
      ['far', 'other'],
    ] as const)
      r.cluster.mirror.groups.set(`default:${name}`, { key: `default:${name}`, tenant: 'default', group: name, network, id: 7 });
    expect((await create('far')).body.Err).toBe('endpoint group far of tenant default belongs to network other, not to net');
    expect((await create(5)).body.Err).toBe('option io.contiv.group must be the name of an endpoint group');
    expect((await create('web')).body.Err).toBeUndefined();
    expect(r.state.endpoints.get(`${'c'.repeat(60)}0002`)?.ref.group).toBe('web');
    expect(r.datapath.ports.get('cvccccccccccc')?.group).toBe(7);
  });

  it('puts a container into the group its address was asked for in, whichever of equal pools its network was taken to have', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    await r.cluster.until(() => r.cluster.mirror.networks.has('default:net'), 5_000);
    const made = { web: `1${NET.slice(1)}`, db: `2${NET.slice(1)}` };
    const pools = new Map<string, unknown>();
    for (const group of ['web', 'db']) {
      r.cluster.mirror.groups.set(`default:${group}`, { key: `default:${group}`, tenant: 'default', group, network: 'net', id: 7 });
      const asked = { Pool: '10.1.2.0/24', Options: { network: 'net', tenant: 'default', group } };
      pools.set(group, (await r.call('IpamDriver.RequestPool', asked)).body.PoolID);
    }
    // An engine makes networks side by side, and names no pool here.
    for (const NetworkID of Object.values(made)) {
      const IPv4Data = [{ AddressSpace: 'contiv', Pool: '10.1.2.0/24', Gateway: '10.1.2.0/24' }];
      await r.call('NetworkDriver.CreateNetwork', { NetworkID, Options: options({ 'pkt-tag': '1' }), IPv4Data });
    }
    for (const [group, NetworkID] of Object.entries(made)) {
      const { body } = await r.call('IpamDriver.RequestAddress', { PoolID: pools.get(group), Address: '' });
      const Interface = { Address: body.Address, AddressIPv6: '', MacAddress: '' };
      const created = await r.call('NetworkDriver.CreateEndpoint', { NetworkID, EndpointID: `${NetworkID.slice(0, 60)}000e`, Interface });
      expect(created.body.Err).toBeUndefined();
    }
    expect(r.state.endpoints.values().map(({ networkId, ref }) => [networkId, ref.group])).toEqual([
      [made.web, 'web'],
      [made.db, 'db'],
    ]);
  });

  it('takes a container from address to interface and back', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    const { pool, address, created, joined } = await attach(r);
    expect(pool.body).toEqual({ PoolID: 'net.default|10.1.2.0/24', Pool: '10.1.2.0/24', Data: {} });
    expect(address.body.Address).toBe('10.1.2.1/24');
    expect(created.body).toEqual({ Interface: { MacAddress: '02:02:0a:01:02:01' } });
    expect(joined.body).toEqual({
      InterfaceName: { SrcName: 'cpbbbbbbbbbbb', DstPrefix: 'eth' },
      StaticRoutes: [{ Destination: '169.254.20.10/32', RouteType: 1 }],
    });
    expect([...r.datapath.ports.keys()]).toEqual(['cvbbbbbbbbbbb']);
    expect(r.state.reservations.size).toBe(0);
    expect((await r.call('NetworkDriver.Leave', { NetworkID: NET, EndpointID: EP })).status).toBe(200);
    expect((await r.call('NetworkDriver.DeleteEndpoint', { NetworkID: NET, EndpointID: EP })).body).toEqual({});
    expect((await r.call('IpamDriver.ReleaseAddress', { PoolID: pool.body.PoolID, Address: '10.1.2.1' })).body).toEqual({});
    expect(r.datapath.ports.size + r.state.endpoints.size).toBe(0);
    expect(r.master.paths().filter((p) => p.startsWith('POST /plugin/'))).toEqual([
      'POST /plugin/allocAddress',
      'POST /plugin/createEndpoint',
      'POST /plugin/deleteEndpoint',
    ]);
  });

  it('answers the descriptive calls as engines expect them', async () => {
    const r = await rig();
    expect((await r.call('Plugin.Activate')).body).toEqual({ Implements: ['NetworkDriver', 'IpamDriver'] });
    expect((await r.call('NetworkDriver.GetCapabilities')).body).toEqual({
      Scope: 'local',
      ConnectivityScope: 'global',
      GwAllocChecker: true,
    });
    expect((await r.call('NetworkDriver.GwAllocCheck', { Options: {} })).body).toEqual({ SkipIPv4: true, SkipIPv6: true });
    for (const path of driverRoutes(r.context).keys()) expect((await r.raw('GET', path, '')).status).toBe(405);
    expect((await r.call('NetworkDriver.Nonsense')).status).toBe(404);
  });

  it('gives the DNS route to one interface per sandbox, and to the other when that leaves', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    await attach(r);
    const second = `c${EP.slice(1)}`;
    expect((await attach(r, second)).joined.body.StaticRoutes).toBeUndefined();
    await r.call('NetworkDriver.Leave', { NetworkID: NET, EndpointID: EP });
    expect(r.moved).toEqual(['/var/run/docker/netns/s1 02:02:0a:01:02:01']);
    expect(r.state.endpoints.get(second)?.dnsRoute).toBe(true);
  });

  it('the DNS route moves also when nobody heard of the leaving', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    await attach(r);
    const second = `c${EP.slice(1)}`;
    await attach(r, second);
    await r.call('NetworkDriver.DeleteEndpoint', { NetworkID: NET, EndpointID: EP });
    expect(r.moved).toEqual(['/var/run/docker/netns/s1 02:02:0a:01:02:01']);
    expect(r.state.endpoints.get(second)?.dnsRoute).toBe(true);
  });

  it('closes no connection by itself: an engine of 20.10 repeats a call that meets the end of one without its contents', async () => {
    const r = await rig();
    const agent = new http.Agent({ keepAlive: true });
    const headers = await new Promise<http.IncomingHttpHeaders>((resolve, reject) => {
      const socketPath = join(r.dir, 'plugins', 'netplugin.sock');
      const req = http.request({ socketPath, path: '/Plugin.Activate', method: 'POST', agent }, (res) => {
        res.resume().on('end', () => resolve(res.headers));
      });
      req.on('error', reject).end('{}');
    });
    agent.destroy();
    expect(headers).toMatchObject({ connection: 'keep-alive' });
    expect(headers['keep-alive']).toBeUndefined();
  });

  it('takes back what it made too late for the engine', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    const now = performance.now.bind(performance);
    const addPort = r.datapath.addPort.bind(r.datapath);
    let late = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + late);
    r.datapath.addPort = async (port) => {
      await addPort(port);
      late = 4_850;
    };
    const { created } = await attach(r).finally(() => clock.mockRestore());
    expect(created).toMatchObject({ status: 500, body: { Err: expect.stringMatching(/made too late/) } });
    await expect.poll(() => r.datapath.ports.size + r.state.endpoints.size).toBe(0);
    expect(r.master.paths()).toContain('POST /plugin/deleteEndpoint');
  });

  it('hands on the sentence of netmaster and leaves nothing behind', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    r.master.refuse.set('/plugin/createEndpoint', 'ip address 10.1.2.1 is not available');
    const { created } = await attach(r);
    expect(created).toEqual({ status: 500, body: { Err: 'ip address 10.1.2.1 is not available' } });
    await r.call('IpamDriver.ReleaseAddress', { PoolID: 'net.default|10.1.2.0/24', Address: '10.1.2.1' });
    expect(r.state.endpoints.size + r.state.reservations.size + r.datapath.ports.size).toBe(0);
    expect(r.master.paths()).toContain('POST /plugin/releaseAddress');
  });

  it('fails within 5 s with a sentence while every master is dead, and still lets go of everything', async () => {
    const alive = await openRig();
    alive.master.addNetwork('default', 'net', '10.1.2.0');
    await attach(alive);
    await alive.close(true);
    const r = await rig({ deadMaster: true, dir: alive.dir, deadlineMs: 1_000 });
    expect(r.state.endpoints.get(EP)?.stage).toBe('ready');
    const began = performance.now();
    const refused = await r.call('IpamDriver.RequestAddress', { PoolID: 'net.default|10.1.2.0/24' });
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(refused.status).toBe(500);
    expect(refused.body.Err).toMatch(/no netmaster answers at .*; start netmaster/);
    for (const [call, body] of [
      ['NetworkDriver.Leave', { NetworkID: NET, EndpointID: EP }],
      ['NetworkDriver.DeleteEndpoint', { NetworkID: NET, EndpointID: EP }],
      ['IpamDriver.ReleaseAddress', { PoolID: 'net.default|10.1.2.0/24', Address: '10.1.2.1' }],
      ['IpamDriver.ReleasePool', { PoolID: 'net.default|10.1.2.0/24' }],
      ['NetworkDriver.DeleteNetwork', { NetworkID: NET }],
    ] as const) {
      expect(await r.call(call, body), call).toEqual({ status: 200, body: {} });
    }
    // Kept until netmaster has been told.
    expect(r.state.endpoints.get(EP)?.stage).toBe('deleting');
  });

  it('makes a netmaster network of docker network create, with either IPAM', async () => {
    const r = await rig();
    const pool = await r.call('IpamDriver.RequestPool', { Pool: '10.9.0.0/24' });
    const gateway = { PoolID: pool.body.PoolID, Address: '10.9.0.254', Options: { RequestAddressType: 'com.docker.network.gateway' } };
    expect((await r.call('IpamDriver.RequestAddress', gateway)).body.Address).toBe('10.9.0.254/24');
    const made = await r.call('NetworkDriver.CreateNetwork', {
      NetworkID: NET,
      Options: options({ tenant: 'blue', 'pkt-tag': '77' }),
      IPv4Data: [{ AddressSpace: 'contiv', Pool: '10.9.0.0/24', Gateway: '10.9.0.254/24' }],
    });
    expect(made).toEqual({ status: 200, body: {} });
    expect(r.master.calls.at(-1)).toMatchObject({
      path: 'POST /api/v1/networks/blue:docker-aaaaaaaaaaaa/',
      body: { tenantName: 'blue', subnet: '10.9.0.0/24', gateway: '10.9.0.254', pktTag: 77, origin: 'h1', foreignIpam: false },
    });
    const foreign = {
      NetworkID: 'd'.repeat(64),
      Options: {},
      IPv4Data: [{ AddressSpace: 'LocalDefault', Pool: '10.8.0.0/24', Gateway: '10.8.0.1/24' }],
    };
    expect((await r.call('NetworkDriver.CreateNetwork', foreign)).status).toBe(200);
    expect(r.master.calls.at(-1)?.body).toMatchObject({ tenantName: 'default', foreignIpam: true });
    expect(r.master.calls.at(-1)?.body.gateway).toBeUndefined();
    expect(r.state.networks.get('d'.repeat(64))?.wish?.reserved).toEqual(['10.8.0.1']);
  });

  it('says that netmaster is silent also when its own time runs out first', async () => {
    const alive = await openRig();
    alive.master.addNetwork('default', 'net', '10.1.2.0');
    await attach(alive);
    await alive.close(true);
    const r = await rig({ deadMaster: true, dir: alive.dir, deadlineMs: 10_000 });
    const late = await r.call('IpamDriver.RequestAddress', { PoolID: 'net.default|10.1.2.0/24' });
    expect(late).toMatchObject({
      status: 500,
      body: { Err: expect.stringMatching(/no netmaster answers at .*no answer yet.*; start netmaster/) },
    });
  });

  it('refuses what cannot be made, with netmaster’s sentence or its own', async () => {
    const r = await rig();
    const create = (extra: Record<string, string>, pool = '10.8.0.0/24') =>
      r.call('NetworkDriver.CreateNetwork', {
        NetworkID: NET,
        Options: options(extra),
        IPv4Data: [{ AddressSpace: 'LocalDefault', Pool: pool }],
      });
    expect((await create({ encpa: 'vxlan' })).body.Err).toMatch(/option "encpa" is not known/);
    expect((await create({ encap: 'gre' })).body.Err).toMatch(/encap=gre is wrong/);
    expect((await create({ 'pkt-tag': 'seven' })).body.Err).toMatch(/pkt-tag=seven is not a number/);
    r.master.refuse.set('/api/v1/networks/default:docker-aaaaaaaaaaaa/', 'network a conflicts with subnet 10.8.0.0/24');
    expect((await create({})).body.Err).toBe('network a conflicts with subnet 10.8.0.0/24');
    expect((await r.call('IpamDriver.RequestPool', {})).body.Err).toMatch(/--subnet/);
    expect((await r.call('IpamDriver.RequestPool', { Options: { network: 'x', tenant: 'red' } })).body.Err).toMatch(
      /tenant red has no network x; make it with/,
    );
    expect(r.state.networks.size).toBe(0);
  });

  it('survives 10,000 random requests unchanged', async () => {
    const r = await rig();
    r.master.addNetwork('default', 'net', '10.1.2.0');
    await attach(r);
    const before = JSON.stringify([r.state.endpoints.entries(), r.state.networks.entries(), r.state.pools.entries()]);
    const paths = [...driverRoutes(r.context).keys(), '/', '/NetworkDriver.', '/../etc/passwd', '/%00'];
    const junk: (() => string | Buffer)[] = [
      () => randomBytes(1 + Math.floor(Math.random() * 300)),
      () => '{"NetworkID":',
      () => JSON.stringify({ NetworkID: 5, EndpointID: null, PoolID: {}, Options: [] }),
      () =>
        JSON.stringify({
          NetworkID: randomBytes(8).toString('hex'),
          EndpointID: randomBytes(8).toString('latin1'),
          PoolID: '|||',
          Address: 'x',
        }),
      () => '[]'.repeat(3),
      () => 'null',
      () => `{"NetworkID":"${'x'.repeat(5000)}"}`,
      () => '{"__proto__":{"x":1},"NetworkID":"__proto__","EndpointID":"constructor"}',
    ];
    const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T;
    let heap = 0;
    for (let round = 0; round < 100; round++) {
      await Promise.all(Array.from({ length: 100 }, () => r.raw(pick(['POST', 'POST', 'POST', 'PUT']), pick(paths), pick(junk)())));
      if (round === 20) heap = heapInUse();
    }
    expect(heapInUse() - heap).toBeLessThan(20 * 1024 * 1024);
    expect(JSON.stringify([r.state.endpoints.entries(), r.state.networks.entries(), r.state.pools.entries()])).toBe(before);
    expect([...r.datapath.ports.keys()]).toEqual(['cvbbbbbbbbbbb']);
    expect((await r.call('Plugin.Activate')).status).toBe(200);
  }, 60_000);

  it('takes a call without its contents for a repetition by an engine of 20.10, and says so where it matters', async () => {
    const r = await rig();
    expect(await r.raw('POST', '/NetworkDriver.DeleteEndpoint', '')).toEqual({ status: 200, text: '{}' });
    expect(await r.raw('POST', '/NetworkDriver.EndpointOperInfo', '')).toEqual({ status: 200, text: '{"Value":{}}' });
    for (const call of ['CreateEndpoint', 'ProgramExternalConnectivity']) {
      const refused = await r.raw('POST', `/NetworkDriver.${call}`, '');
      expect(refused.status).toBe(500);
      expect(refused.text).toMatch(/netplugin was restarted during this call.*try again/);
    }
    expect((await r.raw('POST', '/NetworkDriver.DeleteEndpoint', '{}')).status).toBe(400);
  });

  it('refuses a body above 1 MiB', async () => {
    const r = await rig();
    const answer = await r
      .raw('POST', '/NetworkDriver.CreateNetwork', 'x'.repeat(1024 * 1024 + 10))
      .catch(() => ({ status: 400, text: '' }));
    expect(answer.status).toBe(400);
  });
});
