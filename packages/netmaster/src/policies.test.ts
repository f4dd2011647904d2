/** Policies and their rules: TestPolicyRules, TestEpgPolicies and TestPolicyInspect of spec/contiv §13, and what is mended beyond them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
  await m.network('default:n', { encap: 'vxlan', subnet: '10.1.1.0/24' });
  await m.group('default:g', 'n');
});
afterEach(() => m.stop());

const policy = (key: string) => {
  const [tenantName, policyName] = key.split(':');
  return m.post(`/api/v1/policys/${key}/`, { tenantName, policyName });
};
const rule = (key: string, fields: Record<string, unknown> = {}) => {
  const [tenantName, policyName, ruleId] = key.split(':');
  return m.post(`/api/v1/rules/${key}/`, { tenantName, policyName, ruleId, direction: 'in', action: 'allow', ...fields });
};

describe('policies', () => {
  test('are made, made again, shown and deleted', async () => {
    expect((await policy('default:p')).body).toEqual({
      key: 'default:p',
      tenantName: 'default',
      policyName: 'p',
      'link-sets': {},
      links: { Tenant: {} },
    });
    expect((await policy('default:p')).status).toBe(200);
    await rule('default:p:1');
    await m.group('default:g', 'n', { policies: ['p'] });
    const link = (type: string, key: string) => ({ [key]: { type, key } });
    const object = {
      key: 'default:p',
      tenantName: 'default',
      policyName: 'p',
      'link-sets': { EndpointGroups: link('endpointGroup', 'default:g'), Rules: link('rule', 'default:p:1') },
      links: { Tenant: { type: 'tenant', key: 'default' } },
    };
    expect((await m.get('/api/v1/policys/')).body).toEqual([object]);
    expect((await m.get('/api/v1/policys/default:p/')).body).toEqual(object);
    expect((await m.get('/api/v1/tenants/default/')).body).toMatchObject({ 'link-sets': { Policies: link('policy', 'default:p') } });
    expect((await m.remove('/api/v1/policys/default:p/')).text).toBe('Policy is being used\ndetach it first from group g\n');
    await m.group('default:g', 'n');
    expect(await m.remove('/api/v1/policys/default:p/')).toMatchObject({ status: 200, body: 'default:p' });
    expect((await m.get('/api/v1/rules/')).body).toEqual([]);
    expect((await m.remove('/api/v1/policys/default:p/')).line).toBe('policy not found');
  });

  test('need a tenant, and keep it', async () => {
    expect((await policy('green:p')).line).toBe('Tenant not found');
    expect((await policy('default:p_p')).line).toBe('policyName string invalid format');
    await m.tenant('blue');
    await policy('blue:p');
    expect((await m.remove('/api/v1/tenants/blue/')).line).toBe('cannot delete blue has 1 policies');
    await m.remove('/api/v1/policys/blue:p/');
    expect((await m.remove('/api/v1/tenants/blue/')).status).toBe(200);
  });

  test('of an administrator stay what they are', async () => {
    const post = (admin: boolean) => m.post('/api/v1/policys/default:a/', { tenantName: 'default', policyName: 'a', admin });
    await post(true);
    expect((await m.get('/api/v1/policys/default:a/')).body).toMatchObject({ admin: true });
    expect((await post(true)).status).toBe(200);
    expect((await post(false)).line).toBe('policy a is an admin policy; delete it and make it anew');
  });

  test('one policy does not take along the rules of another whose name begins alike', async () => {
    await policy('default:p');
    await policy('default:p1');
    await rule('default:p1:1');
    await m.remove('/api/v1/policys/default:p/');
    expect((await m.get('/api/v1/rules/')).body).toMatchObject([{ key: 'default:p1:1' }]);
  });

  test('tell the endpoints of all groups they apply to', async () => {
    await policy('default:p');
    await m.group('default:g', 'n', { policies: ['p'] });
    await m.group('default:h', 'n', { policies: ['p'] });
    for (const [id, group] of ['g', 'h', ''].entries()) await m.endpoint('default:n', `e${id}`, {}, group);
    expect((await m.get('/api/v1/inspect/policys/default:p/')).body).toMatchObject({
      Config: { key: 'default:p' },
      Oper: { numEndpoints: 2, endpoints: [{ endpointID: 'e0' }, { endpointID: 'e1' }] },
    });
    expect((await m.get('/api/v1/inspect/tenants/default/')).body).toMatchObject({
      Oper: { totalPolicies: 1, policies: [{ numEndpoints: 2 }] },
    });
  });
});

describe('the posture of a tenant', () => {
  const post = (fields: object) => m.post('/api/v1/tenants/blue/', { tenantName: 'blue', ...fields });
  const posture = async () => ((await m.get('/api/v1/tenants/blue/')).body as { posture?: string }).posture;
  test('may be changed, and stays when it is not spoken of', async () => {
    await post({});
    expect(await posture()).toBe(undefined);
    await post({ posture: 'deny' });
    expect(await posture()).toBe('deny');
    await post({});
    expect(await posture()).toBe('deny');
    await post({ posture: 'allow' });
    expect(await posture()).toBe(undefined);
    expect((await post({ posture: 'maybe' })).line).toBe('posture string invalid format');
  });
});

describe('groups', () => {
  test('have policies attached, replaced and detached, each once', async () => {
    await policy('default:p');
    await policy('default:q');
    expect((await m.group('default:g', 'n', { policies: ['p', 'none'] })).line).toBe('Policy not found');
    expect((await m.group('default:h', 'n', { policies: ['none'] })).line).toBe('Policy not found');
    expect((await m.get('/api/v1/endpointGroups/default:h/')).line).toBe('endpointGroup not found');
    const attached = async () => {
      const { body } = await m.get('/api/v1/endpointGroups/default:g/');
      return body as { policies?: string[]; 'link-sets': { Policies?: object } };
    };
    await m.group('default:g', 'n', { policies: ['p', 'q', 'p'] });
    expect((await attached()).policies).toEqual(['p', 'q']);
    expect(Object.keys((await attached())['link-sets'].Policies ?? {})).toEqual(['default:p', 'default:q']);
    await m.group('default:g', 'n', { policies: ['q'] });
    expect((await attached()).policies).toEqual(['q']);
    expect((await m.remove('/api/v1/policys/default:p/')).status).toBe(200);
    await m.group('default:g', 'n');
    expect(await attached()).not.toHaveProperty('policies');
    expect((await m.get('/api/v1/endpointGroups/')).body).toMatchObject([{ 'link-sets': {} }]);
  });

  test('lists show a link that came or went without the group itself being changed', async () => {
    await policy('default:p');
    const matching = async () =>
      ((await m.get('/api/v1/endpointGroups/')).body as [{ 'link-sets': { MatchRules?: object } }])[0]['link-sets'];
    expect(await matching()).toEqual({});
    await rule('default:p:1', { fromEndpointGroup: 'g' });
    expect(await matching()).toEqual({ MatchRules: { 'default:p:1': { type: 'rule', key: 'default:p:1' } } });
    await m.remove('/api/v1/rules/default:p:1/');
    expect(await matching()).toEqual({});
  });

  test('updates are idempotent, and never of network or pool', async () => {
    await policy('default:p');
    await m.network('default:o', { encap: 'vxlan', subnet: '10.2.1.0/24' });
    const { mirror } = m.master.context;
    await m.group('default:g', 'n', { policies: ['p'] });
    const before = mirror.state.group('default:g')?.modRevision;
    await m.group('default:g', 'n', { policies: ['p'] });
    expect(mirror.state.group('default:g')?.modRevision).toBe(before);
    expect((await m.group('default:g', 'o')).line).toBe('Cannot change network association after epg is created.');
    expect((await m.group('default:g', 'n', { ipPool: '10.1.1.5' })).line).toBe('Cannot change IP pool after epg is created.');
  });
});

describe('rules', () => {
  beforeEach(() => policy('default:p'));

  test('are shown as they are, without zero values, with priority 1 as the least', async () => {
    const posted = await rule('default:p:1', { protocol: 'tcp', port: 80, fromEndpointGroup: 'g' });
    expect(posted.body).toMatchObject({ key: 'default:p:1', protocol: 'tcp', 'link-sets': {}, links: { MatchEndpointGroup: {} } });
    const object = {
      key: 'default:p:1',
      tenantName: 'default',
      policyName: 'p',
      ruleId: '1',
      direction: 'in',
      priority: 1,
      protocol: 'tcp',
      port: 80,
      fromEndpointGroup: 'g',
      action: 'allow',
      'link-sets': { Policies: { 'default:p': { type: 'policy', key: 'default:p' } } },
      links: { MatchEndpointGroup: { type: 'endpointGroup', key: 'default:g' } },
    };
    expect((await m.get('/api/v1/rules/default:p:1/')).body).toEqual(object);
    expect((await m.get('/api/v1/inspect/rules/default:p:1/')).body).toEqual({ Config: object });
  });

  test('with a network as peer show its subnet as well', async () => {
    await rule('default:p:1', { fromNetwork: 'n' });
    await rule('default:p:2', { direction: 'out', toNetwork: 'n' });
    expect((await m.get('/api/v1/rules/')).body).toMatchObject([
      { fromNetwork: 'n', fromIpAddress: '10.1.1.0/24' },
      { toNetwork: 'n', toIpAddress: '10.1.1.0/24' },
    ]);
    expect((await rule('default:p:1', { fromNetwork: 'n' })).status).toBe(200);
  });

  test('with lists are shown in one order, linked to every group, and the same again in another order', async () => {
    await m.group('default:h', 'n');
    await m.network('default:o', { encap: 'vxlan', subnet: '10.1.2.0/24' });
    const fields = {
      protocol: 'tcp',
      ports: '8000-8099,443,80',
      fromEndpointGroup: 'h,g',
      fromIpAddress: 'fd00::/64, 10.1.3.1-9,10.1.1.7',
    };
    expect((await rule('default:p:1', fields)).status).toBe(200);
    const object = {
      key: 'default:p:1',
      tenantName: 'default',
      policyName: 'p',
      ruleId: '1',
      direction: 'in',
      priority: 1,
      protocol: 'tcp',
      // Whoever knows no lists does not take it for a rule about all ports.
      port: 80,
      ports: '80,443,8000-8099',
      fromEndpointGroup: 'g,h',
      fromIpAddress: '10.1.1.7,10.1.3.1-9,fd00::/64',
      action: 'allow',
      'link-sets': {
        MatchEndpointGroups: {
          'default:g': { type: 'endpointGroup', key: 'default:g' },
          'default:h': { type: 'endpointGroup', key: 'default:h' },
        },
        Policies: { 'default:p': { type: 'policy', key: 'default:p' } },
      },
      links: { MatchEndpointGroup: { type: 'endpointGroup', key: 'default:g' } },
    };
    expect((await m.get('/api/v1/rules/default:p:1/')).body).toEqual(object);
    expect((await m.get('/api/v1/inspect/rules/default:p:1/')).body).toEqual({ Config: object });
    for (const group of ['g', 'h'])
      expect((await m.get(`/api/v1/endpointGroups/default:${group}/`)).body).toMatchObject({
        'link-sets': { MatchRules: { 'default:p:1': { type: 'rule', key: 'default:p:1' } } },
      });
    const { mirror } = m.master.context;
    const before = mirror.state.rule('default:p:1')?.modRevision;
    for (const again of [object, fields, { ...fields, ports: '80,80,443,8000-8099', fromEndpointGroup: 'g,h,g' }])
      expect((await rule('default:p:1', again)).status).toBe(200);
    expect(mirror.state.rule('default:p:1')?.modRevision).toBe(before);
    expect((await rule('default:p:1', { ...fields, ports: '80,443' })).line).toBe('can not update a rule after its created');
    await rule('default:p:2', { direction: 'out', toNetwork: 'o,n' });
    expect((await m.get('/api/v1/rules/default:p:2/')).body).toMatchObject({ toNetwork: 'n,o', toIpAddress: '10.1.1.0/24,10.1.2.0/24' });
    expect((await rule('default:p:2', { direction: 'out', toNetwork: 'n,o' })).status).toBe(200);
    await m.remove('/api/v1/rules/default:p:1/');
    expect((await m.get('/api/v1/endpointGroups/default:h/')).body).toMatchObject({ 'link-sets': {} });
  });

  test('with a list of one are those of the one', async () => {
    await rule('default:p:1', { protocol: 'tcp', ports: '80', fromEndpointGroup: 'g,g' });
    await rule('default:p:2', { protocol: 'tcp', ports: '8000-8099,8000-8099' });
    const [one, range] = (await m.get('/api/v1/rules/')).body as object[];
    expect(one).toMatchObject({ port: 80, fromEndpointGroup: 'g' });
    expect(range).toMatchObject({ port: 8_000, endPort: 8_099 });
    for (const shown of [one, range]) expect(shown).not.toHaveProperty('ports');
    expect((await rule('default:p:1', { protocol: 'tcp', port: 80, fromEndpointGroup: 'g' })).status).toBe(200);
  });

  test('with several own addresses need a container of the group for each', async () => {
    await m.group('default:g', 'n', { policies: ['p'] });
    await m.endpoint('default:n', 'e1', {}, 'g');
    await m.endpoint('default:n', 'e2', {}, 'g');
    expect((await rule('default:p:1', { toIpAddress: '10.1.1.2,10.1.1.1' })).status).toBe(200);
    expect((await rule('default:p:2', { toIpAddress: '10.1.1.1,10.1.1.9' })).line).toBe(
      'failed to configure 10.1.1.9, ip address is not in epg g:default',
    );
  });

  test.each([
    [{ direction: 'both' }, 'direction string invalid format'],
    [{ direction: 'xyz' }, 'direction string invalid format'],
    [{ direction: '' }, 'direction string invalid format'],
    [{ protocol: 'xyz' }, 'protocol string invalid format'],
    [{ protocol: '256' }, 'protocol string invalid format'],
    [{ protocol: '0' }, 'protocol string invalid format'],
    [{ action: 'accept' }, 'action string invalid format'],
    [{ action: '' }, 'action string invalid format'],
    [{ priority: 101 }, 'priority Value Out of bound'],
    [{ priority: -1 }, 'priority Value Out of bound'],
    [{ port: 65_536 }, 'port Value Out of bound'],
    [{ protocol: 'icmp', port: 80 }, 'protocol icmp has no ports; leave the port out'],
    [{ endPort: 80 }, 'endPort is the last port of a range and needs a lower port'],
    [{ port: 80, endPort: 79 }, 'endPort is the last port of a range and needs a lower port'],
    [{ fromIpAddress: '10.1.1' }, 'fromIpAddress string invalid format'],
    [{ fromIpAddress: '10.1.1.0/0' }, 'fromIpAddress string invalid format'],
    [{ fromIpAddress: '10.1.1.9-5' }, 'fromIpAddress string invalid format'],
    [{ fromEndpointGroup: 'a_b' }, 'fromEndpointGroup string invalid format'],
    [{ toNetwork: 'n' }, "can not specify 'to' parameters in incoming rule"],
    [{ toEndpointGroup: 'g' }, "can not specify 'to' parameters in incoming rule"],
    [{ fromNetwork: 'n', fromIpAddress: '10.1.1.1' }, 'can not specify both from network and from ip address'],
    [{ fromNetwork: 'n', fromEndpointGroup: 'g' }, 'can not specify both from network and from EndpointGroup'],
    [{ direction: 'out', fromNetwork: 'n' }, "can not specify 'from' parameters in outgoing rule"],
    [{ direction: 'out', fromEndpointGroup: 'g' }, "can not specify 'from' parameters in outgoing rule"],
    [{ direction: 'out', fromIpAddress: '10.1.1.1' }, "can not specify 'from' parameters in outgoing rule"],
    [{ direction: 'out', toNetwork: 'n', toIpAddress: '10.1.1.1' }, 'can not specify both to-network and to-ip address'],
    [{ direction: 'out', toNetwork: 'n', toEndpointGroup: 'g' }, 'can not specify both to-network and to-EndpointGroup'],
    [{ fromEndpointGroup: 'none' }, 'endpoint group not found'],
    [{ direction: 'out', toEndpointGroup: 'none' }, 'endpoint group not found'],
    [{ fromNetwork: 'none' }, 'from Network not found'],
    [{ fromEndpointGroup: 'g,none' }, 'endpoint group not found'],
    [{ fromNetwork: 'n,none' }, 'from Network not found'],
    [{ fromNetwork: 'n,m', fromEndpointGroup: 'g,h' }, 'can not specify both from network and from EndpointGroup'],
    [{ ports: '80,443', protocol: 'icmp' }, 'protocol icmp has no ports; leave the port out'],
    [{ ports: '80,443', port: 443 }, 'port is the first of ports 80,443, or left out'],
    [{ ports: '80-90,443', port: 80 }, 'port is the first of ports 80-90,443, or left out'],
    [{ ports: '80,443', endPort: 443 }, 'port is the first of ports 80,443, or left out'],
    [{ ports: 80 }, 'ports must be a string'],
    [{ direction: 'out', toNetwork: 'none' }, 'to Network not found'],
  ])('%j is refused', async (fields, line) => {
    expect(await rule('default:p:1', fields)).toMatchObject({ status: 500, line });
    expect((await m.get('/api/v1/rules/')).body).toEqual([]);
  });

  test.each([
    { fromEndpointGroup: 'g', fromIpAddress: '10.1.1.0/24' },
    { direction: 'out', toEndpointGroup: 'g', toIpAddress: '10.1.1.7' },
    { fromIpAddress: '10.1.1.5-20' },
    { fromIpAddress: '10.1.1.5-20/24' },
    { fromIpAddress: '10.1.1.5/32' },
    { fromIpAddress: '2001:db8::/64' },
    { fromIpAddress: '2001:db8::1-2001:db8::9' },
    { protocol: '132', port: 5_000 },
    { port: 8_000, endPort: 8_100 },
    { protocol: 'icmp', action: 'deny', priority: 100 },
  ])('%j is accepted', async (fields) => {
    expect((await rule('default:p:1', fields)).status).toBe(200);
  });

  test('are not changed, and the same again is fine', async () => {
    await rule('default:p:1', { protocol: 'tcp' });
    expect((await rule('default:p:1', { protocol: 'tcp', priority: 1 })).status).toBe(200);
    expect((await rule('default:p:1', { protocol: 'udp' })).line).toBe('can not update a rule after its created');
  });

  test('of a policy that is not there, and rules that are not there', async () => {
    expect((await rule('default:none:1')).line).toBe('Policy not found');
    expect((await m.remove('/api/v1/rules/default:p:7/')).line).toBe('rule not found');
    expect((await m.get('/api/v1/rules/default:p:7/')).line).toBe('rule not found');
    expect((await m.post('/api/v1/rules/default:p:1/', { tenantName: 'default', policyName: 'p' })).line).toBe('Invalid Key');
  });

  test("may be narrowed to the group's own container only where it is clear which", async () => {
    const narrowed = (ip: string) => rule('default:p:1', { toIpAddress: ip });
    expect((await narrowed('10.1.1.1')).text).toBe('failed to configure 10.1.1.1, 0 endpoint groups linked to policy p \n');
    await m.group('default:g', 'n', { policies: ['p'] });
    expect((await narrowed('10.1.1.1')).line).toBe('failed to configure 10.1.1.1, ip address is not in epg g:default');
    await m.endpoint('default:n', 'e', {}, 'g');
    expect((await narrowed('10.1.1.1')).status).toBe(200);
  });
});
