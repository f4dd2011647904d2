/** The short way between hosts, past the tunnel device: what goes by it, and what does not. */
import type { Ipv4, Mac } from '@contiv/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { u32Key, vtepBytes } from '../maps/layout.js';
import { A, B, type Bench, C, OWN_VTEP, standardBench, UNDERLAY_MAC, VNI, VTEP, VXLAN_PORT } from '../testing/bench.js';
import { arp, checksum, ETHERTYPE, echo, ethernet, type Ipv4Options, ipv4, ipv6, PROTOCOL, tcp, udp } from '../testing/packets.js';

let bench: Bench;
beforeAll(() => {
  bench = standardBench();
  bench.addUnderlay(VTEP);
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.clear('connections4', 'connections6', 'ways');
  bench.addPeer(VTEP);
});

const ends = { src: A.ip, dst: C.ip };
const out = (payload: Buffer) => ethernet({ src: A.mac, dst: C.mac }, ETHERTYPE.ipv4, payload);
const ping = out(ipv4({ ...ends, protocol: PROTOCOL.icmp }, echo(8, 7)));
const withTos = (frame: Buffer, tos: number): Buffer => {
  const copy = Buffer.from(frame);
  copy.writeUInt8(tos, 15);
  copy.writeUInt16BE(0, 24);
  copy.writeUInt16BE(checksum(copy.subarray(14, 34)), 24);
  return copy;
};

describe('out', () => {
  it('wraps a packet for another host as RFC 7348 has it, the frame inside unchanged', () => {
    const frames = [
      ping,
      out(ipv4({ ...ends, protocol: PROTOCOL.tcp }, tcp(1, 2, 2, ends))),
      out(ipv4({ ...ends, protocol: PROTOCOL.udp }, udp(9, 53, Buffer.alloc(1400), ends))),
      out(ipv4({ ...ends, protocol: PROTOCOL.sctp }, Buffer.alloc(24))),
    ];
    for (const frame of frames) {
      const { verdict, packet, tunnel } = bench.send('a', frame);
      expect([verdict, tunnel]).toEqual(['redirect', undefined]);
      const ip = packet.subarray(14, 34);
      const wanted = ipv4({ src: OWN_VTEP, dst: VTEP, protocol: PROTOCOL.udp, id: ip.readUInt16BE(4) }, packet.subarray(34));
      expect(packet.subarray(14)).toEqual(wanted);
      expect([packet.readUInt16BE(36), packet.readUInt16BE(38), packet.readUInt16BE(40)]).toEqual([VXLAN_PORT, packet.length - 34, 0]);
      expect(packet.readUInt16BE(34)).toBeGreaterThanOrEqual(0xc000);
      expect([packet.readUInt32BE(42), packet.readUInt32BE(46)]).toEqual([0x0800_0000, VNI << 8]);
      expect(packet.subarray(50)).toEqual(frame);
    }
  });

  it('keeps a connection at one source port and spreads connections over many', () => {
    const portOf = (sport: number) =>
      bench.send('a', out(ipv4({ ...ends, protocol: PROTOCOL.udp }, udp(sport, 53)))).packet.readUInt16BE(34);
    expect(portOf(77)).toBe(portOf(77));
    expect(new Set(Array.from({ length: 64 }, (_, i) => portOf(1000 + i))).size).toBeGreaterThan(32);
  });

  it('tells of congestion as RFC 6040 has it', () => {
    const outer = (ecn: number) => bench.send('a', withTos(ping, 0xb8 | ecn)).packet.readUInt8(15);
    expect([0, 1, 2, 3].map(outer)).toEqual([0, 1, 2, 2]);
  });

  it('leaves to the tunnel device what has no next hop, is too large, or is not IPv4', () => {
    const elsewhere = { ...C, ip: '10.1.0.9' as Ipv4 };
    bench.addEndpoint({ vni: VNI, group: 0, ...elsewhere, at: { vtep: '192.168.2.52' as Ipv4 } });
    const six = ethernet({ src: A.mac, dst: C.mac }, ETHERTYPE.ipv6, ipv6({ src: A.ip6, dst: C.ip6, next: PROTOCOL.udp }, udp(1, 2)));
    const taken = [
      ethernet({ src: A.mac, dst: C.mac }, ETHERTYPE.ipv4, ipv4({ src: A.ip, dst: elsewhere.ip, protocol: PROTOCOL.icmp }, echo(8, 1))),
      out(ipv4({ ...ends, protocol: PROTOCOL.udp }, udp(9, 53, Buffer.alloc(1424)))),
      six,
    ];
    for (const frame of taken) {
      const { verdict, packet, tunnel } = bench.send('a', frame);
      expect([verdict, tunnel?.vni]).toEqual(['redirect', VNI]);
      expect(packet).toEqual(frame);
    }
    bench.addPeer('192.168.2.52' as Ipv4);
    expect(bench.send('a', taken[0] ?? ping).tunnel, 'a neighbour that has not answered').toMatchObject({ vni: VNI });
    bench.map('peers').delete(vtepBytes('192.168.2.52' as Ipv4));
  });
});

const inner = (src = C, dst = A, mac = dst.mac) =>
  ethernet({ src: src.mac, dst: mac }, ETHERTYPE.ipv4, ipv4({ src: src.ip, dst: dst.ip, protocol: PROTOCOL.icmp }, echo(8, 9)));

interface Wrapping extends Partial<Ipv4Options> {
  readonly vni?: number;
  readonly port?: number;
  readonly flags?: number;
  readonly mac?: Mac;
  readonly sum?: number;
}

