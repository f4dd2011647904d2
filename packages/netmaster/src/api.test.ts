/** The API contract of spec/contiv §13.3, as far as these objects go, and what is mended beyond it. */

import { resources } from '@contiv/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { networkState } from './core/present.js';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
});
afterEach(() => m.stop());

const vxlan = (subnet: string, more: Record<string, unknown> = {}) => ({ encap: 'vxlan', subnet, ...more });
const oper = async (key: string) => (await m.get(`/api/v1/inspect/networks/${key}/`)).body;
const ranges = (allocated: string | undefined, available: string | undefined) =>
  expect.objectContaining({
    Oper: expect.objectContaining({
      ...(allocated === undefined ? {} : { allocatedIPAddresses: allocated }),
      ...(available === undefined ? {} : { availableIPAddresses: available }),
    }),
  });

describe('tenants', () => {
  test('the tenant default is there from the start', async () => {
    expect((await m.get('/api/v1/tenants/')).body).toEqual([{ key: 'default', tenantName: 'default', 'link-sets': {} }]);
  });

  test.each([':', '|', '\\', '#', '@', '!', '~', '*', '^', '_'])('a name with %s is refused', async (sign) => {
    const name = `te${sign}nant`;
    const answer = await m.post(`/api/v1/tenants/${encodeURIComponent(name)}/`, { tenantName: name });
    expect(answer).toMatchObject({ status: 500, line: 'tenantName string invalid format' });
  });

  test('a leading hyphen and 65 characters are refused, 64 are not', async () => {
    expect((await m.tenant('-x')).line).toBe('tenantName string invalid format');
    expect((await m.tenant('x'.repeat(65))).line).toBe('tenantName string too long');
    expect((await m.tenant('x'.repeat(64))).status).toBe(200);
    expect((await m.tenant('tenant-valid')).status).toBe(200);
  });

  test('the key must be the one the body makes', async () => {
    expect((await m.post('/api/v1/tenants/a/', { tenantName: 'b' })).line).toBe('Invalid Key');
    expect((await m.post('/api/v1/tenants/a/', {})).line).toBe('Invalid Key');
    expect((await m.post('/api/v1/networks/a:b/', { tenantName: 'a', networkName: 'c' })).text).toBe(
      'Invalid Key\nthe path says "a:b", tenantName:networkName of the body "a:c"\n',
    );
  });

  test('is not changed, and posting the same again is fine', async () => {
    expect((await m.tenant('blue')).body).toEqual({ key: 'blue', tenantName: 'blue', 'link-sets': {} });
    expect((await m.tenant('blue')).status).toBe(200);
    expect((await m.post('/api/v1/tenants/blue/', { tenantName: 'blue', defaultNetwork: 'n' })).line).toBe(
      'Cant change tenant parameters after its created',
    );
  });

  test('is deleted only when empty: groups first, then networks', async () => {
    await m.tenant('blue');
    await m.network('blue:n', vxlan('10.1.1.0/24'));
    await m.group('blue:g', 'n');
    expect((await m.remove('/api/v1/tenants/blue/')).line).toBe('cannot delete blue has 1 endpoint groups');
    expect((await m.remove('/api/v1/networks/blue:n/')).line).toBe('cannot delete n has 1 endpoint groups');
    await m.remove('/api/v1/endpointGroups/blue:g/');
    expect((await m.remove('/api/v1/tenants/blue/')).line).toBe('cannot delete blue has 1 networks');
    await m.remove('/api/v1/networks/blue:n/');
    expect(await m.remove('/api/v1/tenants/blue/')).toMatchObject({ status: 200, body: 'blue' });
    expect((await m.get('/api/v1/tenants/blue/')).line).toBe('tenant not found');
    expect((await m.remove('/api/v1/tenants/blue/')).line).toBe('tenant not found');
  });

  test('links lead to what it has', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    await m.group('default:g', 'n');
    expect((await m.get('/api/v1/tenants/default')).body).toEqual({
      key: 'default',
      tenantName: 'default',
      'link-sets': {
        EndpointGroups: { 'default:g': { type: 'endpointGroup', key: 'default:g' } },
        Networks: { 'default:n': { type: 'network', key: 'default:n' } },
      },
    });
  });
});

describe('overlapping subnets', () => {
  test('are refused inside a tenant, whatever the encapsulation or gateway, and allowed across tenants', async () => {
    await m.tenant('blue');
    expect((await m.network('default:a', vxlan('10.1.1.0/24', { gateway: '10.1.1.254' }))).status).toBe(200);
    expect((await m.network('default:b', vxlan('10.1.1.0/24'))).line).toBe('network a conflicts with subnet 10.1.1.0/24');
    expect((await m.network('default:b', { encap: 'vlan', subnet: '10.1.0.0/16' })).line).toBe(
      'network a conflicts with subnet 10.1.0.0/16',
    );
    expect((await m.network('default:b', vxlan('10.1.1.128-10.1.1.140/25'))).line).toBe(
      'network a conflicts with subnet 10.1.1.128-10.1.1.140/25',
    );
    expect((await m.network('blue:a', vxlan('10.1.1.0/24'))).status).toBe(200);
  });

  test('disjoint ranges of one subnet may stand side by side', async () => {
    expect((await m.network('default:a', vxlan('20.1.1.10-20.1.1.45/24'))).status).toBe(200);
    expect((await m.network('default:b', vxlan('20.1.1.46-20.1.1.100/24'))).status).toBe(200);
    expect((await m.network('default:c', vxlan('20.1.1.100-20.1.1.110/24'))).line).toMatch(/^network b conflicts with subnet/);
  });

  test('IPv6 as well', async () => {
    expect((await m.network('default:a', vxlan('10.1.1.0/24', { ipv6Subnet: '2016:430::/100' }))).status).toBe(200);
    expect((await m.network('default:b', vxlan('10.1.2.0/24', { ipv6Subnet: '2016:430::/64' }))).line).toBe(
      'network a conflicts with subnetv6  2016:430::/64',
    );
    expect((await m.network('default:b', vxlan('10.1.2.0/24', { ipv6Subnet: '2016:431::/108' }))).status).toBe(200);
  });
});

