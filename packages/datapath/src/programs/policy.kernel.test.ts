/** The program decides as the rules themselves do. `PACKETS=100000` for the long run. */
import {
  type Address,
  decide,
  type Ipv4,
  type Ipv6,
  ipv4Bytes,
  ipv4FromNumber,
  ipv6Bytes,
  ipv6FromBigInt,
  macOfIpv4,
  meaningOf,
  type Opening,
  type PolicySet,
  type RuleState,
  type Verdict,
} from '@contiv/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { u32Key } from '../maps/layout.js';
import { type Random, randomOf, randomSet } from '../policy/random.js';
import { type Bench, standardBench, VNI, VTEP } from '../testing/bench.js';
import { ETHERTYPE, echo, ethernet, ipv4, ipv6, PROTOCOL, TCP, tcp, udp } from '../testing/packets.js';

const PACKETS = Number(process.env.PACKETS ?? 4_000);
const PER_POLICY = 100;
const LOCALS = 4;
const STATIONS = 40;
const GROUPS = 5;

interface Station {
  readonly ip: Ipv4;
  readonly ip6: Ipv6;
  readonly mac: ReturnType<typeof macOfIpv4>;
  readonly group: number;
  /** On this host, behind that interface. */
  readonly port: string | undefined;
  readonly values: { readonly 4: bigint; readonly 6: bigint };
}

/** Addresses where the random rules look for them; group 0 is no group. */
const stations = Array.from({ length: STATIONS }, (_, i): Station => {
  const v4 = 0x0a01_0010 + i;
  const v6 = (0x2001_0db8n << 96n) + BigInt(i);
  const ip = ipv4FromNumber(v4);
  return {
    ip,
    ip6: ipv6FromBigInt(v6),
    mac: macOfIpv4(ip),
    group: i % GROUPS,
    port: i < LOCALS ? `p${i}` : undefined,
    values: { 4: BigInt(v4), 6: v6 },
  };
});

let bench: Bench;
beforeAll(() => {
  bench = standardBench();
  for (const { ip, ip6, mac, group, port } of stations) {
    if (port !== undefined) bench.addPort({ name: port, vni: VNI, ip, ip6, mac, group });
    else bench.addEndpoint({ vni: VNI, ip, ip6, mac, group, at: { vtep: VTEP } });
  }
});
afterAll(() => bench.close());

