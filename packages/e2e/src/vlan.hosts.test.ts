/** VLAN networks reach containers of other hosts and machines that are not ours, and nothing reaches them that should not. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ADDRESS,
  ENGINES,
  eventually,
  MASTER,
  PING_INTERVAL_MS,
  type Place,
  pingDuring,
  Rig,
  ROOT,
  run,
  succeed,
  WORKER,
} from './index.js';
import { arpReply, BROADCAST, taggedFrame, udpFrame } from './rig/frames.js';
import { sendRaw, watchRaw } from './rig/raw.js';

const SERVER = '10.1.3.200';
const ROUTER = '10.1.3.254';
const MARK = Buffer.from('a frame nobody should see');
const FORGER = '52:54:00:66:66:66';
/** Another uplink carries the VLANs within this time. */
const FAILOVER_MS = 1_000;
const PORTS = { src: 4000, dst: 4001 };

/** What `GET /status` of an agent says, as far as this needs it. */
interface AgentStatus {
  readonly vlan: { readonly mtu: number; readonly uplinks: readonly { readonly name: string; readonly state: string }[] };
  readonly datapath: {
    readonly drops: Readonly<Record<string, string>>;
    readonly maps: readonly { readonly name: string; readonly entries: number }[];
  };
  readonly problems: readonly string[];
}

class VlanRig extends Rig {
  async vlanNetworks(): Promise<void> {
    // VLAN 112 with the physical router as gateway, VLAN 113 of another tenant, and a VXLAN network with VNI 112.
    await this.netctl('tenant', 'create', 'blue');
    await this.netctl('net', 'create', '-p', '112', '-e', 'vlan', '-s', '10.1.3.0/24', '-g', ROUTER, 'contiv-vlan');
    await this.netctl('net', 'create', '-t', 'blue', '-p', '113', '-e', 'vlan', '-s', '10.1.4.0/24', 'contiv-vlan');
    await this.netctl('net', 'create', '-t', 'blue', '-p', '112', '-e', 'vxlan', '-s', '10.1.3.0/24', 'other');
    for (const host of [MASTER, WORKER])
      for (const name of ['contiv-vlan', 'contiv-vlan/blue', 'other/blue'])
        await eventually(`${name} on ${host}`, () => this.docker(host, 'network', 'inspect', name));
  }

  async container(host: string, name: string, network = 'contiv-vlan'): Promise<Place & { readonly mac: string }> {
    await this.docker(host, 'run', '-d', '--name', name, '--net', network, 'alpine', 'sleep', '3600');
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}}';
    const [ip = '', mac = ''] = (await this.docker(host, 'inspect', '-f', format, name)).split(' ');
    return { host, container: name, ip, mac };
  }

  addressOf(host: string, container: string): Promise<string> {
    return this.docker(host, 'inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', container);
  }

  /** Output of ping in a container's network, with the host's own ping, which knows -M. */
  async ping(from: Place, to: string, ...options: readonly string[]): Promise<string> {
    const pid = await this.pidOf(from.host, from.container);
    return (await this.tryOn(from.host, 'nsenter', '-t', pid, '-n', 'ping', '-c', '3', '-i', '0.1', '-W', '1', ...options, to)).text;
  }

  /** What has just been made, or begins anew, is known on the other host a moment later. */
  meets(from: Place, to: string, ...options: readonly string[]): Promise<void> {
    return eventually(`${from.container} meets ${to}`, async () => expect(await this.ping(from, to, ...options)).toContain(answered(3)));
  }

  /** A ping to an address that is made to look like a neighbour's. */
  async pingOnLink(from: Place, to: string): Promise<string> {
    const pid = await this.pidOf(from.host, from.container);
    await this.on(from.host, 'nsenter', '-t', pid, '-n', 'ip', 'route', 'replace', `${to}/32`, 'dev', 'eth0');
    return this.ping(from, to);
  }

  async inspectAgent(host: string): Promise<AgentStatus> {
    return (await this.get(`http://${ADDRESS[host]}:9090/status`)) as AgentStatus;
  }

  /** Flags by which other commands of netplugin find the agent's data path. */
  async commonFlags(host: string): Promise<string[]> {
    const { argv } = JSON.parse(await readFile(await this.serviceFile(host, 'netplugin'), 'utf8')) as { argv: string[] };
    return ['--state-dir', '--instance', '--vtep-ip'].flatMap((flag) => [flag, argv[argv.indexOf(flag) + 1] ?? '']);
  }

  async drops(host: string, reason: string): Promise<number> {
    return Number((await this.inspectAgent(host)).datapath.drops[reason] ?? 0);
  }

  /** Frames into the trunk's switch, as from a port that nobody watches. */
  async inject(frames: readonly Buffer[]): Promise<void> {
    const { fabric } = await this.status();
    const script = `${ROOT}packages/e2e/src/rig/raw-frames.pl`;
    const input = frames.map((frame) => `${frame.toString('hex')}\n`).join('');
    await succeed('inject', run('nsenter', [`--net=/run/netns/${fabric}`, 'perl', script, 'send', 'trunk'], { input, timeoutMs: 180_000 }));
  }
}

