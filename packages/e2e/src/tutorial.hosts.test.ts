/** Chapters 2 and 3 of the container-101 tutorial: its commands, typed as printed, and what they show. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';
import { rows } from './rig/tables.js';

const inspection = z.array(
  z.object({
    Name: z.string(),
    Id: z.string(),
    Scope: z.string(),
    Driver: z.string(),
    EnableIPv6: z.boolean(),
    Internal: z.boolean(),
    IPAM: z.object({ Driver: z.string(), Options: z.record(z.string(), z.string()), Config: z.array(z.record(z.string(), z.unknown())) }),
    Containers: z.record(
      z.string(),
      z.object({ Name: z.string(), MacAddress: z.string(), IPv4Address: z.string(), IPv6Address: z.string() }),
    ),
    Options: z.record(z.string(), z.string()),
    Labels: z.record(z.string(), z.string()),
  }),
);

const NETWORK_TABLE = (row: string) =>
  [
    'Tenant   Network     Nw Type  Encap type  Packet tag  Subnet       Gateway  IPv6Subnet  IPv6Gateway  Cfgd Tag ',
    '------   -------     -------  ----------  ----------  -------      ------   ----------  -----------  ---------',
    row,
  ].join('\n');

/** Each generation the way it shares networks between hosts: by a cluster store, or not at all. */
const VARIANTS = [
  { engine: 'system', store: 'etcd', scope: 'global' },
  { engine: 'modern', store: 'embedded', scope: 'local' },
].filter(({ engine }) => ENGINES.includes(engine));

