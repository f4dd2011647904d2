/** The gateway, the way out of a tenant and back, and the host's own interfaces in infra networks, frame by frame. */
import { type Ipv4, type Ipv6, type Mac, macOfIpv4, type Vni } from '@contiv/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { privateAddress, privateAddress6 } from '../kernel/outside.js';
import { DOMAIN_BIT, linkLocal, ROUTER_MAC, u32Key } from '../maps/layout.js';
import { A, B, Bench, C, FROM_US, GROUP, VTEP } from '../testing/bench.js';
import {
  checksum,
  type Ends,
  ETHERTYPE,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  nd,
  PROTOCOL,
  pseudoHeader,
  TCP,
  tcp,
  udp,
} from '../testing/packets.js';

const DOMAIN = DOMAIN_BIT + 7;
const [NET, NEXT, INFRA, FOREIGN] = [100, 101, 102, 300] as Vni[] as [Vni, Vni, Vni, Vni];
const subnet = (address: string, length: number) => ({ address: address as Ipv4, length });
const subnet6 = (address: string) => ({ address: address as Ipv6, length: 64 });
const gateway = { ip: '10.1.0.254' as Ipv4, ip6: '2001:db8::fe' as Ipv6 };
const end = (ip: string, ip6: string) => ({ ip: ip as Ipv4, ip6: ip6 as Ipv6, mac: macOfIpv4(ip as Ipv4) });
/** In the tenant's second network, here and on the other host. */
const D = end('10.1.1.4', '2001:db8:0:1::4');
const E = end('10.1.1.5', '2001:db8:0:1::5');
/** The host's own. */
const H = { ip: '132.1.1.2' as Ipv4, mac: macOfIpv4('132.1.1.2' as Ipv4) };
const WORLD = { ip: '203.0.113.80' as Ipv4, ip6: '2001:db8:113::80' as Ipv6 };
const PRIVATE = '172.19.0.0' as Ipv4;
const DEVICE = { ip: privateAddress(PRIVATE, 0xfffe), ip6: privateAddress6(PRIVATE, 0xfffe), mac: '02:02:ac:13:ff:fe' as Mac };

let bench: Bench;
let outer: { readonly ip: Ipv4; readonly ip6: Ipv6 };
beforeAll(() => {
  bench = new Bench();
  bench.addPeer(VTEP);
  const common = { arpMode: 'proxy', floodTo: [] } as const;
  bench.route(
    [
      { ...common, vni: NET, subnet: subnet('10.1.0.0', 24), subnet6: subnet6('2001:db8::'), gateway: gateway.ip, gateway6: gateway.ip6 },
      { ...common, vni: NEXT, subnet: subnet('10.1.1.0', 24), subnet6: subnet6('2001:db8:0:1::'), gateway: '10.1.1.254' as Ipv4 },
      { ...common, vni: INFRA, subnet: subnet('132.1.1.0', 24) },
    ],
    DOMAIN,
  );
  bench.addPort({ name: 'a', vni: NET, group: GROUP.a, ...A }, DOMAIN);
  bench.addPort({ name: 'b', vni: NET, group: GROUP.b, ip: B.ip, mac: B.mac }, DOMAIN);
  bench.addPort({ name: 'd', vni: NEXT, group: 0, ...D }, DOMAIN);
  bench.addPort({ name: 'h', vni: INFRA, group: 0, ...H, host: { name: 'contivh1', length: 24, routes: [] } }, DOMAIN);
  bench.addEndpoint({ vni: NEXT, group: 0, ...E, at: { vtep: VTEP, mtu: 1400 } }, DOMAIN);
  // Another tenant's, with an address of its own.
  bench.addPort({ name: 'f', vni: FOREIGN, group: 0, ip: '10.9.0.1' as Ipv4, mac: C.mac });
  const { index } = bench.place('a');
  outer = { ip: privateAddress(PRIVATE, index), ip6: privateAddress6(PRIVATE, index) };
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.configure({ outside: { ifindex: 1, privateNet: PRIVATE, ipv6: true } });
  bench.clear('connections4', 'connections6');
  bench.forgetRules();
});

