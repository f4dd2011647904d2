/** Profiles, contracts, services, BGP and ACI settings: their rows of spec/contiv §13.3, and what is mended beyond them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
  await m.network('default:n', { encap: 'vxlan', subnet: '10.1.1.0/24' });
  await m.group('default:g', 'n');
});
afterEach(() => m.stop());

const put = (plural: string, key: string, names: readonly [string, string], fields: Record<string, unknown> = {}) => {
  const [tenant = '', name = ''] = key.split(':');
  return m.post(`/api/v1/${plural}/${key}/`, { [names[0]]: tenant, [names[1]]: name, ...fields });
};
const netprofile = (key: string, fields = {}) => put('netprofiles', key, ['tenantName', 'profileName'], fields);
const appProfile = (key: string, endpointGroups: string[]) => put('appProfiles', key, ['tenantName', 'appProfileName'], { endpointGroups });
const contracts = (key: string, fields = {}) =>
  put('extContractsGroups', key, ['tenantName', 'contractsGroupName'], { contractsType: 'provided', contracts: ['uni/x'], ...fields });
const service = (key: string, fields = {}) =>
  put('serviceLBs', key, ['tenantName', 'serviceName'], { networkName: 'n', selectors: ['app=web'], ports: ['80:8080:TCP'], ...fields });
const links = (type: string, key: string) => ({ [key]: { type, key } });

describe('network profiles', () => {
  test.each(['10 Gbps', '10 gb', '5Gb', '4G', '3gbps', '10Mbps', '1 k', ''])('bandwidth %j is accepted', async (bandwidth) => {
    expect((await netprofile('default:p', { bandwidth })).status).toBe(200);
  });
  test.each(['0 Gbps', ' 10 Gbps', 'Gbps', '10 ms', '10 Gkms', '10 KB', '10', '10  Mbps'])('bandwidth %j is refused', async (bandwidth) => {
    expect((await netprofile('default:p', { bandwidth })).line).toBe('bandwidth string invalid format');
  });
  test.each([
    [{ DSCP: 72 }, 'DSCP Value Out of bound'],
    [{ DSCP: -1 }, 'DSCP Value Out of bound'],
    [{ burst: 10_487 }, 'burst Value Out of bound'],
    [{ burst: 1 }, 'Invalid Burst size. burst size > 1500 bytes'],
  ])('%j is refused', async (fields, line) => {
    expect((await netprofile('default:p', fields)).line).toBe(line);
  });

  test('are changed, attached, detached, and deleted when nobody has them', async () => {
    await netprofile('default:p', { bandwidth: '10Mbps', DSCP: 46, burst: 80 });
    expect((await m.group('default:h', 'n', { netProfile: 'none' })).line).toBe('netprofile not found');
    expect((await m.get('/api/v1/endpointGroups/default:h/')).line).toBe('endpointGroup not found');
    expect((await m.group('default:g', 'n', { netProfile: 'p' })).status).toBe(200);
    expect((await m.get('/api/v1/netprofiles/default:p/')).body).toEqual({
      key: 'default:p',
      tenantName: 'default',
      profileName: 'p',
      bandwidth: '10Mbps',
      DSCP: 46,
      burst: 80,
      'link-sets': { EndpointGroups: links('endpointGroup', 'default:g') },
      links: { Tenant: { type: 'tenant', key: 'default' } },
    });
    expect((await m.get('/api/v1/endpointGroups/default:g/')).body).toMatchObject({
      netProfile: 'p',
      links: { NetProfile: { type: 'netprofile', key: 'default:p' } },
    });
    expect((await netprofile('default:p', { burst: 1 })).line).toBe('Invalid Burst size. burst size must be > 1500 bytes');
    await netprofile('default:p', { bandwidth: '16Mbps' });
    expect((await m.get('/api/v1/inspect/netprofiles/default:p/')).body).toMatchObject({ Config: { bandwidth: '16Mbps' } });
    expect((await m.remove('/api/v1/netprofiles/default:p/')).line).toBe('NetProfile is being used');
    await m.group('default:g', 'n');
    expect((await m.remove('/api/v1/netprofiles/default:p/')).status).toBe(200);
    expect((await m.remove('/api/v1/netprofiles/default:p/')).line).toBe('netprofile not found');
  });

  test('belong to a tenant, which stays while they are there', async () => {
    expect((await netprofile('green:p')).line).toBe('Tenant not found');
    await m.tenant('blue');
    await netprofile('blue:a name');
    expect((await m.remove('/api/v1/tenants/blue/')).line).toBe('Cannot delete blue has 1 netprofiles');
    expect((await m.remove('/api/v1/netprofiles/blue:a%20name/')).status).toBe(200);
    expect((await m.remove('/api/v1/tenants/blue/')).status).toBe(200);
  });
});

describe('application profiles', () => {
  test('hold groups, which stay while they are held', async () => {
    expect((await appProfile('default:a', ['g', 'none'])).line).toBe('EndpointGroup default:none not found');
    expect((await m.get('/api/v1/endpointGroups/default:g/')).body).toMatchObject({ links: { AppProfile: {} } });
    await m.group('default:h', 'n');
    await appProfile('default:a', ['g']);
    expect((await m.get('/api/v1/endpointGroups/')).body).toMatchObject([
      { key: 'default:g', links: { AppProfile: { type: 'appProfile', key: 'default:a' } } },
      { key: 'default:h', links: { AppProfile: {} } },
    ]);
    expect((await m.remove('/api/v1/endpointGroups/default:g/')).line).toBe('Cannot delete g, associated to appProfile default:a');
    expect((await m.remove('/api/v1/tenants/default/')).line).toBe('cannot delete default, has 1 app profiles');
    await appProfile('default:a', ['h', 'h']);
    expect((await m.get('/api/v1/appProfiles/')).body).toMatchObject([
      { endpointGroups: ['h'], 'link-sets': { EndpointGroups: links('endpointGroup', 'default:h') } },
    ]);
    expect((await m.remove('/api/v1/endpointGroups/default:g/')).status).toBe(200);
    expect((await m.remove('/api/v1/appProfiles/default:a/')).status).toBe(200);
    expect((await m.remove('/api/v1/appProfiles/default:a/')).line).toBe('appProfile not found');
    expect((await appProfile('green:a', [])).line).toBe('Tenant green not found');
  });
});

describe('external contracts', () => {
  test('are provided or consumed, not changed, and stay while they are in use', async () => {
    expect((await contracts('default:c', { contractsType: 'both' })).line).toBe(
      "Contracts group need to be either 'provided' or 'consumed'",
    );
    expect((await contracts('green:c')).line).toBe('Tenant green not found');
    expect((await contracts('default:c')).status).toBe(200);
    expect((await contracts('default:c')).status).toBe(200);
    expect((await contracts('default:c', { contractsType: 'consumed' })).line).toBe('external contracts update not supported');
    expect((await m.group('default:h', 'n', { extContractsGrps: ['c', 'none'] })).line).toBe('External contracts group none not found');
    await m.group('default:g', 'n', { extContractsGrps: ['c'] });
    expect((await m.get('/api/v1/extContractsGroups/')).body).toEqual([
      {
        key: 'default:c',
        tenantName: 'default',
        contractsGroupName: 'c',
        contractsType: 'provided',
        contracts: ['uni/x'],
        'link-sets': { EndpointGroups: links('endpointGroup', 'default:g') },
      },
    ]);
    expect((await m.remove('/api/v1/extContractsGroups/default:c/')).line).toBe('External contracts group is in-use');
    await m.group('default:g', 'n');
    expect((await m.remove('/api/v1/extContractsGroups/default:c/')).status).toBe(200);
  });
});

describe('services', () => {
  test.each([
    [{ selectors: [] }, 'Invalid selector options'],
    [{ ports: [] }, 'Invalid Port maping . Port format is - Port:TargetPort:Protocol'],
    [{ ports: ['80'] }, 'Invalid Port maping . Port format is - Port:TargetPort:Protocol'],
    [{ ports: ['80:8080:TCP', '1:2'] }, 'Invalid Port maping . Port format is - Port:TargetPort:Protocol'],
    [{ ports: ['80:8080:SCTP'] }, 'Invalid Port maping . Port format is - Port:TargetPort:Protocol'],
    [{ ports: ['0:8080:TCP'] }, 'Invalid Port maping . Port format is - Port:TargetPort:Protocol'],
    [{ networkName: 'none' }, 'Network none not found'],
    [{ selectors: ['a'] }, 'Invalid selector a. selector format is key1=value1'],
    [{ selectors: ['a=b=c'] }, 'Invalid selector a=b=c. selector format is key1=value1'],
    [{ ipAddress: '10.1.1' }, 'ipAddress string invalid format'],
  ])('%j is refused', async (fields, line) => {
    expect((await service('default:s', fields)).line).toBe(line);
    expect((await m.get('/api/v1/serviceLBs/')).body).toEqual([]);
  });

  test('are provided by containers with all their labels, in whatever order both come, and say that nothing acts on them', async () => {
    const started = (id: string, labels: Record<string, string>) =>
      m.post('/plugin/updateEndpoint', { EndpointID: id, ContainerID: id, Labels: labels, Event: 'start' });
    await m.endpoint('default:n', 'early');
    await started('early', { app: 'web', tier: '1', more: 'x' });
    await service('default:s', { selectors: ['app=web', 'tier=1'], ports: ['80:8080:tcp', '53:53:Udp'] });
    for (const id of ['late', 'other']) await m.endpoint('default:n', id);
    await started('late', { app: 'web', tier: '1' });
    await started('other', { app: 'web' });
    expect((await m.get('/api/v1/inspect/serviceLBs/default:s/')).body).toMatchObject({
      Config: { key: 'default:s', links: { Network: { key: 'default:n' }, Tenant: { key: 'default' } } },
      Oper: {
        effect: expect.stringContaining('does not act on it'),
        numProviders: 2,
        providers: [{ endpointID: 'early' }, { endpointID: 'late' }],
      },
    });
    expect((await m.get('/api/v1/networks/default:n/')).body).toMatchObject({
      'link-sets': { Servicelbs: links('serviceLB', 'default:s') },
    });
    expect((await m.get('/api/v1/inspect/tenants/default/')).body).toMatchObject({
      Oper: { totalServicelbs: 1, servicelbs: [{ numProviders: 2 }] },
    });
  });

  test('hold their network and tenant', async () => {
    await m.tenant('blue');
    await m.network('blue:n', { encap: 'vxlan', subnet: '10.1.1.0/24' });
    await service('blue:s');
    expect((await m.remove('/api/v1/networks/blue:n/')).text).toBe('cannot delete n has 1 services \ndelete them first: s\n');
    expect((await m.remove('/api/v1/tenants/blue/')).line).toBe('cannot delete blue has 1 services');
    await service('blue:s', { selectors: ['x=y'] });
    expect((await m.get('/api/v1/serviceLBs/blue:s/')).body).toMatchObject({ selectors: ['x=y'] });
    expect((await m.remove('/api/v1/serviceLBs/blue:s/')).status).toBe(200);
    expect((await m.remove('/api/v1/serviceLBs/blue:s/')).line).toBe('serviceLB not found');
    expect((await m.remove('/api/v1/networks/blue:n/')).status).toBe(200);
  });
});

describe('BGP', () => {
  const peer = { routerip: '50.1.1.1/24', as: '65002', 'neighbor-as': '65001', neighbor: '50.1.1.2' };
  test('settings are kept by host, replaced and deleted', async () => {
    expect((await m.post('/api/v1/Bgps/h1/', { hostname: 'h1', ...peer })).body).toEqual({
      key: 'h1',
      hostname: 'h1',
      ...peer,
      'link-sets': {},
    });
    await m.post('/api/v1/Bgps/h1/', { hostname: 'h1', routerip: '50.1.1.3-5/31' });
    expect((await m.get('/api/v1/Bgps/')).body).toEqual([{ key: 'h1', hostname: 'h1', routerip: '50.1.1.3-5/31' }]);
    expect((await m.get('/api/v1/inspect/Bgps/h1/')).body).toMatchObject({ Oper: { effect: expect.any(String) } });
    expect((await m.post('/api/v1/Bgps/h1/', { hostname: 'h1', routerip: '50.1.1.3' })).line).toBe('routerip string invalid format');
    expect((await m.post('/api/v1/Bgps/h1/', { hostname: 'h1', ...peer, neighbor: 'x' })).line).toBe('neighbor string invalid format');
    expect((await m.remove('/api/v1/Bgps/h1/')).status).toBe(200);
    expect((await m.get('/api/v1/Bgps/h1/')).line).toBe('Bgp not found');
  });

  test('keeps the forwarding mode it needs', async () => {
    await m.remove('/api/v1/endpointGroups/default:g/');
    await m.remove('/api/v1/networks/default:n/');
    const mode = (fwdMode: string) => m.post('/api/v1/globals/global/', { name: 'global', fwdMode });
    expect((await mode('routing')).status).toBe(200);
    await m.post('/api/v1/Bgps/h1/', { hostname: 'h1', ...peer });
    expect((await mode('bridge')).line).toBe('please delete existing Bgp configs');
    await m.remove('/api/v1/Bgps/h1/');
    expect((await mode('bridge')).status).toBe(200);
  });
});

describe('ACI gateway', () => {
  const set = (fields: Record<string, unknown>) =>
    m.post('/api/v1/aciGws/aciGw/', { name: 'aciGw', enforcePolicies: 'yes', includeCommonTenant: 'no', physicalDomain: 'd', ...fields });
  test.each([
    [{ pathBindings: 'topology/pod-1/paths-101/pathep-[eth1/1],topology/pod-1/paths-102/pathep-[eth1/1]' }, ''],
    [{ nodeBindings: 'topology/pod-1/node-101' }, ''],
    [{ pathBindings: 'topology/pod-1/paths-101/pathep-eth1/1' }, 'pathBindings string invalid format'],
    [{ nodeBindings: 'topology/pod-1/paths-101' }, 'nodeBindings string invalid format'],
    [{ enforcePolicies: 'maybe' }, 'enforcePolicies string invalid format'],
    [{ physicalDomain: '' }, 'physicalDomain string invalid format'],
    [{ name: 'other' }, 'Invalid Key'],
  ])('%j: %s', async (fields, line) => {
    const answer = await set(fields);
    expect(answer.status === 200 ? '' : answer.line).toBe(line);
  });

  test('settings stay while there are application profiles', async () => {
    expect((await m.get('/api/v1/aciGws/aciGw/')).line).toBe('aciGw not found');
    await set({});
    await appProfile('default:a', ['g']);
    expect((await m.get('/api/v1/inspect/aciGws/aciGw/')).body).toMatchObject({ Oper: { numAppProfiles: 1 } });
    expect((await m.remove('/api/v1/aciGws/aciGw/')).line).toBe('1 App-Profiles found. Delete them first');
    await m.remove('/api/v1/appProfiles/default:a/');
    expect((await m.remove('/api/v1/aciGws/aciGw/')).status).toBe(200);
    expect((await m.get('/api/v1/aciGws/')).body).toEqual([]);
  });
});
