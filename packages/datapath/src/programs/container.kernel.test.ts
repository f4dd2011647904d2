/** What a container sends, frame by frame: the source check, ARP and neighbour discovery, DNS, the destination. */
import { type Ipv4, type Ipv6, ipv4Bytes, ipv6Bytes, type Mac, macBytes } from '@contiv/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dnsMac } from '../kernel/devices.js';
import { linkLocal } from '../maps/layout.js';
import { A, B, type Bench, C, FROM_US, OTHER_VNI, standardBench, VNI, VTEP } from '../testing/bench.js';
import {
  arp,
  BROADCAST,
  checksum,
  ETHERTYPE,
  echo,
  ethernet,
  ipv4,
  ipv6,
  type Nd,
  nd,
  options6,
  PROTOCOL,
  pseudoHeader,
  tcp,
  udp,
} from '../testing/packets.js';

let bench: Bench;
beforeAll(() => {
  bench = standardBench();
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.setNetwork(VNI, 'proxy');
  bench.clear('connections4', 'connections6');
});

const STRANGER = '02:02:0a:01:00:63' as Mac;
const UNSPECIFIED = '::' as Ipv6;
const dns = '169.254.20.10' as Ipv4;
const from = (mac: Mac, to: Mac) => ({ src: mac, dst: to });
const ping = (src: Ipv4, dst: Ipv4) => ipv4({ src, dst, protocol: PROTOCOL.icmp }, echo(8, 7));
const ping6 = (src: Ipv6, dst: Ipv6) => ipv6({ src, dst, next: PROTOCOL.icmp6 }, echo(128, 7));
const dropped = (reason: string) => ({ verdict: 'drop', reason });