function wrapped(frame: Buffer, o: Wrapping = {}): Buffer {
  const vxlan = Buffer.alloc(8);
  vxlan.writeUInt32BE(o.flags ?? 0x0800_0000, 0);
  vxlan.writeUInt32BE((o.vni ?? VNI) << 8, 4);
  const datagram = udp(50_000, o.port ?? VXLAN_PORT, Buffer.concat([vxlan, frame]));
  datagram.writeUInt16BE(o.sum ?? 0, 6);
  const packet = ipv4({ src: VTEP, dst: OWN_VTEP, protocol: PROTOCOL.udp, ...o }, datagram);
  return ethernet({ src: '02:1a:00:00:00:51' as Mac, dst: o.mac ?? UNDERLAY_MAC }, ETHERTYPE.ipv4, packet);
}

describe('in', () => {
  it('goes into the container, unchanged, and under the same rules as through the tunnel device', () => {
    const before = bench.counters('a')[2] ?? 0n;
    expect(bench.receiveWrapped(wrapped(inner()))).toMatchObject({ verdict: 'redirect', packet: inner() });
    expect(bench.counters('a')[2]).toBe(before + 1n);
    const dropped = (reason: string) => ({ verdict: 'drop', reason });
    expect(bench.receiveWrapped(wrapped(inner(C, { ...A, ip: '10.1.0.77' as Ipv4 })))).toMatchObject(dropped('not-local'));
    expect(bench.receiveWrapped(wrapped(inner(), { vni: 999 }))).toMatchObject(dropped('not-local'));
    expect(bench.receiveWrapped(wrapped(inner(C, A, B.mac)))).toMatchObject({ verdict: 'redirect', packet: inner() });
    expect(bench.receiveWrapped(wrapped(inner(B, A)))).toMatchObject(dropped('spoofed-ip'));
    expect(bench.receiveWrapped(wrapped(inner().subarray(0, 36)))).toMatchObject(dropped('malformed'));
  });

  it('leaves to the host whatever is no plain packet of a peer to this VTEP', () => {
    const question = arp({ operation: 1, senderMac: C.mac, senderIp: C.ip, targetMac: A.mac, targetIp: A.ip });
    const six = ipv6({ src: C.ip6, dst: A.ip6, next: PROTOCOL.icmp6 }, echo(128, 1));
    const wrong = wrapped(inner());
    wrong.writeUInt16BE(wrong.readUInt16BE(24) ^ 1, 24);
    const strange: Readonly<Record<string, Buffer>> = {
      'another host': wrapped(inner(), { src: '192.168.2.99' as Ipv4 }),
      'this very host': wrapped(inner(), { src: OWN_VTEP }),
      'another address': wrapped(inner(), { dst: '192.168.2.60' as Ipv4 }),
      'another port': wrapped(inner(), { port: 4789 }),
      'another protocol': wrapped(inner(), { protocol: PROTOCOL.tcp }),
      'other flags': wrapped(inner(), { flags: 0x0900_0000 }),
      'a frame for somebody else': wrapped(inner(), { mac: '02:1a:00:00:00:99' as Mac }),
      'a first fragment': wrapped(inner(), { more: true }),
      'a later fragment': wrapped(inner(), { offset: 8 }),
      options: wrapped(inner(), { options: Buffer.of(1, 1, 1, 1) }),
      ARP: wrapped(ethernet({ src: C.mac, dst: A.mac }, ETHERTYPE.arp, question)),
      IPv6: wrapped(ethernet({ src: C.mac, dst: A.mac }, ETHERTYPE.ipv6, six)),
      'a wrong checksum': wrong,
      'a checksum of UDP': wrapped(inner(), { sum: 0x1234 }),
      padding: Buffer.concat([wrapped(inner()), Buffer.alloc(4)]),
      'congestion met': withTos(wrapped(inner()), 3),
      'too short': wrapped(inner()).subarray(0, 60),
    };
    for (const [what, frame] of Object.entries(strange)) {
      bench.clear('ways');
      expect(bench.receiveWrapped(frame), what).toMatchObject({ verdict: 'pass', packet: frame });
    }
  });

  it('is closed as soon as its sender is no peer', () => {
    expect(bench.receiveWrapped(wrapped(inner()))).toMatchObject({ verdict: 'redirect' });
    bench.map('peers').delete(vtepBytes(VTEP));
    bench.nextEpoch();
    expect(bench.receiveWrapped(wrapped(inner()))).toMatchObject({ verdict: 'pass' });
  });

  it('lets nothing overtake what the tunnel device takes in', () => {
    for (;;) {
      const began = performance.now();
      expect(bench.receiveWrapped(wrapped(inner()), 1000)).toMatchObject({ verdict: 'pass' });
      const next = bench.receiveWrapped(wrapped(inner()));
      // Where this process had to wait for a processor in between, it may be over.
      if (performance.now() - began > 15) continue;
      expect(next).toMatchObject({ verdict: 'pass' });
      break;
    }
    // Longer ago than it lasts.
    const [key, way] = bench.map('ways').entries()[0] ?? [];
    if (!key || !way) throw new Error('no way is kept');
    way.writeUInt32LE(way.readUInt32LE(20) - 1000, 20);
    bench.map('ways').set(key, way);
    expect(bench.receiveWrapped(wrapped(inner()))).toMatchObject({ verdict: 'redirect' });
  });

  it('is closed where it is not configured', () => {
    bench.configure({ shortPort: undefined });
    expect(bench.receiveWrapped(wrapped(inner()))).toMatchObject({ verdict: 'pass' });
    expect(bench.send('a', ping).tunnel).toMatchObject({ vni: VNI });
    expect(bench.map('ways').get(u32Key(0))).toBeUndefined();
    bench.configure({ shortPort: VXLAN_PORT });
  });
});
