/** Connections and policy: the first packet is decided, replies pass, verdicts change with the rules. */
import type { Ipv4, Ipv6 } from '@contiv/model';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { A, B, type Bench, C, GROUP, type Rule, type Station, standardBench, VNI, VTEP } from '../testing/bench.js';
import { ETHERTYPE, echo, ethernet, fragment6, icmp, ipv4, ipv6, options6, PROTOCOL, TCP, tcp, udp } from '../testing/packets.js';

let bench: Bench;
beforeAll(() => {
  bench = standardBench();
});
afterAll(() => bench.close());
afterEach(() => bench.forgetRules());

const PASSED = { verdict: 'redirect', reason: undefined };
const DENIED = { verdict: 'drop', reason: 'policy' };
const deny = (from: number, to: number, more: Partial<Rule> = {}) =>
  bench.addRule({ from, to, priority: 10, denied: true, rule: 1, ...more });
const allow = (from: number, to: number, more: Partial<Rule> = {}) =>
  bench.addRule({ from, to, priority: 20, denied: false, rule: 2, ...more });

const frame4 = (src: Station, dst: Station, protocol: number, payload: Buffer) =>
  ethernet({ src: src.mac, dst: dst.mac }, ETHERTYPE.ipv4, ipv4({ src: src.ip, dst: dst.ip, protocol }, payload));
const frame6 = (src: Station, dst: Station, protocol: number, payload: Buffer) =>
  ethernet({ src: src.mac, dst: dst.mac }, ETHERTYPE.ipv6, ipv6({ src: src.ip6, dst: dst.ip6, next: protocol }, payload));
type Family = 4 | 6;
const inFrame = (family: Family) => (family === 4 ? frame4 : frame6);
const portOf = (station: Station) => (station === A ? 'a' : 'b');
/** From a station's container, or through the tunnel where the station lives on the other host. */
const pass = (src: Station, dst: Station, protocol: number, payload: Buffer, family: Family = 4) => {
  const frame = inFrame(family)(src, dst, protocol, payload);
  return src === C ? bench.receive({ vni: VNI, vtep: VTEP }, frame) : bench.send(portOf(src), frame);
};
const segment = (src: Station, dst: Station, sport: number, dport: number, flags: number, family: Family = 4) =>
  pass(src, dst, PROTOCOL.tcp, tcp(sport, dport, flags), family);
const datagram = (src: Station, dst: Station, sport: number, dport: number, family: Family = 4) =>
  pass(src, dst, PROTOCOL.udp, udp(sport, dport), family);

/** `struct tracked` of the only connection. */
function tracked(family: Family = 4) {
  const map = bench.map(family === 4 ? 'connections4' : 'connections6');
  const [entry, ...more] = map.entries();
  if (!entry || more.length > 0) throw new Error(`${more.length + (entry ? 1 : 0)} connections`);
  const [key, value] = entry;
  return {
    rule: value.readUInt32LE(8),
    denied: value.readUInt8(12),
    opener: value.readUInt8(13),
    state: value.readUInt8(14) & 15,
    /** It began with a SYN. */
    syn: (value.readUInt8(14) & 16) !== 0,
    /** As if the last packet had been so long ago. */
    age: (seconds: number) => {
      const aged = Buffer.from(value);
      aged.writeUInt32LE((value.readUInt32LE(0) - seconds) >>> 0, 0);
      map.set(key, aged);
    },
  };
}
const connections = () => bench.map('connections4').count() + bench.map('connections6').count();