describe('source check', () => {
  it('passes a container with its own addresses, to a neighbour here and to one on another host', () => {
    const here = ethernet(from(A.mac, B.mac), ETHERTYPE.ipv4, ping(A.ip, B.ip));
    expect(bench.send('a', here)).toMatchObject({ verdict: 'redirect', reason: undefined, tunnel: undefined, packet: here });
    const there = ethernet(from(A.mac, C.mac), ETHERTYPE.ipv4, ping(A.ip, C.ip));
    expect(bench.send('a', there)).toMatchObject({
      verdict: 'redirect',
      tunnel: { vni: VNI, to: VTEP, from: '192.168.2.50' },
      packet: there,
    });
    for (const src of [A.ip6, linkLocal(A.mac)]) {
      expect(bench.send('a', ethernet(from(A.mac, B.mac), ETHERTYPE.ipv6, ping6(src, B.ip6))).verdict).toBe('redirect');
    }
  });

  it('drops a forged MAC, IPv4 and IPv6 source', () => {
    expect(bench.send('a', ethernet(from(STRANGER, B.mac), ETHERTYPE.ipv4, ping(A.ip, B.ip)))).toMatchObject(dropped('spoofed-mac'));
    expect(bench.send('a', ethernet(from(B.mac, B.mac), ETHERTYPE.ipv6, ping6(A.ip6, B.ip6)))).toMatchObject(dropped('spoofed-mac'));
    for (const src of [B.ip, C.ip, '10.1.0.99', '0.0.0.0', '255.255.255.255', dns] as Ipv4[]) {
      expect(bench.send('a', ethernet(from(A.mac, B.mac), ETHERTYPE.ipv4, ping(src, B.ip))), src).toMatchObject(dropped('spoofed-ip'));
    }
    for (const src of [B.ip6, linkLocal(B.mac), UNSPECIFIED, '::ffff:10.1.0.1', 'ff02::1'] as Ipv6[]) {
      expect(bench.send('a', ethernet(from(A.mac, B.mac), ETHERTYPE.ipv6, ping6(src, B.ip6))), src).toMatchObject(dropped('spoofed-ip'));
    }
  });

  it('drops forged ARP: sender MAC, sender address, and anything that is not ARP for IPv4 over Ethernet', () => {
    const honest = { operation: 1, senderMac: A.mac, senderIp: A.ip, targetMac: '00:00:00:00:00:00' as Mac, targetIp: B.ip };
    const forged = [
      { ...honest, senderMac: STRANGER },
      { ...honest, senderIp: B.ip },
      { ...honest, operation: 2, senderIp: C.ip },
      { ...honest, operation: 2, senderIp: '0.0.0.0' as Ipv4 },
      { ...honest, hardware: 6 },
    ];
    for (const flood of [false, true]) {
      bench.setNetwork(VNI, flood ? ['a', 'b'] : 'proxy');
      for (const frame of forged) {
        expect(bench.send('a', ethernet(from(A.mac, BROADCAST), ETHERTYPE.arp, arp(frame)))).toMatchObject(dropped('spoofed-arp'));
      }
      const short = ethernet(from(A.mac, BROADCAST), ETHERTYPE.arp, arp(honest).subarray(0, 20));
      expect(bench.send('a', short)).toMatchObject(dropped('spoofed-arp'));
    }
  });

  it('drops forged neighbour discovery: option, target, advertisements of routers, fragments, endless options', () => {
    const all = 'ff02::1' as Ipv6;
    const honest: Nd = { type: 136, src: A.ip6, dst: all, target: A.ip6, option: [2, A.mac] };
    const many = Buffer.concat(Array.from({ length: 5 }, () => Buffer.of(14, 1, 0, 0, 0, 0, 0, 0)));
    const forged: Nd[] = [
      { ...honest, option: [2, STRANGER] },
      { ...honest, target: B.ip6 },
      { ...honest, option: [2, A.mac], more: Buffer.concat([Buffer.of(2, 1), macBytes(STRANGER)]) },
      { ...honest, more: Buffer.of(2, 0, 0, 0, 0, 0, 0, 0) },
      { ...honest, more: Buffer.of(2, 1, 0) },
      { ...honest, more: many },
      { type: 135, src: A.ip6, dst: all, target: B.ip6, option: [1, STRANGER] },
      { type: 134, src: A.ip6, dst: all },
      { type: 137, src: A.ip6, dst: all, target: A.ip6 },
      { type: 133, src: A.ip6, dst: all, option: [1, STRANGER] },
      { type: 135, src: A.ip6, dst: all },
    ];
    bench.setNetwork(VNI, ['a', 'b']);
    for (const message of forged)
      expect(bench.send('a', ethernet(from(A.mac, '33:33:00:00:00:01' as Mac), ETHERTYPE.ipv6, nd(message)))).toMatchObject(
        dropped('spoofed-nd'),
      );
    const hidden = ipv6(
      { src: A.ip6, dst: all, next: PROTOCOL.options },
      options6(PROTOCOL.icmp6, nd({ ...honest, target: B.ip6 }).subarray(40)),
    );
    expect(bench.send('a', ethernet(from(A.mac, BROADCAST), ETHERTYPE.ipv6, hidden))).toMatchObject(dropped('spoofed-nd'));
    expect(bench.send('a', ethernet(from(A.mac, BROADCAST), ETHERTYPE.ipv6, nd(honest))).verdict).toBe('stolen');
  });

  it('drops what is neither IP nor ARP: tagged frames, LLDP, and all that follows', () => {
    const tagged = Buffer.concat([Buffer.of(0, 5, 8, 0), ping(A.ip, B.ip)]);
    for (const type of [ETHERTYPE.vlan, 0x88a8, 0x88cc, 0x8847, 0x0000, 0xffff]) {
      expect(bench.send('a', ethernet(from(A.mac, B.mac), type, tagged)), type.toString(16)).toMatchObject(
        dropped(type === ETHERTYPE.vlan || type === 0x88a8 ? 'tagged' : 'not-ip'),
      );
    }
  });

  it('drops everything on an interface that has no endpoint, in both directions', () => {
    const frame = ethernet(from(A.mac, B.mac), ETHERTYPE.ipv4, ping(A.ip, B.ip));
    expect(bench.sendFromNowhere(frame)).toMatchObject(dropped('unknown-port'));
    expect(bench.give('a', frame, 0)).toMatchObject(dropped('from-host'));
    expect(bench.give('a', frame, FROM_US)).toMatchObject({ verdict: 'ok' });
  });
});

