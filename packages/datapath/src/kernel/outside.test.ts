import type { Ipv4, Ipv6, Prefix4 } from '@contiv/model';
import { describe, expect, it } from 'vitest';
import { namesakes } from './names.js';
import { mappingsIn, natRules } from './nat.js';
import { mappingsOf, privateAddress, privateAddress6, publishedIn } from './outside.js';
import { choose, collision } from './private-subnet.js';
import { isOutOfDate } from './translations.js';

const prefix = (address: string, length: number): Prefix4 => ({ address: address as Ipv4, length });
const OWN = prefix('172.19.0.0', 16);

describe('private subnet', () => {
  it('is refused when an address or a route of this host lies in it, or it in one of theirs', () => {
    expect(collision(OWN, [{ ip: '172.18.0.1', length: 16, on: 'docker_gwbridge' }])).toBeUndefined();
    expect(collision(OWN, [{ ip: '0.0.0.0', length: 0, on: 'eth0' }])).toBeUndefined();
    expect(collision(OWN, [{ ip: 'fd00::1', length: 64, on: 'eth0' }])).toBeUndefined();
    expect(collision(OWN, [{ ip: '172.19.0.1', length: 16, on: 'docker_gwbridge' }])).toBe(
      'the private subnet 172.19.0.0/16 collides with 172.19.0.1/16 of docker_gwbridge on this host, so containers have no way outside; choose another one: netctl global set --private-subnet',
    );
    for (const [ip, length] of [
      ['172.16.0.0', 12],
      ['172.19.255.255', 32],
      ['172.19.4.0', 24],
    ] as const)
      expect(collision(OWN, [{ ip, length, on: 'eth1' }]), ip).toContain('collides with');
  });

  it('is another one where a host uses the first otherwise, and stays that one when the first is free again', () => {
    const spare = [prefix('198.19.0.0', 16), prefix('198.18.0.0', 16)] as const;
    const docker = { ip: '172.19.0.1', length: 16, on: 'br-1' };
    expect(choose([OWN, ...spare], undefined, [])).toEqual(OWN);
    expect(choose([OWN, ...spare], undefined, [docker])).toEqual(spare[0]);
    expect(choose([OWN, ...spare], spare[0].address, [])).toEqual(spare[0]);
    expect(choose([OWN, ...spare], spare[0].address, [docker, { ip: '198.19.7.0', length: 24, on: 'eth1' }])).toEqual(spare[1]);
    expect(choose([prefix('172.20.0.0', 16)], spare[0].address, [docker]).address).toBe('172.20.0.0');
    expect(() => choose([OWN], undefined, [docker])).toThrow('collides with 172.19.0.1/16 of br-1');
    expect(() => choose([OWN, ...spare], undefined, [docker, { ip: '198.18.0.0', length: 15, on: 'eth1' }])).toThrow('of br-1');
  });

  it('gives a port the address that tells its number', () => {
    expect(privateAddress(OWN.address, 1)).toBe('172.19.0.1');
    expect(privateAddress(OWN.address, 8191)).toBe('172.19.31.255');
    expect(privateAddress6(OWN.address, 8191)).toBe('fd63:6f6e:7469:ac13::1fff');
  });
});