describe.each([4, 6] as const)('IPv%i', (family) => {
  it('is one entry for both directions, whoever is local', () => {
    for (const [x, y] of [
      [A, B],
      [B, A],
      [A, C],
      [C, A],
    ] as const) {
      expect(segment(x, y, 40000, 80, TCP.syn, family)).toMatchObject(PASSED);
      expect(tracked(family)).toMatchObject({ state: 0, syn: true });
      expect(segment(y, x, 80, 40000, TCP.syn | TCP.ack, family)).toMatchObject(PASSED);
      expect(tracked(family)).toMatchObject({ state: 1, syn: true, denied: 0 });
      bench.forgetRules();
    }
  });

  it('knows connections apart by port, protocol and ends', () => {
    datagram(A, B, 1, 2, family);
    datagram(A, B, 2, 1, family);
    datagram(A, B, 1, 3, family);
    datagram(A, C, 1, 2, family);
    segment(A, B, 1, 2, TCP.syn, family);
    pass(A, B, PROTOCOL.sctp, udp(1, 2), family);
    expect(connections()).toBe(6);
    datagram(B, A, 2, 1, family);
    expect(connections()).toBe(6);
  });

  it('replies to what was allowed pass although the way back is denied', () => {
    deny(GROUP.b, GROUP.a);
    expect(datagram(B, A, 53, 5000, family)).toMatchObject(DENIED);
    bench.clear('connections4', 'connections6');
    expect(datagram(A, B, 5000, 53, family)).toMatchObject(PASSED);
    expect(datagram(B, A, 53, 5000, family)).toMatchObject(PASSED);
    expect(datagram(B, A, 53, 5001, family)).toMatchObject(DENIED);
    expect(segment(A, B, 6000, 80, TCP.syn, family)).toMatchObject(PASSED);
    expect(segment(B, A, 80, 6000, TCP.syn | TCP.ack, family)).toMatchObject(PASSED);
    expect(segment(B, A, 80, 6000, TCP.ack, family)).toMatchObject(PASSED);
    expect(segment(B, A, 80, 6001, TCP.ack, family)).toMatchObject(DENIED);
  });

  it('echo replies belong to their request, by identifier', () => {
    deny(GROUP.b, GROUP.a);
    const [ask, tell, icmpOf] = family === 4 ? [8, 0, PROTOCOL.icmp] : [128, 129, PROTOCOL.icmp6];
    expect(pass(A, B, icmpOf, echo(ask, 7), family)).toMatchObject(PASSED);
    expect(pass(B, A, icmpOf, echo(tell, 7), family)).toMatchObject(PASSED);
    expect(pass(B, A, icmpOf, echo(tell, 8), family)).toMatchObject(DENIED);
    expect(pass(B, A, icmpOf, echo(ask, 9), family)).toMatchObject(DENIED);
  });

  it('whoever is asked for an echo may not ask for one by its identifier, and goes on answering', () => {
    deny(GROUP.b, GROUP.a);
    const [ask, tell, icmpOf] = family === 4 ? [8, 0, PROTOCOL.icmp] : [128, 129, PROTOCOL.icmp6];
    for (let round = 0; round < 2; round++) {
      expect(pass(A, B, icmpOf, echo(ask, 7), family)).toMatchObject(PASSED);
      expect(pass(B, A, icmpOf, echo(ask, 7), family)).toMatchObject(DENIED);
      expect(pass(B, A, icmpOf, echo(tell, 7), family)).toMatchObject(PASSED);
    }
    expect(tracked(family)).toMatchObject({ denied: 0 });
  });

  it('ICMP errors about an allowed connection pass to its end, others are judged by themselves', () => {
    deny(GROUP.b, GROUP.a);
    deny(GROUP.b, GROUP.c);
    const [unreachable, icmpOf] = family === 4 ? [3, PROTOCOL.icmp] : [1, PROTOCOL.icmp6];
    const about = (src: Station, dst: Station, sport: number, dport: number) =>
      icmp(unreachable, 3, 0, inFrame(family)(src, dst, PROTOCOL.udp, udp(sport, dport)).subarray(14));
    expect(datagram(A, B, 5000, 9, family)).toMatchObject(PASSED);
    expect(pass(B, A, icmpOf, about(A, B, 5000, 9), family)).toMatchObject(PASSED);
    expect(connections()).toBe(1);
    expect(pass(B, A, icmpOf, about(A, B, 5001, 9), family)).toMatchObject(DENIED);
    // Quoting somebody else's packet opens no way to a third.
    expect(pass(B, C, icmpOf, about(A, B, 5000, 9), family)).toMatchObject(DENIED);
    expect(pass(B, A, icmpOf, about(B, A, 9, 5000), family)).toMatchObject(DENIED);
    // Nor does it speak of what went to a third.
    expect(datagram(A, C, 5000, 9, family)).toMatchObject(PASSED);
    expect(pass(C, A, icmpOf, about(A, C, 5000, 9), family)).toMatchObject(PASSED);
    expect(pass(B, A, icmpOf, about(A, C, 5000, 9), family)).toMatchObject(DENIED);
    expect(pass(B, A, icmpOf, icmp(unreachable, 3, 0, Buffer.alloc(4)), family)).toMatchObject(DENIED);
    const echoed = icmp(unreachable, 1, 0, inFrame(family)(A, B, icmpOf, echo(family === 4 ? 8 : 128, 44)).subarray(14));
    expect(pass(B, A, icmpOf, echoed, family)).toMatchObject(DENIED);
    expect(pass(A, B, icmpOf, echo(family === 4 ? 8 : 128, 44), family)).toMatchObject(PASSED);
    expect(pass(B, A, icmpOf, echoed, family)).toMatchObject(PASSED);
  });

  it('ICMP errors about protocols without ports belong to their conversation as well', () => {
    deny(GROUP.b, GROUP.a);
    const [unreachable, icmpOf] = family === 4 ? [3, PROTOCOL.icmp] : [2, PROTOCOL.icmp6];
    // GRE and ESP: what stands where others have ports says nothing about whose it is.
    for (const protocol of [47, 50]) {
      const packet = Buffer.from('0102030405060708', 'hex');
      const about = icmp(unreachable, family === 4 ? 4 : 0, 1400, inFrame(family)(A, B, protocol, packet).subarray(14));
      expect(pass(B, A, icmpOf, about, family)).toMatchObject(DENIED);
      bench.clear('connections4', 'connections6');
      expect(pass(A, B, protocol, packet, family)).toMatchObject(PASSED);
      expect(pass(B, A, icmpOf, about, family)).toMatchObject(PASSED);
      bench.clear('connections4', 'connections6');
    }
  });

  it('does not let an error about what was denied through', () => {
    deny(GROUP.a, GROUP.b);
    deny(GROUP.b, GROUP.a);
    expect(datagram(A, B, 5000, 9, family)).toMatchObject(DENIED);
    const about = icmp(family === 4 ? 3 : 1, 3, 0, inFrame(family)(A, B, PROTOCOL.udp, udp(5000, 9)).subarray(14));
    expect(pass(B, A, family === 4 ? PROTOCOL.icmp : PROTOCOL.icmp6, about, family)).toMatchObject(DENIED);
  });

  it('times out: what was idle for long is decided again', () => {
    const rows = [
      { first: () => datagram(A, B, 1, 2, family), back: () => datagram(B, A, 2, 1, family), kept: 170, gone: 190 },
      { first: () => segment(A, B, 1, 2, TCP.syn, family), back: () => segment(B, A, 2, 1, TCP.ack, family), kept: 50, gone: 70 },
      {
        first: () => {
          segment(A, B, 1, 2, TCP.syn, family);
          segment(B, A, 2, 1, TCP.syn | TCP.ack, family);
        },
        back: () => segment(B, A, 2, 1, TCP.ack, family),
        kept: 21_000,
        gone: 22_000,
      },
      {
        first: () => {
          segment(A, B, 1, 2, TCP.syn, family);
          segment(B, A, 2, 1, TCP.rst, family);
        },
        back: () => segment(B, A, 2, 1, TCP.ack, family),
        kept: 8,
        gone: 12,
      },
      {
        first: () => {
          segment(A, B, 1, 2, TCP.fin | TCP.ack, family);
          segment(B, A, 2, 1, TCP.fin | TCP.ack, family);
        },
        back: () => segment(B, A, 2, 1, TCP.ack, family),
        kept: 110,
        gone: 130,
      },
    ];
    for (const { first, back, kept, gone } of rows) {
      for (const [idle, outcome] of [
        [kept, PASSED],
        [gone, DENIED],
      ] as const) {
        deny(GROUP.b, GROUP.a);
        first();
        tracked(family).age(idle);
        expect(back(), `after ${idle} s`).toMatchObject(outcome);
        bench.forgetRules();
      }
    }
  });

  it('goes on when another CPU, whose clock had moved on already, has just written when it was seen', () => {
    const rows = [
      { first: () => datagram(A, B, 1, 2, family), back: () => datagram(B, A, 2, 1, family) },
      { first: () => segment(A, B, 1, 2, TCP.syn, family), back: () => segment(B, A, 2, 1, TCP.syn | TCP.ack, family) },
    ];
    for (const { first, back } of rows) {
      deny(GROUP.b, GROUP.a);
      first();
      // Not two: the clock may tick before the reply.
      tracked(family).age(-1);
      expect(back()).toMatchObject(PASSED);
      expect(tracked(family)).toMatchObject({ denied: 0, state: 1 });
      bench.forgetRules();
    }
  });

  it('one FIN leaves the other direction open', () => {
    deny(GROUP.b, GROUP.a);
    segment(A, B, 1, 2, TCP.syn, family);
    segment(B, A, 2, 1, TCP.syn | TCP.ack, family);
    segment(A, B, 1, 2, TCP.fin | TCP.ack, family);
    tracked(family).age(600);
    expect(segment(B, A, 2, 1, TCP.ack, family)).toMatchObject(PASSED);
  });
});