const answered = (count: number): string => `${count} received`;

describe.runIf(ENGINES.includes('system'))('VLANs over two uplinks', () => {
  const rig = new VlanRig('vlan-two');
  let c1: Place & { mac: string };
  let c2: Place & { mac: string };
  let c3: Place & { mac: string };
  let blue: Place & { mac: string };

  beforeAll(async () => {
    await rig.up('--vlan-uplinks', 'eth2,eth3');
    await rig.vlanNetworks();
    c1 = await rig.container(MASTER, 'c1');
    c2 = await rig.container(WORKER, 'c2');
    c3 = await rig.container(MASTER, 'c3');
    blue = await rig.container(WORKER, 'blue', 'contiv-vlan/blue');
  });
  afterAll(() => rig.down());

  const delivered = async (
    frames: readonly Buffer[],
    send: (frames: readonly Buffer[]) => Promise<void>,
    expected = 0,
  ): Promise<string[]> => {
    const seen = await watchRaw(rig, [c1, c2, c3, blue], MARK, () => send(frames), { expected, lingerMs: 700 });
    return [...new Set(seen.map((s) => s.container))].sort();
  };
  const toC1 = (srcIp = SERVER, srcMac = FORGER) => udpFrame({ srcMac, dstMac: c1.mac, srcIp, dstIp: c1.ip }, PORTS, MARK);

  test('two containers on two hosts meet on VLAN 112, as the tutorial has it', async () => {
    let over = false;
    const watching = ['timeout', '60', 'tcpdump', '-c', '2', '-lnei', 'eth2', 'vlan', '112', 'and', 'icmp'];
    const dump = rig.tryOn(WORKER, ...watching).finally(() => (over = true));
    // Until it watches, there is nothing to see.
    do await rig.meets(c1, c2.ip);
    while (!over);
    expect((await dump).stdout).toMatch(/ethertype 802\.1Q.*vlan 112,.*10\.1\.3\.1 > 10\.1\.3\.2: ICMP echo request/);
    expect(await rig.ping(c1, c3.ip)).toContain(answered(3));
  });

  test('a physical server and the world behind a physical router are reached, both ways', async () => {
    expect(await rig.ping(c1, SERVER)).toContain(answered(3));
    expect(await rig.ping(c2, '203.0.113.80')).toContain(answered(3));
    for (const { ip } of [c1, c2]) expect(await rig.lab('exec', 'server', '--', 'ping', '-c2', '-i0.2', '-W1', ip)).toContain(answered(2));
    expect(await rig.docker(WORKER, 'exec', 'c2', 'wget', '-qO-', 'http://203.0.113.80/client')).toContain(`"${c2.ip}"`);
  });

  test('another tenant on another VLAN is another world, and so is a VXLAN with the same number and addresses', async () => {
    expect(await rig.pingOnLink(blue, c2.ip)).toContain(answered(0));
    expect(await rig.pingOnLink(blue, SERVER)).toContain(answered(0));
    const peer = await rig.container(MASTER, 'blue-peer', 'contiv-vlan/blue');
    await rig.meets(blue, peer.ip);
    const other = await rig.container(MASTER, 'other', 'other/blue');
    expect(other.ip).toBe(c1.ip);
    expect(await rig.ping(other, c2.ip)).toContain(answered(0));
  });

  test('frames with a wrong tag, two tags or none reach nobody', async () => {
    const wrong = [toC1(), ...[114, 113, 4094].map((id) => taggedFrame(toC1(), id))];
    const double = [
      [112, 112],
      [113, 112],
      [112, 113],
      [114, 112],
    ].map(([outer = 0, inner = 0]) => taggedFrame(taggedFrame(toC1(), inner), outer));
    expect(await delivered([...wrong, ...double], (frames) => rig.inject(frames))).toEqual([]);
    expect(await delivered([taggedFrame(toC1(), 112)], (frames) => rig.inject(frames), 1)).toEqual(['c1']);
  });

  test('a container that tags its frames itself gets them nowhere', async () => {
    const own = udpFrame({ srcMac: c1.mac, dstMac: c2.mac, srcIp: c1.ip, dstIp: c2.ip }, PORTS, MARK);
    const hopping = [taggedFrame(own, 112), taggedFrame(own, 113), taggedFrame(taggedFrame(own, 113), 112)];
    expect(await delivered(hopping, (frames) => sendRaw(rig, c1, 'eth0', frames))).toEqual([]);
    expect(await rig.drops(MASTER, 'tagged')).toBeGreaterThanOrEqual(hopping.length);
  });

  test('nobody outside plays one of ours', async () => {
    const forged = [
      toC1(c2.ip),
      toC1(c3.ip),
      toC1(SERVER, c3.mac),
      arpReply({ mac: FORGER, ip: c2.ip }, { mac: c1.mac, ip: c1.ip }, MARK),
      arpReply({ mac: FORGER, ip: c2.ip }, { mac: BROADCAST, ip: c2.ip }, MARK),
    ].map((frame) => taggedFrame(frame, 112));
    const before = await rig.drops(MASTER, 'spoofed-arp');
    expect(await delivered(forged, (frames) => rig.inject(frames))).toEqual([]);
    expect(await rig.drops(MASTER, 'spoofed-arp')).toBeGreaterThanOrEqual(before + 2);
    expect(await rig.ping(c1, c2.ip)).toContain(answered(3));
  });

  test('broadcast and multicast reach the containers of the VLAN on both hosts', async () => {
    const multicast = (srcMac: string, srcIp: string) =>
      udpFrame({ srcMac, dstMac: '01:00:5e:00:00:fb', srcIp, dstIp: '224.0.0.251' }, PORTS, MARK);
    expect(await delivered([taggedFrame(multicast(FORGER, SERVER), 112)], (frames) => rig.inject(frames), 3)).toEqual(['c1', 'c2', 'c3']);
    expect(await delivered([multicast(c1.mac, c1.ip)], (frames) => sendRaw(rig, c1, 'eth0', frames), 2)).toEqual(['c2', 'c3']);
  });

  test('a flood of 100,000 forged sources leaves ours alone', async () => {
    const frames = Array.from({ length: 100_000 }, (_, i) => {
      const tail = [i >> 16, (i >> 8) & 255, i & 255];
      const mac = `52:54:01:${tail.map((b) => b.toString(16).padStart(2, '0')).join(':')}`;
      return taggedFrame(
        udpFrame({ srcMac: mac, dstMac: BROADCAST, srcIp: `172.16.${tail[1]}.${tail[2]}`, dstIp: c1.ip }, PORTS, Buffer.alloc(0)),
        112,
      );
    });
    const { misses } = await pingDuring(rig, c1, c2.ip, () => rig.inject(frames));
    expect(misses).toEqual([]);
    const { datapath, problems } = await rig.inspectAgent(MASTER);
    expect(datapath.maps.find((map) => map.name === 'stations')?.entries).toBeLessThanOrEqual(8192);
    expect(problems.join()).toContain('were not learned');
    expect(await rig.ping(c1, SERVER)).toContain(answered(3));
  });

  test('the uplinks carry the host’s own traffic and other VLANs beside ours', async () => {
    await rig.on(MASTER, 'ip', 'addr', 'add', '198.18.0.1/30', 'dev', 'eth2');
    await rig.on(WORKER, 'ip', 'addr', 'add', '198.18.0.2/30', 'dev', 'eth2');
    expect(await rig.on(MASTER, 'ping', '-c3', '-i0.2', '-W1', '198.18.0.2')).toContain(answered(3));
    for (const [host, ip] of [
      [MASTER, '198.18.0.1/30'],
      [WORKER, '198.18.0.2/30'],
    ] as const)
      await rig.on(host, 'ip', 'addr', 'del', ip, 'dev', 'eth2');
    // Server and router, not ours, on VLAN 113.
    expect(await rig.lab('exec', 'server', '--', 'ping', '-c2', '-i0.2', '-W1', '10.1.4.254')).toContain(answered(2));
  });

  test('a cut cable costs a moment, and one that comes back nothing', async ({ annotate }) => {
    const states = async () => (await rig.inspectAgent(MASTER)).vlan.uplinks.map(({ state }) => state);
    const become = (...wanted: readonly string[]) => eventually(wanted.join(', '), async () => expect(await states()).toEqual(wanted));
    expect(await states()).toEqual(['active', 'standby']);
    /** Milliseconds without an answer while a cable of the container's host is cut, or plugged in again. */
    const gap = async (link: 'up' | 'down', device: string, ...wanted: readonly string[]): Promise<number> => {
      const { lost } = await pingDuring(rig, c1, c2.ip, async () => {
        await rig.lab('link', 'master', link, '--device', device);
        await become(...wanted);
        // Until it answers again there is nothing to count.
        await sleep(FAILOVER_MS);
      });
      return lost * PING_INTERVAL_MS;
    };
    const gaps = [await gap('down', 'eth2', 'unplugged', 'active')];
    expect((await rig.inspectAgent(MASTER)).problems.join()).toContain('uplink eth2 has no carrier');
    expect(await rig.lab('exec', 'server', '--', 'ping', '-c2', '-i0.2', '-W1', c1.ip)).toContain(answered(2));
    const returned = [await gap('up', 'eth2', 'standby', 'active')];
    gaps.push(await gap('down', 'eth3', 'active', 'unplugged'));
    returned.push(await gap('up', 'eth3', 'active', 'standby'));
    await annotate(
      `fail-over between uplinks: ${gaps.join(' and ')} ms without an answer, ${returned.join(' and ')} ms when a cable is back`,
    );
    expect(Math.max(...gaps)).toBeLessThanOrEqual(FAILOVER_MS);
    expect(Math.max(...gaps)).toBeGreaterThan(0);
    expect(returned).toEqual([0, 0]);
  });

  test('netplugin killed and started again under traffic loses nothing', async () => {
    const { misses } = await pingDuring(rig, c1, c2.ip, async () => {
      for (const host of [MASTER, WORKER]) await rig.service(host, 'netplugin', 'kill');
      await sleep(1_000);
      // Whoever only asks what a teardown would cut, cuts nothing.
      const asked = await rig.tryOn(MASTER, 'netplugin', 'teardown', ...(await rig.commonFlags(MASTER)));
      expect(asked.text).toContain('Nothing was removed');
      expect(await rig.ping(c1, SERVER)).toContain(answered(3));
      for (const host of [MASTER, WORKER]) await rig.service(host, 'netplugin', 'start');
      await sleep(1_000);
    });
    expect(misses).toEqual([]);
  });

  test('questions are flooded instead of answered where the cluster says so', async () => {
    await rig.netctl('global', 'set', '--arp-mode', 'flood');
    await sleep(500);
    for (const place of [c1, c2])
      await rig.on(place.host, 'nsenter', '-t', await rig.pidOf(place.host, place.container), '-n', 'ip', 'neigh', 'flush', 'all');
    for (const to of [c2.ip, c3.ip, SERVER]) expect(await rig.ping(c1, to), to).toContain(answered(3));
    expect(await rig.lab('exec', 'server', '--', 'ping', '-c2', '-i0.2', '-W1', c2.ip)).toContain(answered(2));
    await rig.netctl('global', 'set', '--arp-mode', 'proxy');
  });

  test('an uplink that does not exist is told in a sentence, and a container on a VLAN is refused', async () => {
    await rig.setArguments(WORKER, 'netplugin', (argv) => argv.map((arg) => (arg === 'eth2,eth3' ? 'eth9' : arg)));
    await rig.service(WORKER, 'netplugin', 'restart');
    expect((await rig.inspectAgent(WORKER)).problems.join()).toContain('uplink eth9 does not exist');
    expect((await rig.tryDocker(WORKER, ['run', '--rm', '--net', 'contiv-vlan', 'alpine', 'true'])).text).toContain('eth9');
    expect(await rig.docker(WORKER, 'run', '--rm', '--net', 'other/blue', 'alpine', 'echo', 'fine')).toBe('fine');
    await eventually('the other one is let go of', async () =>
      expect(await rig.on(WORKER, 'tc', 'filter', 'show', 'dev', 'eth2', 'ingress')).toBe(''),
    );
    await rig.setArguments(WORKER, 'netplugin', (argv) => argv.map((arg) => (arg === 'eth9' ? 'eth2,eth3' : arg)));
    await rig.service(WORKER, 'netplugin', 'restart');
    await rig.meets(c1, c2.ip);
  });

  test('one that is down is told, and one that carries the default route is warned of', async () => {
    await rig.on(MASTER, 'ip', 'link', 'set', 'eth3', 'down');
    await eventually('told', async () => expect((await rig.inspectAgent(MASTER)).problems.join()).toContain('uplink eth3 is down'));
    await rig.on(MASTER, 'ip', 'link', 'set', 'eth3', 'up');
    await rig.on(MASTER, 'ip', 'route', 'add', 'default', 'dev', 'eth3', 'metric', '9999');
    await eventually('warned', async () =>
      expect((await rig.tryOn(MASTER, 'netplugin', 'status')).text).toContain("uplink eth3 carries this host's default route"),
    );
    await rig.on(MASTER, 'ip', 'route', 'del', 'default', 'dev', 'eth3', 'metric', '9999');
    expect(await rig.ping(c1, c2.ip)).toContain(answered(3));
  });

  test('with its containers a VLAN is gone, and with the data path the uplinks are as they were', async () => {
    await rig.docker(MASTER, 'rm', '-f', 'c1', 'c3', 'blue-peer', 'other');
    await rig.docker(WORKER, 'rm', '-f', 'c2', 'blue');
    await eventually('the network goes', () => rig.netctl('net', 'rm', 'contiv-vlan'));
    await eventually('empty tables', async () => {
      const { maps } = (await rig.inspectAgent(MASTER)).datapath;
      for (const name of ['endpoints', 'ports', 'networks', 'members', 'local_macs'])
        expect(maps.find((map) => map.name === name)?.entries, name).toBe(0);
    });
    await rig.service(MASTER, 'netplugin', 'stop');
    await rig.on(MASTER, 'netplugin', 'teardown', '--yes', ...(await rig.commonFlags(MASTER)));
    for (const device of ['eth2', 'eth3']) {
      expect(await rig.on(MASTER, 'tc', 'qdisc', 'show', 'dev', device)).not.toContain('clsact');
      expect(await rig.on(MASTER, 'ip', 'link', 'show', device)).not.toContain('PROMISC');
    }
  });
});

