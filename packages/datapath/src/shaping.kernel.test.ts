/** Bandwidths and marks of groups, with real packets between two hosts. Figures are bounded widely here; the benchmark measures them. */
import type { Ipv4 } from '@contiv/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplyReport, DatapathPort } from './contract.js';
import { Container, Wire } from './testing/hosts.js';
import { ETHERTYPE, PROTOCOL } from './testing/packets.js';
import { Pair, RED, type Side, VTEPS } from './testing/pair.js';

type Profile = Pick<DatapathPort, 'dscp' | 'limit'> & { readonly group?: number };

let pair: Pair;
/** By the last number of the container's address. */
let profiles: Readonly<Record<number, Profile>> = {};

beforeAll(async () => {
  pair = await Pair.make('dpshape', [
    [RED, 1, 'one'],
    [RED, 2, 'one'],
    [RED, 3, 'two'],
    [RED, 4, 'two'],
  ]);
});
afterAll(() => pair.destroy());

const MBIT = 125_000;
const mbit = (n: number, burstBytes = 0): Profile => ({ group: 7, limit: { bytesPerSecond: n * MBIT, burstBytes } });

function apply(side: Side): Promise<ApplyReport> {
  const desired = pair.desired(side);
  const ports = desired.ports.map((port) => ({ ...port, ...profiles[Number(port.ip.split('.')[3])] }));
  return pair.workers[side].call('apply', { ...desired, ports });
}

async function give(next: Readonly<Record<number, Profile>>): Promise<void> {
  profiles = next;
  for (const side of ['one', 'two'] as const) expect(await apply(side)).toMatchObject({ repaired: [], failed: [] });
}

let nextPort = 5300;
/** Mbit/s of TCP payload that arrive within some seconds. */
async function throughput(from: number, to: number, options = '-t 3'): Promise<number> {
  const port = nextPort++;
  await pair.at(RED, to).sh(`iperf3 -s -1 -D -p ${port} >/dev/null`);
  const client = `iperf3 -J -c 10.1.0.${to} -p ${port} ${options}`;
  const out = await pair.at(RED, from).sh(`for i in $(seq 100); do ${client} && break; sleep 0.2; done`);
  const bits = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([\d.e+]+)/.exec(out.slice(out.lastIndexOf('\n{\n') + 1))?.[1];
  return Number(bits) / 1e6;
}

/** Mbit/s that each of these containers of the second host gets while all of them get something: `work` brings it about. */
async function ratesTogether(to: readonly number[], work: Promise<unknown>): Promise<number[]> {
  const samples: { readonly at: number; readonly bits: readonly number[] }[] = [];
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  while (!over) {
    const began = performance.now();
    const counters = await pair.workers.two.call('counters');
    const took = performance.now() - began;
    const bits = to.map((last) => Number(counters.get(pair.at(RED, last).port.name)?.txBytes ?? 0n) * 8);
    // One that took long was read nobody knows when.
    if (took < 50) samples.push({ at: began + took / 2, bits });
    await new Promise((wake) => setTimeout(wake, 100));
  }
  await ended;
  /** Whoever has begun has got more than its handshake. */
  const run = (n: number, i: number) => (samples[i]?.bits[n] ?? 0) - (samples[0]?.bits[n] ?? 0) > 100_000;
  const still = (n: number, i: number) => (samples.at(-1)?.bits[n] ?? 0) - (samples[i]?.bits[n] ?? 0) > 100_000;
  const together = samples.filter((_, i) => to.every((_, n) => run(n, i) && still(n, i)));
  const [first, last] = [together[0], together.at(-1)];
  if (!first || !last || last.at - first.at < 2_000) throw new Error('they did not run together for two seconds');
  return to.map((_, n) => ((last.bits[n] ?? 0) - (first.bits[n] ?? 0)) / (last.at - first.at) / 1_000);
}

const classes = (): Promise<string> => pair.hosts.one.sh('tc class show dev contivq 2>&1 || true');