const one = <T>(random: Random, list: readonly T[]): T => {
  const item = list[random(list.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
};

interface Packet {
  readonly family: 4 | 6;
  readonly from: Station;
  readonly to: Station;
  readonly protocol: number;
  readonly port: number;
}

function randomPacket(random: Random): Packet {
  const family = one(random, [4, 6] as const);
  const here = one(random, stations.slice(0, LOCALS));
  const there = one(
    random,
    stations.filter((s) => s !== here),
  );
  const [from, to] = random(2) === 0 ? [here, there] : [there, here];
  const protocol = one(random, [family === 4 ? PROTOCOL.icmp : PROTOCOL.icmp6, PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp]);
  const ported = protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmp6;
  return { family, from, to, protocol, port: ported ? 7_998 + random(16) : 0 };
}

/** @param unique makes it a connection of its own. */
function frameOf({ family, from, to, protocol, port }: Packet, unique: number): Buffer {
  const l4 = (() => {
    switch (protocol) {
      case PROTOCOL.tcp:
        return tcp(unique, port, TCP.syn);
      case PROTOCOL.icmp:
        return echo(8, unique);
      case PROTOCOL.icmp6:
        return echo(128, unique);
      default:
        // SCTP has its ports where UDP has them.
        return udp(unique, port);
    }
  })();
  const macs = { src: from.mac, dst: to.mac };
  return family === 4
    ? ethernet(macs, ETHERTYPE.ipv4, ipv4({ src: from.ip, dst: to.ip, protocol }, l4))
    : ethernet(macs, ETHERTYPE.ipv6, ipv6({ src: from.ip6, dst: to.ip6, next: protocol }, l4));
}

/** What the rules of both ends say, the slow way. */
function expected(sets: ReadonlyMap<number, PolicySet>, { family, from, to, protocol, port }: Packet): Verdict {
  const end = (way: 'in' | 'out', mine: Station, peer: Station): Verdict => {
    const set = sets.get(mine.group);
    if (mine.group === 0) return { deny: false, rule: 0 };
    if (!set) return { deny: true, rule: 0 };
    const address = (s: Station): Address => ({ family, value: s.values[family] });
    const opening: Opening = { way, group: peer.group, peer: address(peer), own: address(mine), protocol, port };
    return decide(set, opening);
  };
  const out = end('out', from, to);
  if (out.deny) return out;
  const incoming = end('in', to, from);
  return incoming.rule === 0 ? { ...incoming, rule: incoming.deny ? 0 : out.rule } : incoming;
}

function send(packet: Packet, unique: number) {
  const frame = frameOf(packet, unique);
  return packet.from.port === undefined ? bench.receive({ vni: VNI, vtep: VTEP }, frame) : bench.send(packet.from.port, frame);
}

/** Number of the rule in the packet's connection, whichever end comes first in its key. */
function ruleOf({ family, from, to, protocol, port }: Packet, unique: number): number {
  const bytes = (s: Station) => (family === 4 ? ipv4Bytes(s.ip) : ipv6Bytes(s.ip6));
  const echoes = protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6;
  const ends: [Uint8Array, number][] = [
    [bytes(from), unique],
    [bytes(to), echoes ? unique : port],
  ];
  for (const [first, second] of [ends, ends.toReversed()]) {
    if (!first || !second) continue;
    const ports = Buffer.alloc(4);
    ports.writeUInt16BE(first[1], 0);
    ports.writeUInt16BE(second[1], 2);
    const key = Buffer.concat([u32Key(VNI), first[0], second[0], ports, Buffer.of(protocol, 0, 0, 0)]);
    const entry = bench.map(family === 4 ? 'connections4' : 'connections6').get(key);
    if (entry) return entry.readUInt32LE(8);
  }
  return -1;
}

describe('the program', () => {
  it(`decides as the rules do, and names the rule (${PACKETS} packets)`, { timeout: 3_600_000 }, () => {
    let denied = 0;
    let seen = 0;
    for (let seed = 1; seen < PACKETS; seed++) {
      const random = randomOf(seed * 31);
      // Group 4 has none: it may nothing.
      const sets = new Map([1, 2, 3].map((group) => [group, randomSet(seed * 10 + group)]));
      bench.setPolicy(sets);
      bench.nextEpoch();
      for (let i = 0; i < PER_POLICY; i++, seen++) {
        const packet = randomPacket(random);
        const unique = 1 + ((seen * 7) % 65_000);
        // The numbers begin again, and must not meet connections of their first round.
        if (seen > 0 && seen % 65_000 === 0) bench.clear('connections4', 'connections6');
        const outcome = send(packet, unique);
        const verdict = expected(sets, packet);
        const got = { deny: outcome.verdict === 'drop', reason: outcome.reason, rule: ruleOf(packet, unique) };
        const wanted = { deny: verdict.deny, reason: verdict.deny ? 'policy' : undefined, rule: verdict.rule };
        if (JSON.stringify(got) !== JSON.stringify(wanted))
          expect({ seed, i, packet: brief(packet), got }).toEqual({ seed, i, packet: brief(packet), got: wanted });
        if (got.deny) denied++;
      }
    }
    expect(denied / seen).toBeGreaterThan(0.2);
    expect(denied / seen).toBeLessThan(0.9);
  });

  it('takes a list as one of its items: groups, addresses of both families, ports', () => {
    const addresses = ['10.1.0.17', '10.1.0.20-24', '10.1.0.32/30', '2001:db8::1', '2001:db8::4-2001:db8::8', '2001:db8::10/126'];
    const listed = new Set([1, 4, 5, 6, 7, 8, 16, 17, 18, 19]);
    const state: RuleState = {
      key: 'blue:p:1',
      tenant: 'blue',
      policy: 'p',
      way: 'in',
      priority: 1,
      deny: true,
      group: 'g1,g2,gone',
      address: addresses.join(','),
      protocol: 'tcp',
      port: 80,
      ports: '80,443,8000-8009',
    };
    const ids = new Map([1, 2, 3, 4].map((id) => [`g${id}`, id]));
    const rules = meaningOf(state, false, { group: (name) => ids.get(name), subnet6: () => undefined });
    bench.setPolicy(new Map([1, 2, 3, 4].map((group) => [group, { rules: group === 3 ? rules : [], denies: false }])));
    bench.nextEpoch();
    const [to] = stations.filter((s) => s.port !== undefined && s.group === 3);
    if (!to) throw new Error('no station');
    let unique = 1;
    let denied = 0;
    for (const [i, from] of stations.entries()) {
      if (from === to) continue;
      for (const family of [4, 6] as const)
        for (const [protocol, port] of [...[79, 80, 81, 443, 7_999, 8_000, 8_009, 8_010].map((p) => [6, p] as const), [17, 80] as const]) {
          const packet: Packet = { family, from, to, protocol, port };
          const wanted = listed.has(i) && [1, 2].includes(from.group) && protocol === 6 && [80, 443, 8_000, 8_009].includes(port);
          expect([brief(packet), send(packet, unique++).verdict === 'drop']).toEqual([brief(packet), wanted]);
          if (wanted) denied++;
        }
    }
    expect(denied).toBeGreaterThan(20);
  });

  it('asks nobody while no policies are enforced, and those without a subject may nothing once they are', () => {
    const [from, to] = [stations[1], stations[6]];
    if (!from || !to) throw new Error('no stations');
    const packet: Packet = { family: 4, from, to, protocol: PROTOCOL.tcp, port: 80 };
    bench.forgetRules();
    expect(send(packet, 1)).toMatchObject({ verdict: 'redirect' });
    bench.setPolicy(new Map());
    expect(send(packet, 2)).toMatchObject({ verdict: 'drop', reason: 'policy' });
    bench.setPolicy(new Map([1, 2, 3, 4].map((group) => [group, { rules: [], denies: false }])));
    expect(send(packet, 3)).toMatchObject({ verdict: 'redirect' });
    bench.setPolicy(new Map([1, 2, 3, 4].map((group) => [group, { rules: [], denies: true }])));
    expect(send(packet, 4)).toMatchObject({ verdict: 'drop', reason: 'policy' });
  });
});

const brief = ({ family, from, to, protocol, port }: Packet) =>
  `IPv${family} ${from.ip} (group ${from.group}) → ${to.ip} (group ${to.group}) ${protocol}/${port}`;