describe('networks', () => {
  test.each([
    ['no encapsulation', { subnet: '10.1.1.0/24' }, 'encap string invalid format'],
    ['unknown encapsulation', { encap: 'gre', subnet: '10.1.1.0/24' }, 'encap string invalid format'],
    ['unknown type', vxlan('10.1.1.0/24', { nwType: 'x' }), 'nwType string invalid format'],
    ['no subnet', { encap: 'vxlan' }, 'subnet string invalid format'],
    ['short range', vxlan('10.1.1.10-20/24'), 'subnet string invalid format'],
    ['/32', vxlan('10.1.1.1/32'), 'subnet string invalid format'],
    ['/31', vxlan('10.1.1.1/31'), 'subnet 10.1.1.0/31 is too small: it has no address for a container'],
    ['leading zero', vxlan('10.01.1.0/24'), 'subnet string invalid format'],
    ['too wide', vxlan('10.0.0.0/7'), 'subnet length 7 not supported'],
    ['range beyond its subnet', vxlan('10.1.1.10-10.2.1.30/16'), 'Network subnet format not valid'],
    ['range backwards', vxlan('10.1.1.30-10.1.1.10/24'), 'Network subnet format not valid'],
    [
      'gateway outside',
      vxlan('10.1.1.0/24', { gateway: '10.1.2.1' }),
      'hostIP 10.1.2.1 is exceeding beyond subnet 10.1.1.0/24, hostID 257',
    ],
    [
      'nothing but a gateway',
      vxlan('10.1.1.5-10.1.1.5/24', { gateway: '10.1.1.5' }),
      'subnet 10.1.1.5-10.1.1.5/24 has no address for a container',
    ],
    ['nothing but the network', vxlan('10.1.1.0-10.1.1.0/24'), 'subnet 10.1.1.0-10.1.1.0/24 has no address for a container'],
    [
      'nothing but an IPv6 gateway',
      vxlan('10.1.1.0/24', { ipv6Subnet: 'fd00::1/128', ipv6Gateway: 'fd00::1' }),
      'subnet fd00::1/128 has no address for a container',
    ],
    ['loopback', vxlan('127.1.0.0/24'), 'subnet 127.1.0.0/24 holds loopback addresses, which no container can have'],
    ['multicast', vxlan('224.0.1.0/24'), 'subnet 224.0.1.0/24 holds multicast addresses, which no container can have'],
    ['this host', vxlan('0.0.0.0/8'), 'subnet 0.0.0.0/8 holds those of "this host", which no container can have'],
    [
      'IPv6 link-local',
      vxlan('10.1.1.0/24', { ipv6Subnet: 'fe80:1::/64' }),
      'subnet fe80:1::/64 holds link-local addresses, which no container can have',
    ],
    [
      'IPv6 multicast',
      vxlan('10.1.1.0/24', { ipv6Subnet: 'ff02::/64' }),
      'subnet ff02::/64 holds multicast addresses, which no container can have',
    ],
    ['origin that no host can have', vxlan('10.1.1.0/24', { origin: 'node_1_' }), 'origin string invalid format'],
    ['gateway malformed', vxlan('10.1.1.0/24', { gateway: '10.1.2' }), 'gateway string invalid format'],
    ['IPv6 malformed', vxlan('10.1.1.0/24', { ipv6Subnet: '2001::1::/64' }), 'ipv6Subnet string invalid format'],
    [
      'IPv6 gateway outside',
      vxlan('10.1.1.0/24', { ipv6Subnet: '2001::/64', ipv6Gateway: '2002::1' }),
      'hostIP 2002::1 is exceeding beyond subnet 2001::/64',
    ],
    ['tag too high', vxlan('10.1.1.0/24', { pktTag: 16777216 }), 'pktTag Value Out of bound'],
    ['tag negative', vxlan('10.1.1.0/24', { pktTag: -1 }), 'pktTag Value Out of bound'],
    ['tag out of range', vxlan('10.1.1.0/24', { pktTag: 10001 }), 'requested vxlan is out of range'],
    ['vlan tag out of range', { encap: 'vlan', subnet: '10.1.1.0/24', pktTag: 4095 }, 'requested vlan not available - vlan:4095'],
    ['name tag', vxlan('10.1.1.0/24', { cfgdTag: 'a_b' }), 'cfgdTag string invalid format'],
    ['several faults, the first in the alphabet', { encap: 'x', cfgdTag: 'a_b', subnet: '' }, 'cfgdTag string invalid format'],
  ])('%s is refused', async (_what, fields, line) => {
    expect(await m.network('default:n', fields)).toMatchObject({ status: 500, line });
    expect((await m.get('/api/v1/networks/')).body).toEqual([]);
  });

  test.each(['/99', '/100', '/108', '/109', '/118', '/119', '/127', '/128'])('IPv6 length %s is accepted', async (length) => {
    expect((await m.network('default:n', vxlan('10.1.1.0/24', { ipv6Subnet: `2016::${length}` }))).status).toBe(200);
  });

  test('the longest IPv6 prefixes have addresses for containers, too', async () => {
    await m.network('default:a', vxlan('10.1.1.0/24', { ipv6Subnet: 'fd00:1::8/127' }));
    await m.network('default:b', vxlan('10.1.2.0/24', { ipv6Subnet: 'fd00:2::8/128' }));
    for (const id of ['a1', 'a2']) expect((await m.endpoint('default:a', id)).status).toBe(200);
    expect((await m.endpoint('default:b', 'b1')).body).toMatchObject({ EndpointConfig: { ipv6Address: 'fd00:2::8' } });
    expect((await m.endpoint('default:b', 'b2')).line).toBe('auto allocation failed - address exhaustion in subnet fd00:2::8/128');
    expect((await m.network('default:c', vxlan('10.1.3.0/24', { ipv6Subnet: 'fd00:2::/112' }))).line).toMatch(/^network b conflicts/);
  });

  test('a host may have an underscore in its name, and engines there networks of their own', async () => {
    await m.post('/agent/v1/hosts/node_1', { vtepIp: '10.9.9.9', control: 'x:1', vxlanPort: 8472, mtu: 1500, version: '2.0.0' });
    expect((await m.network('default:n', vxlan('10.1.1.0/24', { origin: 'node_1' }))).status).toBe(200);
  });

  test.each(['FD00:1:0::1', 'fd00:1::0.0.0.1'])('agents understand the gateway %s', async (ipv6Gateway) => {
    await m.network('default:n', vxlan('10.1.1.0/24', { ipv6Subnet: 'fd00:1::/64', ipv6Gateway }));
    const network = m.master.context.mirror.state.network('default:n');
    if (!network) throw new Error('not made');
    const told = networkState(m.master.context.mirror.state, network);
    expect(resources.network.parse(told).gateway6).toBe('fd00:1::1');
  });

  test('unknown tenant, name with underscore, missing network', async () => {
    expect((await m.network('green:n', vxlan('10.1.1.0/24'))).line).toBe('Tenant not found');
    expect((await m.network('default:in_valid', vxlan('10.1.1.0/24'))).line).toBe('networkName string invalid format');
    expect((await m.remove('/api/v1/networks/default:none/')).line).toBe('network not found');
    expect((await m.get('/api/v1/inspect/networks/default:none')).line).toBe('network not found');
  });

  test('answers what was posted, and shows it without zero values', async () => {
    const posted = await m.network('default:n', vxlan('10.1.1.1/24', { pktTag: 0, gateway: '' }));
    expect(posted.body).toEqual({
      key: 'default:n',
      tenantName: 'default',
      networkName: 'n',
      encap: 'vxlan',
      subnet: '10.1.1.1/24',
      'link-sets': {},
      links: { Tenant: {} },
    });
    expect((await m.get('/api/v1/networks/default:n/')).body).toEqual({
      key: 'default:n',
      tenantName: 'default',
      networkName: 'n',
      encap: 'vxlan',
      nwType: 'data',
      subnet: '10.1.1.1/24',
      'link-sets': {},
      links: { Tenant: { type: 'tenant', key: 'default' } },
    });
  });

  test('is not changed after its creation; the same again is fine', async () => {
    const same = vxlan('10.1.1.0/24', { gateway: '10.1.1.254' });
    await m.network('default:n', same);
    expect((await m.network('default:n', same)).status).toBe(200);
    expect((await m.network('default:n', vxlan('10.1.1.0/24'))).line).toBe('Cant change network parameters after its created');
    expect((await m.get('/api/v1/networks')).body).toHaveLength(1);
  });

  test('tags: lowest first, duplicates refused, freed ones used again', async () => {
    for (const [i, name] of ['a', 'b', 'c'].entries()) await m.network(`default:${name}`, vxlan(`10.1.${i}.0/24`));
    expect(await oper('default:c')).toMatchObject({ Oper: { externalPktTag: 3, pktTag: 3 } });
    expect((await m.network('default:d', vxlan('10.2.0.0/24', { pktTag: 2 }))).line).toBe('requested vxlan not available');
    await m.remove('/api/v1/networks/default:b/');
    await m.network('default:d', vxlan('10.2.0.0/24'));
    expect(await oper('default:d')).toMatchObject({ Oper: { externalPktTag: 2 } });
    await m.network('default:v', { encap: 'vlan', subnet: '10.3.0.0/24', pktTag: 2 });
    expect(await oper('default:v')).toMatchObject({ Oper: { pktTag: 2 } });
    expect((await m.network('default:w', { encap: 'vlan', subnet: '10.4.0.0/24', pktTag: 2 })).line).toBe(
      'requested vlan not available - vlan:2',
    );
  });

  test('with endpoints or groups is not deleted; one with reservations only takes them along', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    await m.endpoint('default:n', 'e1');
    expect((await m.remove('/api/v1/networks/default:n/')).line).toBe('Error: Network has active endpoints');
    expect((await m.get('/api/v1/networks/default:n')).status).toBe(200);
    expect((await m.network('default:o', vxlan('10.1.1.0/24'))).line).toBe('network n conflicts with subnet 10.1.1.0/24');
    await m.post('/plugin/deleteEndpoint', { EndpointID: 'e1' });
    await m.post('/plugin/allocAddress', { NetworkID: 'n.default', Host: 'h1' });
    expect((await m.remove('/api/v1/networks/default:n/')).status).toBe(200);
    expect(m.master.context.mirror.state.count('address')).toBe(0);
  });
});

