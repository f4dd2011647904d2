/** Every command and flag of spec/contiv §3.3: what is asked of netmaster, what is printed, how it ends. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { groupOf, netctl as inProcess, networkOf, type Outcome, ScriptedServer, type Surroundings, tenantOf } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
  server.get('/api/v1/tenants/default/', tenantOf('default')).get('/api/v1/tenants/blue/', tenantOf('blue'));
});
afterEach(() => server.stop());

const netctl = (line: string, surroundings: Surroundings = {}): Promise<Outcome> =>
  inProcess(['--netmaster', server.url, ...line.split(' ')], surroundings);

describe('create, set and rm ask for', () => {
  const base = { nwType: 'data', encap: 'vxlan' };
  const network = (tenantName: string, networkName: string, fields: object) => [
    'POST',
    `/api/v1/networks/${tenantName}:${networkName}/`,
    { key: `${tenantName}:${networkName}`, tenantName, networkName, ...base, ...fields },
  ];
  const group = (tenantName: string, networkName: string, groupName: string, fields: object = {}) => [
    'POST',
    `/api/v1/endpointGroups/${tenantName}:${groupName}/`,
    { key: `${tenantName}:${groupName}`, tenantName, networkName, groupName, ...fields },
  ];
  const settings = (fields: object) => ['POST', '/api/v1/globals/global/', { key: 'global', name: 'global', ...fields }];

  test.each([
    ['tenant create blue', 'Creating tenant: blue\n', ['POST', '/api/v1/tenants/blue/', { key: 'blue', tenantName: 'blue' }]],
    ['tenant rm blue', 'Deleting tenant blue\n', ['DELETE', '/api/v1/tenants/blue/', 'blue']],
    ['tenant delete blue', 'Deleting tenant blue\n', ['DELETE', '/api/v1/tenants/blue/', 'blue']],
    ['net create -s 10.1.2.0/24 n', 'Creating network default:n\n', network('default', 'n', { subnet: '10.1.2.0/24' })],
    ['network create --subnet=10.1.2.0/24 n', 'Creating network default:n\n', network('default', 'n', { subnet: '10.1.2.0/24' })],
    ['net create -t blue -s 10.1.2.0/24 n', 'Creating network blue:n\n', network('blue', 'n', { subnet: '10.1.2.0/24' })],
    ['net create --tenant blue -s 10.1.2.0/24 n', 'Creating network blue:n\n', network('blue', 'n', { subnet: '10.1.2.0/24' })],
    [
      'net create -n infra -s 10.1.2.0/24 n',
      'Creating network default:n\n',
      network('default', 'n', { nwType: 'infra', subnet: '10.1.2.0/24' }),
    ],
    [
      'net create --nw-type infra -s 10.1.2.0/24 n',
      'Creating network default:n\n',
      network('default', 'n', { nwType: 'infra', subnet: '10.1.2.0/24' }),
    ],
    [
      'net create -p 112 -e vlan -s 10.1.3.0/24 n',
      'Creating network default:n\n',
      network('default', 'n', { encap: 'vlan', pktTag: 112, subnet: '10.1.3.0/24' }),
    ],
    [
      'net create --pkt-tag=112 --encap=vlan -s 10.1.3.0/24 n',
      'Creating network default:n\n',
      network('default', 'n', { encap: 'vlan', pktTag: 112, subnet: '10.1.3.0/24' }),
    ],
    [
      'net create -s 10.1.2.0/24 -g 10.1.2.1 n',
      'Creating network default:n\n',
      network('default', 'n', { subnet: '10.1.2.0/24', gateway: '10.1.2.1' }),
    ],
    [
      'net create -s 10.1.2.0/24 --gateway 10.1.2.1 n',
      'Creating network default:n\n',
      network('default', 'n', { subnet: '10.1.2.0/24', gateway: '10.1.2.1' }),
    ],
    [
      'net create -s 10.1.2.0/24 -s6 2001:db8::/64 -g6 2001:db8::1 n',
      'Creating network default:n\n',
      network('default', 'n', { subnet: '10.1.2.0/24', ipv6Subnet: '2001:db8::/64', ipv6Gateway: '2001:db8::1' }),
    ],
    [
      'net create -s 10.1.2.0/24 --subnetv6 2001:db8::/64 --gatewayv6 2001:db8::1 n',
      'Creating network default:n\n',
      network('default', 'n', { subnet: '10.1.2.0/24', ipv6Subnet: '2001:db8::/64', ipv6Gateway: '2001:db8::1' }),
    ],
    [
      'net create -s 10.1.2.0/24 -tag mine n',
      'Creating network default:n\n',
      network('default', 'n', { subnet: '10.1.2.0/24', cfgdTag: 'mine' }),
    ],
    [
      'net create -s 10.1.2.0/24 --nw-tag mine n',
      'Creating network default:n\n',
      network('default', 'n', { subnet: '10.1.2.0/24', cfgdTag: 'mine' }),
    ],
    ['net rm n', 'Deleting network default:n\n', ['DELETE', '/api/v1/networks/default:n/', 'default:n']],
    ['net delete -t blue n', 'Deleting network blue:n\n', ['DELETE', '/api/v1/networks/blue:n/', 'blue:n']],
    ['group create n g', 'Creating EndpointGroup default:g\n', group('default', 'n', 'g')],
    ['group create -t blue n g', 'Creating EndpointGroup blue:g\n', group('blue', 'n', 'g')],
    [
      'group create n g -p a -p b -n prof -e c1 -e c2',
      'Creating EndpointGroup default:g\n',
      group('default', 'n', 'g', { policies: ['a', 'b'], netProfile: 'prof', extContractsGrps: ['c1', 'c2'] }),
    ],
    [
      'group create n g --policy a --networkprofile prof --external-contract c1',
      'Creating EndpointGroup default:g\n',
      group('default', 'n', 'g', { policies: ['a'], netProfile: 'prof', extContractsGrps: ['c1'] }),
    ],
    [
      'group create -r 10.1.2.2-10.1.2.9 -tag mine n g',
      'Creating EndpointGroup default:g\n',
      group('default', 'n', 'g', { ipPool: '10.1.2.2-10.1.2.9', cfgdTag: 'mine' }),
    ],
    [
      'group create --ip-pool=10.1.2.2 --epg-tag=mine n g',
      'Creating EndpointGroup default:g\n',
      group('default', 'n', 'g', { ipPool: '10.1.2.2', cfgdTag: 'mine' }),
    ],
    [
      'endpoint relabel c1 web',
      'Moving endpoint c1 to EndpointGroup default:web\n',
      ['POST', '/api/v1/endpoints/c1/group/', { group: 'web', tenantName: 'default' }],
    ],
    [
      'ep relabel -t blue -n n c1 web',
      'Moving endpoint c1 to EndpointGroup blue:web\n',
      ['POST', '/api/v1/endpoints/c1/group/', { group: 'web', tenantName: 'blue', networkName: 'n' }],
    ],
    ['group rm g', '', ['DELETE', '/api/v1/endpointGroups/default:g/', 'default:g']],
    ['group delete -t blue g', '', ['DELETE', '/api/v1/endpointGroups/blue:g/', 'blue:g']],
    // Nothing but what is named, and never the private subnet by itself.
    ['global set -v 1-9', '', settings({ vlans: '1-9' })],
    ['global set --vlan-range 1-9 --vxlan-range 1-99', '', settings({ vlans: '1-9', vxlans: '1-99' })],
    ['global set -x 1-99 -b routing -a flood', '', settings({ vxlans: '1-99', fwdMode: 'routing', arpMode: 'flood' })],
    ['global set --fwd-mode bridge --arp-mode proxy', '', settings({ fwdMode: 'bridge', arpMode: 'proxy' })],
    ['global set -f aci', '', settings({ networkInfraType: 'aci' })],
    ['global set --fabric-mode default -s 172.20.0.0/16', '', settings({ networkInfraType: 'default', pvtSubnet: '172.20.0.0/16' })],
    ['global set --private-subnet 172.20.0.0/16', '', settings({ pvtSubnet: '172.20.0.0/16' })],
    ['host rm node1', 'Deleting host node1\n', ['DELETE', '/agent/v1/hosts/node1', undefined]],
  ])('%s', async (line, printed, [method, path, body]) => {
    expect(await netctl(line)).toEqual({ status: 0, out: printed, err: '' });
    expect(server.changes).toEqual([{ method, path, body, token: undefined }]);
  });
});

const HEAD = 'Tenant   Network      Nw Type  Encap type  Packet tag  Subnet       Gateway  IPv6Subnet  IPv6Gateway  Cfgd Tag \n';
const DASHES = '------   -------      -------  ----------  ----------  -------      ------   ----------  -----------  ---------\n';

describe('lists', () => {
  beforeEach(() => {
    server
      .get('/api/v1/tenants/', ['green', 'blue', 'default'].map(tenantOf))
      .get('/api/v1/networks/', [
        networkOf('blue', 'contiv-net'),
        networkOf('default', 'contiv-vlan', { encap: 'vlan', pktTag: 112, subnet: '10.1.3.0/24' }),
        networkOf('default', 'contiv-net'),
      ])
      .get('/api/v1/endpointGroups/', [
        groupOf('default', 'web', 'contiv-net', { policies: ['p1', 'p2'], ipPool: '10.1.2.2-10.1.2.9', cfgdTag: 'w', netProfile: 'gold' }),
        groupOf('default', 'db', 'contiv-net'),
        groupOf('blue', 'db', 'contiv-net'),
      ]);
  });

  test('of tenants begin with default', async () => {
    expect(await netctl('tenant ls')).toEqual({ status: 0, out: 'Name\n------\ndefault\nblue\ngreen\n', err: '' });
    expect((await netctl('tenant list -q')).out).toBe('default\nblue\ngreen\n');
    expect(JSON.parse((await netctl('tenant ls -j')).out)).toEqual(['default', 'blue', 'green'].map(tenantOf));
    expect(JSON.parse((await netctl('tenant ls -j -q')).out)).toHaveLength(3);
    expect((await netctl('tenant ls -o yaml')).out).toBe(
      ['default', 'blue', 'green'].map((n) => `- key: ${n}\n  tenantName: ${n}\n  link-sets: {}\n`).join(''),
    );
  });

  test('of networks are the tables of Contiv', async () => {
    expect((await netctl('net ls')).out).toBe(
      `${HEAD}${DASHES}${[
        'default  contiv-net   data     vxlan       0           10.1.2.0/24                                    ',
        'default  contiv-vlan  data     vlan        112         10.1.3.0/24                                    ',
      ].join('\n')}\n`,
    );
    expect((await netctl('net ls -q')).out).toBe('contiv-net\ncontiv-vlan\n');
    expect((await netctl('net ls -t blue --quiet')).out).toBe('contiv-net\n');
    expect((await netctl('net list --all -q')).out).toBe('contiv-net\ncontiv-vlan\ncontiv-net\n');
    expect(JSON.parse((await netctl('net ls --tenant blue --json')).out)).toEqual([networkOf('blue', 'contiv-net')]);
    server.get('/api/v1/networks/', []);
    expect((await netctl('net ls -j')).out).toBe('[]\n');
  });

  test('of networks, wide, say what became of them', async () => {
    for (const [key, oper] of [
      ['default:contiv-net', { externalPktTag: 3, pktTag: 3, numEndpoints: 2, allocatedIPAddresses: '10.1.2.1-10.1.2.2' }],
      ['default:contiv-vlan', { pktTag: 112 }],
      ['blue:contiv-net', { externalPktTag: 4, pktTag: 4 }],
    ] as const)
      server.get(`/api/v1/inspect/networks/${key}/`, { Config: networkOf('x', 'y'), Oper: oper });
    const lines = (await netctl('net ls -a -o wide')).out.split('\n').map((line) => line.split(/ {2,}/).slice(-4));
    expect(lines[0]).toEqual(['Tag in use', 'Endpoints', 'Allocated', 'Docker network']);
    expect(lines[2]).toEqual(['3', '2', '10.1.2.1-10.1.2.2', 'contiv-net']);
    expect(lines[3]?.slice(-3)).toEqual(['112', '0', 'contiv-vlan']);
    expect(lines[4]?.slice(-3)).toEqual(['4', '0', 'contiv-net/blue']);
  });

  test('leave out what is deleted meanwhile, and fail for everything else', async () => {
    server.get('/api/v1/inspect/tenants/default/', { Config: tenantOf('default'), Oper: { totalNetworks: 2 } });
    server.get('/api/v1/inspect/tenants/green/', { Config: tenantOf('green'), Oper: {} });
    server.on('GET /api/v1/inspect/tenants/blue/', { status: 500, type: 'text/plain', body: 'tenant not found\n' });
    expect((await netctl('tenant ls -o wide')).out).toBe(
      'Name     Networks  Groups  Endpoints\n------   --------  ------  ---------\ndefault  2         0       0\ngreen    0         0       0\n',
    );
    server.on('GET /api/v1/inspect/tenants/blue/', { status: 500, type: 'text/plain', body: 'the store is away\n' });
    expect(await netctl('tenant ls -o wide')).toEqual({ status: 3, out: '', err: 'ERRO[0000] the store is away\n' });
  });

  test('of groups are the tables of Contiv', async () => {
    expect((await netctl('group ls')).out).toBe(
      [
        'Tenant   Group  Network     IP Pool            CfgdTag  Policies  Network profile',
        '------   -----  -------     -------            -------  --------  ---------------',
        'default  db     contiv-net                                        ',
        'default  web    contiv-net  10.1.2.2-10.1.2.9  w        p1,p2     gold',
        '',
      ].join('\n'),
    );
    expect((await netctl('group list -a -q')).out).toBe('db\nweb\ndb\n');
    expect(JSON.parse((await netctl('group ls -t blue -j')).out)).toHaveLength(1);
  });

  test.each(['net ls', 'net ls -a', 'group ls', 'ep ls'])('%s fails when there is no such tenant', async (line) => {
    server.on('GET /api/v1/tenants/default/', { status: 500, type: 'text/plain', body: 'tenant not found\n' });
    expect(await netctl(`${line} -t bleu`)).toMatchObject({ status: 3, out: '' });
    server.on('GET /api/v1/tenants/bleu/', { status: 500, type: 'text/plain', body: 'tenant not found\n' });
    expect(await netctl(`${line} -t bleu`)).toEqual({ status: 3, out: '', err: 'ERRO[0000] tenant not found\nDid you mean "blue"?\n' });
  });

  test('of hosts and endpoints', async () => {
    const host = {
      key: 'n2',
      name: 'n2',
      vtepIp: '192.0.2.2',
      control: '192.0.2.2:9090',
      vxlanPort: 8472,
      mtu: 1500,
      version: '2.0.0',
      alive: true,
    };
    server.get('/api/v1/hosts/', [
      host,
      { ...host, key: 'n1', name: 'n1', alive: false, silentSince: '2026-01-01T00:00:00Z', numEndpoints: 3 },
    ]);
    expect((await netctl('host ls')).out).toBe(
      [
        'Host  State      VTEP       Endpoints  Silent since',
        '----  -----      ----       ---------  ------------',
        'n1    silent     192.0.2.2  3          2026-01-01T00:00:00Z',
        'n2    connected  192.0.2.2  0          ',
        '',
      ].join('\n'),
    );
    expect((await netctl('host ls -q')).out).toBe('n1\nn2\n');
    const endpoint = {
      endpointID: 'e'.repeat(64),
      homingHost: 'n1',
      ipAddress: ['10.1.2.1', ''],
      labels: 'map[]',
      macAddress: '02:02:0a:01:02:01',
      network: 'contiv.net.blue',
      containerName: 'c1',
    };
    server.get('/api/v1/inspect/tenants/blue/', { Config: tenantOf('blue'), Oper: { endpoints: [endpoint] } });
    expect((await netctl('ep ls -t blue')).out).toBe(
      'Tenant  Network     Group  Container  Host  IPv4      IPv6\n------  -------     -----  ---------  ----  ----      ----\nblue    contiv.net         c1         n1    10.1.2.1  \n',
    );
    expect(JSON.parse((await netctl('ep ls -t blue -j')).out)).toEqual([endpoint]);
    expect((await netctl('ep ls -t blue -q')).out).toBe('c1\n');
  });
});

describe('inspections', () => {
  test.each([
    ['tenant inspect blue', '/api/v1/inspect/tenants/blue/', { Config: tenantOf('blue'), Oper: {} }],
    ['net inspect n', '/api/v1/inspect/networks/default:n/', { Config: networkOf('default', 'n'), Oper: { pktTag: 3, new: true } }],
    ['net inspect -t blue n', '/api/v1/inspect/networks/blue:n/', { Config: networkOf('blue', 'n'), Oper: {} }],
    ['group inspect g', '/api/v1/inspect/endpointGroups/default:g/', { Config: groupOf('default', 'g', 'n'), Oper: {} }],
    ['group inspect -t blue g', '/api/v1/inspect/endpointGroups/blue:g/', { Config: groupOf('blue', 'g', 'n'), Oper: {} }],
    ['global inspect', '/api/v1/inspect/globals/global/', { Config: { key: 'global', name: 'global' }, Oper: {} }],
    ['ep inspect c1', '/api/v1/inspect/endpoints/c1/', { Oper: { containerName: 'c1', ipAddress: ['10.1.2.1', ''] } }],
    ['endpoint inspect c1', '/api/v1/inspect/endpoints/c1/', { Oper: { containerName: 'c1' } }],
  ])('%s is the whole answer with two spaces of indent', async (line, path, body) => {
    server.get(path, body);
    expect(await netctl(line)).toEqual({ status: 0, out: `${JSON.stringify(body, null, 2)}\n`, err: '' });
    // Where a network's Docker networks are is asked besides, and told on stderr.
    expect(server.asked.map((a) => a.path).filter((asked) => !asked.includes('/docker?'))).toEqual([path]);
  });
});

test('global info is six lines, or the list as JSON', async () => {
  const settings = {
    key: 'global',
    name: 'global',
    networkInfraType: 'default',
    fwdMode: 'bridge',
    arpMode: 'proxy',
    vlans: '1-4094',
    vxlans: '1-10000',
    pvtSubnet: '172.19.0.0/16',
  };
  server.get('/api/v1/globals/', [settings]);
  expect((await netctl('global info')).out).toBe(
    'Fabric mode: default\nForward mode: bridge\nARP mode: proxy\nVlan Range: 1-4094\nVxlan range: 1-10000\nPrivate subnet: 172.19.0.0/16\n',
  );
  expect((await netctl('global info -t blue -a')).out).toContain('Vlan Range: 1-4094\n');
  expect((await netctl('global info -j')).out).toBe(`${JSON.stringify([settings], null, 2)}\n`);
});

test('with -o json what was made is printed as it now is', async () => {
  server.get('/api/v1/networks/default:n/', networkOf('default', 'n'));
  expect((await netctl('net create -s 10.1.2.0/24 n -o json')).out).toBe(`${JSON.stringify(networkOf('default', 'n'), null, 2)}\n`);
  expect((await netctl('net rm n -o yaml')).out).toBe('deleted: default:n\n');
  expect((await netctl('tenant create blue -o json')).out).toBe(`${JSON.stringify(tenantOf('blue'), null, 2)}\n`);
});

describe('wrong input ends with 1, a sentence and help', () => {
  test.each([
    ['tenant create', 'Tenant name required'],
    ['tenant rm', 'Tenant name required'],
    ['tenant inspect', 'Tenant name required'],
    ['net create -s 10.1.2.0/24', 'Network name required'],
    ['net rm', 'Network name required'],
    ['net inspect', 'Network name required'],
    ['net create n', 'Subnet is required'],
    ['group create n', 'Network and group name required'],
    ['group create', 'Network and group name required'],
    ['group rm', 'EndpointGroup name required'],
    ['group inspect', 'EndpointGroup name required'],
    ['ep inspect', 'Endpoint name required'],
    ['tenant ls x', 'More arguments than required'],
    ['login x', 'More arguments than required'],
    ['tenant create a b', 'More arguments than required'],
    ['global set', 'No setting given'],
    ['host rm', 'Host name required'],
  ])('%s', async (line, message) => {
    const { status, out, err } = await netctl(line);
    expect([status, err.split('\n')[0]]).toEqual([1, `ERRO[0000] ${message}`]);
    expect(out).toMatch(/^NAME:\n {3}netctl /);
    expect(server.asked).toEqual([]);
  });

  test.each([
    ['net create -s 10.1.2.0/24 -g 10.1.2.300 n', 'Invalid gateway - Enter in A.B.C.D format'],
    ['net create -s 10.1.2.0/24 -g6 fe80::g n', 'Invalid IPv6 gateway '],
  ])('%s', async (line, message) => {
    expect(await netctl(line)).toEqual({ status: 1, out: '', err: `ERRO[0000] ${message}\n` });
    expect(server.asked).toEqual([]);
  });

  test.each(['net ls --nonsense', 'net create -p x n', 'tenant ls -t default', 'net ls -o table'])('%s', async (line) => {
    const { status, out } = await netctl(line);
    expect(status).toBe(1);
    expect(out).toMatch(/^Incorrect Usage\.\n\nNAME:\n/);
    expect(server.asked).toEqual([]);
  });

  test('a command that does not exist', async () => {
    expect(await netctl('tennant ls')).toEqual({
      status: 1,
      out: '',
      err: 'ERRO[0000] No help topic for \'tennant\'\nDid you mean "tenant"?\n',
    });
  });
});

describe('failures', () => {
  test('are a line on a terminal and a logrus line elsewhere', async () => {
    server.on('DELETE /api/v1/tenants/blue/', { status: 500, type: 'text/plain', body: 'cannot delete blue has 1 networks\nmain.go 12\n' });
    expect(await netctl('tenant rm blue')).toEqual({
      status: 3,
      out: 'Deleting tenant blue\n',
      err: 'ERRO[0000] cannot delete blue has 1 networks\n',
    });
    expect((await netctl('tenant rm blue', { terminal: false })).err).toBe(
      'time="2026-01-02T03:04:05Z" level=error msg="cannot delete blue has 1 networks"\n',
    );
    expect((await netctl('tenant rm blue', { env: { TERM: 'xterm' } })).err.startsWith('\u001b[31mERRO')).toBe(true);
    expect((await netctl('tenant rm blue --no-color', { env: { TERM: 'xterm' } })).err).toMatch(/^ERRO/);
    expect((await netctl('tenant rm blue', { env: { TERM: 'xterm', NO_COLOR: '1' } })).err).toMatch(/^ERRO/);
  });

  test('of nobody there name the address, the reason and the way out', async () => {
    await server.stop();
    const way = `cannot reach netmaster at ${server.url} (connection refused); start netmaster there, or give the right address with --netmaster or NETMASTER`;
    expect(await netctl('net ls')).toEqual({ status: 3, out: '', err: `ERRO[0000] ${way}\n` });
    expect(await inProcess(['tenant', 'ls'], { env: { NETMASTER: server.url } })).toMatchObject({ status: 3, err: `ERRO[0000] ${way}\n` });
    expect(await netctl('version')).toMatchObject({ status: 2, err: `ERRO[0000] ${way}\n` });
    await server.start();
  });

  test('of an address that is none end with 1', async () => {
    expect(await inProcess(['--netmaster', 'netmaster:9999', 'tenant', 'ls'])).toMatchObject({
      status: 1,
      err: 'ERRO[0000] Error connecting to netmaster\n"netmaster:9999" is not of the form http://HOST:PORT or https://HOST:PORT\n',
    });
  });

  test('name the object that was meant', async () => {
    const gone = { status: 404, type: 'application/problem+json' };
    const problem = (detail: string) => ({ ...gone, body: { type: 'about:blank', title: '', status: 404, code: 'not-found', detail } });
    server
      .get('/api/v1/networks/', [networkOf('blue', 'contiv-net'), networkOf('default', 'other')])
      .get('/api/v1/tenants/', ['default', 'blue'].map(tenantOf))
      .on('DELETE /api/v1/networks/blue:contiv-nte/', problem('network not found'))
      .on('DELETE /api/v1/networks/default:contiv-net/', problem('network not found'))
      .on('DELETE /api/v1/networks/default:zzz/', problem('network not found'))
      .on('DELETE /api/v1/tenants/bleu/', problem('tenant not found'));
    expect((await netctl('net rm -t blue contiv-nte')).err).toContain('\nDid you mean "contiv-net"?\n');
    expect((await netctl('net rm contiv-net')).err).toContain('\nThe tenant blue has one of that name: add -t blue\n');
    expect((await netctl('net rm zzz')).err).toContain('\nThere is: other\n');
    expect((await netctl('tenant rm bleu')).err).toBe('ERRO[0000] tenant not found\nDid you mean "blue"?\n');
    server
      .get('/api/v1/endpointGroups/', [groupOf('default', 'web', 'n'), groupOf('default', 'proxy', 'n')])
      .on('POST /api/v1/appProfiles/default:shop/', problem('EndpointGroup default:prxoy not found'));
    expect((await netctl('app-profile create -g web,prxoy shop')).err).toContain('\nDid you mean "proxy"?\n');
    server.on('POST /api/v1/networks/default:n/', {
      ...gone,
      body: { type: '', title: '', status: 400, code: 'invalid', detail: 'encap string invalid format' },
    });
    expect((await netctl('net create -s 10.1.2.0/24 -e vxln n')).err).toBe(
      'ERRO[0000] encap string invalid format\n--encap takes vlan or vxlan\n',
    );
  });
});

describe('version', () => {
  test('prints both', async () => {
    server.get('/version', { GitCommit: 'abc', Version: '2.1.0', BuildTime: 'now' });
    const { status, out } = await netctl('version');
    expect(status).toBe(0);
    expect(out).toMatch(
      /^Client Version:\nVersion: \S+\nGitCommit: \S+\nBuildTime: \S+\n\nServer Version:\nVersion: 2\.1\.0\nGitCommit: abc\nBuildTime: now\n$/,
    );
    expect(JSON.parse((await netctl('version -o json')).out)).toMatchObject({
      client: { Version: expect.any(String) },
      server: { GitCommit: 'abc' },
    });
  });
  test('of the program alone asks nobody', async () => {
    expect((await inProcess(['--version'])).out).toMatch(/^netctl version\nVersion: \S+\nGitCommit: \S+\nBuildTime: \S+\n$/);
  });
});

test('get all shows everything in all tenants', async () => {
  server
    .get('/api/v1/globals/', [{ key: 'global', name: 'global', vlans: '1-4094' }])
    .get('/api/v1/tenants/', ['blue', 'default'].map(tenantOf))
    .get('/api/v1/networks/', [networkOf('blue', 'contiv-net')])
    .get('/api/v1/endpointGroups/', [])
    .get('/api/v1/policys/', [])
    .get('/api/v1/inspect/tenants/blue/', {
      Config: tenantOf('blue'),
      Oper: { endpoints: [{ containerName: 'c1', network: 'contiv-net.blue' }] },
    })
    .get('/api/v1/inspect/tenants/default/', { Config: tenantOf('default'), Oper: {} });
  const { status, out } = await netctl('get all');
  expect(status).toBe(0);
  // A netmaster without hosts has none to show.
  const titles = out.split('\n').filter((line) => /^[A-Z][a-z ]+:$/.test(line));
  expect(titles).toEqual(['Settings:', 'Tenants:', 'Networks:', 'Endpoint groups:', 'Policies:', 'Endpoints:', 'Hosts:']);
  expect(out).toContain('Endpoint groups:\n(none)\n');
  expect(out).toMatch(/blue {4}contiv-net {9}c1/);
  const everything = JSON.parse((await netctl('get all -o json')).out);
  expect(Object.keys(everything)).toEqual(['global', 'tenants', 'networks', 'endpointGroups', 'policies', 'endpoints', 'hosts']);
});
