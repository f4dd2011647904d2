/** Docker networks as a user of `docker` and of `netctl` meets them: made and removed on either side, names, addresses, families, gateways. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { networkInspect } from '@contiv/model';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';
import { rows } from './rig/tables.js';

const HOSTS = [MASTER, WORKER] as const;

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`net-${engine.slice(0, 3)}`);
  const networks = async (host: string) => (await rig.docker(host, 'network', 'ls', '--format', '{{.Name}} {{.Driver}}')).split('\n');
  /** Ours on every engine, in any order. */
  const everywhere = (...names: readonly string[]) =>
    eventually(`${names.join(', ')} on every engine`, async () => {
      for (const host of HOSTS)
        expect((await networks(host)).filter((line) => line.endsWith(' netplugin')).sort(), host).toEqual(
          names.map((name) => `${name} netplugin`).sort(),
        );
    });
  const netmasters = async (tenant: string) =>
    rows(await rig.netctl('net', 'ls', '-t', tenant))
      .slice(2)
      .map((cells) => cells[1]);
  const run = (host: string, name: string, ...options: readonly string[]) =>
    rig.docker(host, 'run', '-d', '--name', name, ...options, 'alpine', 'sleep', '10000');
  const inside = (host: string, name: string, script: string) => rig.docker(host, 'exec', name, 'sh', '-c', script);
  const addresses = async (host: string, name: string, device = 'eth0') =>
    [...(await inside(host, name, `ip -o addr show dev ${device}`)).matchAll(/inet6? (\S+)/g)]
      .map((m) => m[1])
      .filter((a) => !a?.startsWith('fe80'));
  const mac = async (host: string, name: string) => (await inside(host, name, 'cat /sys/class/net/eth0/address')).trim();
  /** Other hosts hear of a container and of its name a moment after its start. */
  const pings = (host: string, from: string, to: string, six = '') =>
    eventually(`${from} reaches ${to}`, async () =>
      expect(await inside(host, from, `ping ${six} -c 2 -i 0.2 -W 2 ${to}`)).toContain(' 0% packet loss'),
    );
  const remove = async (...names: readonly (readonly [string, string])[]) =>
    Promise.all(names.map(([host, name]) => rig.docker(host, 'rm', '-f', name)));

  beforeAll(async () => {
    // Networks are the same over either underlay.
    await rig.up('--engine', engine, '--underlay', engine === 'modern' ? 'ipv6' : 'ipv4');
    await rig.netctl('tenant', 'create', 'blue');
  });
  afterAll(() => rig.down());

  test('networks and groups made with netctl appear on every engine, removed ones vanish, foreign ones stay', async () => {
    for (const host of HOSTS) await rig.docker(host, 'network', 'create', '--subnet', '10.99.0.0/24', 'homemade');
    await rig.netctl('net', 'create', '-s', '10.1.2.0/24', 'contiv-net');
    await rig.netctl('net', 'create', '-t', 'blue', '-s', '10.1.2.0/24', 'contiv-net');
    await rig.netctl('group', 'create', 'contiv-net', 'web');
    await rig.netctl('group', 'create', '-t', 'blue', 'contiv-net', 'web');
    await rig.netctl('group', 'create', '-r', '10.1.2.100-10.1.2.101', 'contiv-net', 'pool');
    await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool');
    // The name belongs to somebody else on the engines: theirs stays as it is, and the agent says so.
    await rig.netctl('net', 'create', '-s', '10.98.0.0/24', 'homemade');
    for (const host of HOSTS)
      await eventually('the clash is told', async () => {
        const status = await rig.tryOn(host, 'netplugin', 'status');
        expect(status.code).toBe(2);
        expect(status.text).toContain('network name used by another driver: remove Docker network homemade (driver bridge)');
      });
    await rig.netctl('net', 'rm', 'homemade');
    for (const host of HOSTS) {
      await eventually('the clash is over', async () => expect((await rig.tryOn(host, 'netplugin', 'status')).code).toBe(0));
      expect(await networks(host)).toContain('homemade bridge');
    }
  });

  test('a network by any of its names, on both hosts', async () => {
    const wanted = [
      [MASTER, 'n1', 'contiv-net', '10.1.2.1/24'],
      [WORKER, 'n2', 'web', '10.1.2.2/24'],
      [MASTER, 'p1', 'pool', '10.1.2.100/24'],
      [WORKER, 'b1', 'contiv-net/blue', '10.1.2.1/24'],
      [MASTER, 'b2', 'web/blue', '10.1.2.2/24'],
    ] as const;
    for (const [host, name, network, address] of wanted) {
      await run(host, name, '--net', network);
      expect(await addresses(host, name), name).toEqual([address]);
      expect(await mac(host, name)).toBe(
        `02:02:${[10, 1, 2, Number(address.split(/[./]/)[3])].map((n) => n.toString(16).padStart(2, '0')).join(':')}`,
      );
    }
    await Promise.all([pings(MASTER, 'n1', '10.1.2.2'), pings(WORKER, 'n2', '10.1.2.100'), pings(WORKER, 'b1', '10.1.2.2')]);
    expect(rows(await rig.netctl('group', 'ls', '-a'))).toEqual([
      ['Tenant', 'Group', 'Network', 'IP Pool', 'CfgdTag', 'Policies', 'Network profile'],
      ['------', '-----', '-------', '-------', '-------', '--------', '---------------'],
      ['default', 'pool', 'contiv-net', '10.1.2.100-10.1.2.101'],
      ['default', 'web', 'contiv-net'],
      ['blue', 'web', 'contiv-net'],
    ]);
    await eventually('netmaster knows the names', async () => {
      const { Oper } = networkInspect.parse(JSON.parse(await rig.netctl('net', 'inspect', 'contiv-net')));
      expect(Oper.endpoints?.map((e) => [e.containerName, e.homingHost, e.macAddress])).toEqual(
        expect.arrayContaining([
          ['n1', MASTER, '02:02:0a:01:02:01'],
          ['n2', WORKER, '02:02:0a:01:02:02'],
          ['p1', MASTER, '02:02:0a:01:02:64'],
        ]),
      );
    });
  });

  test('addresses and MACs of choice are honoured, taken ones refused, freed ones given again', async () => {
    await run(WORKER, 'fixed', '--net', 'contiv-net', '--ip', '10.1.2.50');
    expect(await addresses(WORKER, 'fixed')).toEqual(['10.1.2.50/24']);
    await eventually('netmaster knows its name', () => rig.netctl('endpoint', 'inspect', 'fixed'));
    const taken = await rig.tryDocker(MASTER, ['run', '--name', 'late', '--net', 'contiv-net', '--ip', '10.1.2.50', 'alpine', 'true']);
    expect(taken.code).toBe(125);
    expect(taken.text).toMatch(
      /ip address 10\.1\.2\.50 is not available: endpoint [0-9a-f]{12} \(container fixed\) on host legacy-swarm-worker0 holds it/,
    );
    await remove([WORKER, 'fixed'], [MASTER, 'late']);
    // Removing does not wait long for a netmaster that is slow to hear of it.
    await eventually('it is free', async () => expect((await rig.tryNetctl('endpoint', 'inspect', 'fixed')).code).not.toBe(0));
    await run(MASTER, 'next', '--net', 'contiv-net', '--ip', '10.1.2.50');
    expect(await addresses(MASTER, 'next')).toEqual(['10.1.2.50/24']);
    await pings(WORKER, 'n2', '10.1.2.50');
    await remove([MASTER, 'next']);

    // By the API: this CLI asks the old engine for what came later.
    const body = JSON.stringify({
      Image: 'alpine',
      Cmd: ['sleep', '10000'],
      MacAddress: '02:42:11:22:33:44',
      HostConfig: { NetworkMode: 'contiv-net' },
    });
    const url = `${rig.engine(MASTER).replace('tcp', 'http')}/v1.41/containers/create?name=mac`;
    const made = await rig.inside(['curl', '-sS', '-H', 'content-type: application/json', '-d', body, url]);
    expect(made.text).toContain('"Id"');
    await rig.docker(MASTER, 'start', 'mac');
    expect(await mac(MASTER, 'mac')).toBe('02:42:11:22:33:44');
    await pings(WORKER, 'n2', 'mac');
    await remove([MASTER, 'mac']);
  });

  test('an exhausted pool says so to the user of docker run, and one container less is enough', async () => {
    await run(WORKER, 'p2', '--net', 'pool');
    const full = await rig.tryDocker(WORKER, ['run', '--rm', '--net', 'pool', 'alpine', 'true']);
    expect(full.code).toBe(125);
    expect(full.text).toContain('auto allocation failed - address exhaustion in pool 10.1.2.100-10.1.2.101; every address is taken');
    await remove([MASTER, 'p1']);
    await eventually('it is free', async () =>
      expect(await rig.docker(WORKER, 'run', '--rm', '--net', 'pool', 'alpine', 'ip', '-o', '-4', 'addr', 'show', 'eth0')).toContain(
        '10.1.2.100/24',
      ),
    );
    await remove([WORKER, 'p2']);
  });

  test('with a gateway a container has one interface, without one a second; both families', async () => {
    await rig.netctl('net', 'create', '-s', '10.9.0.0/24', '-g', '10.9.0.1', 'routed');
    await rig.netctl('net', 'create', '-s', '10.8.0.0/24', '-s6', 'fd00:8::/64', 'dual');
    await rig.netctl('net', 'create', '-s', '10.7.0.0/24', '-g', '10.7.0.254', '-s6', 'fd00:7::/64', '-g6', 'fd00:7::1', 'dual-routed');
    await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool', 'routed', 'dual', 'dual-routed');
    await Promise.all([
      run(MASTER, 'r1', '--net', 'routed'),
      run(WORKER, 'd1', '--net', 'dual').then(() => run(MASTER, 'd2', '--net', 'dual')),
      run(WORKER, 'g1', '--net', 'dual-routed').then(() => run(MASTER, 'g2', '--net', 'dual-routed', '--ip6', 'fd00:7::99')),
    ]);
    const devices = async (host: string, name: string) =>
      (await inside(host, name, 'ls /sys/class/net')).split(/\s+/).filter((device) => device !== 'lo');
    expect(await devices(MASTER, 'r1')).toEqual(['eth0']);
    expect(await inside(MASTER, 'r1', 'ip route')).toContain('default via 10.9.0.1 dev eth0');
    expect(await addresses(MASTER, 'r1')).toEqual(['10.9.0.2/24']);
    expect(await devices(WORKER, 'd1')).toEqual(['eth0', 'eth1']);
    expect(await inside(WORKER, 'd1', 'ip route')).toContain('default via 172.18.0.1 dev eth1');
    expect(await addresses(WORKER, 'd1')).toEqual(['10.8.0.1/24', 'fd00:8::1/64']);
    expect(await addresses(MASTER, 'd2')).toEqual(['10.8.0.2/24', 'fd00:8::2/64']);
    expect(await devices(MASTER, 'g2')).toEqual(['eth0']);
    expect(await inside(MASTER, 'g2', 'ip -6 route')).toContain('default via fd00:7::1 dev eth0');
    expect(await addresses(MASTER, 'g2')).toEqual(['10.7.0.2/24', 'fd00:7::99/64']);
    await Promise.all([pings(WORKER, 'd1', '10.8.0.2'), pings(MASTER, 'd2', 'd1', '-6'), pings(WORKER, 'g1', 'fd00:7::99', '-6')]);
    await remove([MASTER, 'r1'], [WORKER, 'd1'], [MASTER, 'd2'], [WORKER, 'g1'], [MASTER, 'g2']);
    for (const network of ['routed', 'dual', 'dual-routed']) await eventually(`${network} goes`, () => rig.netctl('net', 'rm', network));
    await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool');
  });

  test.each([
    ['', '10.20.0.0/24'],
    ['netplugin', '10.21.0.0/24'],
  ])('docker network create with IPAM driver "%s" makes a network of netmaster, for all engines', async (ipam, subnet) => {
    const options = ['-o', 'tenant=blue', '-o', 'encap=vxlan', ...(ipam === '' ? [] : ['--ipam-driver', ipam])];
    await rig.docker(MASTER, 'network', 'create', '-d', 'netplugin', '--subnet', subnet, ...options, 'my_net');
    await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool', 'my_net');
    expect(await netmasters('blue')).toEqual(['contiv-net', 'my-net']);
    expect(await netmasters('default')).toEqual(['contiv-net']);
    await Promise.all([run(MASTER, 'm1', '--net', 'my_net'), run(WORKER, 'm2', '--net', 'my_net')]);
    await Promise.all([pings(MASTER, 'm1', 'm2'), pings(WORKER, 'm2', 'm1')]);
    const busy = await rig.tryDocker(MASTER, ['network', 'rm', 'my_net']);
    expect(busy.code).toBe(1);
    expect(busy.text).toContain('has active endpoints');
    await remove([MASTER, 'm1'], [WORKER, 'm2']);
    await rig.docker(MASTER, 'network', 'rm', 'my_net');
    await eventually('gone from netmaster', async () => expect(await netmasters('blue')).toEqual(['contiv-net']));
    await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool');
  });

  test('a compose file with such a network comes up, reaches over hosts, and goes down without a trace', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'contiv-e2e-'));
    try {
      const file = join(dir, 'compose.yaml');
      await writeFile(file, COMPOSE);
      const compose = (...args: readonly string[]) => rig.compose(MASTER, '-f', file, ...args);
      await compose('up', '--detach');
      await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool', 'shop_front');
      expect(await netmasters('blue')).toEqual(['contiv-net', 'shop-front']);
      await run(WORKER, 'guest', '--net', 'shop_front');
      // By the service's name from the other host, by the container's, and from inside by the fixed address.
      await Promise.all([pings(WORKER, 'guest', 'db'), pings(WORKER, 'guest', 'shop-web-1'), pings(MASTER, 'shop-web-1', '10.50.0.77')]);
      await pings(MASTER, 'shop-web-1', 'guest');
      await remove([WORKER, 'guest']);
      await compose('down');
      await eventually('gone from netmaster', async () => expect(await netmasters('blue')).toEqual(['contiv-net']));
      await everywhere('contiv-net', 'contiv-net/blue', 'web', 'web/blue', 'pool');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  test('after all of it, netmaster has no address too many', async () => {
    await remove([MASTER, 'n1'], [WORKER, 'n2'], [WORKER, 'b1'], [MASTER, 'b2']);
    await rig.netctl('group', 'rm', 'pool');
    for (const tenant of ['default', 'blue'])
      await eventually(`tenant ${tenant} holds no address`, async () => {
        const { Oper } = networkInspect.parse(JSON.parse(await rig.netctl('net', 'inspect', '-t', tenant, 'contiv-net')));
        expect(Oper.availableIPAddresses).toBe('10.1.2.1-10.1.2.254');
        expect(Oper.numEndpoints ?? 0).toBe(0);
      });
  });
});

const COMPOSE = `
name: shop
services:
  web:
    image: alpine
    command: sleep 10000
    stop_signal: SIGKILL
    networks: [front]
  db:
    image: alpine
    command: sleep 10000
    stop_signal: SIGKILL
    networks:
      front:
        ipv4_address: 10.50.0.77
networks:
  front:
    driver: netplugin
    driver_opts:
      tenant: blue
      encap: vxlan
    ipam:
      driver: netplugin
      config:
        - subnet: 10.50.0.0/24
`;