describe('allocation', () => {
  test('TestEPCreate: the range strings', async () => {
    await m.network('default:n', vxlan('60.1.1.0/24', { gateway: '60.1.1.254' }));
    await m.group('default:g', 'n');
    expect(await oper('default:n')).toEqual(ranges('60.1.1.254', '60.1.1.1-60.1.1.253'));
    await m.endpoint('default:n', 'a', {}, 'g');
    expect(await oper('default:n')).toEqual(ranges('60.1.1.1, 60.1.1.254', '60.1.1.2-60.1.1.253'));
    await m.endpoint('default:n', 'b', {}, 'g');
    expect(await oper('default:n')).toEqual(ranges('60.1.1.1-60.1.1.2, 60.1.1.254', '60.1.1.3-60.1.1.253'));
    expect((await m.endpoint('default:n', 'c', {}, 'missing')).line).toBe('EndpointGroup default:missing not found');
    expect(await oper('default:n')).toEqual(ranges('60.1.1.1-60.1.1.2, 60.1.1.254', '60.1.1.3-60.1.1.253'));
  });

  test('TestEndpointCreateDelete: lowest first, preferred honoured, freed at once', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    expect(await oper('default:n')).toEqual(
      expect.objectContaining({
        Oper: { availableIPAddresses: '10.1.1.1-10.1.1.254', externalPktTag: 1, networkTag: 'n.default', pktTag: 1 },
      }),
    );
    expect((await m.endpoint('default:n', 'a')).body).toMatchObject({
      EndpointConfig: { ipAddress: '10.1.1.1', macAddress: '02:02:0a:01:01:01' },
    });
    await m.endpoint('default:n', 'b', { IPAddress: '10.1.1.5' });
    expect(await oper('default:n')).toEqual(ranges('10.1.1.1, 10.1.1.5', '10.1.1.2-10.1.1.4, 10.1.1.6-10.1.1.254'));
    await m.post('/plugin/deleteEndpoint', { EndpointID: 'a' });
    await m.post('/plugin/deleteEndpoint', { EndpointID: 'b' });
    expect(await oper('default:n')).toEqual(
      expect.objectContaining({
        Oper: { availableIPAddresses: '10.1.1.1-10.1.1.254', externalPktTag: 1, networkTag: 'n.default', pktTag: 1 },
      }),
    );
  });

  test.each([
    ['10.1.1.0/27', '10.1.1.1-10.1.1.30'],
    ['10.1.1.0/28', '10.1.1.1-10.1.1.14'],
    ['10.1.1.0/29', '10.1.1.1-10.1.1.6'],
    ['10.1.1.0/30', '10.1.1.1-10.1.1.2'],
    ['10.1.1.10-10.1.1.20/24', '10.1.1.10-10.1.1.20'],
    ['10.1.1.10-10.1.5.254/16', '10.1.1.10-10.1.5.254'],
  ])('%s offers %s', async (subnet, available) => {
    await m.network('default:n', vxlan(subnet));
    expect(await oper('default:n')).toEqual(ranges(undefined, available));
  });

  test('an exhausted subnet says so', async () => {
    await m.network('default:n', vxlan('10.1.1.0/30'));
    await m.endpoint('default:n', 'a');
    await m.endpoint('default:n', 'b');
    expect((await m.endpoint('default:n', 'c')).line).toBe('auto allocation failed - address exhaustion in subnet 10.1.1.0/30');
    expect((await m.post('/plugin/allocAddress', { NetworkID: 'n.default' })).line).toBe(
      'auto allocation failed - address exhaustion in subnet 10.1.1.0/30',
    );
  });

  test('a taken address names its holder; reserved ones say why', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24', { gateway: '10.1.1.254' }));
    await m.post('/plugin/createEndpoint', {
      TenantName: 'default',
      NetworkName: 'n',
      EndpointID: 'f00',
      EPCommonName: '/web',
      ConfigEP: { Host: 'h1', IPAddress: '10.1.1.9' },
    });
    const line = 'ip address 10.1.1.9 is not available: endpoint f00 (container web) on host h1 holds it';
    expect((await m.endpoint('default:n', 'x', { IPAddress: '10.1.1.9' })).line).toBe(line);
    expect((await m.post('/plugin/allocAddress', { NetworkID: 'n.default', Host: 'h2', PreferredIPv4Address: '10.1.1.9' })).line).toBe(
      line,
    );
    for (const [address, why] of [
      ['10.1.1.254', "it is the network's gateway"],
      ['10.1.1.0', "it is the subnet's network or broadcast address"],
      ['10.1.1.255', "it is the subnet's network or broadcast address"],
    ])
      expect((await m.endpoint('default:n', 'x', { IPAddress: address })).line).toBe(`ip address ${address} is not available: ${why}`);
    expect((await m.endpoint('default:n', 'x', { IPAddress: '10.1.2.1' })).line).toMatch(/^hostIP 10.1.2.1 is exceeding beyond subnet/);
  });

  test('a reservation is its host’s own until an endpoint takes it over', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    const alloc = { NetworkID: 'n.default|10.1.1.0/24', Host: 'h1' };
    expect((await m.post('/plugin/allocAddress', alloc)).body).toEqual({ NetworkID: 'n.default', IPv4Address: '10.1.1.1/24' });
    expect((await m.endpoint('default:n', 'x', { Host: 'h2', IPAddress: '10.1.1.1' })).line).toBe(
      'ip address 10.1.1.1 is not available: host h1 has reserved it',
    );
    expect((await m.endpoint('default:n', 'a', { IPAddress: '10.1.1.1/24' })).status).toBe(200);
    // What an endpoint holds is not given back by the engine's late release.
    const release = { NetworkID: 'n.default', IPv4Address: '10.1.1.1', Host: 'h1' };
    expect((await m.post('/plugin/releaseAddress', release)).body).toBe('success');
    expect(await oper('default:n')).toEqual(ranges('10.1.1.1', undefined));
    await m.post('/plugin/allocAddress', alloc);
    expect((await m.post('/plugin/releaseAddress', { ...release, IPv4Address: '10.1.1.2/24', Host: 'h2' })).body).toBe('success');
    expect(await oper('default:n')).toEqual(ranges('10.1.1.1-10.1.1.2', undefined));
    await m.post('/plugin/releaseAddress', { ...release, IPv4Address: '10.1.1.2/24' });
    expect(await oper('default:n')).toEqual(ranges('10.1.1.1', undefined));
    expect((await m.post('/plugin/releaseAddress', { NetworkID: 'gone.default', IPv4Address: '1.2.3.4' })).body).toBe('success');
  });

  test('IPv6: ::1 upwards, gateway left out, released with the endpoint', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24', { ipv6Subnet: '2016:430::/64', ipv6Gateway: '2016:430::1' }));
    expect((await m.endpoint('default:n', 'a')).body).toMatchObject({ EndpointConfig: { ipv6Address: '2016:430::2' } });
    expect((await m.endpoint('default:n', 'b')).body).toMatchObject({ EndpointConfig: { ipv6Address: '2016:430::3' } });
    await m.post('/plugin/deleteEndpoint', { EndpointID: 'a' });
    expect((await m.endpoint('default:n', 'c')).body).toMatchObject({ EndpointConfig: { ipv6Address: '2016:430::2' } });
    expect((await m.post('/plugin/allocAddress', { NetworkID: 'n.default', IPv6: true, Host: 'h1' })).body).toMatchObject({
      IPv4Address: '2016:430::4/64',
    });
  });

  test('creating and deleting an endpoint twice is as good as once', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    const first = await m.endpoint('default:n', 'a');
    expect((await m.endpoint('default:n', 'a')).body).toEqual(first.body);
    expect((await m.endpoint('default:n', 'a', { Host: 'h2' })).line).toBe('endpoint a is on host h1; delete it there first');
    expect((await m.post('/plugin/deleteEndpoint', { EndpointID: 'a' })).status).toBe(200);
    expect((await m.post('/plugin/deleteEndpoint', { EndpointID: 'a' })).status).toBe(200);
    expect(m.master.context.mirror.state.count('address')).toBe(0);
  });

  test('where another IPAM hands out the low addresses, others get the high ones', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24', { origin: 'h1', dockerName: 'own', foreignIpam: true }));
    expect((await m.endpoint('default:n', 'a', { Host: 'h2' })).body).toMatchObject({ EndpointConfig: { ipAddress: '10.1.1.254' } });
    expect((await m.endpoint('default:n', 'b', { Host: 'h1' })).body).toMatchObject({ EndpointConfig: { ipAddress: '10.1.1.1' } });
    expect((await m.get('/api/v1/networks/default:n')).body).toMatchObject({ origin: 'h1', dockerName: 'own', foreignIpam: true });
  });

  test('a network is found by its pool, with its tenant when that is needed', async () => {
    await m.tenant('a.b');
    await m.network('a.b:n.x', vxlan('10.1.1.0/24'));
    await m.network('default:n', vxlan('10.1.1.0/24'));
    expect((await m.post('/plugin/allocAddress', { AddressPool: '10.1.1.0/24:a.b' })).body).toMatchObject({ NetworkID: 'n.x.a.b' });
    expect((await m.post('/plugin/allocAddress', { NetworkID: 'n.x.a.b' })).body).toMatchObject({ IPv4Address: '10.1.1.2/24' });
    expect((await m.post('/plugin/allocAddress', { AddressPool: '10.1.1.0/24' })).line).toMatch(/is the subnet of 2 networks/);
    expect((await m.post('/plugin/allocAddress', { NetworkID: 'none.default' })).line).toBe('network not found');
  });
});

