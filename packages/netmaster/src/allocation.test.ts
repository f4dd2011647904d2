/** Addresses and endpoints by REST, and how they are found again (spec/contiv §2, §6). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ranges, startTestMaster, type TestMaster, vxlan } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
});
afterEach(() => m.stop());

const oper = async (key: string) => (await m.get(`/api/v1/inspect/networks/${key}/`)).body;

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

  test('a release that is asked for once more ends no reservation that came after it', async () => {
    await m.network('default:n', vxlan('10.1.1.0/24'));
    const alloc = (Reservation: string, more = {}) =>
      m.post('/plugin/allocAddress', { NetworkID: 'n.default', Host: 'h1', Reservation, ...more });
    const release = (Reservation?: string) =>
      m.post('/plugin/releaseAddress', { NetworkID: 'n.default', IPv4Address: '10.1.1.1', Host: 'h1', Reservation });
    const held = () => m.master.context.mirror.state.count('address');
    await alloc('first');
    await release('first');
    expect((await alloc('second')).body).toMatchObject({ IPv4Address: '10.1.1.1/24' });
    expect((await release('first')).body).toBe('success');
    expect(held()).toBe(1);
    // Who asks for the very address again calls it by a new name too.
    await alloc('third', { PreferredIPv4Address: '10.1.1.1' });
    await release('second');
    expect(held()).toBe(1);
    await release('third');
    expect(held()).toBe(0);
    // An agent of before gives no names.
    await alloc('fourth');
    await release();
    expect(held()).toBe(0);
    await alloc('fifth');
    expect((await m.endpoint('default:n', 'a', { IPAddress: '10.1.1.1/24' })).status).toBe(200);
    await release('fifth');
    expect(held()).toBe(1);
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
