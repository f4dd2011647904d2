/** Tenants and networks by REST: what is accepted, refused and answered (spec/contiv §1.2, §2). */
import { resources } from '@contiv/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { networkState } from './core/present.js';
import { startTestMaster, type TestMaster, vxlan } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
});
afterEach(() => m.stop());

const oper = async (key: string) => (await m.get(`/api/v1/inspect/networks/${key}/`)).body;

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