describe('endpoint groups', () => {
  beforeEach(() => m.network('default:n', vxlan('10.1.1.0/24', { gateway: '10.1.1.254' })));

  test('names clash with networks both ways; unknown tenant, network, policy and profile are refused', async () => {
    expect((await m.group('default:n', 'n')).line).toBe('Network n conflicts with the endpointGroup name');
    expect((await m.group('default:g', 'n')).status).toBe(200);
    expect((await m.network('default:g', vxlan('10.2.1.0/24'))).line).toBe('EndpointGroup g conflicts with the network name');
    expect((await m.group('green:g', 'n')).line).toBe('Tenant not found');
    expect((await m.group('default:h', 'none')).line).toBe('Network none not found');
    expect((await m.group('default:h', 'n', { policies: ['p'] })).line).toBe('Policy not found');
    expect((await m.group('default:h', 'n', { netProfile: 'p' })).line).toBe('netprofile not found');
    expect((await m.group('default:h', 'n', { extContractsGrps: ['c'] })).line).toBe('External contracts group c not found');
    expect((await m.group('default:in_valid', 'n')).line).toBe('groupName string invalid format');
    expect((await m.get('/api/v1/endpointGroups/')).body).toHaveLength(1);
  });

  test('a pool of millions of addresses is judged at once', async () => {
    await m.tenant('blue');
    await m.network('blue:big', vxlan('10.0.0.0/8', { gateway: '10.200.0.1' }));
    const begun = performance.now();
    expect((await m.group('blue:g', 'big', { ipPool: '10.0.0.1-10.255.255.254' })).line).toBe('ip address 10.200.0.1 is not available');
    expect((await m.group('blue:g', 'big', { ipPool: '10.0.0.1-10.199.255.255' })).status).toBe(200);
    expect((await m.group('blue:h', 'big', { ipPool: '10.100.0.0-10.100.0.9' })).line).toBe('ip address 10.100.0.0 is not available');
    expect((await m.group('blue:h', 'big', { ipPool: '10.201.0.0-10.255.255.255' })).line).toBe(
      'ip address 10.255.255.255 is not available',
    );
    expect(performance.now() - begun).toBeLessThan(400);
  });

  test('network and pool are not changed; posting the same is fine', async () => {
    await m.network('default:o', vxlan('10.2.1.0/24'));
    await m.group('default:g', 'n', { ipPool: '10.1.1.10-10.1.1.20' });
    expect((await m.group('default:g', 'o', { ipPool: '10.1.1.10-10.1.1.20' })).line).toBe(
      'Cannot change network association after epg is created.',
    );
    expect((await m.group('default:g', 'n')).line).toBe('Cannot change IP pool after epg is created.');
    expect((await m.group('default:g', 'n', { ipPool: '10.1.1.10-10.1.1.20' })).status).toBe(200);
  });

  test.each([
    ['10.1.1.0-10.1.1.10', 'ip address 10.1.1.0 is not available'],
    ['10.1.1.10-10.1.1.255', 'ip address 10.1.1.254 is not available'],
    ['10.1.1.10-10.1.1.256', 'ipPool string invalid format'],
    ['10.1.1.10/24', 'ipPool string invalid format'],
    ['10.2.1.10-10.2.1.20', 'bad ip-pool 10.2.1.10-10.2.1.20, EPG ip-pool must be a subset of network 10.1.1.0/24'],
    ['10.1.1.20-10.1.1.10', 'invalid ip-pool 10.1.1.20-10.1.1.10'],
  ])('pool %s is refused', async (ipPool, line) => {
    expect((await m.group('default:g', 'n', { ipPool })).line).toBe(line);
  });

  test('pools: own addresses, marked in the network, exhausted by themselves, freed with the group', async () => {
    await m.group('default:g', 'n', { ipPool: '10.1.1.10-10.1.1.11' });
    await m.group('default:one', 'n', { ipPool: '10.1.1.12' });
    expect((await m.group('default:h', 'n', { ipPool: '10.1.1.11-10.1.1.15' })).line).toBe('ip address 10.1.1.11 is not available');
    expect(await oper('default:n')).toEqual(ranges('10.1.1.10-10.1.1.12, 10.1.1.254', '10.1.1.1-10.1.1.9, 10.1.1.13-10.1.1.253'));
    const alloc = (group: string) => m.post('/plugin/allocAddress', { NetworkID: `n:${group}.default`, Host: 'h1' });
    expect((await alloc('g')).body).toEqual({ NetworkID: 'n:g.default', IPv4Address: '10.1.1.10/24' });
    expect((await m.endpoint('default:n', 'a', { IPAddress: '10.1.1.10' }, 'g')).status).toBe(200);
    expect((await m.endpoint('default:n', 'b', {}, 'g')).body).toMatchObject({
      EndpointConfig: { ipAddress: '10.1.1.11', endpointGroupKey: 'g:default' },
    });
    expect((await alloc('g')).line).toBe('auto allocation failed - address exhaustion in pool 10.1.1.10-10.1.1.11');
    expect((await m.endpoint('default:n', 'c', {}, 'one')).body).toMatchObject({ EndpointConfig: { ipAddress: '10.1.1.12' } });
    expect((await alloc('one')).line).toBe('auto allocation failed - address exhaustion in pool 10.1.1.12');
    for (let i = 0; i < 10; i++) await m.endpoint('default:n', `n${i}`);
    expect((await m.endpoint('default:n', 'next')).body).toMatchObject({ EndpointConfig: { ipAddress: '10.1.1.14' } });
    expect((await m.get('/api/v1/inspect/endpointGroups/default:g/')).body).toMatchObject({
      Oper: { allocatedIPAddresses: '10.1.1.10-10.1.1.11', numEndpoints: 2, groupTag: 'g.default', pktTag: 1 },
    });
    expect((await m.remove('/api/v1/endpointGroups/default:g/')).line).toBe('Error: EPG g has active endpoints');
    for (const id of ['a', 'b']) await m.post('/plugin/deleteEndpoint', { EndpointID: id });
    expect((await m.get('/api/v1/inspect/endpointGroups/default:g/')).body).toMatchObject({
      Oper: { availableIPAddresses: '10.1.1.10-10.1.1.11' },
    });
    expect((await m.remove('/api/v1/endpointGroups/default:g/')).status).toBe(200);
    expect((await m.endpoint('default:n', 'again')).body).toMatchObject({ EndpointConfig: { ipAddress: '10.1.1.10' } });
  });

  test('ids are never used twice', async () => {
    const id = async (name: string) => {
      await m.group(`default:${name}`, 'n');
      return m.master.context.mirror.state.group(`default:${name}`)?.record.id;
    };
    expect(await id('a')).toBe(1);
    expect(await id('b')).toBe(2);
    await m.remove('/api/v1/endpointGroups/default:b/');
    expect(await id('b')).toBe(3);
  });
});

