/** What comes through the tunnel, frame by frame. */
import type { Ipv4, Ipv6, Mac } from '@contiv/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { vtepBytes } from '../maps/layout.js';
import { A, B, type Bench, C, GROUP, OTHER_VNI, standardBench, VNI, VTEP } from '../testing/bench.js';
import { arp, BROADCAST, ETHERTYPE, echo, ethernet, ipv4, ipv6, nd, PROTOCOL } from '../testing/packets.js';

let bench: Bench;
beforeAll(() => {
  bench = standardBench();
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.setNetwork(VNI, 'proxy');
  bench.clear('connections4', 'connections6');
});

const peer = { vni: VNI, vtep: VTEP };
const dropped = (reason: string) => ({ verdict: 'drop', reason });
const ping = (src: Ipv4, dst: Ipv4) => ipv4({ src, dst, protocol: PROTOCOL.icmp }, echo(8, 7));
const frame = (dst = A, mac: Mac = dst.mac, src = C) => ethernet({ src: src.mac, dst: mac }, ETHERTYPE.ipv4, ping(src.ip, dst.ip));

describe('from the tunnel', () => {
  it('goes into the container of that network that has the address, unchanged', () => {
    const before = [bench.counters('a'), bench.counters('twin')];
    expect(bench.receive(peer, frame())).toMatchObject({ verdict: 'redirect', packet: frame() });
    const six = ethernet({ src: C.mac, dst: A.mac }, ETHERTYPE.ipv6, ipv6({ src: C.ip6, dst: A.ip6, next: PROTOCOL.icmp6 }, echo(128, 1)));
    expect(bench.receive(peer, six)).toMatchObject({ verdict: 'redirect', packet: six });
    const [a, twin] = [bench.counters('a'), bench.counters('twin')];
    expect(a[2]).toBe((before[0]?.[2] ?? 0n) + 2n);
    expect(twin).toEqual(before[1]);
    expect(bench.receive({ ...peer, vni: OTHER_VNI }, frame())).toMatchObject({ verdict: 'redirect' });
    expect(bench.counters('twin')[2]).toBe((before[1]?.[2] ?? 0n) + 1n);
    expect(bench.counters('a')).toEqual(a);
  });

  it('is dropped when it comes from an unknown VTEP or through no tunnel', () => {
    for (const vtep of ['192.168.2.99', '192.168.2.50', '0.0.0.0', '51.2.168.192'] as Ipv4[])
      expect(bench.receive({ vni: VNI, vtep }, frame()), vtep).toMatchObject(dropped('unknown-vtep'));
    expect(bench.receive({ vni: VNI, vtep: '::ffff:c0a8:233' as Ipv6 }, frame())).toMatchObject(dropped('tunnel'));
    expect(bench.receive(undefined, frame())).toMatchObject(dropped('tunnel'));
  });

  it('is dropped when no container of this host is meant', () => {
    expect(bench.receive(peer, frame({ ...A, ip: '10.1.0.77' as Ipv4 }))).toMatchObject(dropped('not-local'));
    expect(bench.receive(peer, frame(C))).toMatchObject(dropped('not-local'));
    expect(bench.receive({ ...peer, vni: 999 }, frame())).toMatchObject(dropped('not-local'));
    expect(bench.receive({ ...peer, vni: OTHER_VNI }, frame(B))).toMatchObject(dropped('not-local'));
  });

  it('goes to who has the address now, whatever MAC its sender remembers', () => {
    expect(bench.receive(peer, frame(A, B.mac))).toMatchObject({ verdict: 'redirect', packet: frame() });
  });

  it('is dropped when it claims to come from a container of this host', () => {
    expect(bench.receive(peer, frame(A, A.mac, B))).toMatchObject(dropped('spoofed-ip'));
  });

  it('is dropped when it is neither IP nor ARP, or makes no sense', () => {
    for (const type of [ETHERTYPE.vlan, 0x88cc, 0x8847])
      expect(bench.receive(peer, ethernet({ src: C.mac, dst: A.mac }, type, ping(C.ip, A.ip)))).toMatchObject(dropped('not-ip'));
    for (const length of [34, 36, 41])
      expect(bench.receive(peer, frame().subarray(0, length)), String(length)).toMatchObject(dropped('malformed'));
  });

  it('floods within this host only where the network floods', () => {
    const everybody = ethernet({ src: C.mac, dst: BROADCAST }, ETHERTYPE.ipv4, ping(C.ip, '10.1.0.255' as Ipv4));
    const question = ethernet(
      { src: C.mac, dst: BROADCAST },
      ETHERTYPE.arp,
      arp({ operation: 1, senderMac: C.mac, senderIp: C.ip, targetMac: '00:00:00:00:00:00' as Mac, targetIp: A.ip }),
    );
    const solicit = ethernet(
      { src: C.mac, dst: '33:33:ff:00:00:01' as Mac },
      ETHERTYPE.ipv6,
      nd({ type: 135, src: C.ip6, dst: 'ff02::1:ff00:1' as Ipv6, target: A.ip6, option: [1, C.mac] }),
    );
    for (const each of [everybody, question, solicit]) expect(bench.receive(peer, each)).toMatchObject(dropped('not-flooded'));
    bench.setNetwork(VNI, ['a', 'b'], [VTEP]);
    const before = [bench.delivered('a'), bench.delivered('b'), bench.delivered('twin')];
    for (const each of [everybody, question, solicit]) expect(bench.receive(peer, each)).toMatchObject({ verdict: 'stolen' });
    expect([bench.delivered('a'), bench.delivered('b'), bench.delivered('twin')]).toEqual(
      [before[0] ?? 0, before[1] ?? 0, before[2] ?? 0].map((n, i) => n + (i < 2 ? 3 : 0)),
    );
    expect(bench.receive({ ...peer, vni: OTHER_VNI }, everybody)).toMatchObject(dropped('not-flooded'));
    expect(bench.receive(peer, ethernet({ src: C.mac, dst: BROADCAST }, ETHERTYPE.ipv4, ping(C.ip, A.ip)))).toMatchObject(
      dropped('wrong-mac'),
    );
  });

  it('hands over ARP replies where the network floods', () => {
    const reply = (targetIp: Ipv4, mac: Mac) =>
      ethernet({ src: C.mac, dst: mac }, ETHERTYPE.arp, arp({ operation: 2, senderMac: C.mac, senderIp: C.ip, targetMac: mac, targetIp }));
    expect(bench.receive(peer, reply(A.ip, A.mac))).toMatchObject(dropped('not-flooded'));
    bench.setNetwork(VNI, ['a', 'b']);
    expect(bench.receive(peer, reply(A.ip, A.mac))).toMatchObject({ verdict: 'redirect' });
    expect(bench.receive(peer, reply(A.ip, B.mac))).toMatchObject(dropped('not-local'));
    expect(bench.receive(peer, reply(C.ip, C.mac))).toMatchObject(dropped('not-local'));
    expect(bench.receive(peer, reply(A.ip, A.mac).subarray(0, 30))).toMatchObject(dropped('malformed'));
  });

  it('is judged by the group of its source', () => {
    bench.addRule({ from: GROUP.c, to: GROUP.a, priority: 5, denied: true, rule: 9 });
    expect(bench.receive(peer, frame())).toMatchObject(dropped('policy'));
    expect(bench.receive(peer, frame(B))).toMatchObject({ verdict: 'redirect' });
    bench.forgetRules();
  });
});

describe('over an IPv6 underlay', () => {
  const vtep = '2001:db8:1::51' as Ipv6;

  it('takes frames from known VTEPs and sends to them', () => {
    bench.configure({ vtep: '2001:db8:1::50' as Ipv6 });
    try {
      expect(bench.receive({ vni: VNI, vtep }, frame())).toMatchObject(dropped('unknown-vtep'));
      bench.addPeer(vtep);
      expect(bench.receive({ vni: VNI, vtep }, frame())).toMatchObject({ verdict: 'redirect' });
      // The same host by IPv4 is nobody we know.
      expect(bench.receive(peer, frame())).toMatchObject(dropped('tunnel'));
      bench.addEndpoint({ vni: VNI, group: GROUP.c, ...C, at: { vtep } });
      expect(bench.send('a', frame(C, C.mac, A))).toMatchObject({
        verdict: 'redirect',
        tunnel: { vni: VNI, to: vtep, from: '2001:db8:1::50' },
      });
    } finally {
      bench.configure({ vtep: '192.168.2.50' as Ipv4 });
      bench.map('peers').delete(vtepBytes(vtep));
      bench.addEndpoint({ vni: VNI, group: GROUP.c, ...C, at: { vtep: VTEP } });
    }
  });
});
