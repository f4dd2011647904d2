import { emptyMirror, type Mirror } from '@contiv/client';
import { type EndpointState, type NetworkState, type VlanId, vlanVni } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desiredDatapath } from './desired.js';
import { UNKNOWN_GROUP, ungrouped } from './policy.js';
import { type EndpointRecord, interfaceNames } from './state/records.js';

const HOSTS = ['h1', 'h2', 'h3'] as const;
const network = (tenant: string, name: string, tag: number, encap: 'vxlan' | 'vlan' = 'vxlan'): NetworkState => ({
  key: `${tenant}:${name}`,
  tenant,
  network: name,
  nwType: 'data',
  encap,
  tag,
  subnet: { address: '10.1.2.0', length: 24 },
});
const endpoint = (host: string, tenant: string, last: number, id = `${last}`.padStart(64, 'e')): EndpointState => ({
  key: `net.${tenant}-${id}`,
  tenant,
  network: 'net',
  endpointId: id,
  host,
  ip: `10.1.2.${last}` as EndpointState['ip'],
  mac: `02:02:0a:01:02:${last.toString(16).padStart(2, '0')}`,
});
const local = (tenant: string, last: number, stage: EndpointRecord['stage'] = 'ready', group?: string): EndpointRecord => {
  const endpointId = `${last}`.padStart(64, '0');
  return {
    endpointId,
    networkId: 'n',
    ref: { tenant, network: 'net', ...(group ? { group } : {}) },
    ip: `10.1.2.${last}`,
    mac: `02:02:0a:01:02:${last.toString(16).padStart(2, '0')}`,
    ...interfaceNames(`${String(last).padStart(2, '0')}${'0'.repeat(62)}`),
    createdAt: 0,
    stage,
  };
};

function mirrorOf(endpoints: readonly EndpointState[], hosts: readonly string[] = HOSTS): Mirror {
  const mirror = emptyMirror();
  mirror.global = { fwdMode: 'bridge', arpMode: 'proxy', pvtSubnet: '' };
  for (const name of hosts) {
    const vtepIp = `192.0.2.${name.slice(1)}`;
    mirror.hosts.set(name, { name, vtepIp, control: 'x:1', vxlanPort: 8472, mtu: 1500, version: '2.0.0', alive: true });
  }
  mirror.networks.set('blue:net', network('blue', 'net', 2));
  mirror.networks.set('default:net', network('default', 'net', 1));
  mirror.groups.set('blue:web', { key: 'blue:web', tenant: 'blue', group: 'web', network: 'net', id: 7 });
  for (const e of endpoints) mirror.endpoints.set(e.key, e);
  return mirror;
}

