/** `policy` and its rules: what is asked of netmaster, what is printed, how it ends (spec/contiv §3.3). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { netctl as inProcess, type Outcome, ScriptedServer, tenantOf } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
  server.get('/api/v1/tenants/default/', tenantOf('default')).get('/api/v1/tenants/blue/', tenantOf('blue'));
});
afterEach(() => server.stop());

const netctl = (line: string): Promise<Outcome> => inProcess(['--netmaster', server.url, ...line.split(' ')]);
const policyOf = (tenant: string, name: string, sets: object = {}) => ({
  key: `${tenant}:${name}`,
  tenantName: tenant,
  policyName: name,
  'link-sets': sets,
  links: { Tenant: {} },
});
const ruleOf = (policy: string, id: string, fields: object) => ({
  key: `default:${policy}:${id}`,
  tenantName: 'default',
  policyName: policy,
  ruleId: id,
  direction: 'in',
  action: 'allow',
  priority: 1,
  'link-sets': {},
  links: { MatchEndpointGroup: {} },
  ...fields,
});

describe('changes', () => {
  const rule = (tenantName: string, ruleId: string, fields: object = {}) => [
    'POST',
    `/api/v1/rules/${tenantName}:p:${ruleId}/`,
    {
      key: `${tenantName}:p:${ruleId}`,
      tenantName,
      policyName: 'p',
      ruleId,
      direction: 'in',
      priority: 1,
      action: 'allow',
      ...fields,
    },
  ];
  test.each([
    [
      'policy create p',
      'Creating policy default:p\n',
      ['POST', '/api/v1/policys/default:p/', { key: 'default:p', tenantName: 'default', policyName: 'p' }],
    ],
    [
      'policy create -t blue p',
      'Creating policy blue:p\n',
      ['POST', '/api/v1/policys/blue:p/', { key: 'blue:p', tenantName: 'blue', policyName: 'p' }],
    ],
    ['policy rm p', 'Deleting policy default:p\n', ['DELETE', '/api/v1/policys/default:p/', 'default:p']],
    ['policy delete -t blue p', 'Deleting policy blue:p\n', ['DELETE', '/api/v1/policys/blue:p/', 'blue:p']],
    ['policy rule-add p 1', '', rule('default', '1')],
    [
      'policy rule-add -t blue -p 10 -d in -g web -i 10.1.1.1 -s 10.1.1.2 -l tcp -P 80 -j deny p 2',
      '',
      rule('blue', '2', {
        priority: 10,
        action: 'deny',
        fromEndpointGroup: 'web',
        fromIpAddress: '10.1.1.1',
        toIpAddress: '10.1.1.2',
        protocol: 'tcp',
        port: 80,
      }),
    ],
    ['policy rule-add --direction=in --from-network=net p 1', '', rule('default', '1', { fromNetwork: 'net' })],
    [
      'policy rule-add -d out -o net -l udp --port 53 p 1',
      '',
      rule('default', '1', { direction: 'out', toNetwork: 'net', protocol: 'udp', port: 53 }),
    ],
    [
      'policy rule-add --direction out --to-group db --to-ip-address 10.1.1.0/24 --protocol 132 --priority 7 --action deny p 1',
      '',
      rule('default', '1', {
        direction: 'out',
        priority: 7,
        action: 'deny',
        toEndpointGroup: 'db',
        toIpAddress: '10.1.1.0/24',
        protocol: '132',
      }),
    ],
    ['policy rule-add -l tcp -P 8000-8100 p 1', '', rule('default', '1', { protocol: 'tcp', port: 8000, endPort: 8100 })],
    [
      'policy rule-add web 1 -d in --protocol tcp --port 80,443,8000-8099 --from-group app,ops --from-ip-address 10.1.1.0/24,fd00::/64',
      '',
      [
        'POST',
        '/api/v1/rules/default:web:1/',
        {
          key: 'default:web:1',
          tenantName: 'default',
          policyName: 'web',
          ruleId: '1',
          direction: 'in',
          priority: 1,
          action: 'allow',
          protocol: 'tcp',
          ports: '80,443,8000-8099',
          fromEndpointGroup: 'app,ops',
          fromIpAddress: '10.1.1.0/24,fd00::/64',
        },
      ],
    ],
    [
      'policy create --admin p',
      'Creating policy default:p\n',
      ['POST', '/api/v1/policys/default:p/', { key: 'default:p', tenantName: 'default', policyName: 'p', admin: true }],
    ],
    [
      'tenant create --posture=deny blue',
      'Creating tenant: blue\n',
      ['POST', '/api/v1/tenants/blue/', { key: 'blue', tenantName: 'blue', posture: 'deny' }],
    ],
    ['policy rule-rm p 1', '', ['DELETE', '/api/v1/rules/default:p:1/', 'default:p:1']],
    ['policy rule-rm -t blue p 1', '', ['DELETE', '/api/v1/rules/blue:p:1/', 'blue:p:1']],
  ])('%s', async (line, printed, asked) => {
    const { status, out, err } = await netctl(line);
    expect({ status, out, err }).toEqual({ status: 0, out: printed, err: '' });
    expect(server.changes.map((a) => [a.method, a.path, a.body])).toEqual([asked]);
  });
});

describe('refusals', () => {
  test.each([
    ['policy create', 'Policy name required'],
    ['policy rm', 'Policy name required'],
    ['policy inspect', 'Policy name required'],
    ['policy rule-ls', 'Policy name required'],
    ['policy rule-add p', 'Policy name and Rule ID required'],
    ['policy rule-rm p', 'Policy name and Rule ID required'],
    ['policy rule-add -e g p 1', 'Cant specify to-group for incoming rule'],
    ['policy rule-add -o n p 1', 'Cant specify to-network for incoming rule'],
    ['policy rule-add -g g -n n p 1', "Can't specify both from-group argument and -from-network "],
    ['policy rule-add -d out -g g p 1', 'Cant specify from-group for outgoing rule'],
    ['policy rule-add -d out -n n p 1', 'Cant specify from-network for outgoing rule'],
    ['policy rule-add -d out -i 10.1.1.1 p 1', 'Cant specify from-ip-address for outgoing rule'],
    ['policy rule-add -d out -e g -o n p 1', "Can't specify both -to-group and -to-network"],
    ['policy rule-add -d both p 1', 'Unknown direction'],
    ['policy rule-add -P http p 1', 'Invalid port http'],
    ['policy rule-add -P 80,http p 1', 'Invalid port http'],
    ['policy rule-add -P 80,0 p 1', 'Invalid port 0'],
    ['policy rule-add -P 80, p 1', 'Invalid port'],
  ])('%s', async (line, message) => {
    const { status, err } = await netctl(line);
    expect(status).toBe(1);
    expect(err).toContain(message);
    expect(server.asked).toEqual([]);
  });

  test('a name that is nearly one gets the right one named', async () => {
    server.get('/api/v1/policys/', [policyOf('default', 'web-policy')]);
    server.on('GET /api/v1/policys/default:web-polic/', {
      status: 404,
      type: 'application/problem+json',
      body: { type: 'about:blank', title: '', status: 404, code: 'not-found', detail: 'policy not found' },
    });
    const { status, err } = await netctl('policy rule-ls web-polic');
    expect(status).toBe(3);
    expect(err).toContain('web-policy');
  });
});

describe('lists', () => {
  test('of policies', async () => {
    const sets = {
      Rules: { 'default:a:1': { type: 'rule', key: 'default:a:1' } },
      EndpointGroups: { 'default:web': {}, 'default:db': {} },
    };
    server.get('/api/v1/policys/', [policyOf('blue', 'x'), policyOf('default', 'b'), policyOf('default', 'a', sets)]);
    expect((await netctl('policy ls')).out).toBe('Tenant   Policy\n------   ------\ndefault  a\ndefault  b\n');
    expect((await netctl('policy ls -a -q')).out).toBe('a\nb\nx\n');
    expect((await netctl('policy ls -o wide')).out).toBe(
      'Tenant   Policy  Admin  Rules  Groups\n------   ------  -----  -----  ------\ndefault  a       no     1      db,web\ndefault  b       no     0      \n',
    );
    expect(JSON.parse((await netctl('policy ls -t blue -j')).out)).toMatchObject([{ key: 'blue:x' }]);
  });

  test('of rules, the weakest first, in two tables', async () => {
    server.get('/api/v1/policys/default:p/', policyOf('default', 'p'));
    server.get('/api/v1/rules/', [
      ruleOf('p', '10', { fromEndpointGroup: 'web', protocol: 'tcp', port: 8001 }),
      ruleOf('p', '2', { action: 'deny' }),
      ruleOf('p', '1', { priority: 100, fromNetwork: 'n', fromIpAddress: '10.1.1.0/24' }),
      ruleOf('p', '3', { direction: 'out', toEndpointGroup: 'db', protocol: 'udp' }),
      ruleOf('p', '4', { direction: 'out', toEndpointGroup: 'app,db', protocol: 'tcp', port: 80, ports: '80,8000-8099' }),
      ruleOf('other', '1', {}),
    ]);
    expect((await netctl('policy rule-ls p')).out).toBe(
      [
        'Incoming Rules:',
        'Rule  Priority  From EndpointGroup  From Network  From IpAddress  To IpAddress  Protocol  Port  Action',
        '----  --------  ------------------  ------------  ---------       ------------  --------  ----  ------',
        '2     1                                                                                   0     deny',
        '10    1         web                                                             tcp       8001  allow',
        '1     100                           n             10.1.1.0/24                             0     allow',
        'Outgoing Rules:',
        'Rule  Priority  To EndpointGroup  To Network  To IpAddress  Protocol  Port          Action',
        '----  --------  ----------------  ----------  ---------     --------  ----          ------',
        '3     1         db                                          udp       0             allow',
        '4     1         app,db                                      tcp       80,8000-8099  allow',
        '',
      ].join('\n'),
    );
    expect((await netctl('policy rule-ls -q p')).out).toBe('2\n3\n4\n10\n1\n');
    expect(JSON.parse((await netctl('policy rule-ls -j p')).out)).toHaveLength(5);
  });

  test('of a policy that is not there fail', async () => {
    expect((await netctl('policy rule-ls none')).status).toBe(3);
    expect((await netctl('policy ls -t none')).status).toBe(3);
  });

  test('inspect prints what netmaster answers', async () => {
    const inspected = { Config: policyOf('default', 'p'), Oper: { numEndpoints: 1, endpoints: [{ endpointID: 'e' }] } };
    server.get('/api/v1/inspect/policys/default:p/', inspected);
    expect(JSON.parse((await netctl('policy inspect p')).out)).toEqual(inspected);
  });
});
