/** Endpoint groups by REST (spec/contiv §1.2). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ranges, startTestMaster, type TestMaster, vxlan } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
});
afterEach(() => m.stop());

const oper = async (key: string) => (await m.get(`/api/v1/inspect/networks/${key}/`)).body;

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
    const times: number[] = [];
    for (const group of ['blue:g1', 'blue:g2', 'blue:g3']) {
      const begun = performance.now();
      expect((await m.group(group, 'big', { ipPool: '10.0.0.1-10.255.255.254' })).line).toBe('ip address 10.200.0.1 is not available');
      expect((await m.group(group, 'big', { ipPool: '10.0.0.1-10.199.255.255' })).status).toBe(200);
      expect((await m.group('blue:h', 'big', { ipPool: '10.100.0.0-10.100.0.9' })).line).toBe('ip address 10.100.0.0 is not available');
      expect((await m.group('blue:h', 'big', { ipPool: '10.201.0.0-10.255.255.255' })).line).toBe(
        'ip address 10.255.255.255 is not available',
      );
      times.push(performance.now() - begun);
      await m.remove(`/api/v1/endpointGroups/${group}/`);
    }
    // The fastest says what the machine's other work does not.
    expect(Math.min(...times)).toBeLessThan(400);
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
