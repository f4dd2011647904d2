/** A VLAN between containers and the physical network, frame by frame: what is tagged, what is answered, what is learned, what is forged. */
import { type Ipv4, type Ipv6, type Mac, type PolicyRule, type VlanId, vlanVni } from '@contiv/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { endpointBytes, endpointKey, macKey, networkBytes, parseStation, ROUTER_MAC, refusedStations, u32Key } from '../maps/layout.js';
import { A, B, Bench, C, GROUP, type VNI } from '../testing/bench.js';
import { arp, BROADCAST, ETHERTYPE, echo, ethernet, icmp, ipv4, ipv6, nd, PROTOCOL, tcp, udp } from '../testing/packets.js';

const VLAN = 112;
const SEGMENT = vlanVni(VLAN as VlanId);
/** Somebody on the VLAN who is not ours: a server, a router. */
const S = { ip: '10.1.0.200' as Ipv4, ip6: 'fd00::200' as Ipv6, mac: '52:54:00:00:00:01' as Mac };
const FAR = '203.0.113.80' as Ipv4;
const NOBODY = '00:00:00:00:00:00' as Mac;

let bench: Bench;
beforeAll(() => {
  bench = new Bench();
  bench.addPort({ name: 'a', vni: SEGMENT, group: GROUP.a, ...A });
  bench.addPort({ name: 'b', vni: SEGMENT, group: GROUP.b, ...B });
  // A VXLAN network whose VNI is the VLAN's id, with the same addresses.
  bench.addPort({ name: 'twin', vni: VLAN as typeof VNI, group: 0, ...A });
  bench.setNetwork(VLAN, 'proxy');
  bench.addEndpoint({ vni: SEGMENT, group: GROUP.c, ...C, at: { uplink: true } });
  bench.map('uplinks').set(u32Key(1), Buffer.alloc(16));
});
afterAll(() => bench.close());
beforeEach(() => {
  bench.configure({ uplink: 1 });
  bench.setNetwork(SEGMENT, 'proxy');
  bench.clear('connections4', 'connections6', 'stations');
  bench.forgetRules();
});

const dropped = (reason: string) => ({ verdict: 'drop', reason });
const out = (packet: Buffer) => ({ verdict: 'redirect', vlan: VLAN, packet });
const ping = (from: { mac: Mac; ip: Ipv4 }, to: { mac: Mac; ip: Ipv4 }) =>
  ethernet({ src: from.mac, dst: to.mac }, ETHERTYPE.ipv4, ipv4({ src: from.ip, dst: to.ip, protocol: PROTOCOL.icmp }, echo(8, 7)));
const who = (from: { mac: Mac; ip: Ipv4 }, target: Ipv4, dst = BROADCAST) =>
  ethernet(
    { src: from.mac, dst },
    ETHERTYPE.arp,
    arp({ operation: 1, senderMac: from.mac, senderIp: from.ip, targetMac: NOBODY, targetIp: target }),
  );
const isAt = (from: { mac: Mac; ip: Ipv4 }, to: { mac: Mac; ip: Ipv4 }, dst = to.mac) =>
  ethernet(
    { src: from.mac, dst },
    ETHERTYPE.arp,
    arp({ operation: 2, senderMac: from.mac, senderIp: from.ip, targetMac: to.mac, targetIp: to.ip }),
  );
const stations = () =>
  bench
    .map('stations')
    .entries()
    .map(([key, value]) => parseStation(key, value));