describe('destination', () => {
  it('drops what goes nowhere: unknown addresses, another network, groups in a network that does not flood', () => {
    const frame = (dst: Ipv4, mac: Mac) => ethernet(from(A.mac, mac), ETHERTYPE.ipv4, ping(A.ip, dst));
    expect(bench.send('a', frame('10.1.0.77' as Ipv4, B.mac))).toMatchObject(dropped('no-route'));
    expect(bench.send('twin', frame(B.ip, B.mac))).toMatchObject(dropped('no-route'));
    expect(bench.send('a', frame('224.0.0.251' as Ipv4, '01:00:5e:00:00:fb' as Mac))).toMatchObject(dropped('not-flooded'));
    expect(bench.send('a', frame('10.1.0.255' as Ipv4, BROADCAST))).toMatchObject(dropped('not-flooded'));
  });

  it('is reached by those who remember the MAC of whoever had its address before', () => {
    const frame = (mac: Mac) => ethernet(from(A.mac, mac), ETHERTYPE.ipv4, ping(A.ip, B.ip));
    const six = (mac: Mac) => ethernet(from(A.mac, mac), ETHERTYPE.ipv6, ping6(A.ip6, B.ip6));
    const right = bench.send('a', frame(B.mac));
    expect(right).toMatchObject({ verdict: 'redirect', packet: frame(B.mac) });
    expect(bench.send('a', frame(C.mac))).toEqual(right);
    expect(bench.send('a', six(C.mac))).toMatchObject({ verdict: 'redirect', packet: six(B.mac) });
    const far = (mac: Mac) => bench.send('a', ethernet(from(A.mac, mac), ETHERTYPE.ipv4, ping(A.ip, C.ip)));
    expect(far(B.mac)).toEqual(far(C.mac));
  });

  it('copies broadcast and multicast to every other member of a flooded network, and to nobody else', () => {
    bench.setNetwork(VNI, ['a', 'b']);
    const before = { a: bench.delivered('a'), b: bench.delivered('b'), twin: bench.delivered('twin') };
    for (const [ip, mac] of [
      ['10.1.0.255', BROADCAST],
      ['224.0.0.251', '01:00:5e:00:00:fb'],
    ] as [Ipv4, Mac][])
      expect(bench.send('a', ethernet(from(A.mac, mac), ETHERTYPE.ipv4, ping(A.ip, ip)))).toMatchObject({ verdict: 'stolen' });
    expect({ a: bench.delivered('a'), b: bench.delivered('b'), twin: bench.delivered('twin') }).toEqual({ ...before, b: before.b + 2 });
  });

  it('counts members right, however many there are', () => {
    const before = bench.delivered('b');
    for (const many of [31, 32, 33, 70]) {
      bench.setNetwork(VNI, ['a', ...Array<string>(many).fill('b')]);
      bench.send('a', ethernet(from(A.mac, BROADCAST), ETHERTYPE.ipv4, ping(A.ip, '10.1.0.255' as Ipv4)));
    }
    expect(bench.delivered('b')).toBe(before + 31 + 32 + 33 + 70);
  });

  it('does not let a frame for everybody carry a packet for one past the policy', () => {
    bench.setNetwork(VNI, ['a', 'b']);
    const before = bench.delivered('b');
    for (const mac of [BROADCAST, '01:00:5e:00:00:01' as Mac])
      expect(bench.send('a', ethernet(from(A.mac, mac), ETHERTYPE.ipv4, ping(A.ip, B.ip)))).toMatchObject(dropped('wrong-mac'));
    expect(bench.send('a', ethernet(from(A.mac, BROADCAST), ETHERTYPE.ipv6, ping6(A.ip6, B.ip6)))).toMatchObject(dropped('wrong-mac'));
    expect(bench.delivered('b')).toBe(before);
  });
});