describe('who opens', () => {
  it('what was denied binds only the end that asked', () => {
    deny(GROUP.a, GROUP.b);
    expect(datagram(A, B, 123, 123)).toMatchObject(DENIED);
    expect(datagram(B, A, 123, 123)).toMatchObject(PASSED);
    // Now it is a reply.
    expect(datagram(A, B, 123, 123)).toMatchObject(PASSED);
    expect(connections()).toBe(1);
  });

  it('a connection does not let its other end open one', () => {
    deny(GROUP.b, GROUP.a);
    segment(A, B, 40000, 80, TCP.syn);
    segment(B, A, 80, 40000, TCP.syn | TCP.ack);
    expect(segment(B, A, 80, 40000, TCP.syn)).toMatchObject(DENIED);
    // And it goes on.
    expect(segment(B, A, 80, 40000, TCP.ack)).toMatchObject(PASSED);
    expect(segment(A, B, 40000, 80, TCP.ack)).toMatchObject(PASSED);
  });

  it('a SYN after the end of a connection is decided anew', () => {
    segment(A, B, 40000, 80, TCP.syn);
    segment(B, A, 80, 40000, TCP.rst | TCP.ack);
    deny(GROUP.a, GROUP.b);
    expect(segment(A, B, 40000, 80, TCP.syn)).toMatchObject(DENIED);
    bench.forgetRules();
    segment(A, B, 40000, 80, TCP.fin);
    segment(B, A, 80, 40000, TCP.fin | TCP.ack);
    expect(segment(A, B, 40000, 80, TCP.syn)).toMatchObject(PASSED);
    expect(tracked()).toMatchObject({ state: 0, syn: true });
  });
});

