import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { close, open, withNetns } from '@contiv/syscall';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetTranslations, hasIpsecPolicies, Netlink, NetlinkError, sameClass, type Translation } from './index.js';

/** `ip -j` inside the namespace: another implementation of the same protocol. */
let netns = '';
let handle: Netlink;
const ip = (...args: string[]): Record<string, unknown>[] => {
  const out = execFileSync('ip', ['-n', netns, '-j', '-d', ...args], { encoding: 'utf8' });
  const parsed: unknown = out.trim() === '' ? [] : JSON.parse(out);
  return Array.isArray(parsed) ? parsed : [];
};
const tc = (...args: string[]): string => execFileSync('tc', ['-n', netns, ...args], { encoding: 'utf8' });

beforeEach(() => {
  netns = `nltest-${randomBytes(3).toString('hex')}`;
  execFileSync('ip', ['netns', 'add', netns]);
  handle = Netlink.open(`/run/netns/${netns}`);
});
afterEach(() => {
  handle.close();
  execFileSync('ip', ['netns', 'del', netns]);
});

describe('links', () => {
  it('makes a veth pair with everything set, as iproute2 reads it', () => {
    handle.addLink({
      kind: 'veth',
      name: 'cva',
      mtu: 1450,
      group: 4711,
      up: true,
      noLinkLocal: true,
      peer: { name: 'cpa', mtu: 1440, mac: '02:02:0a:01:02:03' },
    });
    handle.setLink(handle.link('cva')?.index ?? 0, { alias: 'contiv:test' });
    const [a] = ip('link', 'show', 'cva');
    const [b] = ip('link', 'show', 'cpa');
    expect(a).toMatchObject({
      mtu: 1450,
      group: '4711',
      ifalias: 'contiv:test',
      inet6_addr_gen_mode: 'none',
      linkinfo: { info_kind: 'veth' },
    });
    expect(a?.flags).toContain('UP');
    expect(b).toMatchObject({ mtu: 1440, address: '02:02:0a:01:02:03' });
    expect(handle.link('cva')).toMatchObject({ kind: 'veth', mtu: 1450, group: 4711, alias: 'contiv:test', up: true, elsewhere: false });
  });

  it('makes interfaces where there is no IPv6, which then gives them no address either', () => {
    // As with all of them on a kernel with ipv6.disable=1: the kernel gives one that is too narrow for IPv6 (RFC 8200 §5) none of it.
    handle.addLink({
      kind: 'veth',
      name: 'cva',
      mtu: 1200,
      alias: 'contiv:test',
      noLinkLocal: true,
      peer: { name: 'cpa', mtu: 1200, up: true, noLinkLocal: true },
    });
    expect(ip('link', 'show', 'cva')[0]?.inet6_addr_gen_mode).toBeUndefined();
    expect(handle.link('cva')?.alias).toBe('contiv:test');
    expect(handle.link('cpa')?.up).toBe(true);
    expect(() => handle.setLink(9999, { noLinkLocal: true })).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  });

  it('makes an external vxlan device', () => {
    handle.addLink({ kind: 'vxlan', name: 'vx', port: 8472, external: true, up: true });
    const [link] = ip('link', 'show', 'vx');
    expect(link?.linkinfo).toMatchObject({ info_data: { external: true, port: 8472, learning: false } });
    expect(handle.link('vx')?.vxlan).toEqual({ external: true, port: 8472, vni: 0 });
  });

  it('moves an end into another namespace and says so', () => {
    const other = `${netns}-b`;
    execFileSync('ip', ['netns', 'add', other]);
    const fd = open(`/run/netns/${other}`);
    try {
      handle.addLink({ kind: 'veth', name: 'cva', peer: { name: 'cpa' } });
      handle.setLink(handle.link('cpa')?.index ?? 0, { netnsFd: fd, name: 'eth0' });
      expect(handle.link('cpa')).toBeUndefined();
      expect(handle.link('cva')?.elsewhere).toBe(true);
      expect(execFileSync('ip', ['-n', other, 'link', 'show', 'eth0'], { encoding: 'utf8' })).toContain('eth0');
    } finally {
      close(fd);
      execFileSync('ip', ['netns', 'del', other]);
    }
  });

  it('lists by group and prefix, and removes a group at once', async () => {
    for (let i = 0; i < 40; i++) handle.addLink({ kind: 'veth', name: `cv${i}`, group: 77, peer: { name: `cp${i}` } });
    handle.addLink({ kind: 'bridge', name: 'br0' });
    expect(handle.links({ group: 77, prefix: 'cv' })).toHaveLength(40);
    expect(handle.links({ kind: 'bridge' }).map((l) => l.name)).toEqual(['br0']);
    expect(await handle.deleteGroup(77)).toBe(true);
    expect(handle.links({ kind: 'veth' })).toEqual([]);
    expect(await handle.deleteGroup(77)).toBe(false);
  });

  it("throws with the errno's name and the kernel's sentence", () => {
    expect(() => handle.setLink(9999, { mtu: 1400 })).toThrow(expect.objectContaining({ code: 'ENODEV' }));
    handle.addLink({ kind: 'bridge', name: 'br0' });
    expect(() => handle.addLink({ kind: 'bridge', name: 'br0' })).toThrow(NetlinkError);
    const br = handle.link('br0')?.index ?? 0;
    const refused = (() => {
      try {
        handle.setLink(br, { mtu: 10_000_000 });
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(refused).toMatchObject({ code: 'EINVAL', reason: 'mtu greater than device maximum' });
    expect(handle.deleteLink('none')).toBe(false);
  });
});

describe('addresses, routes, neighbours', () => {
  it('are as iproute2 reads them, v4 and v6', () => {
    handle.addLink({ kind: 'veth', name: 'cva', up: true, peer: { name: 'cpa', up: true } });
    const link = handle.link('cva')?.index ?? 0;
    handle.addAddress({ link, ip: '169.254.20.10', length: 32 });
    handle.addAddress({ link, ip: '2001:db8::1', length: 64 });
    handle.setRoute({ ip: '169.254.128.0', length: 17, link, source: '169.254.20.10' });
    handle.setRoute({ ip: '2001:db8:1::', length: 48, link, gateway: '2001:db8::9' });
    handle.setNeighbour({ link, ip: '169.254.128.5', mac: '02:00:00:00:00:05' });
    expect(ip('addr', 'show', 'cva')[0]?.addr_info).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ local: '169.254.20.10', prefixlen: 32 }),
        expect.objectContaining({ local: '2001:db8::1', prefixlen: 64 }),
      ]),
    );
    expect(ip('route', 'show', 'dev', 'cva')).toEqual([expect.objectContaining({ dst: '169.254.128.0/17', prefsrc: '169.254.20.10' })]);
    expect(ip('-6', 'route', 'show', '2001:db8:1::/48')).toEqual([expect.objectContaining({ gateway: '2001:db8::9' })]);
    expect(ip('neigh', 'show', 'dev', 'cva')).toEqual(
      expect.arrayContaining([expect.objectContaining({ dst: '169.254.128.5', lladdr: '02:00:00:00:00:05', state: ['PERMANENT'] })]),
    );
    expect(handle.addresses(link)).toContainEqual({ link, ip: '169.254.20.10', length: 32 });
    expect(handle.routes(link)).toContainEqual({ ip: '169.254.128.0', length: 17, link, source: '169.254.20.10', table: 254 });
    expect(handle.neighbours(link)).toContainEqual({ link, ip: '169.254.128.5', mac: '02:00:00:00:00:05' });
    handle.deleteNeighbour({ link, ip: '169.254.128.5' });
    expect(handle.deleteRoute({ ip: '169.254.128.0', length: 17, link })).toBe(true);
    expect(handle.deleteAddress({ link, ip: '169.254.20.10', length: 32 })).toBe(true);
    expect(handle.deleteAddress({ link, ip: '169.254.20.10', length: 32 })).toBe(false);
    expect(ip('route', 'show', 'dev', 'cva')).toEqual([]);
  });
});