describe('ARP', () => {
  const request = (targetIp: Ipv4, senderIp = A.ip) =>
    ethernet(
      from(A.mac, BROADCAST),
      ETHERTYPE.arp,
      arp({ operation: 1, senderMac: A.mac, senderIp, targetMac: '00:00:00:00:00:00' as Mac, targetIp }),
    );
  const answer = (ip: Ipv4, mac: Mac) =>
    ethernet(from(mac, A.mac), ETHERTYPE.arp, arp({ operation: 2, senderMac: mac, senderIp: ip, targetMac: A.mac, targetIp: A.ip }));

  it('is answered here for neighbours here and elsewhere and for the DNS service', () => {
    for (const [ip, mac] of [
      [B.ip, B.mac],
      [C.ip, C.mac],
      [dns, dnsMac()],
    ] as const)
      expect(bench.send('a', request(ip))).toMatchObject({ verdict: 'redirect', packet: answer(ip, mac), tunnel: undefined });
  });

  it('for an unknown address, and a reply nobody asked for, is dropped', () => {
    expect(bench.send('a', request('10.1.0.77' as Ipv4))).toMatchObject(dropped('unknown-target'));
    expect(bench.send('twin', request(B.ip))).toMatchObject(dropped('unknown-target'));
    const reply = arp({ operation: 2, senderMac: A.mac, senderIp: A.ip, targetMac: B.mac, targetIp: B.ip });
    expect(bench.send('a', ethernet(from(A.mac, B.mac), ETHERTYPE.arp, reply))).toMatchObject(dropped('unsolicited'));
  });

  it('announcements and tests for duplicates end here', () => {
    expect(bench.send('a', request(A.ip))).toMatchObject({ verdict: 'stolen' });
    expect(bench.send('a', request(A.ip, '0.0.0.0' as Ipv4))).toMatchObject({ verdict: 'stolen' });
  });

  it('travels in a network that floods, there and back', () => {
    bench.setNetwork(VNI, ['a', 'b']);
    const before = bench.delivered('b');
    expect(bench.send('a', request('10.1.0.77' as Ipv4))).toMatchObject({ verdict: 'stolen' });
    expect(bench.delivered('b')).toBe(before + 1);
    const reply = arp({ operation: 2, senderMac: A.mac, senderIp: A.ip, targetMac: C.mac, targetIp: C.ip });
    expect(bench.send('a', ethernet(from(A.mac, C.mac), ETHERTYPE.arp, reply))).toMatchObject({
      verdict: 'redirect',
      tunnel: { to: VTEP },
    });
    expect(bench.send('a', ethernet(from(A.mac, B.mac), ETHERTYPE.arp, reply))).toMatchObject(dropped('no-route'));
  });
});