const data = Buffer.from('a payload of odd length');
const toGateway = { src: A.mac, dst: ROUTER_MAC };
const four = (macs: Ends<Mac>, ends: Ends<Ipv4>, protocol: number, payload: Uint8Array) =>
  ethernet(macs, ETHERTYPE.ipv4, ipv4({ ...ends, protocol }, payload));
const six = (macs: Ends<Mac>, ends: Ends<Ipv6>, next: number, payload: Uint8Array) =>
  ethernet(macs, ETHERTYPE.ipv6, ipv6({ ...ends, next }, payload));
const udp4 = (macs: Ends<Mac>, ends: Ends<Ipv4>) => four(macs, ends, PROTOCOL.udp, udp(7, 9, data, ends));
const udp6 = (macs: Ends<Mac>, ends: Ends<Ipv6>) => six(macs, ends, PROTOCOL.udp, udp(7, 9, data, ends));
function icmp6(ends: Ends<Ipv6>, type: number, code: number, rest: number, content: Uint8Array): Buffer {
  const message = icmp(type, code, rest, content);
  message.writeUInt16BE(0, 2);
  message.writeUInt16BE(checksum(pseudoHeader(ends, PROTOCOL.icmp6, message.length), message), 2);
  return message;
}
/** One hop further, as routers change a packet. */
function hopped(frame: Buffer, macs: Ends<Mac>): Buffer {
  const out = Buffer.from(frame);
  ethernet(macs, 0, Buffer.alloc(0)).copy(out, 0, 0, 12);
  if (out.readUInt16BE(12) === ETHERTYPE.ipv6) out.writeUInt8(out.readUInt8(21) - 1, 21);
  else {
    out.writeUInt8(out.readUInt8(22) - 1, 22);
    out.writeUInt16BE(0, 24);
    out.writeUInt16BE(checksum(out.subarray(14, 34)), 24);
  }
  return out;
}
const kind = (packet: Buffer, at: number) => [packet.readUInt8(at), packet.readUInt8(at + 1)];
const withHops = (frame: Buffer, hops: number) => {
  const out = Buffer.from(frame);
  if (out.readUInt16BE(12) === ETHERTYPE.ipv6) out.writeUInt8(hops, 21);
  else {
    out.writeUInt8(hops, 22);
    out.writeUInt16BE(0, 24);
    out.writeUInt16BE(checksum(out.subarray(14, 34)), 24);
  }
  return out;
};

describe('the gateway', () => {
  it('takes a packet to the network that has its destination, one hop further, here and on another host', () => {
    for (const [to, tunnel] of [
      [D, undefined],
      [E, { vni: NEXT, to: VTEP, from: '192.168.2.50' }],
    ] as const) {
      for (const frame of [udp4(toGateway, { src: A.ip, dst: to.ip }), udp6(toGateway, { src: A.ip6, dst: to.ip6 })])
        expect(bench.send('a', frame), to.ip).toMatchObject({
          verdict: 'redirect',
          tunnel,
          packet: hopped(frame, { src: ROUTER_MAC, dst: to.mac }),
        });
    }
  });

  it('answers pings, and tells of hops that are used up, of addresses nobody has and of packets too large for the way', () => {
    const ping = bench.send('a', four(toGateway, { src: A.ip, dst: gateway.ip }, PROTOCOL.icmp, icmp(8, 0, 1, data)));
    expect(ping).toMatchObject({
      verdict: 'redirect',
      packet: four({ src: ROUTER_MAC, dst: A.mac }, { src: gateway.ip, dst: A.ip }, PROTOCOL.icmp, icmp(0, 0, 1, data)),
    });
    const ends6 = { src: A.ip6, dst: gateway.ip6 };
    const back6 = { src: gateway.ip6, dst: A.ip6 };
    expect(bench.send('a', six(toGateway, ends6, PROTOCOL.icmp6, icmp6(ends6, 128, 0, 1, data))).packet).toEqual(
      six({ src: ROUTER_MAC, dst: A.mac }, back6, PROTOCOL.icmp6, icmp6(back6, 129, 0, 1, data)),
    );
    const large = Buffer.alloc(1_400);
    const cases: [reason: string, four: Buffer, four: number[], six: Buffer, six: number[]][] = [
      [
        'hop-limit',
        withHops(udp4(toGateway, { src: A.ip, dst: D.ip }), 1),
        [11, 0],
        withHops(udp6(toGateway, { src: A.ip6, dst: D.ip6 }), 1),
        [3, 0],
      ],
      [
        'unreachable',
        udp4(toGateway, { src: A.ip, dst: '10.1.1.77' as Ipv4 }),
        [3, 1],
        udp6(toGateway, { src: A.ip6, dst: '2001:db8:0:1::77' as Ipv6 }),
        [1, 3],
      ],
      [
        'too-big',
        four(toGateway, { src: A.ip, dst: E.ip }, PROTOCOL.udp, udp(7, 9, large)),
        [3, 4],
        six(toGateway, { src: A.ip6, dst: E.ip6 }, PROTOCOL.udp, udp(7, 9, large)),
        [2, 0],
      ],
    ];
    for (const [reason, frame4, kind4, frame6, kind6] of cases) {
      const told4 = bench.send('a', frame4);
      expect(told4, reason).toMatchObject({ verdict: 'redirect', reason });
      expect([kind(told4.packet, 34), told4.packet.subarray(26, 30)]).toEqual([kind4, Buffer.from([10, 1, 0, 254])]);
      const told6 = bench.send('a', frame6);
      expect(told6, reason).toMatchObject({ verdict: 'redirect', reason });
      expect(kind(told6.packet, 54)).toEqual(kind6);
      expect(checksum(pseudoHeader(back6, PROTOCOL.icmp6, told6.packet.length - 54), told6.packet.subarray(54))).toBe(0);
    }
  });
});