describe('global settings', () => {
  const set = (fields: Record<string, unknown>) => m.post('/api/v1/globals/global/', { name: 'global', ...fields });

  test('have their boot values, and empty members leave them', async () => {
    const boot = {
      key: 'global',
      name: 'global',
      networkInfraType: 'default',
      fwdMode: 'bridge',
      arpMode: 'proxy',
      pvtSubnet: '172.19.0.0/16',
      vlans: '1-4094',
      vxlans: '1-10000',
    };
    expect((await m.get('/api/v1/globals/global/')).body).toEqual(boot);
    expect((await set({ arpMode: 'flood' })).status).toBe(200);
    expect((await m.get('/api/v1/globals/global/')).body).toEqual({ ...boot, arpMode: 'flood' });
  });

  test.each([
    [{ networkInfraType: 'xyz' }, 'networkInfraType string invalid format'],
    [{ networkInfraType: 'aci' }, 'invalid fabric mode'],
    [{ vlans: '1-5000' }, 'invalid range 1-5000, vlan values exceed 4095 max allowed'],
    [{ vlans: '0-4094' }, 'invalid range 0-4094, values less than 1'],
    [{ vlans: '1' }, 'vlans string invalid format'],
    [{ vlans: '1?2' }, 'vlans string invalid format'],
    [{ vlans: 'abcd' }, 'vlans string invalid format'],
    [{ vlans: '20-10' }, 'invalid range 20-10, min is greater than max'],
    [{ vxlans: '1-16777216' }, 'invalid range 1-16777216, vxlan values exceed 16777215 max allowed'],
    [{ pvtSubnet: '172.19.0.0/24' }, 'pvtSubnet string invalid format'],
    [{ fwdMode: 'x' }, 'fwdMode string invalid format'],
  ])('%j is refused', async (fields, line) => {
    expect((await set(fields)).line).toBe(line);
  });

  test('forwarding mode and private subnet stay while networks are there', async () => {
    await m.network('default:a', vxlan('10.1.1.0/24'));
    expect((await set({ fwdMode: 'routing' })).line).toBe('Unable to update forwarding mode due to existing 1 vxlans');
    expect((await set({ pvtSubnet: '172.20.0.0/16' })).line).toBe('Unable to update private subnet due to existing 1 vxlans');
    await m.network('default:b', { encap: 'vlan', subnet: '10.1.2.0/24' });
    expect((await set({ fwdMode: 'routing' })).line).toBe('Unable to update forwarding mode due to existing 1 vlans and 1 vxlans');
    await m.remove('/api/v1/networks/default:a/');
    await m.remove('/api/v1/networks/default:b/');
    expect((await set({ fwdMode: 'routing', pvtSubnet: '172.20.0.0/16' })).status).toBe(200);
  });

  test('a private subnet that holds an address of a host is refused', async () => {
    const registration = { vtepIp: '172.25.0.7', control: '192.0.2.7:9090', vxlanPort: 8472, mtu: 1500, version: '2.0.0' };
    expect((await m.post('/agent/v1/hosts/node7', registration)).status).toBe(200);
    expect((await set({ pvtSubnet: '172.25.0.0/16' })).line).toBe(
      'private subnet 172.25.0.0/16 holds 172.25.0.7, which is an address of host node7; choose another one',
    );
    expect((await set({ pvtSubnet: '172.24.0.0/16' })).status).toBe(200);
  });

  test('a network that is routed needs a gateway; an infra network a name that an interface can have', async () => {
    expect((await set({ fwdMode: 'routing' })).status).toBe(200);
    expect((await m.network('default:a', vxlan('10.1.1.0/24'))).line).toBe(
      'network a needs a gateway, for networks are routed to each other; name one with --gateway',
    );
    expect((await m.network('default:a', vxlan('10.1.1.0/24', { gateway: '10.1.1.254' }))).status).toBe(200);
    expect((await m.network('default:contivh1', vxlan('132.1.1.0/24', { nwType: 'infra' }))).status).toBe(200);
    expect((await m.network('default:sixteen.letters1', vxlan('132.1.2.0/24', { nwType: 'infra' }))).line).toBe(
      'infra network name sixteen.letters1 is longer than 15 characters, and every host names an interface after it; choose a shorter one',
    );
    for (const name of ['a', 'contivh1']) await m.remove(`/api/v1/networks/default:${name}/`);
  });

  test('ranges move only around what is in use', async () => {
    await set({ vxlans: '1000-2000', vlans: '100-200' });
    await m.network('default:a', vxlan('10.1.1.0/24', { pktTag: 1500 }));
    await m.network('default:b', vxlan('10.1.2.0/24'));
    expect(await oper('default:b')).toMatchObject({ Oper: { externalPktTag: 1000 } });
    expect((await set({ vxlans: '1001-2000' })).line).toBe('cannot update the vxlan range due to existing vxlans 1000, 1500');
    expect((await set({ vxlans: '1000-16777215' })).status).toBe(200);
    expect((await m.network('default:c', vxlan('10.1.3.0/24', { pktTag: 16777215 }))).status).toBe(200);
    expect((await m.get('/api/v1/inspect/globals/global/')).body).toMatchObject({
      Oper: { clusterMode: 'docker', freeVXLANsStart: 999, numNetworks: 3, vxlansInUse: '1000, 1500, 16777215' },
    });
  });

  test('exhausted tags say so', async () => {
    await set({ vlans: '7-7' });
    await m.network('default:a', { encap: 'vlan', subnet: '10.1.1.0/24' });
    expect((await m.network('default:b', { encap: 'vlan', subnet: '10.1.2.0/24' })).line).toBe('no vlans available');
  });

  test('are not deleted under networks', async () => {
    await set({ arpMode: 'flood' });
    await m.network('default:a', vxlan('10.1.1.0/24'));
    expect((await m.remove('/api/v1/globals/global/')).line).toBe('Unable to delete global settings due to existing 1 vxlans');
  });
});