describe('neighbour discovery', () => {
  const solicit = (target: Ipv6, src: Ipv6 = A.ip6, option: Nd['option'] = [1, A.mac]) =>
    ethernet(
      from(A.mac, '33:33:ff:00:00:01' as Mac),
      ETHERTYPE.ipv6,
      nd({ type: 135, src, dst: 'ff02::1:ff00:1' as Ipv6, target, ...(option ? { option } : {}) }),
    );

  it('is answered here with a right checksum, whoever asks and however', () => {
    for (const [target, mac] of [
      [B.ip6, B.mac],
      [C.ip6, C.mac],
      [linkLocal(C.mac), C.mac],
    ] as const) {
      for (const src of [A.ip6, linkLocal(A.mac)]) {
        for (const frame of [
          solicit(target, src),
          ethernet(from(A.mac, mac), ETHERTYPE.ipv6, nd({ type: 135, src, dst: target, target })),
        ]) {
          const { verdict, packet, tunnel } = bench.send('a', frame);
          expect({ verdict, tunnel }).toEqual({ verdict: 'redirect', tunnel: undefined });
          const body = packet.subarray(54);
          expect(packet.subarray(0, 14)).toEqual(Buffer.concat([macBytes(A.mac), macBytes(mac), Buffer.of(0x86, 0xdd)]));
          expect([...packet.subarray(22, 54)]).toEqual([...ipv6Bytes(target), ...ipv6Bytes(src)]);
          expect([packet.length, packet.readUInt16BE(18), packet[20], packet[21]]).toEqual([86, 32, 58, 255]);
          expect([body[0], body[1], body.readUInt32BE(4)]).toEqual([136, 0, 0x60000000]);
          expect([...body.subarray(8)]).toEqual([...ipv6Bytes(target), 2, 1, ...macBytes(mac)]);
          expect(checksum(pseudoHeader({ src: target, dst: src }, PROTOCOL.icmp6, body.length), body)).toBe(0);
        }
      }
    }
  });

  it('for unknown targets is dropped, tests for duplicates end here', () => {
    expect(bench.send('a', solicit('2001:db8::77' as Ipv6))).toMatchObject(dropped('unknown-target'));
    expect(bench.send('twin', solicit(B.ip6))).toMatchObject(dropped('unknown-target'));
    expect(bench.send('a', solicit(A.ip6, UNSPECIFIED, undefined))).toMatchObject({ verdict: 'stolen' });
    expect(bench.send('a', solicit(linkLocal(A.mac), UNSPECIFIED, undefined))).toMatchObject({ verdict: 'stolen' });
  });

  it('advertisements and router solicitations do not travel where nothing floods', () => {
    const all = 'ff02::1' as Ipv6;
    const send = (message: Nd) => bench.send('a', ethernet(from(A.mac, '33:33:00:00:00:01' as Mac), ETHERTYPE.ipv6, nd(message)));
    expect(send({ type: 136, src: A.ip6, dst: all, target: A.ip6, option: [2, A.mac] })).toMatchObject(dropped('unsolicited'));
    expect(send({ type: 133, src: A.ip6, dst: all, option: [1, A.mac] })).toMatchObject(dropped('not-flooded'));
  });

  it('travels in a network that floods', () => {
    bench.setNetwork(VNI, ['a', 'b']);
    const before = bench.delivered('b');
    expect(bench.send('a', solicit('2001:db8::77' as Ipv6))).toMatchObject({ verdict: 'stolen' });
    expect(bench.delivered('b')).toBe(before + 1);
    const reply = nd({ type: 136, src: A.ip6, dst: C.ip6, target: A.ip6, option: [2, A.mac] });
    expect(bench.send('a', ethernet(from(A.mac, C.mac), ETHERTYPE.ipv6, reply))).toMatchObject({
      verdict: 'redirect',
      tunnel: { to: VTEP },
    });
  });
});

describe('DNS service', () => {
  const query = (protocol: number, dport = 53) => {
    const ends = { src: A.ip, dst: dns };
    const segment = protocol === PROTOCOL.udp ? udp(4000, dport, Buffer.from('who?'), ends) : tcp(4000, dport, 2, ends);
    return ethernet(from(A.mac, dnsMac()), ETHERTYPE.ipv4, ipv4({ ...ends, protocol }, segment));
  };
  /** Checksums of an IPv4 packet with UDP or TCP, 0 when right. */
  const sums = (frame: Buffer) => {
    const segment = frame.subarray(34);
    const pseudo = Buffer.concat([frame.subarray(26, 34), Buffer.of(0, frame[23] ?? 0, segment.length >> 8, segment.length & 255)]);
    return [checksum(frame.subarray(14, 34)), checksum(pseudo, segment)];
  };

  it('gets queries under an address that tells who asks, and answers find the way back', () => {
    for (const name of ['a', 'twin']) {
      const client = [169, 254, 128, bench.place(name).index];
      for (const protocol of [PROTOCOL.udp, PROTOCOL.tcp]) {
        const { verdict, packet } = bench.send(name, query(protocol));
        expect(verdict).toBe('redirect');
        expect([...packet.subarray(26, 34)]).toEqual([...client, ...ipv4Bytes(dns)]);
        expect(sums(packet)).toEqual([0, 0]);
        const ends = { src: dns, dst: client.join('.') as Ipv4 };
        const segment = protocol === PROTOCOL.udp ? udp(53, 4000, Buffer.from('that one'), ends) : tcp(53, 4000, 18, ends);
        const answer = bench.answerDns(ethernet(from(dnsMac(), dnsMac()), ETHERTYPE.ipv4, ipv4({ ...ends, protocol }, segment)));
        expect(answer).toMatchObject({ verdict: 'redirect', mark: FROM_US });
        expect([...answer.packet.subarray(0, 12)]).toEqual([...macBytes(A.mac), ...macBytes(dnsMac())]);
        expect([...answer.packet.subarray(26, 34)]).toEqual([...ipv4Bytes(dns), ...ipv4Bytes(A.ip)]);
        expect(sums(answer.packet)).toEqual([0, 0]);
      }
    }
  });

  it('leaves a UDP checksum that was not computed as it is', () => {
    const bare = ethernet(from(A.mac, dnsMac()), ETHERTYPE.ipv4, ipv4({ src: A.ip, dst: dns, protocol: PROTOCOL.udp }, udp(4000, 53)));
    const { packet } = bench.send('a', bare);
    expect(packet.readUInt16BE(40)).toBe(0);
    expect(checksum(packet.subarray(14, 34))).toBe(0);
  });

  it('is nothing but DNS, and its answers go to nobody else', () => {
    for (const frame of [
      query(PROTOCOL.udp, 54),
      query(PROTOCOL.tcp, 80),
      ethernet(from(A.mac, dnsMac()), ETHERTYPE.ipv4, ping(A.ip, dns)),
    ])
      expect(bench.send('a', frame)).toMatchObject(dropped('not-dns'));
    const to = (dst: string, src = dns, sport = 53) =>
      ethernet(from(dnsMac(), dnsMac()), ETHERTYPE.ipv4, ipv4({ src, dst: dst as Ipv4, protocol: PROTOCOL.udp }, udp(sport, 4000)));
    for (const frame of [
      to('169.254.128.99'),
      to('169.254.128.0'),
      to('169.254.159.255'),
      to('169.254.160.1'),
      to('169.254.169.254'),
      to('10.1.0.1'),
      to('169.254.127.1'),
      to('169.254.128.1', '10.1.0.2' as Ipv4),
      to('169.254.128.1', dns, 54),
    ])
      expect(bench.answerDns(frame)).toMatchObject(dropped('not-dns'));
  });
});

