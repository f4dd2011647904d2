/** What the programs tell of connections: beginning, end, denial, counters, and what they leave out under a flood. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FlowEvent, FlowLimits } from '../flows/codec.js';
import { Departures } from '../flows/departures.js';
import { KernelFlows } from '../flows/source.js';
import { endpointAddress, endpointKey } from '../maps/layout.js';
import { A, B, type Bench, C, GROUP, type Station, standardBench, VNI, VTEP } from '../testing/bench.js';
import { ETHERTYPE, ethernet, ipv4, ipv6, PROTOCOL, TCP, tcp, udp } from '../testing/packets.js';

const LIMITS: FlowLimits = { opened: 1_000, denied: 50, logged: 20, deniedEach: 10 };
let bench: Bench;
let flows: KernelFlows;
let departures: Departures;
beforeAll(() => {
  bench = standardBench();
  departures = new Departures((name) => bench.map(name));
  flows = new KernelFlows(
    (name) => bench.map(name),
    () => departures.takeEnded(),
  );
});
beforeEach(() => flows.limit(LIMITS));
afterEach(() => {
  events();
  bench.forgetRules();
  bench.clear('flow_sources');
  // What one test has taken of a second is not missing to the next one.
  const buckets = bench.map('flow_buckets');
  for (const [key, value] of buckets.entries()) buckets.set(key, Buffer.alloc(value.length));
});
afterAll(() => {
  departures.close();
  flows.close();
  bench.close();
});

const events = (most = 100_000): FlowEvent[] => {
  const found: FlowEvent[] = [];
  flows.read((event) => found.push(event), most);
  return found;
};
const short = ({ kind, connection: c }: FlowEvent) =>
  `${kind} ${c.protocol} ${c.src.ip} ${c.src.port} > ${c.dst.ip} ${c.dst.port} rule ${c.rule} ${c.way}${c.end ? ` ${c.end}` : ''}`;

type Family = 4 | 6;
const callsOfA = function* (count: number) {
  for (let i = 0; i < count; i++) {
    const packet = ipv4({ src: A.ip, dst: B.ip, protocol: PROTOCOL.tcp }, tcp(1_024 + i, 80, TCP.syn));
    yield ethernet({ src: A.mac, dst: B.mac }, ETHERTYPE.ipv4, packet);
  }
};
function segment(src: Station, dst: Station, sport: number, dport: number, flags: number, family: Family = 4, segments = 0) {
  const payload = tcp(sport, dport, flags);
  const packet =
    family === 4
      ? ipv4({ src: src.ip, dst: dst.ip, protocol: PROTOCOL.tcp }, payload)
      : ipv6({ src: src.ip6, dst: dst.ip6, next: PROTOCOL.tcp }, payload);
  const frame = ethernet({ src: src.mac, dst: dst.mac }, family === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6, packet);
  if (src === C) return bench.receive({ vni: VNI, vtep: VTEP }, frame);
  return bench.send(src === A ? 'a' : 'b', frame, segments);
}
const left = () => ({ ...flows.leftOut() });

describe.each([4, 6] as const)('IPv%i', (family) => {
  const [a, b] = family === 4 ? [A.ip, B.ip] : [A.ip6, B.ip6];

  it('a connection is told when it begins and once when it ends, with what went which way', () => {
    for (const [caller, called] of [
      [A, B],
      [B, A],
    ] as const) {
      segment(caller, called, 40_000, 80, TCP.syn, family);
      segment(called, caller, 80, 40_000, TCP.syn | TCP.ack, family);
      segment(caller, called, 40_000, 80, TCP.ack, family);
      segment(caller, called, 40_000, 80, TCP.fin | TCP.ack, family);
      segment(called, caller, 80, 40_000, TCP.fin | TCP.ack, family);
      segment(caller, called, 40_000, 80, TCP.ack, family);
      const told = events();
      const [from, to] = caller === A ? [a, b] : [b, a];
      expect(told.map(short)).toEqual([`opened 6 ${from} 40000 > ${to} 80 rule 0 out`, `ended 6 ${from} 40000 > ${to} 80 rule 0 out fin`]);
      const size = family === 4 ? 54 : 74;
      expect(told[0]?.connection).toMatchObject({ packets: [1, 0], bytes: [size, 0], replied: false });
      expect(told[1]?.connection).toMatchObject({ packets: [3, 2], bytes: [3 * size, 2 * size], replied: true, denied: false });
      bench.forgetRules();
    }
  });

  it('what makes room for a connection that the other end begins is told to have ended, with all that went', () => {
    segment(A, B, 40_000, 80, TCP.syn, family);
    segment(B, A, 80, 40_000, TCP.syn | TCP.ack, family);
    segment(A, B, 40_000, 80, TCP.ack, family);
    segment(B, A, 80, 40_000, TCP.syn, family);
    const told = events();
    expect(told.map(short)).toEqual([
      `opened 6 ${a} 40000 > ${b} 80 rule 0 out`,
      `ended 6 ${a} 40000 > ${b} 80 rule 0 out`,
      `opened 6 ${b} 80 > ${a} 40000 rule 0 out`,
    ]);
    expect(told[1]?.connection).toMatchObject({ packets: [2, 1], replied: true });
    bench.forgetRules();
  });

  it('the table shows the same, and what has expired is not in it', () => {
    segment(A, B, 40_000, 80, TCP.syn, family);
    segment(A, B, 40_001, 80, TCP.syn, family);
    segment(A, B, 40_001, 80, TCP.rst, family);
    expect([...flows.connections()].map((c) => `${c.src.ip} ${c.src.port} ${c.dst.port} ${c.packets.join(',')} ${c.end}`).sort()).toEqual([
      `${a} 40000 80 1,0 undefined`,
      `${a} 40001 80 2,0 rst`,
    ]);
    for (const name of ['connections4', 'connections6']) {
      for (const [key, value] of bench.map(name).entries()) {
        const aged = Buffer.from(value);
        aged.writeUInt32LE((value.readUInt32LE(0) - 61) >>> 0, 0);
        bench.map(name).set(key, aged);
      }
    }
    expect([...flows.connections()]).toEqual([]);
  });
});

describe('a container that leaves', () => {
  const address = (of: Station, family: Family) => endpointAddress(endpointKey(VNI, family === 4 ? of.ip : of.ip6));
  const present = () => [...flows.connections()].map(({ src, dst }) => `${src.ip} ${src.port} > ${dst.ip}`).sort();

  it.each([4, 6] as const)('takes its IPv%i connections along, whoever opened them, and their ends are told', async (family) => {
    const [a, b, c] = [A, B, C].map((station) => (family === 4 ? station.ip : station.ip6));
    segment(A, B, 40_000, 80, TCP.syn, family);
    segment(C, A, 40_001, 80, TCP.syn, family);
    segment(C, B, 40_002, 80, TCP.syn, family);
    departures.add(VNI, address(A, family));
    await departures.done(VNI, [address(A, family)]);
    expect(present()).toEqual([`${c} 40002 > ${b}`]);
    expect(
      events()
        .map(short)
        .filter((line) => line.startsWith('ended'))
        .sort(),
    ).toEqual([`ended 6 ${a} 40000 > ${b} 80 rule 0 out`, `ended 6 ${c} 40001 > ${a} 80 rule 0 out`].sort());
    expect(events()).toEqual([]);
  });

  it('leaves those of the same address in another network, and what its successor has begun since', async () => {
    segment(A, B, 40_000, 80, TCP.syn);
    const [[key, value]] = bench.map('connections4').entries() as [[Buffer, Buffer]];
    const later = Buffer.from(value);
    later.writeUInt32LE(value.readUInt32LE(16) + 10, 16);
    const other = Buffer.from(key);
    other.writeUInt32LE(VNI + 1, 0);
    departures.add(VNI, address(A, 4));
    bench.map('connections4').set(key, later);
    bench.map('connections4').set(other, value);
    await departures.done(VNI, [address(A, 4)]);
    expect(present().length).toBe(2);
  });

  it('is swept away soon also after a walk that had to wait for a processor', async () => {
    const busy = new Departures((name) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      return bench.map(name);
    });
    busy.add(VNI, address(A, 4));
    await busy.done(VNI, [address(A, 4)]);
    segment(A, B, 40_000, 80, TCP.syn);
    const left = performance.now();
    busy.add(VNI, address(A, 4));
    await expect.poll(present).toEqual([]);
    expect(performance.now() - left).toBeLessThan(5_000);
    busy.close();
  });

  it('is swept away without anybody who waits, and a large table holds up nobody for long', async () => {
    flows.limit({ ...LIMITS, opened: 1_000_000 });
    bench.sendMany('a', callsOfA(60_000));
    segment(C, B, 40_002, 80, TCP.syn);
    departures.add(VNI, address(A, 4));
    let turns = 0;
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await expect.poll(() => bench.map('connections4').count(), { interval: 100 }).toBe(1);
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(20);
    expect(events().filter(({ kind }) => kind === 'ended').length).toBeGreaterThan(0);
  });
});

describe('verdicts', () => {
  it('a denied connection is told once, with the rule and whose it is', () => {
    bench.addRule({ from: GROUP.a, to: GROUP.b, priority: 10, denied: true, rule: 77 });
    for (let i = 0; i < 5; i++) segment(A, B, 40_000, 80, TCP.syn);
    expect(events().map(short)).toEqual([`denied 6 ${A.ip} 40000 > ${B.ip} 80 rule 77 in`]);
    expect([...flows.connections()]).toMatchObject([{ denied: true, packets: [5, 0] }]);
  });

  it('what the other end may not begin either is told once as well, however often both try', () => {
    bench.addRule({ from: GROUP.a, to: GROUP.b, priority: 10, denied: true, rule: 77 });
    bench.addRule({ from: GROUP.b, to: GROUP.a, priority: 10, denied: true, rule: 78 });
    const tryBoth = () => {
      expect(segment(A, B, 7_946, 7_946, TCP.syn).reason).toBe('policy');
      expect(segment(B, A, 7_946, 7_946, TCP.syn).reason).toBe('policy');
    };
    for (let i = 0; i < 3; i++) tryBoth();
    expect(events().map(short)).toEqual([
      `denied 6 ${A.ip} 7946 > ${B.ip} 7946 rule 77 in`,
      `denied 6 ${B.ip} 7946 > ${A.ip} 7946 rule 78 in`,
    ]);
    bench.nextEpoch();
    tryBoth();
    expect(events()).toEqual([]);
  });

  it('a connection that new rules cut is told as denied', () => {
    segment(A, B, 40_000, 80, TCP.syn);
    bench.addRule({ from: GROUP.a, to: GROUP.b, priority: 10, denied: true, rule: 78 });
    bench.configure({ epoch: 99 });
    segment(A, B, 40_000, 80, TCP.ack);
    expect(events().map(short)).toEqual([
      `opened 6 ${A.ip} 40000 > ${B.ip} 80 rule 0 out`,
      `denied 6 ${A.ip} 40000 > ${B.ip} 80 rule 78 in`,
    ]);
  });

  it('what comes through the tunnel is told too', () => {
    segment(C, A, 40_000, 80, TCP.syn);
    expect(events().map(short)).toEqual([`opened 6 ${C.ip} 40000 > ${A.ip} 80 rule 0 out`]);
  });

  it('rules that log are marked, and have a limit of their own', () => {
    bench.addRule({ from: GROUP.a, to: GROUP.b, priority: 10, denied: true, rule: 79, log: true });
    flows.limit({ ...LIMITS, denied: 0, deniedEach: 0 });
    const before = left();
    for (let i = 0; i < 25; i++) segment(A, B, 41_000 + i, 80, TCP.syn);
    const told = events();
    // A window may end in between.
    expect(told.length).toBeGreaterThanOrEqual(20);
    expect(told.every((e) => e.connection.logged && e.connection.rule === 79)).toBe(true);
    expect(told.length + left().logged - before.logged).toBe(25);
  });
});

describe('limits', () => {
  it('nothing is told while it is switched off', () => {
    flows.limit(undefined);
    const before = left();
    segment(A, B, 40_000, 80, TCP.syn);
    segment(A, B, 40_000, 80, TCP.rst);
    expect(events()).toEqual([]);
    expect(left()).toEqual(before);
  });

  it('of a flood of denied connections few are told, and the others are counted', () => {
    bench.addRule({ from: GROUP.a, to: GROUP.b, priority: 10, denied: true, rule: 80 });
    const before = left();
    const started = process.hrtime.bigint() >> 30n;
    const flood = 20_000;
    bench.sendMany('a', callsOfA(flood));
    const windows = Number((process.hrtime.bigint() >> 30n) - started) + 1;
    const told = events().length;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThanOrEqual(LIMITS.deniedEach * windows);
    expect(told + left().denied - before.denied).toBe(flood);
    // Another container's are told all the same.
    bench.addRule({ from: GROUP.b, to: GROUP.a, priority: 10, denied: true, rule: 81 });
    segment(B, A, 50_000, 81, TCP.syn);
    expect(events().map(short)).toEqual([`denied 6 ${B.ip} 50000 > ${A.ip} 81 rule 81 in`]);
  });

  it('a ring nobody reads fills up, is read later, and goes on', () => {
    flows.limit({ ...LIMITS, opened: 1_000_000 });
    const before = left();
    const many = 12_000;
    bench.sendMany('a', callsOfA(many));
    const missed = left().room - before.room;
    expect(missed).toBeGreaterThan(0);
    const first = events(1_000);
    expect(first.length).toBe(1_000);
    expect(first[999]?.connection.src.port).toBe(1_024 + 999);
    // Who starts again goes on behind what was read.
    const again = new KernelFlows((name) => bench.map(name));
    const rest: FlowEvent[] = [];
    again.read((event) => rest.push(event), many);
    again.close();
    expect(rest[0]?.connection.src.port).toBe(1_024 + 1_000);
    expect(1_000 + rest.length + missed).toBe(many);
    segment(B, A, 9, 9, TCP.syn);
    expect(events().map(short)).toEqual([`opened 6 ${B.ip} 9 > ${A.ip} 9 rule 0 out`]);
    segment(B, A, 10, 10, TCP.syn);
    expect(again.read(() => undefined, 1)).toBe(0);
  });

  it('the ends of connections that were left out are left out', () => {
    flows.limit({ ...LIMITS, opened: 0 });
    segment(A, B, 40_000, 80, TCP.syn);
    segment(A, B, 40_000, 80, TCP.rst);
    const payload = udp(1, 2);
    bench.send('a', ethernet({ src: A.mac, dst: B.mac }, ETHERTYPE.ipv4, ipv4({ src: A.ip, dst: B.ip, protocol: PROTOCOL.udp }, payload)));
    expect(events()).toEqual([]);
  });
});