describe('NAT rules', () => {
  const published = [
    { port: 'cv1', protocol: 'tcp', hostPort: 9099, containerPort: 80 },
    { port: 'cv1', protocol: 'udp', hostIp: '127.0.0.1' as Ipv4, hostPort: 53, containerPort: 5353 },
    { port: 'gone', protocol: 'tcp', hostPort: 1, containerPort: 1 },
  ] as const;
  const wanted = { privateSubnet: OWN, ipv6: true, published };
  const index = (port: string) => (port === 'cv1' ? 7 : undefined);
  const mappings = mappingsOf(wanted, 4, index);

  it('lead published ports to private addresses, and those of an interface that is gone to nobody', () => {
    const { text } = natRules({ instance: 'a-b', privateSubnet: OWN, inside: [], mappings });
    expect(text).toContain('elements = { tcp . 9099 : 172.19.0.7 . 80 };');
    expect(text).toContain('elements = { 127.0.0.1 . udp . 53 : 172.19.0.7 . 5353 };');
    expect(text).not.toContain('tcp . 1 :');
    expect(text.startsWith('table ip contiv_a_b_nat {}\ndelete table ip contiv_a_b_nat\ntable ip contiv_a_b_nat {\n')).toBe(true);
  });

  it('of IPv6 stand in a table of their own, with what is published for all addresses or for one of that family', () => {
    const six = [
      ...published,
      { port: 'cv1', protocol: 'tcp', hostIp: '::' as Ipv6, hostPort: 9100, containerPort: 81 },
      { port: 'cv1', protocol: 'tcp', hostIp: '0.0.0.0' as Ipv4, hostPort: 9101, containerPort: 82 },
      { port: 'cv1', protocol: 'tcp', hostIp: '2001:db8::1' as Ipv6, hostPort: 9102, containerPort: 83 },
    ] as const;
    const own = { address: privateAddress6(OWN.address, 0), length: 64 };
    const inside = [
      { address: '2001:db8:2::' as Ipv6, length: 64 },
      { address: '2001:db8:1::' as Ipv6, length: 64 },
      { address: '2001:db8::' as Ipv6, length: 47 },
    ];
    const state = { instance: 'x', privateSubnet: own, inside, mappings: mappingsOf({ ...wanted, published: six }, 6, index) };
    const { text } = natRules(state);
    const to = 'fd63:6f6e:7469:ac13::7';
    expect(text).toContain('table ip6 contiv_x_nat {');
    expect(text).toContain(`inet_service; elements = { tcp . 9099 : ${to} . 80, tcp . 9100 : ${to} . 81 };`);
    expect(text).toContain(`elements = { 2001:db8::1 . tcp . 9102 : ${to} . 83 };`);
    expect(text).toContain('elements = { 2001:db8::/47, 2001:db8:2::/64 };');
    expect(text).toContain('ip6 saddr fd63:6f6e:7469:ac13::/64 counter masquerade');
    expect(text).toContain('dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_on');
    expect(text).not.toMatch(/\bip (saddr|daddr|to)\b|ipv4|127/);
    const four = natRules({ instance: 'x', privateSubnet: OWN, inside: [], mappings: mappingsOf({ ...wanted, published: six }, 4, index) });
    expect(four.text).toContain('tcp . 9101 : 172.19.0.7 . 82');
    expect(four.text).not.toMatch(/910[02]|ip6/);
  });

  it("keep containers out of Docker's bridges, and out of nothing that is only called like them", () => {
    const bridge = (index: number, name: string) => ({ index, name, kind: 'bridge', master: undefined });
    const links = [
      bridge(1, 'br-lan'),
      bridge(2, 'br-0123456789ab'),
      bridge(3, 'docker0'),
      bridge(4, 'bridge'),
      bridge(5, 'br-idle'),
      { index: 6, name: 'eth0', kind: '', master: 1 },
      { index: 7, name: 'veth0', kind: 'veth', master: 1 },
      { index: 8, name: 'veth1', kind: 'veth', master: 2 },
      { index: 9, name: 'eth1', kind: 'bond', master: 4 },
      { index: 10, name: 'br-ex', kind: 'openvswitch', master: undefined },
      { index: 11, name: 'br-"x', kind: 'openvswitch', master: undefined },
    ];
    expect(namesakes(links)).toEqual(['br-ex', 'br-lan']);
    const kept = (found: readonly string[]) =>
      natRules({ instance: 'x', privateSubnet: OWN, inside: [], mappings: [], namesakes: found }).text.match(/.*"docker\*".*/g);
    const out = 'iifname "contivh0" oifname { "docker*", "br-*" }';
    expect(kept([])).toEqual([expect.stringContaining(`${out} counter drop`)]);
    expect(kept(namesakes(links))).toEqual([expect.stringContaining(`${out} oifname != { "br-ex", "br-lan" } counter drop`)]);
  });

  it('tell the published ports they were made from', () => {
    const on = (hostPort: number, hostIp?: string) =>
      ({
        port: 'cv1',
        protocol: 'tcp',
        hostPort,
        containerPort: 80,
        ...(hostIp === undefined ? {} : { hostIp: hostIp as Ipv4 | Ipv6 }),
      }) as const;
    const all = [
      on(9099),
      { ...on(9099), protocol: 'sctp' },
      { ...on(9098), port: 'four' },
      on(9100, '0.0.0.0'),
      on(9101, '::'),
      on(9102, '192.0.2.1'),
      on(9103, '2001:db8::1'),
      // Two containers share a port's number, by family.
      on(9104, '0.0.0.0'),
      { ...on(9104, '::'), port: 'other' },
    ] as const;
    const numbers = new Map([
      ['cv1', 7],
      ['four', 8],
      ['other', 300],
    ]);
    const place = { privateNet: OWN.address, ipv6: true };
    const own6 = { address: privateAddress6(OWN.address, 0), length: 64 };
    const listing = (family: 4 | 6) => {
      const index = (port: string, of: 4 | 6) => (port === 'four' && of === 6 ? undefined : numbers.get(port));
      const mappings = mappingsOf({ privateSubnet: OWN, ipv6: true, published: all }, family, index);
      return natRules({ instance: 'x', privateSubnet: family === 4 ? OWN : own6, inside: [OWN], mappings }).text;
    };
    const [four, six] = [mappingsIn(listing(4)), mappingsIn(listing(6))];
    const text = (ports: readonly object[]) => ports.map((port) => JSON.stringify(port, Object.keys(port).sort())).sort();
    expect(text(publishedIn(place, { 4: four, 6: six }, numbers))).toEqual(
      text(all.map((port) => (port.port === 'four' ? { ...port, hostIp: '0.0.0.0' } : port))),
    );
    // Where IPv6 leads nowhere, one family is all there is; and who is gone has no ports.
    expect(publishedIn({ ...place, ipv6: false }, { 4: four.slice(0, 1), 6: [] }, numbers)).toEqual([on(9099)]);
    expect(publishedIn(place, { 4: four, 6: six }, new Map())).toEqual([]);
    // As nft prints it, on several lines.
    const printed =
      'map published {\n\ttype inet_proto . inet_service : ipv4_addr . inet_service\n\telements = { tcp . 9099 : 172.19.0.7 . 80,\n\t\t     sctp . 9099 : 172.19.0.7 . 80 }\n}';
    expect(mappingsIn(printed)).toEqual(four.slice(0, 2));
  });

  it('name each subnet of a tenant once, without those inside another', () => {
    const inside = [prefix('10.2.0.0', 24), prefix('10.1.4.0', 24), prefix('10.1.0.0', 16), prefix('10.2.0.0', 24), prefix('10.1.0.0', 20)];
    const { text } = natRules({ instance: 'x', privateSubnet: OWN, inside, mappings: [] });
    expect(text).toContain('elements = { 10.1.0.0/16, 10.2.0.0/24 };');
  });

  it('bear a mark that changes with them', () => {
    const state = { instance: 'x', privateSubnet: OWN, inside: [], mappings: [] };
    const one = natRules(state);
    expect(one.text.split(`comment "contiv ${one.mark}"`).length - 1).toBe(one.rules);
    expect(natRules({ ...state, privateSubnet: prefix('172.20.0.0', 16) }).mark).not.toBe(one.mark);
  });
});

