/** Profiles, contracts, services, BGP and ACI settings (spec/contiv §3.3): what is asked, what is printed, how it ends. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { netctl as inProcess, type Outcome, ScriptedServer, tenantOf } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
  server.get('/api/v1/tenants/default/', tenantOf('default'));
});
afterEach(() => server.stop());
const netctl = (line: string): Promise<Outcome> => inProcess(['--netmaster', server.url, ...line.split(' ')]);

const post = (plural: string, key: string, fields: object) => ['POST', `/api/v1/${plural}/${key}/`, { key, ...fields }];
const del = (plural: string, key: string) => ['DELETE', `/api/v1/${plural}/${key}/`, key];
const tenant = { tenantName: 'default' };

test.each([
  [
    'netprofile create -b 10Mbps -d 46 -s 80 gold',
    'Creating netprofile default:gold\n',
    post('netprofiles', 'default:gold', { ...tenant, profileName: 'gold', bandwidth: '10Mbps', DSCP: 46, burst: 80 }),
  ],
  [
    'netprofile create -t blue gold',
    'Creating netprofile blue:gold\n',
    post('netprofiles', 'blue:gold', { tenantName: 'blue', profileName: 'gold' }),
  ],
  ['netprofile rm gold', '', del('netprofiles', 'default:gold')],
  [
    'app-profile create -g web,db shop',
    'Creating AppProfile default:shop\n',
    post('appProfiles', 'default:shop', { ...tenant, appProfileName: 'shop', endpointGroups: ['web', 'db'] }),
  ],
  [
    'app-profile update --group web shop',
    '',
    post('appProfiles', 'default:shop', { ...tenant, appProfileName: 'shop', endpointGroups: ['web'] }),
  ],
  ['app-profile delete shop', '', del('appProfiles', 'default:shop')],
  [
    'external-contracts create -c -a uni/a -a uni/b ext',
    'Creating ExternalContracts default:ext\n',
    post('extContractsGroups', 'default:ext', {
      ...tenant,
      contractsGroupName: 'ext',
      contractsType: 'consumed',
      contracts: ['uni/a', 'uni/b'],
    }),
  ],
  ['external-contracts rm ext', 'Deleting external contracts group ext in tenant default\n', del('extContractsGroups', 'default:ext')],
  [
    'service create -s n -l app=web -l tier=1 -p 80:8080:TCP -ip 10.1.1.3 web',
    'Creating ServiceLB default:web\n',
    post('serviceLBs', 'default:web', {
      ...tenant,
      serviceName: 'web',
      networkName: 'n',
      selectors: ['app=web', 'tier=1'],
      ports: ['80:8080:TCP'],
      ipAddress: '10.1.1.3',
    }),
  ],
  ['service rm web', 'Deleting Service  web,default\n', del('serviceLBs', 'default:web')],
  [
    'bgp create h1 --router-ip=50.1.1.1/24 --as=65002 --neighbor-as=65001 --neighbor=50.1.1.2',
    '',
    post('Bgps', 'h1', { hostname: 'h1', routerip: '50.1.1.1/24', as: '65002', 'neighbor-as': '65001', neighbor: '50.1.1.2' }),
  ],
  ['bgp rm h1', 'Deleting Bgp router config: h1\n', del('Bgps', 'h1')],
  [
    'aci-gw set -d dom -n topology/pod-1/node-101',
    '',
    post('aciGws', 'aciGw', {
      name: 'aciGw',
      pathBindings: '',
      nodeBindings: 'topology/pod-1/node-101',
      physicalDomain: 'dom',
      enforcePolicies: 'yes',
      includeCommonTenant: 'no',
    }),
  ],
])('%s', async (line, printed, asked) => {
  const { status, out, err } = await netctl(line);
  expect({ status, out, err }).toEqual({ status: 0, out: printed, err: '' });
  expect(server.changes.map((a) => [a.method, a.path, a.body])).toEqual([asked]);
});

test.each([
  ['netprofile create', 'Net profile name required'],
  ['app-profile create', 'Profile name required'],
  ['external-contracts create -c -p -a x e', 'Cannot use both provided and consumed'],
  ['external-contracts create -a x e', 'Either provided or consumed must be specified'],
  ['external-contracts create -c e', 'Contracts not provided'],
  ['external-contracts rm', 'Contracts group name required'],
  ['service create', 'Service name required'],
  ['service inspect', 'Service group name required'],
  ['bgp create', 'Host name required'],
  ['bgp create h --router-ip x', 'Wrong CIDR format. Enter in x.x.x.x/len format'],
  ['bgp create h --neighbor x', 'Wrong IP format. Enter in x.x.x.x format'],
  ['bgp create h --router-ip 1.1.1.1/24', 'Missing attributes\ngive --as, --neighbor-as, --neighbor as well\n'],
])('%s is refused', async (line, message) => {
  const { status, err } = await netctl(line);
  expect(status).toBe(1);
  expect(err).toContain(message);
  expect(server.changes).toEqual([]);
});

describe('lists', () => {
  const links = { Tenant: {} };
  const sets = { 'link-sets': {} };
  test('of network profiles, with spelt-out units', async () => {
    server.get('/api/v1/netprofiles/', [
      { key: 'default:b', ...tenant, profileName: 'b', ...sets, links },
      { key: 'default:a', ...tenant, profileName: 'a', bandwidth: '10 mb', DSCP: 46, burst: 80, ...sets, links },
    ]);
    expect((await netctl('netprofile ls')).out).toBe(
      [
        'Name    Tenant   Bandwidth  DSCP      burst size',
        '------  ------   ---------  --------  ----------',
        'a       default  10Mbps     46        80',
        'b       default             0         0',
        '',
      ].join('\n'),
    );
  });

  test('of application profiles and their groups', async () => {
    const shop = { key: 'default:shop', ...tenant, appProfileName: 'shop', endpointGroups: ['web', 'db'], ...sets, links };
    server.get('/api/v1/appProfiles/', [shop]).get('/api/v1/appProfiles/default:shop/', shop);
    expect((await netctl('app-profile ls')).out).toBe(
      'Tenant   AppProfile  Groups\n------   ----------  ------\ndefault  shop        web,db\n',
    );
    expect((await netctl('app-profile group-ls shop')).out).toBe('web,db\n');
    expect((await netctl('app-profile group-ls -q shop')).out).toBe('web\ndb\n');
  });

  test('of contracts, services, peers and the gateway', async () => {
    server
      .get('/api/v1/extContractsGroups/', [
        { key: 'default:e', ...tenant, contractsGroupName: 'e', contractsType: 'provided', contracts: ['a', 'b'], ...sets },
      ])
      .get('/api/v1/serviceLBs/', [
        { key: 'default:s', ...tenant, serviceName: 's', networkName: 'n', selectors: ['a=b', 'c=d'], links: { Network: {}, Tenant: {} } },
      ])
      .get('/api/v1/Bgps/', [{ key: 'h', hostname: 'h', routerip: '1.1.1.1/24', as: '1', neighbor: '1.1.1.2', 'neighbor-as': '2' }])
      .get('/api/v1/aciGws/', [{ key: 'aciGw', name: 'aciGw', physicalDomain: 'd', enforcePolicies: 'yes', includeCommonTenant: 'no' }]);
    expect((await netctl('external-contracts ls')).out).toContain('default  e         provided    [a b]\n');
    expect((await netctl('service ls')).out).toContain('s            default   n        [a=b c=d]\n');
    expect((await netctl('bgp ls')).out).toContain('h          1.1.1.1/24  1        1.1.1.2   2\n');
    expect((await netctl('bgp ls -q')).out).toBe('h\n');
    expect((await netctl('aci-gw info')).out).toBe(
      'Path bindings: \nNode bindings: \nPhysical domain: d\nEnforce policies: yes\nInclude Common-Tenant: no\n',
    );
  });

  test('inspect prints what netmaster answers', async () => {
    const service = {
      Config: { key: 'default:s', ...tenant, serviceName: 's', networkName: 'n', links: { Network: {}, Tenant: {} } },
      Oper: { effect: 'none' },
    };
    server.get('/api/v1/inspect/serviceLBs/default:s/', service);
    expect(JSON.parse((await netctl('service inspect s')).out)).toEqual(service);
  });
});