describe('neighbour discovery', () => {
  const ask = (dst: Mac, to: Ipv6, target: Ipv6) =>
    ethernet({ src: A.mac, dst }, ETHERTYPE.ipv6, nd({ type: 135, src: A.ip6, dst: to, target, option: [1, A.mac] }));

  it('about the gateway is answered in a network that floods, too, also when it is asked whether it is still there', () => {
    const net = bench.map('networks').get(u32Key(NET)) ?? Buffer.alloc(0);
    const flooded = Buffer.from(net);
    flooded.writeUInt32LE(1, 0);
    bench.map('networks').set(u32Key(NET), flooded);
    const questions = [ask('33:33:ff:00:00:fe' as Mac, 'ff02::1:ff00:fe' as Ipv6, gateway.ip6), ask(ROUTER_MAC, gateway.ip6, gateway.ip6)];
    for (const question of questions) {
      const answer = bench.send('a', question);
      expect(answer).toMatchObject({ verdict: 'redirect', reason: undefined });
      expect([answer.packet.subarray(0, 12), kind(answer.packet, 54)]).toEqual([
        ethernet({ src: ROUTER_MAC, dst: A.mac }, 0, Buffer.alloc(0)).subarray(0, 12),
        [136, 0],
      ]);
    }
    bench.map('networks').set(u32Key(NET), net);
  });

  it('does not get round the rules by the gateway', () => {
    const net = bench.map('networks').get(u32Key(NET)) ?? Buffer.alloc(0);
    const flooded = Buffer.from(net);
    flooded.writeUInt32LE(1, 0);
    bench.map('networks').set(u32Key(NET), flooded);
    const everything = {
      rank: 1,
      deny: true,
      number: 1,
      groups: undefined,
      peers: undefined,
      own: undefined,
      services: undefined,
    } as const;
    const silent = { rules: [{ way: 'out', ...everything }], denies: false } as const;
    bench.setPolicy(new Map(Object.values(GROUP).map((group) => [group, silent])));
    // About an address nobody has: whoever is known is answered for on the spot.
    expect(bench.send('a', ask(ROUTER_MAC, D.ip6, '2001:db8::77' as Ipv6))).toMatchObject({ verdict: 'drop', reason: 'policy' });
    bench.map('networks').set(u32Key(NET), net);
  });
});