describe('policy', () => {
  it('without a matching rule everything passes', () => {
    deny(GROUP.a, 77);
    deny(77, GROUP.b);
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.tcp, port: 81 });
    expect(segment(A, B, 1, 80, TCP.syn)).toMatchObject(PASSED);
    expect(tracked().rule).toBe(0);
  });

  it('the highest priority wins, of two alike the one that denies', () => {
    deny(0, GROUP.b, { priority: 1, rule: 100 });
    allow(0, GROUP.b, { protocol: PROTOCOL.tcp, port: 80, priority: 10, rule: 101 });
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.tcp, port: 80, priority: 5, rule: 102 });
    expect(segment(A, B, 1, 80, TCP.syn)).toMatchObject(PASSED);
    expect(tracked().rule).toBe(101);
    expect(segment(A, B, 1, 81, TCP.syn)).toMatchObject(DENIED);
    expect(datagram(A, B, 1, 80)).toMatchObject(DENIED);
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.tcp, port: 80, priority: 10, rule: 103 });
    bench.nextEpoch();
    expect(segment(A, B, 1, 80, TCP.ack)).toMatchObject(DENIED);
  });

  it('matches from exact to any: groups, protocol, port', () => {
    const matching: Partial<Rule>[] = [
      { from: GROUP.a, to: GROUP.b, protocol: 6, port: 80 },
      { from: GROUP.a, to: GROUP.b, protocol: 6 },
      { from: GROUP.a, to: GROUP.b },
      { from: 0, to: GROUP.b, protocol: 6, port: 80 },
      { from: 0, to: GROUP.b, protocol: 6 },
      { from: 0, to: GROUP.b },
      { from: GROUP.a, to: 0, protocol: 6, port: 80 },
      { from: GROUP.a, to: 0 },
      { from: 0, to: 0, protocol: 6, port: 80 },
      { from: 0, to: 0 },
    ];
    for (const rule of matching) {
      deny(0, 0, rule);
      expect(segment(A, B, 1, 80, TCP.syn), JSON.stringify(rule)).toMatchObject(DENIED);
      bench.forgetRules();
    }
    const others: Partial<Rule>[] = [
      { from: GROUP.b, to: GROUP.a },
      { from: GROUP.a, to: GROUP.c },
      { from: 0, to: GROUP.a },
      { from: GROUP.a, to: GROUP.b, protocol: 17 },
      { from: GROUP.a, to: GROUP.b, protocol: 6, port: 81 },
    ];
    for (const rule of others) {
      deny(0, 0, rule);
      expect(segment(A, B, 80, 80, TCP.syn), JSON.stringify(rule)).toMatchObject(PASSED);
      bench.forgetRules();
    }
  });

  it('a change of rules takes effect on connections that exist, in both directions and both ways', () => {
    segment(A, B, 1, 80, TCP.syn);
    segment(B, A, 80, 1, TCP.ack);
    const { opener } = tracked();
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.tcp, port: 80 });
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(PASSED);
    bench.nextEpoch();
    // The reply is asked as what it is: part of a connection from a to b's port 80.
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(DENIED);
    expect(segment(A, B, 1, 80, TCP.ack)).toMatchObject(DENIED);
    // What b sends again begins no connection of its own, as which everything would go on.
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(DENIED);
    expect(segment(A, B, 1, 80, TCP.ack)).toMatchObject(DENIED);
    expect(tracked().opener).toBe(opener);
    bench.setPolicy(new Map(Object.values(GROUP).map((group) => [group, { rules: [], denies: false }])));
    bench.nextEpoch();
    expect(segment(A, B, 1, 80, TCP.ack)).toMatchObject(PASSED);
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(PASSED);
    // By the same ports b may begin one that the rules let it.
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.tcp, port: 80 });
    bench.nextEpoch();
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(DENIED);
    expect(segment(B, A, 80, 1, TCP.syn)).toMatchObject(PASSED);
    expect(segment(A, B, 1, 80, TCP.syn | TCP.ack)).toMatchObject(PASSED);
  });

  it('a connection that was taken up in its midst goes on where rules deny only what its called end might begin', () => {
    // As after a flood that pushed it out of the table: whoever speaks first is taken for the caller.
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(PASSED);
    expect(segment(A, B, 1, 80, TCP.ack)).toMatchObject(PASSED);
    expect(tracked()).toMatchObject({ state: 1, syn: false });
    deny(GROUP.b, GROUP.a);
    bench.nextEpoch();
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(DENIED);
    expect(segment(A, B, 1, 80, TCP.ack)).toMatchObject(PASSED);
    expect(segment(B, A, 80, 1, TCP.ack)).toMatchObject(PASSED);
  });

  it('counts what it denies, by port', () => {
    const before = bench.dropsOfPort('a', 'policy');
    deny(GROUP.a, GROUP.b);
    for (let i = 0; i < 3; i++) datagram(A, B, 1, 2);
    expect(bench.dropsOfPort('a', 'policy')).toBe(before + 3n);
  });
});