describe('bandwidth', () => {
  it('holds a container to it either way, here and between hosts, and nobody else', async () => {
    await give({ 1: mbit(16) });
    for (const [from, to] of [
      [1, 3],
      [3, 1],
      [1, 2],
      [2, 1],
    ] as const) {
      const got = await throughput(from, to);
      expect(got, `${from} to ${to}`).toBeGreaterThan(16 * 0.8);
      expect(got, `${from} to ${to}`).toBeLessThan(16 * 1.1);
    }
    expect(await throughput(2, 3, '-n 20M')).toBeGreaterThan(64);
    expect(await pair.at(RED, 1).ping('10.1.0.3', '-c 3 -i 0.02 -W 10')).toBe(3);
    expect(await pair.at(RED, 3).ping('2001:db8:1::1', '-c 3 -i 0.02 -W 10')).toBe(3);
  });

  it('is shared evenly by the containers of a group, however much each asks for', async () => {
    await give({ 1: mbit(16), 2: mbit(16) });
    const [many = 0, one = 0] = await ratesTogether([3, 4], Promise.all([throughput(1, 3, '-t 4 -P 4'), throughput(2, 4, '-t 4')]));
    expect(many + one).toBeGreaterThan(16 * 0.8);
    expect(many + one).toBeLessThan(16 * 1.15);
    expect(Math.min(many, one) / Math.max(many, one)).toBeGreaterThan(0.75);
  });

  it.each([1, 16, 100])('is shared evenly by containers that send in large packets and in small ones, %i Mbit/s', async (rate) => {
    await give({ 1: mbit(rate), 2: mbit(rate) });
    await pair.at(RED, 1).sh('ip link set eth0 gso_max_segs 1');
    const [small = 0, large = 0] = await ratesTogether([3, 4], Promise.all([throughput(1, 3, '-t 4'), throughput(2, 4, '-t 4')]));
    await pair.at(RED, 1).sh('ip link set eth0 gso_max_segs 65535');
    expect(small + large).toBeGreaterThan(rate * 0.8);
    expect(small + large).toBeLessThan(rate * 1.15);
    expect(Math.min(small, large) / Math.max(small, large)).toBeGreaterThan(0.75);
  });

  it('lets the frames of a wider underlay through, from the moment it is wider, and no wider ones when it is narrow again', async () => {
    await give({ 1: mbit(8) });
    const frames = async () => (await pair.hosts.one.sh('tc -j qdisc show dev contivq')).match(/"kind":"tbf"/g)?.length;
    const wide = () => pair.at(RED, 1).sh('ping -c 2 -i 0.1 -W 2 -M do -s 8922 10.1.0.3 2>&1 || true');
    const become = async (underlay: number, inner: number) => {
      for (const host of [pair.hosts.one, pair.hosts.two]) await host.sh(`ip link set eth1 mtu ${underlay}`);
      // The agent does so when a container starts; in one that runs it changes nothing.
      for (const last of [1, 3]) await pair.at(RED, last).sh(`ip link set eth0 mtu ${inner}`);
    };
    try {
      await become(9000, 8950);
      await expect.poll(wide, { timeout: 10_000 }).toMatch(/2 received/);
      expect(await frames()).toBe(2);
      expect(await throughput(1, 3)).toBeGreaterThan(8 * 0.75);
    } finally {
      await become(1500, 1450);
    }
    await expect.poll(wide, { timeout: 10_000 }).toMatch(/message too long, mtu=1450/i);
    const got = await throughput(3, 1);
    expect(got).toBeGreaterThan(8 * 0.75);
    expect(got).toBeLessThan(8 * 1.2);
  });

  it('is another one at once, and goes without a trace', async () => {
    await give({ 1: mbit(4) });
    expect(await throughput(1, 3)).toBeLessThan(4 * 1.2);
    await give({ 1: mbit(40) });
    expect(await throughput(1, 3)).toBeGreaterThan(4 * 2);
    await give({});
    expect(await classes()).toMatch(/Cannot find device/);
    expect(await throughput(1, 3, '-n 20M')).toBeGreaterThan(64);
  });

  it('holds from the first packet of a container that comes later, and loses its class with it', async () => {
    await give({ 1: mbit(4) });
    const ip = '10.1.0.9' as Ipv4;
    const port = { ...pair.at(RED, 1).port, ...mbit(4), name: 'cv100x9', ip, mac: '02:02:0a:01:00:09' } as DatapathPort;
    const { ip6: _ip6, ...four } = port;
    await pair.workers.one.call('addPort', four, 'cv100x9p');
    const leaves = (text: string): number => text.split('\n').filter((line) => line.includes(' leaf ')).length;
    expect(leaves(await classes())).toBe(4);
    const container = new Container(four);
    container.plug(pair.hosts.one);
    try {
      expect(await container.ping('10.1.0.2', '-c 2 -i 0.02 -W 10')).toBe(2);
    } finally {
      container.remove();
      await pair.workers.one.call('removePort', 'cv100x9');
    }
    await give({ 1: mbit(4) });
    expect(leaves(await classes())).toBe(2);
  });

  it('stays while the agent is dead, is adopted by the next one, and repaired after strangers', async () => {
    await give({ 1: mbit(8) });
    await pair.workers.one.kill();
    expect(await throughput(1, 3)).toBeLessThan(8 * 1.2);
    await pair.restart('one');
    expect(await apply('one')).toEqual({ written: 0, repaired: [], failed: [] });
    await pair.hosts.one.sh('tc class change dev contivq classid c04:800e htb rate 1mbit ceil 1mbit');
    expect((await apply('one')).repaired).toEqual(['class c04800e of contivq was missing or changed']);
    await pair.hosts.one.sh('ip link del contivq');
    const { repaired, failed } = await apply('one');
    expect([repaired[0], failed]).toEqual(['the device contivq was missing', []]);
    const got = await throughput(1, 3);
    expect(got).toBeGreaterThan(8 * 0.75);
    expect(got).toBeLessThan(8 * 1.2);
    await give({});
  });

  it('keeps the fragments of a packet on one way through the underlay, whether they waited or not', async () => {
    for (const profile of [{}, mbit(16)]) {
      await give({ 1: profile });
      // The first packet finds the neighbour by the tunnel device.
      expect(await pair.at(RED, 1).ping('10.1.0.3', '-c 2 -i 0.02 -W 10')).toBe(2);
      const between = new Wire(pair.hosts.one, 'eth1');
      expect(await pair.at(RED, 1).ping('10.1.0.3', '-s 4000 -c 2 -i 0.02 -W 10')).toBe(2);
      const ports = between.frames().flatMap((frame) => {
        const wrapped = frame[23] === PROTOCOL.udp && frame.readUInt16BE(36) === 8472;
        return wrapped && frame.subarray(76, 84).equals(Buffer.of(10, 1, 0, 1, 10, 1, 0, 3)) ? [frame.readUInt16BE(34)] : [];
      });
      between.close();
      expect(ports, JSON.stringify(profile)).toHaveLength(6);
      expect(new Set(ports).size, JSON.stringify(profile)).toBe(1);
    }
    await give({});
  });

  it('counts what waited like everything else', async () => {
    await give({ 1: mbit(16), 3: mbit(16) });
    const given = async () => (await pair.workers.one.call('counters')).get(pair.at(RED, 1).port.name)?.txBytes ?? 0n;
    // The last of what was measured before may still be on its way.
    let before = await given();
    for (let earlier = -1n; before !== earlier; before = await given()) {
      earlier = before;
      await new Promise((wake) => setTimeout(wake, 100));
    }
    expect(await pair.at(RED, 1).ping('10.1.0.3', '-c 20 -i 0.01 -W 10')).toBe(20);
    expect((await given()) - before).toBe(20n * 98n);
    await give({});
  });
});

