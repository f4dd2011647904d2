import type { Ipv4, Ipv6 } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sumPerCpu } from './counting.js';
import { type FirewallState, ruleset } from './firewall.js';
import { aliasOf, instanceDir, isOurs, isPort, nftTable, portAlias, vxlanDevice } from './names.js';
import { checkName } from './ports.js';
import { isAtLeast, kernelVersion } from './probe.js';
import { overhead } from './underlay.js';

describe('names', () => {
  it('fit into what the kernel allows', () => {
    expect([vxlanDevice(8472), vxlanDevice(4789), vxlanDevice(65535)]).toEqual(['contivvx', 'contivvx4789', 'contivvx65535']);
    for (const port of [1, 8472, 65535]) expect(() => checkName(vxlanDevice(port))).not.toThrow();
    expect(instanceDir('a/../../b')).toBe('/sys/fs/bpf/contiv/b');
    fc.assert(fc.property(fc.string(), (instance) => /^contiv_[A-Za-z0-9_]*$/.test(nftTable(instance))));
  });

  it('tell instances and kinds apart', () => {
    const port = portAlias('lab', { vni: 17, ip: '10.1.0.1' });
    expect(port).toBe('contiv:lab:17:10.1.0.1');
    expect([isOurs(port, 'lab'), isOurs(port, 'la'), isOurs(port, 'labs'), isOurs('', 'lab')]).toEqual([true, false, false, false]);
    expect([isPort(port, 'lab'), isPort(aliasOf('lab', 'tunnel'), 'lab'), isPort(aliasOf('lab', 'dns'), 'lab')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('are refused with a sentence when they are none', () => {
    for (const name of ['', 'a b', 'a/b', 'abcdefghijklmnop']) expect(() => checkName(name)).toThrow(/is no interface name/);
  });
});

it('compares kernel versions as numbers', () => {
  expect(kernelVersion('5.15.0-91-generic')).toEqual([5, 15]);
  expect(kernelVersion('nonsense')).toEqual([0, 0]);
  const cases = [
    ['5.15.0', true],
    ['5.4.0', false],
    ['6.1', true],
    ['4.19.0', false],
    ['10.0.1', true],
  ] as const;
  for (const [release, enough] of cases) expect(isAtLeast(release, 5, 15), release).toBe(enough);
});

it('knows what a tunnel takes from the MTU', () => {
  expect([overhead(false), overhead(true)]).toEqual([50, 70]);
});

it('adds up what each CPU counted', () => {
  const count = fc.bigInt({ min: 0n, max: 1n << 62n });
  fc.assert(
    fc.property(fc.array(fc.tuple(count, count), { maxLength: 8 }), (cpus) => {
      const bytes = Buffer.alloc(cpus.length * 16);
      for (const [i, [a, b]] of cpus.entries()) {
        bytes.writeBigUInt64LE(a, i * 16);
        bytes.writeBigUInt64LE(b, i * 16 + 8);
      }
      expect(sumPerCpu(bytes, 2)).toEqual([cpus.reduce((sum, [a]) => sum + a, 0n), cpus.reduce((sum, [, b]) => sum + b, 0n)]);
    }),
  );
});

describe('firewall', () => {
  const base: FirewallState = {
    instance: 'lab-1',
    port: 8472,
    underlay: { name: 'eth1', loopback: false },
    vtep: '192.168.2.50' as Ipv4,
    peers: ['192.168.2.52', '192.168.2.51'] as Ipv4[],
  };
  const rules = (state: FirewallState): string[] =>
    ruleset(state)
      .text.split('\n')
      .filter((line) => line.includes('comment'));

  it('replaces its whole table in one transaction', () => {
    const { text } = ruleset(base);
    expect(text.split('\n').slice(0, 3)).toEqual([
      'table inet contiv_lab_1 {}',
      'delete table inet contiv_lab_1',
      'table inet contiv_lab_1 {',
    ]);
    expect(text).toContain('set peers4 { type ipv4_addr; elements = { 192.168.2.51, 192.168.2.52 }; }');
    expect(text).toContain('set vteps4 { type ipv4_addr; elements = { 192.168.2.50, 192.168.2.51, 192.168.2.52 }; }');
  });

  it('accepts the tunnel from peers on the underlay before it drops it from everybody else', () => {
    const tunnel = rules(base).filter((rule) => rule.includes('udp dport 8472') && !rule.includes('daddr'));
    expect(tunnel.map((rule) => rule.trim().replace(/ comment.*/, ''))).toEqual([
      'udp dport 8472 iifname "eth1" ip saddr @peers4 accept',
      'udp dport 8472 iifname "eth1" ip6 saddr @peers6 accept',
      'udp dport 8472 counter drop',
    ]);
    expect(rules({ ...base, underlay: { name: 'lo', loopback: true } }).join()).toContain('iifname != { "docker*", "br-*", "veth*" }');
  });

  it('bears a mark that changes with its content and with nothing else', () => {
    const { mark } = ruleset(base);
    expect(ruleset({ ...base, peers: [...base.peers].reverse() }).mark).toBe(mark);
    expect(ruleset({ ...base, peers: [...base.peers, ...base.peers] }).mark).toBe(mark);
    const others: Partial<FirewallState>[] = [
      { port: 4789 },
      { peers: [] },
      { peers: ['2001:db8::1' as Ipv6] },
      { vtep: '192.168.2.53' as Ipv4 },
      { underlay: { name: 'eth2', loopback: false } },
    ];
    for (const other of others) expect(ruleset({ ...base, ...other }).mark).not.toBe(mark);
  });
});
