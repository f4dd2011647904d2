/** The data path through restarts, upgrades and tampering, under a running ping; and its end. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PolicyRule, parseIpv4 } from '@contiv/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DNS_DEVICE, PORT_GROUP } from './kernel/names.js';
import { findObject } from './kernel/probe.js';
import { endpointKey, portNumber, u32Key, vtepBytes } from './maps/layout.js';
import { endpointOf } from './maps/tables.js';
import { BLUE, Pair, RED, VTEPS } from './testing/pair.js';

const INSTANCE = 'dplife';
const PINS = `/sys/fs/bpf/contiv/${INSTANCE}`;
const NOTHING = { written: 0, repaired: [], failed: [] };
const SIDES = ['one', 'two'] as const;

let pair: Pair;
let dir: string;
/** The same program under another hash. */
let rebuilt: string;
/** A program whose tables the old one's do not fit. */
let successor: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'contiv-life-'));
  rebuilt = join(dir, 'rebuilt.bpf.o');
  copyFileSync(findObject({}), rebuilt);
  appendFileSync(rebuilt, '\n');
  successor = join(dir, 'successor.bpf.o');
  const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-DCONTIV_SCHEMA=4711', `-I/usr/include/${arch}-linux-gnu`];
  execFileSync('clang', [...flags, '-c', fileURLToPath(new URL('../bpf/contiv.bpf.c', import.meta.url)), '-o', successor]);
  pair = await Pair.make(INSTANCE, [
    [RED, 1, 'one'],
    [RED, 5, 'one'],
    [RED, 2, 'one'],
    [RED, 3, 'two'],
  ]);
  // So that numbers have a gap.
  await leave(5);
  await pair.applyAll();
});
afterAll(async () => {
  await pair.destroy();
  rmSync(dir, { recursive: true });
});

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ');
const ip = (text: string) => {
  const parsed = parseIpv4(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const portName = (last: number): string => pair.at(RED, last).port.name;
/** Number of the program on a hook. */
const programOn = async (link: string, hook: string): Promise<string> => {
  const out = await pair.hosts.one.sh(`tc filter show dev ${link} ${hook}`);
  return / id (\d+) /.exec(out)?.[1] ?? '';
};

/** By which containers are known outside, by interface index. */
async function numbers(): Promise<Map<number, number>> {
  const dump: unknown = JSON.parse(await pair.hosts.one.inside(`bpftool map dump pinned ${PINS}/maps/ports -j`));
  const bytes = (entry: object, name: string) => Buffer.from((Reflect.get(entry, name) as string[]).map(Number));
  return new Map((dump as object[]).map((entry) => [bytes(entry, 'key').readUInt32LE(0), portNumber(bytes(entry, 'value')).index]));
}

async function leave(last: number): Promise<void> {
  const container = pair.at(RED, last);
  await pair.workers.one.call('removePort', container.port.name);
  container.remove();
  pair.placed.splice(
    pair.placed.findIndex((placed) => placed.container === container),
    1,
  );
}

it('writes nothing when nothing is to be changed', async () => {
  for (const side of SIDES) expect(await pair.apply(side)).toEqual(NOTHING);
});

describe('without losing a packet', () => {
  /** While both kinds of ping run: to the other host and within this one. */
  async function underPings(work: () => Promise<void>): Promise<void> {
    const pings = [pair.at(RED, 1).pinging('10.1.0.3'), pair.at(RED, 1).pinging('10.1.0.2'), pair.at(RED, 3).pinging('2001:db8:1::1')];
    const goOn = () => Promise.all(pings.map((ping) => ping.answered(20)));
    await goOn();
    await work();
    await goOn();
    for (const ping of pings) {
      const { answered, lost } = await ping.stop();
      expect(lost).toBe(0);
      expect(answered).toBeGreaterThanOrEqual(40);
    }
  }

  it('a killed process is replaced by one that adopts everything and writes nothing', async () => {
    const before = await Promise.all(['contivvx', portName(1)].map((link) => programOn(link, 'ingress')));
    await underPings(async () => {
      await Promise.all(SIDES.map((side) => pair.restart(side)));
      for (const side of SIDES) expect(await pair.apply(side)).toEqual(NOTHING);
    });
    expect(await Promise.all(['contivvx', portName(1)].map((link) => programOn(link, 'ingress')))).toEqual(before);
    const counters = (await pair.workers.one.call('counters')).get(portName(1));
    expect(counters?.rxPackets).toBeGreaterThan(20n);
  });

  it.each([
    ['a rebuilt program takes over the tables', 'rebuilt'],
    ['a program with other tables fills them before it takes over', 'successor'],
    ['and the way back is the same', 'original'],
  ] as const)('%s', async (_, version) => {
    const object = { rebuilt, successor, original: undefined }[version];
    const links = ['contivvx', portName(1), portName(2)];
    const before = await Promise.all(links.map((link) => programOn(link, 'ingress')));
    const known = await numbers();
    expect(new Set(known.values())).toEqual(new Set([1, 3]));
    await underPings(async () => {
      await pair.restart('one', object);
      await pair.applyAll();
      expect(await pair.apply('one')).toEqual(NOTHING);
    });
    // With another one, connections by the host's NAT would be cut.
    expect(await numbers()).toEqual(known);
    const after = await Promise.all(links.map((link) => programOn(link, 'ingress')));
    for (const [i, id] of after.entries()) expect(id).not.toBe(before[i]);
    // What was replaced is not kept: one set of programs, one set of tables.
    const pins = (await pair.hosts.one.inside(`ls ${PINS}`)).trim().split('\n');
    expect(pins.length).toBe(2);
    expect(pins).toContain('maps');
    if (version !== 'successor') return;
    await pair.restart('one', object);
    expect(await pair.apply('one')).toEqual(NOTHING);
  });
});

it('the private subnet stays what it is for programs with other tables, whatever has become free', async () => {
  const { one } = pair.hosts;
  const subnet = (address: string) => ({ address: ip(address), length: 16 });
  const apply = async () => {
    const desired = pair.desired('one');
    const networks = desired.networks.map((network) => ({ ...network, gateway: ip('10.1.0.254') }));
    const outside = { privateSubnet: subnet('172.19.0.0'), spareSubnets: [subnet('198.19.0.0')], ipv6: false, published: [] };
    expect((await pair.workers.one.call('apply', { ...desired, networks, outside })).failed).toEqual([]);
    return (await one.sh('ip -o -4 address show contivh0')).replace(/ brd .*/s, '');
  };
  await one.sh('ip link add busy type bridge && ip address add 172.19.0.1/16 dev busy');
  const before = await apply();
  expect(before).toContain('198.19.255.254/16');
  await one.sh('ip link del busy');
  for (const object of [successor, undefined]) {
    await pair.restart('one', object);
    expect(await apply()).toBe(before);
  }
  await pair.applyAll();
});

it('the number of a container that has left is not given to the next one, whichever agent gives it', async () => {
  await pair.add(RED, 6, 'one');
  const gone = Math.max(...(await numbers()).values());
  await leave(6);
  await pair.restart('one');
  await pair.add(RED, 7, 'one');
  expect(Math.max(...(await numbers()).values())).toBe(gone + 1);
  await leave(7);
  await pair.applyAll();
});

it('a change of a rule among many writes few entries, again after a restart that adopts the rules', async () => {
  const rules = Array.from({ length: 1_000 }, (_, i): PolicyRule => {
    const peer = { family: 4, first: BigInt(i * 256), last: BigInt(i * 256 + 255) } as const;
    return { way: 'in', rank: 1, deny: true, number: i + 1, groups: undefined, peers: [peer], own: undefined, services: undefined };
  });
  const written = async (count: number): Promise<number> => {
    const policy = { subjects: new Map([[5, { rules: rules.slice(0, count), denies: false }]]) };
    const report = await pair.workers.one.call('apply', { ...pair.desired('one'), policy });
    expect(report.failed).toEqual([]);
    expect(report.repaired).toEqual([]);
    return report.written;
  };
  // The subject, and for each rule its own entry and its addresses'.
  expect(await written(990)).toBe(1 + 2 * 990);
  expect(await written(990)).toBe(0);
  // For the first time beside the others, which then are one change behind.
  expect(await written(991)).toBe(1 + 2 * 991);
  expect(await written(992)).toBe(1 + 2 * 2);
  expect(await written(990)).toBe(1 + 2 * 2);
  await pair.restart('one');
  expect(await written(990)).toBe(2 * 992);
  expect(await written(990)).toBe(0);
  await pair.applyAll();
  expect((await pair.hosts.one.inside(`bpftool map dump pinned ${PINS}/maps/rules -j`)).trim()).toBe('[]');
});

describe('drift', () => {
  const pinnedMap = (name: string) => `${PINS}/maps/${name}`;
  const remove = (map: string, key: Uint8Array) => `bpftool map delete pinned ${pinnedMap(map)} key hex ${hex(key)}`;
  const rows: readonly (readonly [what: string, tamper: () => string, sentences: readonly RegExp[]])[] = [
    ['an endpoint removed', () => remove('endpoints', endpointKey(RED, ip('10.1.0.3'))), [/^endpoint 10\.1\.0\.3 in VNI 100 was missing$/]],
    [
      'an endpoint changed',
      () => {
        const map = pinnedMap('endpoints');
        const key = hex(endpointKey(RED, ip('10.1.0.3')));
        return `v=$(bpftool map lookup pinned ${map} key hex ${key} -j | grep -o '"value":\\[[^]]*' | head -1 | cut -d[ -f2 | tr -d '",' | sed 's/0x/ /g')
          bpftool map update pinned ${map} key hex ${key} value hex $(echo $v | sed 's/^../ff/')`;
      },
      [/^endpoint 10\.1\.0\.3 in VNI 100 was changed$/],
    ],
    [
      'a stranger among the peers',
      () => `bpftool map update pinned ${pinnedMap('peers')} key hex ${hex(vtepBytes(ip('10.9.9.9')))} value hex 01 00 00 00`,
      [/^peer 10\.9\.9\.9 was strange$/],
    ],
    ['a peer removed', () => remove('peers', vtepBytes(VTEPS[4].two)), [/^peer 10\.77\.0\.2 was missing$/]],
    [
      'the configuration zeroed',
      () => `bpftool map dump pinned ${pinnedMap('config')} >/dev/null; n=$(bpftool map show pinned ${pinnedMap('config')} -j | grep -o '"bytes_value":[0-9]*' | cut -d: -f2)
        bpftool map update pinned ${pinnedMap('config')} key hex 00 00 00 00 value $(yes 0 | head -n $n)`,
      [/^the configuration in the table config was changed$/],
    ],
    [
      "a container's program removed",
      () => `tc filter del dev ${portName(1)} ingress`,
      [/^the program of cv100x1 was missing or another$/],
    ],
    ["a container's hooks removed", () => `tc qdisc del dev ${portName(1)} clsact`, [/^the program of cv100x1 was missing or another$/]],
    ["the tunnel's program removed", () => 'tc qdisc del dev contivvx clsact', [/^the program of contivvx was missing or another$/]],
    ['interfaces down', () => `ip link set ${portName(1)} down; ip link set contivvx down`, [/^contivvx was down$/, /^cv100x1 was down$/]],
    [
      'MTUs changed',
      () => `ip link set ${portName(1)} mtu 1300; ip link set contivvx mtu 1300`,
      [/^contivvx had MTU 1300 instead of 1450$/, /^cv100x1 had MTU 1300 instead of 1450$/],
    ],
    ['an interface in another group', () => `ip link set ${portName(1)} group 7`, [/^cv100x1 was in interface group 7, /]],
    ['the tunnel device deleted', () => 'ip link del contivvx', [/^the tunnel device contivvx was missing$/]],
    ['the DNS device deleted', () => `ip link del ${DNS_DEVICE}`, [/^the DNS device contivdns was missing$/]],
    [
      "the DNS service's address removed",
      () => `ip address flush dev ${DNS_DEVICE}`,
      [/^contivdns had lost its address 169\.254\.20\.10$/, /^the route to 169\.254\.128\.0\/19 was missing$/],
    ],
    [
      'the route of an earlier version, which took in 169.254.169.254',
      () => `ip route replace 169.254.128.0/17 dev ${DNS_DEVICE}; ip route del 169.254.128.0/19`,
      [/^the route to 169\.254\.128\.0\/19 was missing$/],
    ],
    [
      'the firewall flushed',
      () => 'nft flush ruleset',
      [/^the nftables table contiv_dplife was missing or changed$/, /^the chain CONTIV-INPUT of iptables was missing or changed$/],
    ],
    [
      'a rule of the firewall deleted',
      () =>
        `nft delete rule inet contiv_dplife input handle $(nft -a list chain inet contiv_dplife input | grep -m1 drop | grep -o 'handle [0-9]*' | cut -d' ' -f2)`,
      [/^the nftables table contiv_dplife was missing or changed$/],
    ],
  ];

  it.each(rows)('%s is repaired and told in a sentence', async (_, tamper, sentences) => {
    await pair.hosts.one.inside(tamper());
    const report = await pair.apply('one');
    expect(report.failed).toEqual([]);
    expect(report.repaired.length, report.repaired.join('\n')).toBe(sentences.length);
    for (const sentence of sentences)
      expect(
        report.repaired.some((line) => sentence.test(line)),
        `${sentence} in ${report.repaired.join('\n')}`,
      ).toBe(true);
    expect(await pair.apply('one')).toEqual(NOTHING);
    expect(await pair.at(RED, 1).ping('10.1.0.3')).toBe(1);
  });

  it('an interface without its port entry passes nothing, without its program neither', async () => {
    const index = (
      await pair.hosts.one.sh(`cat /sys/class/net/${portName(1)}/ifindex 2>/dev/null || ip -o link show ${portName(1)} | cut -d: -f1`)
    ).trim();
    await pair.hosts.one.inside(remove('ports', u32Key(Number(index))));
    expect(await pair.at(RED, 1).ping('10.1.0.3', '-c 1 -W 1')).toBe(0);
    expect((await pair.workers.one.call('drops'))['unknown-port']).toBeGreaterThan(0n);
    expect((await pair.apply('one')).repaired).toEqual([`port with interface index ${index} was missing`]);
    // Without a program a packet gets as far as the host's stack, where the firewall knows the interface's group.
    await pair.hosts.one.inside(`tc qdisc del dev ${portName(1)} clsact; ip address add 10.1.0.254/24 dev ${portName(1)}`);
    expect(await pair.at(RED, 1).ping('10.1.0.254', '-c 1 -W 1')).toBe(0);
    await pair.hosts.one.inside(`ip address del 10.1.0.254/24 dev ${portName(1)}`);
    expect((await pair.apply('one')).repaired).toEqual(['the program of cv100x1 was missing or another']);
    expect(await pair.at(RED, 1).ping('10.1.0.3')).toBe(1);
  });
});

describe('what a crash leaves', () => {
  it('interfaces without an endpoint are removed, ours only', async () => {
    await pair.hosts.one.sh(
      `ip link add cvhalf group ${PORT_GROUP} type veth peer name cvhalfp
       ip link add cvdying type veth peer name cvdyingp; ip link set cvdying alias contiv:${INSTANCE}:100:10.1.0.9
       ip link set cvdying group ${PORT_GROUP + 1}
       ip link add foreign type veth peer name foreignp; ip link set foreign alias contiv:another:100:10.1.0.9`,
    );
    expect(await pair.workers.one.call('listPorts')).toEqual(['cv100x1', 'cv100x2', 'cvdying', 'cvhalf']);
    expect(await pair.apply('one')).toEqual({ ...NOTHING, written: 2 });
    const links = await pair.hosts.one.sh('ip -o link');
    for (const gone of ['cvhalf', 'cvdying']) expect(links).not.toContain(gone);
    expect(links).toContain('foreign');
    await pair.hosts.one.sh('ip link del foreign');
  });

  it('a half-made interface is finished when its container comes again', async () => {
    await pair.hosts.one.sh(`ip link add cv100x4 group ${PORT_GROUP} type veth peer name cv100x4p address 02:02:0a:01:00:04`);
    await pair.add(RED, 4, 'one');
    await pair.applyAll();
    expect(await pair.at(RED, 4).ping('10.1.0.3')).toBe(1);
  });

  it("a container's namespace that went away takes its interface along, and the state says so", async () => {
    const doomed = pair.at(RED, 4);
    doomed.remove();
    await expect
      .poll(async () => (await pair.apply('one')).failed)
      .toEqual(['interface cv100x4 of 10.1.0.4 in VNI 100 is gone; restart its container']);
    pair.placed.splice(
      pair.placed.findIndex(({ container }) => container === doomed),
      1,
    );
    await pair.applyAll();
    expect(await pair.apply('one')).toEqual(NOTHING);
  });
});

it('a container comes and goes without a whole apply', async () => {
  let added = await pair.add(BLUE, 5, 'one');
  expect(await added.ping('10.1.0.5')).toBe(1);
  const far = await pair.add(BLUE, 6, 'two');
  expect(await added.ping('10.1.0.6', '-c 1 -W 0.3')).toBe(0);
  await pair.workers.one.call('upsertEndpoint', { ...endpointOf(far.port), at: { vtep: VTEPS[4].two } });
  await pair.workers.two.call('upsertEndpoint', { ...endpointOf(added.port), at: { vtep: VTEPS[4].one } });
  expect(await added.ping('10.1.0.6')).toBe(1);
  // Whoever gets an address next inherits none of its connections, neither on its host nor on others.
  const table = `pinned ${PINS}/maps/connections4`;
  const found = async (side: 'one' | 'two'): Promise<{ key: string[]; value: string[] }[]> => {
    const all: { key: string[]; value: string[] }[] = JSON.parse(await pair.hosts[side].inside(`bpftool map dump ${table} -j`));
    return all.filter(({ key }) => key.slice(0, 4).join() === '0xc8,0x00,0x00,0x00');
  };
  const connections = async (side: 'one' | 'two'): Promise<number> => (await found(side)).length;
  const [kept] = await found('one');
  for (const side of SIDES) expect(await connections(side)).toBeGreaterThan(0);
  await pair.workers.one.call('removePort', added.port.name);
  await pair.workers.two.call('removeEndpoint', BLUE, added.port.ip, added.port.ip6);
  added.remove();
  pair.placed.splice(
    pair.placed.findIndex(({ container }) => container === added),
    1,
  );
  // Nor does it if the agent was killed before it had removed them.
  await pair.restart('one');
  if (!kept) throw new Error('no connection was kept');
  await pair.hosts.one.inside(`bpftool map update ${table} key ${kept.key.join(' ')} value ${kept.value.join(' ')}`);
  expect(await connections('one')).toBeGreaterThan(0);
  added = await pair.add(BLUE, 5, 'one');
  expect(await connections('one')).toBe(0);
  await expect.poll(() => connections('two')).toBe(0);
  await pair.workers.two.call('upsertEndpoint', { ...endpointOf(added.port), at: { vtep: VTEPS[4].one } });
  expect(await added.ping('10.1.0.6')).toBe(1);
  await pair.workers.one.call('removeEndpoint', BLUE, far.port.ip, far.port.ip6);
  await added.sh('ip neigh flush all');
  expect(await added.ping('10.1.0.6', '-c 1 -W 0.3')).toBe(0);
  for (const [side, container] of [
    ['one', added],
    ['two', far],
  ] as const) {
    await pair.workers[side].call('removePort', container.port.name);
    await pair.workers[side].call('removePort', container.port.name);
    container.remove();
  }
  pair.placed.splice(-2);
  await pair.applyAll();
  for (const side of SIDES) expect(await pair.apply(side)).toEqual(NOTHING);
});

it('takes back every entry of a network when its last container goes', async () => {
  await Promise.all([1, 2].map((last) => pair.workers.one.call('removePort', portName(last))));
  const report = await pair.workers.one.call('apply', { peers: [], networks: [], endpoints: [], ports: [] });
  expect(report.failed).toEqual([]);
  for (const map of ['ports', 'endpoints', 'networks', 'members', 'peers']) {
    expect((await pair.hosts.one.inside(`bpftool map dump pinned ${PINS}/maps/${map} -j`)).trim(), map).toBe('[]');
  }
});

it('teardown leaves nothing: interfaces, pins, firewall, file system', async () => {
  // What somebody has decided there stays, be it a policy only.
  await pair.hosts.one.sh('iptables -P INPUT DROP');
  for (const side of SIDES) {
    await pair.workers[side].call('teardown');
    const host = pair.hosts[side];
    if (side === 'one') {
      expect(await host.sh('iptables -S')).toBe('-P INPUT DROP\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n');
      await host.sh('nft delete table ip filter');
    }
    const links = (await host.sh('ip -o link'))
      .trim()
      .split('\n')
      .map((line) => line.split(': ')[1]?.split('@')[0]);
    expect(links).toEqual(['lo', 'eth1']);
    expect(await host.sh('tc qdisc show dev eth1')).not.toContain('clsact');
    expect(await host.sh('nft list tables')).toBe('');
    expect(await host.inside('mount | grep bpf.type.bpf || true')).toBe('');
    expect(await host.inside('ls /sys/fs/bpf 2>/dev/null || true')).toBe('');
  }
});