describe('a conversation of UDP', () => {
  const HOST = '192.0.2.1';
  const to = (hostPort: number, index: number, hostIp?: Ipv4) =>
    ({
      protocol: 'udp',
      hostPort,
      to: privateAddress(OWN.address, index),
      toPort: 514,
      ...(hostIp === undefined ? {} : { hostIp }),
    }) as const;
  const mappings = [to(53, 7), to(53, 8, HOST as Ipv4), { ...to(80, 9), protocol: 'tcp' } as const];
  const differs = (dst: string, dport: number, answers: string, answersPort: number): boolean =>
    isOutOfDate({ dst, dport, answers, answersPort }, { privateSubnet: OWN, mappings }, new Set([HOST, '198.51.100.1']));

  it('goes on where its mapping leads, that of its own address before that of all', () => {
    expect(differs(HOST, 53, '172.19.0.8', 514)).toBe(false);
    expect(differs(HOST, 53, '172.19.0.7', 514)).toBe(true);
    expect(differs('198.51.100.1', 53, '172.19.0.7', 514)).toBe(false);
    expect(differs('198.51.100.1', 53, '172.19.0.7', 515)).toBe(true);
  });

  it('is over when its container is gone, or when nobody had the port as it began', () => {
    expect(differs(HOST, 54, '172.19.0.7', 514)).toBe(true);
    expect(differs(HOST, 80, '172.19.0.9', 514)).toBe(true);
    expect(differs('198.51.100.1', 53, '198.51.100.1', 53)).toBe(true);
  });

  it('is left alone when it only passes through this host, or others translate it', () => {
    expect(differs('203.0.113.53', 53, '203.0.113.53', 53)).toBe(false);
    expect(differs(HOST, 54, '172.17.0.2', 53)).toBe(false);
    expect(differs(HOST, 54, HOST, 54)).toBe(false);
    expect(differs('172.19.0.7', 514, '172.19.0.7', 514)).toBe(false);
  });
});