describe('out of a container', () => {
  it('goes to a container of another host, to a station and to the world beyond a router, tagged and otherwise unchanged', () => {
    for (const to of [C, S, { mac: S.mac, ip: FAR }]) expect(bench.send('a', ping(A, to)), to.ip).toMatchObject(out(ping(A, to)));
    const six = ethernet({ src: A.mac, dst: S.mac }, ETHERTYPE.ipv6, ipv6({ src: A.ip6, dst: S.ip6, next: PROTOCOL.icmp6 }, echo(128, 1)));
    expect(bench.send('a', six)).toMatchObject(out(six));
  });

  it('takes the short way to a container of this host', () => {
    expect(bench.send('a', ping(A, B))).toMatchObject({ verdict: 'redirect', vlan: undefined, packet: ping(A, B) });
  });

  it('never mixes with a VXLAN network that has the same number', () => {
    expect(bench.send('twin', ping(A, S))).toMatchObject(dropped('no-route'));
    expect(bench.send('twin', ping(A, C))).toMatchObject(dropped('no-route'));
  });

  it('is dropped with a tag of its own, whatever the tag', () => {
    for (const id of [VLAN, 113, 0, 4095]) {
      const inner = Buffer.concat([Buffer.of(id >> 8, id & 255, 8, 0), ping(A, S).subarray(14)]);
      for (const type of [ETHERTYPE.vlan, 0x88a8])
        expect(bench.send('a', ethernet({ src: A.mac, dst: S.mac }, type, inner)), String(id)).toMatchObject(dropped('tagged'));
    }
  });

  it('is dropped with a reason while no uplink can carry it; neighbours on this host stay within reach', () => {
    bench.configure({ uplink: 0 });
    expect(bench.send('a', ping(A, S))).toMatchObject(dropped('no-uplink'));
    expect(bench.send('a', ping(A, B)).verdict).toBe('redirect');
  });

  it('sends to a known address by no other way than its own, whatever MAC it remembers', () => {
    expect(bench.send('a', ping(A, { ...C, mac: S.mac }))).toEqual(bench.send('a', ping(A, C)));
  });
});

describe('questions', () => {
  it('about known addresses are answered here, about others they go out', () => {
    expect(bench.send('a', who(A, C.ip))).toMatchObject({ verdict: 'redirect', vlan: undefined, packet: isAt(C, A) });
    expect(bench.send('a', who(A, S.ip))).toMatchObject(out(who(A, S.ip)));
    // A test for duplicates, and an announcement.
    expect(bench.send('a', who(A, A.ip))).toMatchObject(out(who(A, A.ip)));
    expect(bench.send('a', isAt(A, S))).toMatchObject(out(isAt(A, S)));
  });

  it('from outside are answered for containers of this host, and for no others', () => {
    expect(bench.receiveTagged([VLAN], who(S, A.ip))).toMatchObject(out(isAt(A, S)));
    expect(bench.receiveTagged([VLAN], who(S, C.ip))).toMatchObject({ verdict: 'stolen' });
    expect(bench.receiveTagged([VLAN], who(S, S.ip.replace('200', '201') as Ipv4))).toMatchObject({ verdict: 'stolen' });
  });

  it('are answered for IPv6 as well', () => {
    const group = 'ff02::1:ff00:1' as Ipv6;
    const ask = (from: { mac: Mac; ip6: Ipv6 }, target: Ipv6) =>
      ethernet(
        { src: from.mac, dst: '33:33:ff:00:00:01' as Mac },
        ETHERTYPE.ipv6,
        nd({ type: 135, src: from.ip6, dst: group, target, option: [1, from.mac] }),
      );
    const answer = bench.receiveTagged([VLAN], ask(S, A.ip6));
    expect(answer).toMatchObject({ verdict: 'redirect', vlan: VLAN });
    expect(answer.packet.subarray(0, 12)).toEqual(ethernet({ src: A.mac, dst: S.mac }, 0, Buffer.alloc(0)).subarray(0, 12));
    expect(bench.send('a', ask(A, C.ip6))).toMatchObject({ verdict: 'redirect', vlan: undefined });
    const asked = bench.send('a', ask(A, S.ip6));
    expect(asked).toMatchObject({ verdict: 'stolen', vlan: VLAN });
  });

  it('from outside about the gateway are not ours to answer: it is for containers, and stands on every host', () => {
    const gateway = { ip: '10.1.0.254' as Ipv4, ip6: '2001:db8::fe' as Ipv6 };
    const value = endpointBytes({ group: 0, mac: ROUTER_MAC, vni: SEGMENT, domain: SEGMENT, at: 'router' });
    const keys = [gateway.ip, gateway.ip6].map((address) => endpointKey(SEGMENT, address));
    for (const key of keys) bench.map('endpoints').set(key, value);
    const solicit = ethernet(
      { src: S.mac, dst: '33:33:ff:00:00:fe' as Mac },
      ETHERTYPE.ipv6,
      nd({ type: 135, src: S.ip6, dst: 'ff02::1:ff00:fe' as Ipv6, target: gateway.ip6, option: [1, S.mac] }),
    );
    for (const question of [who(S, gateway.ip), solicit])
      expect(bench.receiveTagged([VLAN], question)).toMatchObject({ verdict: 'stolen', vlan: undefined });
    const called = ping(S, { ip: gateway.ip, mac: ROUTER_MAC });
    expect(bench.receiveTagged([VLAN], called)).toMatchObject({ verdict: 'drop', reason: undefined });
    expect(bench.send('a', who(A, gateway.ip)).packet).toEqual(isAt({ ip: gateway.ip, mac: ROUTER_MAC }, A));
    for (const key of keys) bench.map('endpoints').delete(key);
  });

  it('and replies reach the container that asked', () => {
    expect(bench.receiveTagged([VLAN], isAt(S, A))).toMatchObject({ verdict: 'redirect', vlan: undefined, packet: isAt(S, A) });
    expect(bench.receiveTagged([VLAN], isAt(S, C))).toMatchObject({ verdict: 'drop', reason: undefined });
  });
});