describe.runIf(ENGINES.includes('modern'))('VLANs with large frames', () => {
  const rig = new VlanRig('vlan-large');
  let c1: Place;
  let c2: Place;
  beforeAll(async () => {
    await rig.up('--engine', 'modern', '--mtu', '9000');
    await rig.vlanNetworks();
    c1 = await rig.container(MASTER, 'c1');
    c2 = await rig.container(WORKER, 'c2');
  });
  afterAll(() => rig.down());

  const size = (bytes: number): string[] => ['-M', 'do', '-s', String(bytes - 28)];

  test('carry what the uplink carries, whole and in fragments', async () => {
    expect((await rig.inspectAgent(MASTER)).vlan.mtu).toBe(9000);
    await rig.meets(c1, c2.ip);
    for (const bytes of [1450, 1500, 8950, 9000]) expect(await rig.ping(c1, c2.ip, ...size(bytes)), String(bytes)).toContain(answered(3));
    expect(await rig.ping(c1, c2.ip, ...size(9001))).toContain('message too long');
    expect(await rig.ping(c1, c2.ip, '-s', '20000')).toContain(answered(3));
    expect(await rig.ping(c1, SERVER, ...size(8950))).toContain(answered(3));
  });

  test('and the VXLAN beside them what its tunnel leaves', async () => {
    const [a, b] = [await rig.container(MASTER, 'x1', 'other/blue'), await rig.container(WORKER, 'x2', 'other/blue')];
    await rig.meets(a, b.ip, ...size(8950));
    expect(await rig.ping(a, b.ip, ...size(8951))).toContain('message too long');
  });

  test('large replies of a server come over a narrower path', async () => {
    const length = await rig.docker(MASTER, 'exec', 'c1', 'sh', '-c', 'wget -qO- http://203.0.113.80/bytes/30000000 | wc -c');
    expect(length).toBe('30000000');
  });

  test('follow another MTU while everything runs: new containers, those there are, and what is said of the hosts', async () => {
    const mtuIn = async (container: string) => (await rig.docker(WORKER, 'exec', container, 'cat', '/sys/class/net/eth0/mtu')).trim();
    const set = async (mtu: string) => {
      for (const device of ['eth1', 'eth2']) await rig.on(WORKER, 'ip', 'link', 'set', device, 'mtu', mtu);
    };
    const x1: Place = { host: MASTER, container: 'x1', ip: '' };
    await set('1500');
    await eventually('the containers have the smaller one', async () =>
      expect([await mtuIn('c2'), await mtuIn('x2')]).toEqual(['1500', '1450']),
    );
    for (const kind of ['VXLAN underlay', 'VLAN uplinks'])
      await eventually(`an alarm about the ${kind} on the other host`, async () =>
        expect((await rig.inspectAgent(MASTER)).problems.join()).toContain(`the MTU of the ${kind} is 1500 on ${WORKER} and 9000 here`),
      );
    await eventually('the doctor says so, too', async () => expect((await rig.tryNetctl('doctor')).stdout).toContain('MTU'));
    const there = { host: WORKER, ip: '' };
    for (const [from, to, fits] of [
      [c2, c1.ip, 1500],
      [{ ...there, container: 'x2' }, await rig.addressOf(MASTER, 'x1'), 1450],
    ] as const) {
      await rig.meets(from, to, ...size(fits));
      expect(await rig.ping(from, to, ...size(fits + 1)), String(fits)).toContain('message too long');
    }
    await rig.docker(WORKER, 'run', '--rm', '--net', 'other/blue', 'alpine', 'sh', '-c', '[ $(cat /sys/class/net/eth0/mtu) = 1450 ]');
    await set('9000');
    await eventually('no alarm', async () => expect((await rig.inspectAgent(MASTER)).problems.join()).not.toContain('MTU'));
    expect([await mtuIn('c2'), await mtuIn('x2')]).toEqual(['1500', '1450']);
    await rig.docker(WORKER, 'restart', '-t', '0', 'x2');
    expect(await mtuIn('x2')).toBe('8950');
    await rig.meets(x1, await rig.addressOf(WORKER, 'x2'), ...size(8950));
  });
});