describe.each(VARIANTS)('engine $engine, store $store', ({ engine, store, scope }) => {
  const rig = new Rig(`tut-${engine[0]}-${store[0]}`);
  /** A line of the tutorial, typed on the first host with DOCKER_HOST at that host's engine or another's. */
  const typed = async (line: string, at: string = MASTER) => {
    if (line.startsWith('netctl')) return rig.on(MASTER, 'sh', '-c', line);
    const result = await rig.inside(['sh', '-c', line], { env: { DOCKER_HOST: rig.engine(at), DOCKER_CLI_HINTS: 'false' } });
    expect(result.code, `${line}: ${result.text}`).toBe(0);
    return result.stdout.trimEnd();
  };
  const inspect = async (network: string, at: string = MASTER) => {
    const [shown] = inspection.parse(JSON.parse(await typed(`docker network inspect ${network}`, at)));
    if (!shown) throw new Error(`${network} is not shown`);
    return shown;
  };
  /** What a line shows once the other host has heard of containers just started. */
  const shows = (line: string, at: string, expected: RegExp) =>
    eventually(line, async () => expect(await typed(line, at)).toMatch(expected));
  const running = /^[0-9a-f]{64}$/;
  const threePings = (name: string, address: string) =>
    new RegExp(
      [
        `^PING ${name} \\(${address.replaceAll('.', '\\.')}\\): 56 data bytes`,
        ...[0, 1, 2].map((seq) => `64 bytes from ${address}: seq=${seq} ttl=64 time=[\\d.]+ ms`),
        '',
        `--- ${name} ping statistics ---`,
        '3 packets transmitted, 3 packets received, 0% packet loss',
        'round-trip min/avg/max = [\\d.]+/[\\d.]+/[\\d.]+ ms$',
      ].join('\n'),
    );

  beforeAll(() => rig.up('--engine', engine, '--store', store));
  afterAll(() => rig.down());

  test('chapter 2: a multi-host network', async () => {
    expect(await typed('netctl net create --subnet=10.1.2.0/24 contiv-net')).toBe('Creating network default:contiv-net');
    expect(await typed('netctl net ls')).toBe(NETWORK_TABLE('default  contiv-net  data     vxlan       0           10.1.2.0/24').trimEnd());
    for (const host of [MASTER, WORKER]) {
      await eventually(`contiv-net on ${host}`, () => inspect('contiv-net', host));
      const listed = rows(await typed('docker network ls', host));
      expect(listed[0]).toEqual(['NETWORK ID', 'NAME', 'DRIVER', 'SCOPE']);
      expect(listed).toContainEqual([expect.stringMatching(/^[0-9a-f]{12}$/), 'contiv-net', 'netplugin', scope]);
      const shown = await inspect('contiv-net', host);
      expect(shown).toEqual({
        Name: 'contiv-net',
        Id: expect.stringMatching(running),
        Scope: scope,
        Driver: 'netplugin',
        EnableIPv6: false,
        IPAM: { Driver: 'netplugin', Options: { network: 'contiv-net', tenant: 'default' }, Config: [{ Subnet: '10.1.2.0/24' }] },
        Internal: false,
        Containers: {},
        Options: { encap: 'vxlan', 'pkt-tag': '1', tenant: 'default' },
        Labels: {},
      });
    }
    const [here, there] = [await inspect('contiv-net', MASTER), await inspect('contiv-net', WORKER)];
    expect(here.Id === there.Id).toBe(scope === 'global');
  });

  test('chapter 2: a container on each host; names resolve, pings cross', async () => {
    const run = (name: string, node: string) =>
      typed(`docker run -itd --name=${name} --net=contiv-net -e constraint:node==${node} alpine /bin/sh`, node);
    expect(await run('contiv-c1', MASTER)).toMatch(running);
    expect(await run('contiv-c2', WORKER)).toMatch(running);
    expect(rows(await typed('docker ps', WORKER))[1]).toEqual([
      expect.any(String),
      'alpine',
      '"/bin/sh"',
      expect.any(String),
      expect.stringMatching(/^Up /),
      'contiv-c2',
    ]);
    await Promise.all([
      shows('docker exec contiv-c2 ping -c 3 contiv-c1', WORKER, threePings('contiv-c1', '10.1.2.1')),
      shows('docker exec contiv-c1 ping -c 3 contiv-c2', MASTER, threePings('contiv-c2', '10.1.2.2')),
    ]);
  });

  test('chapter 4 looks inside: eth0 in the network, eth1 on docker_gwbridge', async () => {
    const shown = await typed('docker exec contiv-c1 ifconfig -a');
    const [eth0 = '', eth1 = ''] = shown.split(/\n\s*\n/);
    expect(eth0).toMatch(/^eth0 +Link encap:Ethernet {2}HWaddr 02:02:0A:01:02:01/);
    expect(eth0).toMatch(/inet addr:10\.1\.2\.1 .*Mask:255\.255\.255\.0/);
    expect(eth0).toMatch(/UP BROADCAST RUNNING MULTICAST {2}MTU:1450 /);
    expect(eth1).toMatch(/^eth1 +Link encap:Ethernet/);
    expect(eth1).toMatch(/inet addr:172\.18\.0\.\d+ .*Mask:255\.255\.0\.0/);
    expect(eth1).toMatch(/MTU:1500 /);
  });

  test('chapter 3: a tenant with the same names and addresses', async () => {
    expect(await typed('netctl tenant create blue')).toBe('Creating tenant: blue');
    expect(rows(await typed('netctl tenant ls'))).toEqual([['Name'], ['------'], ['default'], ['blue']]);
    expect(await typed('netctl net create -t blue --subnet=10.1.2.0/24 contiv-net')).toBe('Creating network blue:contiv-net');
    expect(await typed('netctl net ls -t blue')).toBe(
      NETWORK_TABLE('blue     contiv-net  data     vxlan       0           10.1.2.0/24')
        .replaceAll(/^(Tenant |------ |blue {3}) {2}/gm, '$1 ')
        .trimEnd(),
    );
    await eventually('contiv-net/blue on both hosts', () => Promise.all([MASTER, WORKER].map((host) => inspect('contiv-net/blue', host))));
    for (const [name, host] of [
      ['contiv-blue-c1', WORKER],
      ['contiv-blue-c2', MASTER],
      ['contiv-blue-c3', WORKER],
    ] as const)
      expect(await typed(`docker run -itd --name=${name} --net="contiv-net/blue" alpine /bin/sh`, host)).toMatch(running);
    const shown = await inspect('contiv-net/blue', WORKER);
    expect(shown).toMatchObject({
      Name: 'contiv-net/blue',
      Scope: scope,
      Driver: 'netplugin',
      IPAM: { Driver: 'netplugin', Options: { network: 'contiv-net', tenant: 'blue' }, Config: [{ Subnet: '10.1.2.0/24' }] },
      Options: { encap: 'vxlan', 'pkt-tag': '2', tenant: 'blue' },
    });
    expect(Object.values(shown.Containers).sort((a, b) => a.Name.localeCompare(b.Name))).toEqual(
      // Engines that share their networks know each other's containers.
      (scope === 'global' ? [1, 2, 3] : [1, 3]).map((n) => ({
        Name: `contiv-blue-c${n}`,
        MacAddress: `02:02:0a:01:02:0${n}`,
        IPv4Address: `10.1.2.${n}/24`,
        IPv6Address: '',
      })),
    );
  });

  test('chapter 3: the tenant reaches its own and nobody else', async () => {
    const ping = (name: string, address: string) =>
      shows(`docker exec contiv-blue-c3 ping -c 3 ${name}`, WORKER, threePings(name, address));
    await Promise.all([ping('contiv-blue-c1', '10.1.2.1'), ping('contiv-blue-c2', '10.1.2.2')]);
    const across = await rig.tryDocker(WORKER, ['exec', 'contiv-blue-c3', 'ping', '-c', '1', 'contiv-c1']);
    expect(across.code).toBe(1);
    expect(across.text).toContain("bad address 'contiv-c1'");
  });

  test('everything goes again the way it came', async () => {
    await Promise.all([
      rig.docker(MASTER, 'rm', '-f', 'contiv-c1', 'contiv-blue-c2'),
      rig.docker(WORKER, 'rm', '-f', 'contiv-c2', 'contiv-blue-c1', 'contiv-blue-c3'),
    ]);
    // A removal does not wait long for a netmaster that is slow to hear of it.
    await shows('netctl net rm contiv-net', MASTER, /^Deleting network default:contiv-net$/);
    await shows('netctl net rm -t blue contiv-net', MASTER, /^Deleting network blue:contiv-net$/);
    expect(await typed('netctl tenant rm blue')).toBe('Deleting tenant blue');
    for (const host of [MASTER, WORKER])
      await eventually(`no network of ours on ${host}`, async () =>
        expect(await typed('docker network ls', host)).not.toContain('netplugin'),
      );
  });
});