describe('broadcast and multicast', () => {
  const hello = ethernet(
    { src: S.mac, dst: '01:00:5e:00:00:fb' as Mac },
    ETHERTYPE.ipv4,
    ipv4({ src: S.ip, dst: '224.0.0.251' as Ipv4, protocol: PROTOCOL.udp }, udp(5353, 5353)),
  );
  const members = (flood: boolean) => {
    bench.setNetwork(SEGMENT, ['a', 'b']);
    bench.map('networks').set(u32Key(SEGMENT), networkBytes({ flood, locals: 2, remotes: 0, domain: SEGMENT }));
  };
  const counts = () => ['a', 'b', 'twin'].map((name) => bench.delivered(name));
  const since = (before: readonly number[]) => counts().map((count, i) => count - (before[i] ?? 0));

  it('of the physical network reaches every container of the VLAN here, and only those', () => {
    for (const flood of [true, false]) {
      members(flood);
      const before = counts();
      expect(bench.receiveTagged([VLAN], hello), String(flood)).toMatchObject({ verdict: 'stolen', vlan: undefined });
      expect(since(before)).toEqual([1, 1, 0]);
    }
  });

  it('of a container reaches its neighbours and the physical network', () => {
    members(false);
    const own = ethernet(
      { src: A.mac, dst: BROADCAST },
      ETHERTYPE.ipv4,
      ipv4({ src: A.ip, dst: '255.255.255.255' as Ipv4, protocol: PROTOCOL.udp }, udp(68, 67)),
    );
    const before = counts();
    expect(bench.send('a', own)).toMatchObject({ verdict: 'stolen', vlan: VLAN });
    expect(since(before)).toEqual([0, 1, 0]);
  });

  it('announcements of a router reach containers also where questions are answered for them', () => {
    members(false);
    const before = counts();
    expect(bench.receiveTagged([VLAN], who(S, S.ip)).verdict).toBe('stolen');
    expect(since(before)).toEqual([1, 1, 0]);
  });
});