describe('traffic control', () => {
  it('adds and removes clsact; listing without it is empty', () => {
    handle.addLink({ kind: 'bridge', name: 'br0' });
    const link = handle.link('br0')?.index ?? 0;
    expect(handle.filters(link, 'ingress')).toEqual([]);
    handle.addClsact(link);
    handle.addClsact(link);
    expect(tc('qdisc', 'show', 'dev', 'br0')).toContain('clsact');
    expect(handle.hasClsact(link)).toBe(true);
    expect(handle.deleteClsact(link)).toBe(true);
    expect(handle.hasClsact(link)).toBe(false);
  });
});

it('sees whether IPsec has anything to say', () => {
  const path = `/run/netns/${netns}`;
  expect(hasIpsecPolicies(path)).toBe(false);
  const policy = ['src', '192.168.2.50', 'dst', '192.168.2.51', 'proto', 'udp', 'dir', 'out'];
  ip('xfrm', 'policy', 'add', ...policy, 'tmpl', 'proto', 'esp', 'mode', 'transport');
  expect(hasIpsecPolicies(path)).toBe(true);
  ip('xfrm', 'policy', 'delete', ...policy);
  expect(hasIpsecPolicies(path)).toBe(false);
});

describe('token buckets', () => {
  it('makes, changes and removes classes and their queues, as tc reads them', () => {
    const link = handle.addLink({ kind: 'veth', name: 'cva', up: true, peer: { name: 'cpa', up: true } });
    handle.setHtb(link, 0xc04);
    const group = { handle: 0xc048000, parent: 0xc040000, rate: 786_432, ceil: 786_432, burst: 81_920, ceilBurst: 81_920, quantum: 7_864 };
    const leaf = { ...group, handle: 0xc042001, parent: group.handle, rate: 1_000, burst: 1_600, ceil: 12_500_000_000 };
    handle.setHtbClass(link, group);
    handle.setHtbClass(link, leaf);
    handle.setByteQueue(link, leaf.handle, { limit: 40_000 });
    const shown = tc('class', 'show', 'dev', 'cva');
    expect(shown).toMatch(/class htb c04:8000 root rate 6291Kbit ceil 6291Kbit burst (80Kb|81920b) cburst (80Kb|81920b)/);
    expect(shown).toMatch(/class htb c04:2001 parent c04:8000 leaf 2001: .*rate 8Kbit ceil 100Gbit/);
    expect(tc('qdisc', 'show', 'dev', 'cva')).toMatch(/qdisc bfifo 2001: parent c04:2001 limit 40000b/);
    const held = handle.htbClasses(link);
    expect(held.map((htb) => sameClass(htb, htb.handle === leaf.handle ? leaf : group))).toEqual([true, true]);
    handle.setByteQueue(link, leaf.handle, { limit: 50_000 });
    expect(handle.qdiscs(link).find((qdisc) => qdisc.kind === 'bfifo')).toMatchObject({ parent: leaf.handle, queue: { limit: 50_000 } });
    for (const queue of [{ limit: 60_000, frame: 1_468 }, { limit: 60_000, frame: 8_968 }, { limit: 40_000 }]) {
      handle.setByteQueue(link, leaf.handle, queue);
      expect(handle.qdiscs(link).flatMap((qdisc) => (qdisc.parent === leaf.handle ? [qdisc.queue] : []))).toEqual([queue]);
    }
    handle.setHtbClass(link, { ...group, rate: 2_097_152, ceil: 2_097_152 });
    expect(handle.htbClasses(link).find((htb) => htb.handle === group.handle)).toMatchObject({ rate: 2_097_152, parent: 0xc040000 });
    expect(handle.deleteHtbClass(link, leaf.handle)).toBe(true);
    expect(handle.deleteHtbClass(link, leaf.handle)).toBe(false);
    expect(handle.deleteHtbClass(link, group.handle)).toBe(true);
    expect(handle.htbClasses(link)).toEqual([]);
  });
});