describe('marks', () => {
  it('are on what a container sends and on its way through the underlay, with or without a bandwidth, and on nothing else', async () => {
    const dscps = (frames: readonly Buffer[], inner: boolean): number[] => [
      ...new Set(
        frames.flatMap((frame) => {
          const type = frame.readUInt16BE(12);
          const udp = type === ETHERTYPE.ipv4 && frame[23] === 17 && frame.readUInt16BE(36) === 8472;
          if (inner ? udp : !udp && type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return [];
          if (!inner && !udp) return [];
          // Echo requests alone: answers come from those who have no profile.
          const at = inner ? 14 : 64;
          const four = frame[at] !== undefined && frame[at] >>> 4 === 4;
          if (frame[at + (four ? 20 : 40)] !== (four ? 8 : 128)) return [];
          return [type === ETHERTYPE.ipv4 ? (frame[15] ?? 0) >>> 2 : ((frame.readUInt16BE(14) >>> 4) & 0xff) >>> 2];
        }),
      ),
    ];
    for (const [profile, marked, outer] of [
      [{ dscp: 46 }, [46], [46]],
      [{ ...mbit(40), dscp: 10 }, [10], [10]],
      // What it marks itself it may keep, and the underlay does not believe.
      [{}, [2], [0]],
    ] as const) {
      await give({ 1: profile });
      const wires = { inside: new Wire(pair.at(RED, 3)), between: new Wire(pair.hosts.one, 'eth1') };
      expect(await pair.at(RED, 1).ping('10.1.0.3', '-Q 8 -c 2 -i 0.02 -W 10')).toBe(2);
      expect(await pair.at(RED, 1).ping('2001:db8:1::3', '-Q 8 -c 2 -i 0.02 -W 10')).toBe(2);
      const { inside, between } = { inside: wires.inside.frames(), between: wires.between.frames() };
      for (const wire of Object.values(wires)) wire.close();
      expect(dscps(inside, true), JSON.stringify(profile)).toEqual(marked);
      expect(dscps(between, false), `outside ${VTEPS[4].one}, ${JSON.stringify(profile)}`).toEqual(outer);
    }
  });
});