describe('counters', () => {
  it('count what the container sends and gets, large segments as the packets they become', () => {
    const frame = ethernet(from(A.mac, B.mac), ETHERTYPE.ipv4, ping(A.ip, B.ip));
    const [before, neighbour] = [bench.counters('a'), bench.counters('b')];
    bench.send('a', frame);
    bench.send('a', frame, 10);
    bench.send('a', ethernet(from(STRANGER, B.mac), ETHERTYPE.ipv4, ping(A.ip, B.ip)));
    const size = BigInt(frame.length);
    const plus = (counts: bigint[], by: bigint[]) => counts.map((count, i) => count + (by[i] ?? 0n));
    expect(bench.counters('a')).toEqual(plus(before, [12n, 3n * size, 0n, 0n]));
    expect(bench.counters('b')).toEqual(plus(neighbour, [0n, 0n, 11n, 2n * size]));
  });

  it('count drops by port and reason', () => {
    const before = [bench.dropsOfPort('a', 'no-route'), bench.dropsOfPort('twin', 'no-route')];
    const lost = ethernet(from(A.mac, B.mac), ETHERTYPE.ipv4, ping(A.ip, '10.1.0.88' as Ipv4));
    for (let i = 0; i < 5; i++) bench.send('a', lost);
    bench.send('twin', lost);
    expect([bench.dropsOfPort('a', 'no-route'), bench.dropsOfPort('twin', 'no-route')]).toEqual(
      [before[0] ?? 0n, before[1] ?? 0n].map((n, i) => n + (i === 0 ? 5n : 1n)),
    );
  });
});

it('keeps networks with equal addresses apart', () => {
  bench.addEndpoint({ vni: OTHER_VNI, group: 0, ...B, mac: '02:aa:00:00:00:02' as Mac, at: { vtep: '192.168.2.52' as Ipv4 } });
  const frame = ethernet(from(A.mac, '02:aa:00:00:00:02' as Mac), ETHERTYPE.ipv4, ping(A.ip, B.ip));
  expect(bench.send('twin', frame)).toMatchObject({ verdict: 'redirect', tunnel: { vni: OTHER_VNI, to: '192.168.2.52' } });
  // The other network's MAC leads nowhere else here.
  expect(bench.send('a', frame)).toMatchObject({
    verdict: 'redirect',
    packet: ethernet(from(A.mac, B.mac), ETHERTYPE.ipv4, ping(A.ip, B.ip)),
  });
});