it('groups hold for link-local addresses of IPv6 as well, which stand in no domain', () => {
  // Of the network's other host.
  const far = end('10.1.0.6', '2001:db8::6');
  bench.addEndpoint({ vni: NET, group: GROUP.c, ...far, at: { vtep: VTEP } }, DOMAIN);
  const ends = { src: linkLocal(far.mac), dst: linkLocal(A.mac) };
  const call = () => {
    bench.clear('connections6');
    return bench.receive({ vni: NET, vtep: VTEP }, six({ src: far.mac, dst: A.mac }, ends, PROTOCOL.udp, udp(7, 9, data, ends)));
  };
  bench.addRule({ from: 0, to: GROUP.a, priority: 1, denied: true, rule: 1 });
  expect(call()).toMatchObject({ verdict: 'drop', reason: 'policy' });
  bench.addRule({ from: GROUP.c, to: GROUP.a, priority: 2, denied: false, rule: 2 });
  expect(call()).toMatchObject({ verdict: 'redirect', reason: undefined });
});

describe('out of the tenant', () => {
  const ends4 = { src: A.ip, dst: WORLD.ip };
  const ends6 = { src: A.ip6, dst: WORLD.ip6 };
  const out = { src: A.mac, dst: DEVICE.mac };

  it('goes what no network of it has, under an address that tells the port, with sums that are right', () => {
    const seen4 = { src: outer.ip, dst: WORLD.ip };
    const seen6 = { src: outer.ip6, dst: WORLD.ip6 };
    for (const [protocol, transport] of [
      [PROTOCOL.udp, (ends: Ends<Ipv4 | Ipv6>) => udp(7, 9, data, ends)],
      [PROTOCOL.tcp, (ends: Ends<Ipv4 | Ipv6>) => tcp(7, 9, TCP.syn, ends)],
    ] as const) {
      expect(bench.send('a', four(toGateway, ends4, protocol, transport(ends4)))).toMatchObject({
        verdict: 'redirect',
        packet: four(out, seen4, protocol, transport(seen4)),
      });
      expect(bench.send('a', six(toGateway, ends6, protocol, transport(ends6)))).toMatchObject({
        verdict: 'redirect',
        packet: six(out, seen6, protocol, transport(seen6)),
      });
    }
    const ping6 = (macs: Ends<Mac>, ends: Ends<Ipv6>) => six(macs, ends, PROTOCOL.icmp6, icmp6(ends, 128, 0, 5, data));
    expect(bench.send('a', ping6(toGateway, ends6)).packet).toEqual(ping6(out, seen6));
    // Where clouds answer, and where their hosts keep the time.
    for (const dst of ['169.254.169.254', '169.254.169.123', '169.254.170.2'] as Ipv4[])
      expect(bench.send('a', udp4(toGateway, { src: A.ip, dst })), dst).toMatchObject({ verdict: 'redirect', reason: undefined });
  });

  it('goes nothing to loopback, to groups, to private addresses of others, nor by IPv6 where the host has none', () => {
    for (const dst of ['127.0.0.1', '169.254.128.1', '169.254.159.255', '172.19.0.2', '0.0.0.1', '224.0.0.5'] as Ipv4[])
      expect(bench.send('a', udp4(toGateway, { src: A.ip, dst })).reason, dst).toBe('unreachable');
    for (const dst of ['::1', '::ffff:10.0.0.1', 'fe80::1', 'ff0e::1', 'fd63:6f6e:7469:ac13::2'] as Ipv6[])
      expect(bench.send('a', udp6(toGateway, { src: A.ip6, dst })).reason, dst).toBe('unreachable');
    expect(bench.send('a', udp6(toGateway, { src: A.ip6, dst: DEVICE.ip6 })).verdict).toBe('redirect');
    expect(bench.send('a', udp6(toGateway, { src: A.ip6, dst: '64:ff9b::203.0.113.80' as Ipv6 })).reason).toBeUndefined();
    bench.configure({ outside: { ifindex: 1, privateNet: PRIVATE, ipv6: false } });
    expect(bench.send('a', udp6(toGateway, ends6)).reason).toBe('unreachable');
    expect(bench.send('a', udp4(toGateway, ends4)).reason).toBeUndefined();
    bench.configure({ outside: undefined });
    expect(bench.send('a', udp4(toGateway, ends4)).reason).toBe('unreachable');
  });

  it('leads back to the port that the private address tells, and to nobody else', () => {
    const fromHost = { src: DEVICE.mac, dst: DEVICE.mac };
    const home = { src: ROUTER_MAC, dst: A.mac };
    expect(bench.returnFromOutside(udp4(fromHost, { src: WORLD.ip, dst: outer.ip }))).toMatchObject({
      verdict: 'redirect',
      mark: FROM_US,
      packet: udp4(home, { src: WORLD.ip, dst: A.ip }),
    });
    expect(bench.returnFromOutside(udp6(fromHost, { src: WORLD.ip6, dst: outer.ip6 }))).toMatchObject({
      verdict: 'redirect',
      mark: FROM_US,
      packet: udp6(home, { src: WORLD.ip6, dst: A.ip6 }),
    });
    const nobody = privateAddress(PRIVATE, 77);
    expect(bench.returnFromOutside(udp4(fromHost, { src: WORLD.ip, dst: nobody }))).toMatchObject({ verdict: 'drop', reason: 'no-route' });
    // `b` has no address of IPv6.
    for (const [index, reason] of [
      [bench.place('b').index, 'no-route'],
      [77, 'no-route'],
      [2 ** 31, 'no-route'],
    ] as const)
      expect(bench.returnFromOutside(udp6(fromHost, { src: WORLD.ip6, dst: privateAddress6(PRIVATE, index) })), `${index}`).toMatchObject({
        verdict: 'drop',
        reason,
      });
    for (const dst of [WORLD.ip6, A.ip6, 'fd63:6f6e:7469:ac14::1', 'fd63:6f6e:7469:ac13:0:1::1'] as Ipv6[])
      expect(bench.returnFromOutside(udp6(fromHost, { src: WORLD.ip6, dst })), dst).toMatchObject({ verdict: 'drop', reason: 'not-ip' });
    bench.configure({ outside: { ifindex: 1, privateNet: PRIVATE, ipv6: false } });
    expect(bench.returnFromOutside(udp6(fromHost, { src: WORLD.ip6, dst: outer.ip6 })).verdict).toBe('drop');
  });

  it('lets rules decide about strangers, and replies of what was allowed out pass', () => {
    const fromHost = { src: DEVICE.mac, dst: DEVICE.mac };
    bench.addRule({ from: 0, to: GROUP.a, priority: 1, denied: true, rule: 9 });
    const asks = () => [
      bench.returnFromOutside(udp4(fromHost, { src: WORLD.ip, dst: outer.ip })).reason,
      bench.returnFromOutside(six(fromHost, { src: WORLD.ip6, dst: outer.ip6 }, PROTOCOL.udp, udp(9, 7))).reason,
    ];
    expect(asks()).toEqual(['policy', 'policy']);
    bench.clear('connections4', 'connections6');
    bench.send('a', four(toGateway, ends4, PROTOCOL.udp, udp(9, 7)));
    bench.send('a', udp6(toGateway, ends6));
    expect(asks()).toEqual([undefined, undefined]);
  });

  it('takes ICMP errors along, both ways, with what they quote', () => {
    const fromHost = { src: DEVICE.mac, dst: DEVICE.mac };
    const home = { src: ROUTER_MAC, dst: A.mac };
    bench.send('a', udp4(toGateway, ends4));
    bench.send('a', udp6(toGateway, ends6));
    const quoted4 = (ends: Ends<Ipv4>) => ipv4({ ...ends, protocol: PROTOCOL.udp }, udp(7, 9));
    const quoted6 = (ends: Ends<Ipv6>) => ipv6({ ...ends, next: PROTOCOL.udp }, udp(7, 9));
    const router = { ip: '203.0.113.1' as Ipv4, ip6: '2001:db8:113::1' as Ipv6 };
    const error4 = (macs: Ends<Mac>, to: Ipv4) =>
      four(macs, { src: router.ip, dst: to }, PROTOCOL.icmp, icmp(3, 4, 1400, quoted4({ src: to, dst: WORLD.ip })));
    expect(bench.returnFromOutside(error4(fromHost, outer.ip))).toMatchObject({ verdict: 'redirect', packet: error4(home, A.ip) });
    const error6 = (macs: Ends<Mac>, to: Ipv6) => {
      const ends = { src: router.ip6, dst: to };
      return six(macs, ends, PROTOCOL.icmp6, icmp6(ends, 2, 0, 1400, quoted6({ src: to, dst: WORLD.ip6 })));
    };
    expect(bench.returnFromOutside(error6(fromHost, outer.ip6))).toMatchObject({ verdict: 'redirect', packet: error6(home, A.ip6) });
    // A packet it does not quote is none of its own.
    const odd = { src: router.ip6, dst: outer.ip6 };
    const lie = six(fromHost, odd, PROTOCOL.icmp6, icmp6(odd, 2, 0, 1400, quoted6({ src: B.ip6, dst: WORLD.ip6 })));
    expect(bench.returnFromOutside(lie)).toMatchObject({ verdict: 'drop', reason: 'malformed' });

    const refusal = (macs: Ends<Mac>, from: Ipv6) => {
      const ends = { src: from, dst: WORLD.ip6 };
      return six(macs, ends, PROTOCOL.icmp6, icmp6(ends, 1, 4, 0, quoted6({ src: WORLD.ip6, dst: from })));
    };
    bench.returnFromOutside(six(fromHost, { src: WORLD.ip6, dst: outer.ip6 }, PROTOCOL.udp, udp(7, 9)));
    expect(bench.send('a', refusal(toGateway, A.ip6))).toMatchObject({ verdict: 'redirect', packet: refusal(out, outer.ip6) });
  });

  it('goes a later fragment of IPv6 without a sum of its own', () => {
    const piece = (macs: Ends<Mac>, src: Ipv6, transport: Uint8Array, offset: number) => {
      const header = Buffer.from([PROTOCOL.udp, 0, 0, 0, 0, 0, 0, 1]);
      header.writeUInt16BE(offset === 0 ? 1 : offset, 2);
      return six(macs, { src, dst: WORLD.ip6 }, PROTOCOL.fragment, Buffer.concat([header, transport]));
    };
    const first = (src: Ipv6) => udp(7, 9, data.subarray(0, 16), { src, dst: WORLD.ip6 });
    expect(bench.send('a', piece(toGateway, A.ip6, first(A.ip6), 0)).packet).toEqual(piece(out, outer.ip6, first(outer.ip6), 0));
    expect(bench.send('a', piece(toGateway, A.ip6, data, 24)).packet).toEqual(piece(out, outer.ip6, data, 24));
  });
});