describe('by an uplink', () => {
  it('passes untouched what is the host’s own or another VLAN’s', () => {
    for (const tags of [[], [113], [0], [113, VLAN], [4095]])
      expect(bench.receiveTagged(tags, ping(S, A)), JSON.stringify(tags)).toMatchObject({ verdict: 'pass' });
  });

  it('reaches the container that has the address, without its tag', () => {
    expect(bench.receiveTagged([VLAN], ping(S, A))).toMatchObject({ verdict: 'redirect', vlan: undefined, packet: ping(S, A) });
    expect(bench.receiveTagged([VLAN], ping(C, A))).toMatchObject({ verdict: 'redirect', packet: ping(C, A) });
    expect(bench.receiveTagged([VLAN], ping({ mac: S.mac, ip: FAR }, A)).verdict).toBe('redirect');
  });

  it('does not hop into another VLAN by a second tag', () => {
    for (const inner of [VLAN, 113, 0, 4095]) expect(bench.receiveTagged([VLAN, inner], ping(S, A))).toMatchObject(dropped('tagged'));
  });

  it('is ignored on an uplink that is not in use: its broadcasts came by the other one already', () => {
    bench.configure({ uplink: 99 });
    expect(bench.receiveTagged([VLAN], ping(S, A))).toMatchObject(dropped('standby'));
    expect(bench.receiveTagged([], ping(S, A))).toMatchObject({ verdict: 'pass' });
  });

  it('is dropped when it claims to be a container of ours', () => {
    const forged = [
      [ping({ mac: A.mac, ip: S.ip }, B), 'spoofed-mac'],
      [ping({ mac: S.mac, ip: A.ip }, B), 'spoofed-ip'],
      [ping({ mac: S.mac, ip: C.ip }, B), 'spoofed-ip'],
      [who({ mac: S.mac, ip: A.ip }, A.ip), 'spoofed-arp'],
      [who({ mac: S.mac, ip: C.ip }, C.ip), 'spoofed-arp'],
      [isAt({ mac: S.mac, ip: C.ip }, A), 'spoofed-arp'],
      [ping({ mac: BROADCAST, ip: S.ip }, A), 'malformed'],
    ] as const;
    for (const [frame, reason] of forged) expect(bench.receiveTagged([VLAN], frame), reason).toMatchObject(dropped(reason));
    const advert = (target: Ipv6, mac: Mac, option: Mac) =>
      ethernet(
        { src: mac, dst: '33:33:00:00:00:01' as Mac },
        ETHERTYPE.ipv6,
        nd({ type: 136, src: S.ip6, dst: 'ff02::1' as Ipv6, target, option: [2, option] }),
      );
    for (const [target, mac, option] of [
      [A.ip6, S.mac, S.mac],
      [C.ip6, S.mac, S.mac],
      [C.ip6, C.mac, S.mac],
    ] as const)
      expect(bench.receiveTagged([VLAN], advert(target, mac, option))).toMatchObject(dropped('spoofed-nd'));
    expect(bench.receiveTagged([VLAN], advert(S.ip6, S.mac, S.mac)).verdict).toBe('stolen');
    expect(stations().map(({ mac }) => mac)).not.toContain(A.mac);
  });
});

describe('stations', () => {
  it('are learned with the address they tell of themselves, and endpoints of ours are not', () => {
    bench.receiveTagged([VLAN], ping({ mac: S.mac, ip: FAR }, A));
    expect(stations()).toMatchObject([{ vni: SEGMENT, mac: S.mac, ifindex: 1, ip: undefined }]);
    bench.receiveTagged([VLAN], who(S, A.ip));
    bench.receiveTagged([VLAN], ping(C, A));
    bench.receiveTagged([VLAN], who(C, A.ip));
    expect(stations()).toMatchObject([{ mac: S.mac, ip: S.ip }]);
  });

  it('a flood of 100,000 forged ones costs nobody else anything', () => {
    const refused = () => refusedStations(bench.map('uplinks').get(u32Key(1)) ?? Buffer.alloc(16));
    const before = refused();
    bench.receiveMany(
      VLAN,
      Array.from({ length: 100_000 }, (_, i) => {
        const [a, b, c] = [i >> 16, (i >> 8) & 255, i & 255];
        const mac = `52:54:01:${[a, b, c].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}` as Mac;
        return ping({ mac, ip: `172.${16 + a}.${b}.${c}` as Ipv4 }, A);
      }),
    );
    expect(stations().length).toBeLessThanOrEqual(8192);
    expect(refused()).toBeGreaterThan(before);
    expect(bench.map('local_macs').get(macKey(SEGMENT, A.mac))).toBeDefined();
    expect(bench.receiveTagged([VLAN], ping(C, A)).verdict).toBe('redirect');
    expect(bench.send('a', ping(A, C))).toMatchObject(out(ping(A, C)));
    expect(bench.send('a', ping(A, B)).verdict).toBe('redirect');
  });
});