describe('fragments', () => {
  const data = Buffer.alloc(64, 1);
  const part4 = (src: Station, dst: Station, id: number, offset: number, more: boolean, payload: Buffer) =>
    ethernet(
      { src: src.mac, dst: dst.mac },
      ETHERTYPE.ipv4,
      ipv4({ src: src.ip, dst: dst.ip, protocol: PROTOCOL.udp, id, offset, more }, payload),
    );
  const part6 = (src: Station, dst: Station, id: number, offset: number, more: boolean, payload: Buffer) =>
    ethernet(
      { src: src.mac, dst: dst.mac },
      ETHERTYPE.ipv6,
      ipv6({ src: src.ip6, dst: dst.ip6, next: PROTOCOL.fragment }, fragment6(PROTOCOL.udp, id, offset, more, payload)),
    );

  it.each([
    ['IPv4', part4],
    ['IPv6', part6],
  ] as const)('%s: later ones share the verdict of the first', (_, part) => {
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.udp, port: 53 });
    expect(bench.send('a', part(A, B, 5, 72, false, data))).toMatchObject({ verdict: 'drop', reason: 'fragment' });
    expect(bench.send('a', part(A, B, 5, 0, true, udp(1000, 80, data)))).toMatchObject(PASSED);
    expect(bench.send('a', part(A, B, 5, 72, true, data))).toMatchObject(PASSED);
    expect(bench.send('a', part(A, B, 5, 136, false, data))).toMatchObject(PASSED);
    expect(connections()).toBe(1);
    expect(bench.send('a', part(A, B, 6, 0, true, udp(1000, 53, data)))).toMatchObject(DENIED);
    expect(bench.send('a', part(A, B, 6, 72, false, data))).toMatchObject(DENIED);
    expect(bench.send('a', part(A, C, 5, 72, false, data))).toMatchObject({ verdict: 'drop', reason: 'fragment' });
  });

  it('IPv6: an error about the first one belongs to its connection', () => {
    deny(GROUP.b, GROUP.a);
    const first = (sport: number) => part6(A, B, 5, 0, true, udp(sport, 80, data));
    const tooBig = (sport: number) =>
      ethernet(
        { src: B.mac, dst: A.mac },
        ETHERTYPE.ipv6,
        ipv6({ src: B.ip6, dst: A.ip6, next: PROTOCOL.icmp6 }, icmp(2, 0, 1280, first(sport).subarray(14))),
      );
    expect(bench.send('a', first(1000))).toMatchObject(PASSED);
    expect(bench.send('b', tooBig(1000))).toMatchObject(PASSED);
    expect(bench.send('b', tooBig(1001))).toMatchObject(DENIED);
  });

  it('a first one too short for its ports is malformed', () => {
    expect(bench.send('a', part4(A, B, 5, 0, true, udp(1000, 80).subarray(0, 4)))).toMatchObject({ verdict: 'drop', reason: 'malformed' });
    const tiny = ethernet(
      { src: A.mac, dst: B.mac },
      ETHERTYPE.ipv4,
      ipv4({ src: A.ip, dst: B.ip, protocol: PROTOCOL.tcp, more: true }, tcp(1, 2, TCP.syn).subarray(0, 8)),
    );
    expect(bench.send('a', tiny)).toMatchObject({ verdict: 'drop', reason: 'malformed' });
  });
});