describe('desiredDatapath', () => {
  it('holds the networks this host takes part in and nothing of the others', () => {
    const mirror = mirrorOf([endpoint('h2', 'default', 5), endpoint('h3', 'default', 6), endpoint('h2', 'blue', 5)]);
    const desired = desiredDatapath(mirror, 'h1', [local('default', 1)]);
    expect(desired.networks).toEqual([
      { vni: 1, arpMode: 'proxy', subnet: { address: '10.1.2.0', length: 24 }, floodTo: ['192.0.2.2', '192.0.2.3'] },
    ]);
    expect(desired.endpoints.map((e) => [e.vni, e.ip, e.at])).toEqual([
      [1, '10.1.2.1', { port: 'cv01000000000' }],
      [1, '10.1.2.5', { vtep: '192.0.2.2' }],
      [1, '10.1.2.6', { vtep: '192.0.2.3' }],
    ]);
    expect(desired.peers).toEqual(['192.0.2.2', '192.0.2.3']);
    expect(desired.ports.map((p) => p.name)).toEqual(['cv01000000000']);
  });

  it("gives a port what the profile of its group says, and nothing to other hosts' endpoints or other groups", () => {
    const mirror = mirrorOf([endpoint('h2', 'blue', 9)]);
    const profile = { key: 'blue:slow', tenant: 'blue', profile: 'slow', dscp: 46, bitsPerSecond: 6 * 1024 ** 2, burstBytes: 81_920 };
    const web = { ...local('blue', 1), ref: { tenant: 'blue', network: 'net', group: 'web' } };
    const limits = () => desiredDatapath(mirror, 'h1', [web, local('blue', 2)]).ports.map(({ dscp, limit }) => [dscp, limit]);
    expect(limits()).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
    mirror.groups.set('blue:web', { key: 'blue:web', tenant: 'blue', group: 'web', network: 'net', id: 7, netProfile: 'slow' });
    mirror.netprofiles.set('default:slow', { ...profile, tenant: 'default', key: 'default:slow' });
    expect(limits()[0]).toEqual([undefined, undefined]);
    mirror.netprofiles.set('blue:slow', profile);
    expect(limits()).toEqual([
      [46, { bytesPerSecond: 786_432, burstBytes: 81_920 }],
      [undefined, undefined],
    ]);
    mirror.netprofiles.set('blue:slow', { ...profile, dscp: 0, bitsPerSecond: 0 });
    expect(limits()[0]).toEqual([undefined, undefined]);
    expect(desiredDatapath(mirror, 'h1', [web]).endpoints.every((e) => !('limit' in e))).toBe(true);
  });

  it('cuts a new container off until its labels are read, where there are groups; then it is where netmaster says', () => {
    const mirror = mirrorOf([]);
    const record = local('blue', 1);
    const groupOf = (r = record) => desiredDatapath(mirror, 'h1', [r]).ports[0]?.group;
    const own = { ...endpoint('h1', 'blue', 1), endpointId: record.endpointId, key: `net.blue-${record.endpointId}` };
    expect(groupOf()).toBe(UNKNOWN_GROUP);
    mirror.endpoints.set(own.key, own);
    expect(groupOf()).toBe(UNKNOWN_GROUP);
    mirror.endpoints.set(own.key, { ...own, containerId: 'c1' });
    expect(groupOf()).toBe(ungrouped(2));
    mirror.endpoints.set(own.key, { ...own, containerId: 'c1', group: 'web' });
    expect(groupOf()).toBe(7);
    // Moved out of the group it was made in.
    mirror.endpoints.set(own.key, { ...own, containerId: 'c1' });
    expect(groupOf({ ...record, ref: { ...record.ref, group: 'web' } })).toBe(ungrouped(2));
    // A store restored from a backup may have forgotten the container.
    mirror.endpoints.set(own.key, own);
    expect(groupOf({ ...record, labelsRead: true })).toBe(ungrouped(2));
    mirror.groups.clear();
    expect(groupOf()).toBe(ungrouped(2));
  });

  it('programs a network before its first interface is there', () => {
    const desired = desiredDatapath(mirrorOf([endpoint('h2', 'blue', 9)]), 'h1', [local('blue', 1, 'creating')]);
    expect(desired.networks.map((n) => n.vni)).toEqual([2]);
    expect(desired.endpoints.map((e) => e.ip)).toEqual(['10.1.2.9']);
    expect(desired.ports).toEqual([]);
  });

  it('lets go of an endpoint that is being deleted, and of its network with it', () => {
    expect(desiredDatapath(mirrorOf([endpoint('h2', 'blue', 9)]), 'h1', [local('blue', 1, 'deleting')])).toMatchObject({
      networks: [],
      endpoints: [],
      ports: [],
    });
  });

  it('takes an endpoint elsewhere with the address of one here for an old one', () => {
    const desired = desiredDatapath(mirrorOf([endpoint('h2', 'default', 1)]), 'h1', [local('default', 1)]);
    expect(desired.ports.map((p) => p.ip)).toEqual(['10.1.2.1']);
    expect(desired.endpoints.map((e) => e.at)).toEqual([{ port: 'cv01000000000' }]);
  });

  it('keeps the interface of a container whose network it does not know yet', () => {
    const mirror = mirrorOf([]);
    mirror.networks.clear();
    expect(desiredDatapath(mirror, 'h1', [local('default', 1), local('default', 2, 'deleting')])).toMatchObject({
      ports: [],
      idle: ['cv01000000000'],
    });
  });

  it('leaves out a port whose address netmaster gave to another host', () => {
    const lost = { ...local('default', 1), disputed: true };
    const desired = desiredDatapath(mirrorOf([endpoint('h2', 'default', 1)]), 'h1', [lost, local('default', 2)]);
    expect(desired.ports.map((p) => p.ip)).toEqual(['10.1.2.2']);
    expect(desired.idle).toEqual(['cv01000000000']);
    expect(desired.endpoints.map((e) => [e.ip, 'vtep' in e.at])).toEqual([
      ['10.1.2.1', true],
      ['10.1.2.2', false],
    ]);
  });

  it('carries group numbers; a VLAN stands beside a VXLAN under a number of its own, and leads by the uplink', () => {
    const mirror = mirrorOf([endpoint('h2', 'default', 5)]);
    mirror.networks.set('default:net', network('default', 'net', 2, 'vlan'));
    mirror.hosts.delete('h2');
    const desired = desiredDatapath(mirror, 'h1', [local('blue', 1, 'ready', 'web'), local('default', 2)]);
    const vlan = vlanVni(2 as VlanId);
    expect(desired.ports.map((p) => [p.vni, p.ip, p.group])).toEqual([
      [2, '10.1.2.1', 7],
      [vlan, '10.1.2.2', ungrouped(vlan)],
    ]);
    expect(desired.networks.map((n) => [n.vni, n.floodTo])).toEqual([
      [2, []],
      [vlan, []],
    ]);
    expect(desired.endpoints.filter((e) => e.vni === vlan).map((e) => [e.ip, e.at])).toEqual([
      ['10.1.2.2', { port: 'cv02000000000' }],
      ['10.1.2.5', { uplink: true }],
    ]);
  });

  it('leads outside by the gateways that are its own, by IPv6 where one is of it, and to the ports of either family', () => {
    const mirror = mirrorOf([]);
    mirror.global = { fwdMode: 'bridge', arpMode: 'proxy', pvtSubnet: '172.19.0.0/16' };
    const [first] = [local('default', 1)];
    const published = [
      { protocol: 'tcp', hostPort: 81, containerPort: 1 },
      { protocol: 'tcp', hostIp: '::', hostPort: 80, containerPort: 2 },
    ] as const;
    const outside = () => desiredDatapath(mirror, 'h1', [{ ...first, published: [...published] } as EndpointRecord]).outside;
    expect(outside()).toBeUndefined();
    mirror.networks.set('default:net', { ...network('default', 'net', 1), gateway: '10.1.2.254' as NetworkState['gateway'] });
    expect(outside()).toMatchObject({ ipv6: false });
    const six = { subnet6: { address: '2001:db8::', length: 64 }, gateway6: '2001:db8::fe' } as Pick<NetworkState, 'subnet6' | 'gateway6'>;
    mirror.networks.set('default:net', { ...network('default', 'net', 1), ...six });
    expect(outside()).toEqual({
      privateSubnet: { address: '172.19.0.0', length: 16 },
      spareSubnets: expect.arrayContaining([{ address: '198.19.0.0', length: 16 }]),
      ipv6: true,
      published: [
        { port: first?.port, protocol: 'tcp', hostIp: '::', hostPort: 80, containerPort: 2 },
        { port: first?.port, protocol: 'tcp', hostPort: 81, containerPort: 1 },
      ],
    });
    // One that somebody chose is not replaced.
    mirror.global = { ...mirror.global, pvtSubnet: '172.20.0.0/16' };
    expect(outside()).toMatchObject({ privateSubnet: { address: '172.20.0.0' }, spareSubnets: [] });
    // On a VLAN it is the physical network's router.
    mirror.networks.set('default:net', { ...network('default', 'net', 1, 'vlan'), ...six });
    expect(outside()).toBeUndefined();
  });

  it('knows every network of its tenants where they are routed, with their gateways', () => {
    const mirror = mirrorOf([{ ...endpoint('h2', 'default', 5), network: 'far', ip: '10.9.9.5' }, endpoint('h3', 'blue', 6)]);
    mirror.networks.set('default:far', {
      ...network('default', 'far', 3),
      subnet: { address: '10.9.9.0', length: 24 },
      gateway: '10.9.9.254',
    });
    expect(desiredDatapath(mirror, 'h1', [local('default', 1)]).networks.map((n) => [n.vni, n.domain, n.gateway])).toEqual([
      [1, undefined, undefined],
    ]);
    mirror.global = { fwdMode: 'routing', arpMode: 'proxy', pvtSubnet: '' };
    const desired = desiredDatapath(mirror, 'h1', [local('default', 1)]);
    expect(desired.networks.map((n) => [n.vni, n.domain, n.gateway])).toEqual([
      [3, 'default', '10.9.9.254'],
      [1, 'default', undefined],
    ]);
    expect(desired.endpoints.map((e) => [e.vni, e.ip])).toEqual([
      [1, '10.1.2.1'],
      [3, '10.9.9.5'],
    ]);
  });

  it('gives this host its own address in infra networks, and contivh1 the routes to the vxlan networks of its tenant', () => {
    const mirror = mirrorOf([endpoint('h2', 'default', 5)]);
    mirror.networks.set('default:contivh1', {
      ...network('default', 'contivh1', 9),
      nwType: 'infra',
      subnet: { address: '132.1.1.0', length: 24 },
    });
    const infra = {
      key: 'default:contivh1',
      ref: { tenant: 'default', network: 'contivh1' },
      ip: '132.1.1.2',
      mac: '02:02:84:01:01:02',
      port: 'cvinfra',
    };
    const host = { name: 'contivh1', length: 24, routes: [] };
    const bridged = desiredDatapath(mirror, 'h1', [], undefined, [infra]);
    expect(bridged.ports).toEqual([{ name: 'cvinfra', vni: 9, ip: '132.1.1.2', mac: '02:02:84:01:01:02', group: 0, host }]);
    expect(bridged.networks.map((n) => n.vni)).toEqual([9]);
    mirror.global = { fwdMode: 'routing', arpMode: 'proxy', pvtSubnet: '' };
    const routed = desiredDatapath(mirror, 'h1', [], undefined, [infra]);
    expect(routed.ports.map((p) => p.host?.routes)).toEqual([[{ address: '10.1.2.0', length: 24 }]]);
    expect(routed.networks.map((n) => n.vni)).toEqual([9, 1]);
    expect(routed.endpoints.map((e) => e.ip)).toEqual(['10.1.2.5', '132.1.1.2']);
    mirror.networks.delete('default:contivh1');
    expect(desiredDatapath(mirror, 'h1', [], undefined, [infra])).toMatchObject({ ports: [], networks: [] });
  });

  it('says how much fits on the way to a host with a narrower underlay', () => {
    const mirror = mirrorOf([endpoint('h2', 'default', 5), endpoint('h3', 'default', 6)]);
    const narrow = mirror.hosts.get('h3');
    if (narrow) mirror.hosts.set('h3', { ...narrow, mtu: 1400 });
    expect(desiredDatapath(mirror, 'h1', [local('default', 1)]).endpoints.map((e) => e.at)).toEqual([
      { port: 'cv01000000000' },
      { vtep: '192.0.2.2' },
      { vtep: '192.0.2.3', mtu: 1350 },
    ]);
  });

  it('does not depend on the order of anything, and every entry belongs to a network that is there', () => {
    const endpoints = fc.uniqueArray(
      fc.tuple(fc.constantFrom(...HOSTS), fc.constantFrom('default', 'blue'), fc.integer({ min: 1, max: 60 })),
      {
        selector: ([, tenant, last]) => `${tenant} ${last}`,
        maxLength: 40,
      },
    );
    const locals = fc.uniqueArray(
      fc.tuple(fc.constantFrom('default', 'blue'), fc.integer({ min: 1, max: 60 }), fc.constantFrom('creating', 'ready', 'deleting')),
      { selector: ([, last]) => last, maxLength: 20 },
    );
    fc.assert(
      fc.property(endpoints, locals, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (es, ls, random) => {
        const states = es.map(([host, tenant, last]) => endpoint(host, tenant, last));
        const records = ls.map(([tenant, last, stage]) => local(tenant, last, stage as EndpointRecord['stage']));
        const shuffle = <T>(list: readonly T[]): T[] =>
          list
            .map((item) => ({ item, at: random.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ item }) => item);
        const one = desiredDatapath(mirrorOf(states), 'h1', records);
        expect(desiredDatapath(mirrorOf(shuffle(states), shuffle(HOSTS)), 'h1', shuffle(records))).toEqual(one);
        const vnis = new Set<number>(one.networks.map((n) => n.vni));
        for (const entry of [...one.endpoints, ...one.ports]) expect(vnis.has(entry.vni)).toBe(true);
        expect(new Set(one.endpoints.map((e) => `${e.vni} ${e.ip}`)).size).toBe(one.endpoints.length);
        expect(one.ports.length).toBeLessThanOrEqual(records.filter((r) => r.stage === 'ready').length);
      }),
      { numRuns: 200 },
    );
  });
});