it('finds conversations of UDP by their port, and has the kernel forget those that are asked for', () => {
  const path = `/run/netns/${netns}`;
  const rules = ['add table ip t', 'add chain ip t c { type filter hook output priority 0; }', 'add rule ip t c ct state new counter'];
  const sh = (script: string) => execFileSync('nsenter', [`--net=${path}`, 'bash', '-c', script]);
  sh(`ip link set lo up; nft '${rules.join('; ')}'; for port in 5000 5001; do echo >/dev/udp/127.0.0.1/$port; done`);
  const list = (dport?: number, forgets = false) => {
    const seen: Translation[] = [];
    const count = withNetns(path, () => forgetTranslations(4, dport, (translation) => seen.push(translation) > 0 && forgets));
    return { seen: seen.map((t) => t.dport).sort((a, b) => a - b), count, first: seen[0] };
  };
  expect(list()).toMatchObject({ seen: [5000, 5001], count: 0 });
  expect(list(5000, true)).toEqual({
    seen: [5000],
    count: 1,
    first: { dst: '127.0.0.1', dport: 5000, answers: '127.0.0.1', answersPort: 5000 },
  });
  expect(list()).toMatchObject({ seen: [5001] });
  expect(withNetns(path, () => forgetTranslations(6, undefined, () => true))).toBe(0);
});