describe('inspection', () => {
  test('an endpoint is found by id, container or name, in whole or in part', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    await m.endpoint('default:n', 'aaaa1111');
    await m.endpoint('default:n', 'aaaa');
    await m.post('/plugin/updateEndpoint', {
      EndpointID: 'aaaa1111',
      ContainerID: 'c0ffee',
      EPCommonName: '/web',
      Labels: { b: '2', a: '1' },
      Event: 'start',
    });
    const find = async (text: string) => (await m.get(`/api/v1/inspect/endpoints/${text}/`)).body;
    expect(await find('aaaa')).toMatchObject({ Oper: { endpointID: 'aaaa' } });
    for (const text of ['web', 'we', 'c0ff', 'aaaa1111'])
      expect(await find(text)).toEqual({
        Oper: {
          containerID: 'c0ffee',
          containerName: 'web',
          endpointID: 'aaaa1111',
          homingHost: 'h1',
          ipAddress: ['10.1.1.1', ''],
          labels: 'map[a:1 b:2]',
          macAddress: '02:02:0a:01:01:01',
          network: 'n.default',
        },
      });
    expect((await m.get('/api/v1/inspect/endpoints/nope/')).line).toBe('endpoint not found');
  });

  test('a tenant adds up what it has', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    await m.group('default:g', 'n');
    await m.endpoint('default:n', 'a', {}, 'g');
    expect((await m.get('/api/v1/inspect/tenants/default/')).body).toMatchObject({
      Oper: { totalEPGs: 1, totalEndpoints: 1, totalNetworks: 1, endpoints: [{ endpointID: 'a', serviceName: 'g' }] },
    });
  });
});

