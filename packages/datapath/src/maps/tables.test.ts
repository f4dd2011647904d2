import { type Ipv4, type Ipv6, ipv4FromNumber, ipv6FromBigInt, type Mac, macOfIpv4, parsePrefix4, type Vni } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DatapathEndpoint, DatapathNetwork, DatapathPort, DesiredDatapath } from '../contract.js';
import { addressText, endpointIfindex, endpointKey, linkLocal, MAX_COPIES, memberKey, parsePort, u32Key } from './layout.js';
import { buildTables, endpointOf, describe as inWords, keyBytes, keyText, type PortPlace, TABLES } from './tables.js';

const SUBNET = (() => {
  const prefix = parsePrefix4('10.1.0.0/16');
  if (!prefix) throw new Error('no prefix');
  return prefix;
})();
const VTEP = '192.168.2.51' as Ipv4;

const address = (n: number): Ipv4 => ipv4FromNumber(0x0a010000 + n);
const port = (vni: number, n: number, dual = false): DatapathPort => ({
  name: `cv${vni}-${n}`,
  vni: vni as Vni,
  ip: address(n),
  ...(dual ? { ip6: ipv6FromBigInt((0x20010db8n << 96n) | BigInt(n)) } : {}),
  mac: macOfIpv4(address(n)),
  group: n % 3,
});
const network = (vni: number, arpMode: 'proxy' | 'flood', floodTo: (Ipv4 | Ipv6)[] = []): DatapathNetwork => ({
  vni: vni as Vni,
  arpMode,
  subnet: SUBNET,
  floodTo,
});
const remote = (vni: number, n: number, vtep: Ipv4 | Ipv6 = VTEP): DatapathEndpoint => ({ ...endpointOf(port(vni, n)), at: { vtep } });

/** A state with some local ports and remote endpoints, no address twice in a VNI. */
const state = fc
  .record({
    arpMode: fc.constantFrom('proxy' as const, 'flood' as const),
    dual: fc.boolean(),
    locals: fc.uniqueArray(fc.tuple(fc.constantFrom(1, 2), fc.integer({ min: 1, max: 40 })), { selector: ([v, n]) => `${v}|${n}` }),
    remotes: fc.uniqueArray(fc.tuple(fc.constantFrom(1, 2), fc.integer({ min: 41, max: 80 })), { selector: ([v, n]) => `${v}|${n}` }),
    peers: fc.uniqueArray(fc.integer({ min: 1, max: 5 })),
  })
  .map(({ arpMode, dual, locals, remotes, peers }): DesiredDatapath => {
    const ports = locals.map(([vni, n]) => port(vni, n, dual));
    const vteps = peers.map((n) => ipv4FromNumber(0xc0a80200 + n));
    return {
      peers: vteps,
      networks: [network(1, arpMode, vteps), network(2, arpMode, vteps)],
      ports,
      endpoints: [...ports.map(endpointOf), ...remotes.map(([vni, n]) => remote(vni, n))],
    };
  });

const placesOf = (ports: readonly DatapathPort[]): Map<string, PortPlace> =>
  new Map([...ports].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name }, i) => [name, { ifindex: 100 + i, index: i + 1 }]));

const shuffled = <T>(list: readonly T[]) => fc.shuffledSubarray([...list], { minLength: list.length, maxLength: list.length });