describe('malformed packets', () => {
  const bad = (payload: Buffer, type: number = ETHERTYPE.ipv4) => bench.send('a', ethernet({ src: A.mac, dst: B.mac }, type, payload));
  const MALFORMED = { verdict: 'drop', reason: 'malformed' };
  const ends = { src: A.ip, dst: B.ip };

  it('are dropped: versions, header lengths, too short headers', () => {
    const inner = udp(1, 2);
    expect(bad(ipv4({ ...ends, protocol: 17, version: 6 }, inner))).toMatchObject(MALFORMED);
    expect(bad(ipv4({ ...ends, protocol: 17, headerWords: 4 }, inner))).toMatchObject(MALFORMED);
    expect(bad(ipv4({ ...ends, protocol: 17, headerWords: 15 }, inner))).toMatchObject(MALFORMED);
    expect(bad(ipv4({ ...ends, protocol: 17 }, inner).subarray(0, 27))).toMatchObject(MALFORMED);
    expect(bad(ipv4({ ...ends, protocol: 6 }, tcp(1, 2, 2).subarray(0, 13)))).toMatchObject(MALFORMED);
    expect(bad(ipv4({ ...ends, protocol: 1 }, echo(8, 1).subarray(0, 7)))).toMatchObject(MALFORMED);
    const six = { src: A.ip6, dst: B.ip6 };
    expect(bad(ipv6({ ...six, next: 17, version: 4 }, inner), ETHERTYPE.ipv6)).toMatchObject(MALFORMED);
    expect(bad(ipv6({ ...six, next: 17 }, inner).subarray(0, 46), ETHERTYPE.ipv6)).toMatchObject(MALFORMED);
    expect(bad(ipv6({ ...six, next: 0 }, Buffer.of(17, 255, 0, 0, 0, 0, 0, 0)), ETHERTYPE.ipv6)).toMatchObject(MALFORMED);
    let endless = inner;
    for (let i = 0; i < 7; i++) endless = options6(i === 0 ? 17 : 60, endless);
    expect(bad(ipv6({ ...six, next: 60 }, endless), ETHERTYPE.ipv6)).toMatchObject(MALFORMED);
  });

  it('extension headers and IPv4 options do not hide the ports', () => {
    deny(GROUP.a, GROUP.b, { protocol: PROTOCOL.udp, port: 53 });
    const hidden = ipv6({ src: A.ip6, dst: B.ip6, next: 60 }, options6(60, options6(17, udp(1, 53))));
    expect(bad(hidden, ETHERTYPE.ipv6)).toMatchObject(DENIED);
    expect(bad(ipv4({ ...ends, protocol: 17, options: Buffer.alloc(40, 1) }, udp(1, 53)))).toMatchObject(DENIED);
    expect(bad(ipv4({ ...ends, protocol: 17, options: Buffer.alloc(40, 1) }, udp(1, 54)))).toMatchObject(PASSED);
  });
});

it('groups of addresses that are not known are none', () => {
  deny(0, GROUP.a, { priority: 1 });
  const stranger: Station = { ip: '10.1.0.200' as Ipv4, ip6: '2001:db8::200' as Ipv6, mac: C.mac };
  const frame = frame4(stranger, A, PROTOCOL.udp, udp(1, 2));
  expect(bench.receive({ vni: VNI, vtep: VTEP }, frame)).toMatchObject(DENIED);
});