describe('transport', () => {
  test('a client that accepts problems gets an honest status and a stable code', async () => {
    const problem = (url: string, method: 'GET' | 'POST' | 'DELETE' = 'GET', body?: unknown) =>
      m.call(method, url, body, { accept: 'application/problem+json, */*' });
    expect(await problem('/api/v1/tenants/none/')).toMatchObject({
      status: 404,
      body: { code: 'not-found', status: 404, detail: 'tenant not found' },
    });
    expect(await problem('/api/v1/tenants/a/', 'POST', { tenantName: 'b' })).toMatchObject({ status: 400, body: { code: 'invalid' } });
    await m.network('default:n', vxlan('10.1.1.0/24'));
    await m.endpoint('default:n', 'a');
    expect(await problem('/api/v1/networks/default:n', 'DELETE')).toMatchObject({ status: 409, body: { code: 'in-use' } });
  });

  test('bodies are JSON whatever their type says; others are refused in one line', async () => {
    const send = (body: string) => m.call('POST', '/api/v1/tenants/t/', body, { 'content-type': 'text/plain' });
    expect((await send('{"tenantName":"t","unknown":1}')).status).toBe(200);
    for (const body of ['', '{', '[]', '"t"', 'null', '1']) {
      const answer = await send(body);
      expect(answer).toMatchObject({ status: 500 });
      expect(answer.text).not.toMatch(/\n\s+at /);
    }
    expect((await send(JSON.stringify({ tenantName: 't', x: 'y'.repeat(70_000) }))).text).toBe(
      'the request body is too large\nat most 65536 bytes are taken here\n',
    );
  });

  test('a path that cannot be read is refused like anything else', async () => {
    for (const key of ['%ZZ', 'a'.repeat(1_100)]) {
      const { status, text } = await m.get(`/api/v1/tenants/${key}/`);
      expect([status, text.includes('FST_'), text.length < 600]).toEqual([500, false, true]);
    }
    const problem = await m.call('GET', '/api/v1/tenants/%ZZ/', undefined, { accept: 'application/problem+json' });
    expect(problem).toMatchObject({
      status: 400,
      body: { code: 'invalid', detail: "'/api/v1/tenants/%ZZ/' is not a valid url component" },
    });
  });

  test('unknown paths are 404; lists that cannot fill are empty', async () => {
    expect(await m.get('/api/v1/nothing/')).toMatchObject({ status: 404 });
    for (const plural of ['volumes', 'volumeProfiles']) expect((await m.get(`/api/v1/${plural}/`)).body).toEqual([]);
  });

  test('version, info, health, metrics and the description of itself', async () => {
    expect((await m.get('/version')).body).toMatchObject({ Version: '2.0.0' });
    expect((await m.get('/info')).body).toMatchObject({ 'local-ip': '127.0.0.1' });
    expect((await m.get('/healthz')).status).toBe(200);
    expect(await m.get('/readyz')).toMatchObject({ status: 200, body: { ready: true } });
    const head = (url: string) => m.master.app.inject({ method: 'HEAD', url });
    expect([await head('/healthz'), await head('/readyz')]).toMatchObject([
      { statusCode: 200, body: '' },
      { statusCode: 200, body: '' },
    ]);
    expect((await m.get('/metrics')).text).toContain('netmaster_networks 0');
    const { body } = await m.get('/openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0', paths: { '/api/v1/networks/{key}': { post: {}, delete: {} } } });
  });
});