describe('buildTables', () => {
  it('does not depend on the order in which it is told', () => {
    fc.assert(
      fc.property(
        state.chain((s) =>
          fc.tuple(
            fc.constant(s),
            fc.record({
              peers: shuffled(s.peers),
              networks: shuffled(s.networks),
              ports: shuffled(s.ports),
              endpoints: shuffled(s.endpoints),
            }),
          ),
        ),
        ([told, other]) => {
          const places = placesOf(told.ports);
          expect(buildTables(other, places, false).tables).toEqual(buildTables(told, places, false).tables);
        },
      ),
    );
  });

  it('gives every port, address and member its entry, and nothing else', () => {
    fc.assert(
      fc.property(state, (s) => {
        const places = placesOf(s.ports);
        const { tables, failed } = buildTables(s, places, false);
        expect(failed).toEqual([]);
        expect(tables.ports.size).toBe(s.ports.length);
        expect(tables.dns_clients.size).toBe(s.ports.length);
        expect(tables.peers.size).toBe(s.peers.length);
        for (const p of s.ports) {
          const place = places.get(p.name);
          const value = tables.ports.get(keyText(u32Key(place?.ifindex ?? 0)));
          expect(value && parsePort(value)).toMatchObject({ vni: p.vni, ip: p.ip, mac: p.mac, group: p.group, index: place?.index });
          const entry = tables.endpoints.get(keyText(endpointKey(p.vni, p.ip)));
          expect(entry && endpointIfindex(entry)).toBe(place?.ifindex);
        }
        const dual = s.endpoints.filter((e) => e.ip6 !== undefined).length;
        expect(tables.endpoints.size).toBe(s.endpoints.length + 2 * dual);
        for (const { vni, arpMode, floodTo } of s.networks) {
          const value = tables.networks.get(keyText(u32Key(vni)));
          const locals = arpMode === 'flood' ? s.ports.filter((p) => p.vni === vni).length : 0;
          const remotes = arpMode === 'flood' ? floodTo.length : 0;
          expect([value?.readUInt32LE(0), value?.readUInt32LE(4), value?.readUInt32LE(8)]).toEqual([
            arpMode === 'flood' ? 1 : 0,
            locals,
            remotes,
          ]);
          // Numbered from 0 without a gap: the program stops at the count.
          for (let i = 0; i < locals; i++) expect(tables.members.has(keyText(memberKey(vni, false, i)))).toBe(true);
          for (let i = 0; i < remotes; i++) expect(tables.members.has(keyText(memberKey(vni, true, i)))).toBe(true);
        }
      }),
    );
  });

  it('keeps networks apart although their addresses are equal', () => {
    const ports = [port(1, 7), port(2, 7)];
    const places = placesOf(ports);
    const { tables } = buildTables({ peers: [], networks: [], ports, endpoints: ports.map(endpointOf) }, places, false);
    expect([1, 2].map((vni) => tables.endpoints.get(keyText(endpointKey(vni, address(7))))?.readUInt32LE(0))).toEqual([100, 101]);
  });

  it('puts IPv6 endpoints under their global and their link-local address', () => {
    const p = port(1, 7, true);
    const { tables } = buildTables({ peers: [], networks: [], ports: [p], endpoints: [endpointOf(p)] }, placesOf([p]), false);
    const keys = [...tables.endpoints.keys()].map((key) => addressText(keyBytes(key).subarray(4)));
    expect(keys.sort()).toEqual(['10.1.0.7', '2001:db8::7', linkLocal(p.mac)].sort());
  });

  it('leaves out what refers to an interface that is gone, with a sentence', () => {
    const p = port(1, 7);
    const { tables, failed } = buildTables({ peers: [], networks: [], ports: [p], endpoints: [endpointOf(p)] }, new Map(), false);
    expect(failed).toEqual(['interface cv1-7 of 10.1.0.7 in VNI 1 is gone; restart its container']);
    expect(TABLES.map((name) => tables[name].size)).toEqual(TABLES.map(() => 0));
  });

  it('refuses VTEPs of the other kind, with a sentence for each', () => {
    const six = '2001:db8::51' as Ipv6;
    const desired = { peers: [six], networks: [network(1, 'flood', [six])], ports: [], endpoints: [remote(1, 7, six)] };
    const { tables, failed } = buildTables(desired, new Map(), false);
    expect(failed).toEqual([
      "another host has VTEP 2001:db8::51, but this host's VTEP is IPv4; give all hosts VTEPs of one kind",
      "VNI 1 has VTEP 2001:db8::51, but this host's VTEP is IPv4; give all hosts VTEPs of one kind",
      "endpoint 10.1.0.7 in VNI 1 has VTEP 2001:db8::51, but this host's VTEP is IPv4; give all hosts VTEPs of one kind",
    ]);
    expect([tables.peers.size, tables.members.size, tables.endpoints.size]).toEqual([0, 0, 0]);
    expect(buildTables(desired, new Map(), true).failed).toEqual([]);
  });

  it('says when a network is too large to flood', () => {
    const ports = Array.from({ length: MAX_COPIES + 1 }, (_, i) => port(1, i + 1));
    const desired = { peers: [], networks: [network(1, 'flood')], ports, endpoints: [] };
    expect(buildTables(desired, placesOf(ports), false).failed).toEqual([
      'VNI 1 has 513 containers, and broadcasts reach 512; use the ARP mode proxy for networks this large',
    ]);
  });
});

it('tells an entry in words', () => {
  const p = port(1, 7, true);
  const places = placesOf([p]);
  const desired = { peers: [VTEP], networks: [network(1, 'flood', [VTEP])], ports: [p], endpoints: [remote(1, 9)] };
  const { tables } = buildTables(desired, places, false);
  const words = TABLES.flatMap((name) => [...tables[name].keys()].map((key) => inWords(name, keyBytes(key))));
  expect(words).toEqual([
    'peer 192.168.2.51',
    'member 0 of the flood list of VNI 1',
    'member 0 of the flood list of VNI 1',
    'network with VNI 1',
    'endpoint 10.1.0.9 in VNI 1',
    'DNS client 1',
    'port with interface index 100',
  ]);
});

it('takes a MAC as text and back', () => {
  fc.assert(fc.property(fc.string(), (text) => keyText(keyBytes(keyText(Buffer.from(text)))) === keyText(Buffer.from(text))));
  expect(macOfIpv4(address(1))).toBe<Mac>('02:02:0a:01:00:01' as Mac);
});