describe('policy', () => {
  const web = (flags: number) =>
    ethernet({ src: S.mac, dst: A.mac }, ETHERTYPE.ipv4, ipv4({ src: S.ip, dst: A.ip, protocol: PROTOCOL.tcp }, tcp(4000, 80, flags)));
  const call = (from: typeof A, to: typeof A, port: number) =>
    ethernet(
      { src: from.mac, dst: to.mac },
      ETHERTYPE.ipv4,
      ipv4({ src: from.ip, dst: to.ip, protocol: PROTOCOL.tcp }, tcp(4000, port, 2)),
    );

  it('holds between containers over the VLAN, and towards stations, which are in no group', () => {
    bench.addRule({ from: GROUP.c, to: GROUP.a, priority: 10, denied: true, rule: 1 });
    expect(bench.receiveTagged([VLAN], call(C, A, 80))).toMatchObject(dropped('policy'));
    expect(bench.receiveTagged([VLAN], call(C, B, 80)).verdict).toBe('redirect');
    expect(bench.receiveTagged([VLAN], web(2)).verdict).toBe('redirect');
    bench.forgetRules();
    bench.addRule({ from: 0, to: GROUP.a, priority: 1, denied: true, rule: 2 });
    expect(bench.receiveTagged([VLAN], web(2))).toMatchObject(dropped('policy'));
  });

  it('holds towards a station whatever MAC the frame bears: broadcast and multicast reach it as well', () => {
    const { first, last } = { first: 0x0a01_00c8n, last: 0x0a01_00c8n };
    const rule: PolicyRule = {
      way: 'out',
      rank: 1,
      deny: true,
      log: false,
      number: 3,
      groups: undefined,
      peers: [{ family: 4, first, last }],
      own: undefined,
      services: undefined,
    };
    bench.setPolicy(new Map(Object.values(GROUP).map((group) => [group, { rules: [rule], denies: false }])));
    for (const mac of [S.mac, BROADCAST, '01:00:5e:00:00:01' as Mac]) {
      expect(bench.send('a', ping(A, { ip: S.ip, mac })), mac).toMatchObject(dropped('policy'));
      // To everybody, and to somebody whom no rule names.
      for (const ip of ['255.255.255.255', '224.0.0.251', FAR] as Ipv4[])
        if (mac !== S.mac) expect(bench.send('a', ping(A, { ip, mac })), `${mac} ${ip}`).toMatchObject({ verdict: 'stolen', vlan: VLAN });
    }
  });

  it('lets the replies of a station pass to the container that called it', () => {
    bench.addRule({ from: 0, to: GROUP.a, priority: 1, denied: true, rule: 2 });
    const called = ethernet(
      { src: A.mac, dst: S.mac },
      ETHERTYPE.ipv4,
      ipv4({ src: A.ip, dst: S.ip, protocol: PROTOCOL.tcp }, tcp(80, 4000, 2)),
    );
    expect(bench.send('a', called)).toMatchObject(out(called));
    expect(bench.receiveTagged([VLAN], web(18)).verdict).toBe('redirect');
  });

  it('lets a router on it tell a container of what goes no further', () => {
    bench.addRule({ from: 0, to: GROUP.a, priority: 1, denied: true, rule: 2 });
    const packet = ipv4({ src: A.ip, dst: FAR, protocol: PROTOCOL.udp }, udp(5000, 9));
    const about = ipv4({ src: S.ip, dst: A.ip, protocol: PROTOCOL.icmp }, icmp(3, 4, 1400, packet));
    const tooBig = () => bench.receiveTagged([VLAN], ethernet({ src: S.mac, dst: A.mac }, ETHERTYPE.ipv4, about));
    expect(tooBig()).toMatchObject(dropped('policy'));
    bench.clear('connections4');
    expect(bench.send('a', ethernet({ src: A.mac, dst: S.mac }, ETHERTYPE.ipv4, packet)).verdict).toBe('redirect');
    expect(tooBig().verdict).toBe('redirect');
  });
});