describe('an infra network', () => {
  it('leads a packet up to the host, marked as ours, and none of another tenant', () => {
    const frame = udp4(toGateway, { src: A.ip, dst: H.ip });
    expect(bench.send('a', frame)).toMatchObject({
      verdict: 'redirect',
      mark: FROM_US,
      packet: hopped(frame, { src: ROUTER_MAC, dst: H.mac }),
    });
    const foreign = udp4({ src: C.mac, dst: H.mac }, { src: '10.9.0.1' as Ipv4, dst: H.ip });
    expect(bench.send('f', foreign)).toMatchObject({ verdict: 'drop', reason: 'no-route' });
  });

  it('lets the host speak with its own address only, and takes what it says on', () => {
    const frame = udp4({ src: H.mac, dst: ROUTER_MAC }, { src: H.ip, dst: D.ip });
    expect(bench.send('h', frame)).toMatchObject({ verdict: 'redirect', packet: hopped(frame, { src: ROUTER_MAC, dst: D.mac }) });
    expect(bench.send('h', udp4({ src: H.mac, dst: ROUTER_MAC }, { src: A.ip, dst: D.ip }))).toMatchObject({
      verdict: 'drop',
      reason: 'spoofed-ip',
    });
    expect(bench.give('h', frame, 0)).toMatchObject({ verdict: 'drop', reason: 'from-host' });
    expect(bench.give('h', frame, FROM_US)).toMatchObject({ verdict: 'ok', mark: 0 });
  });
});
