/** Nothing is deleted that something else refers to: the refusal names who refers to it and the way out, and changes nothing. */
import type { IntentDocument } from '@contiv/model';
import { MemoryStore } from '@contiv/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
  await objects(m);
});
afterEach(() => m.stop());

async function objects(on: TestMaster): Promise<void> {
  const made = (await on.post('/api/v1/intent', {
    intent: {
      apiVersion: 'contiv/v1',
      tenants: [
        {
          tenantName: 'blue',
          networks: [
            { networkName: 'net', subnet: '10.1.1.0/24' },
            { networkName: 'far', subnet: '10.1.2.0/24' },
          ],
          netprofiles: [{ profileName: 'slow', bandwidth: '1Mbps' }],
          extContractsGroups: [{ contractsGroupName: 'ext', contractsType: 'provided', contracts: ['uni/x'] }],
          policies: [{ policyName: 'db' }, { policyName: 'other' }],
          endpointGroups: [
            { groupName: 'web', networkName: 'net' },
            { groupName: 'app', networkName: 'net' },
            { groupName: 'db', networkName: 'net', policies: ['db'], netProfile: 'slow', extContractsGrps: ['ext'] },
          ],
        },
      ],
    } satisfies IntentDocument,
  })) as { readonly status: number };
  expect(made.status).toBe(200);
}

const ruleOf = (policyName: string, ruleId: string, fields: object) => ({
  tenantName: 'blue',
  policyName,
  ruleId,
  direction: 'in',
  action: 'allow',
  ...fields,
});
const rule = (policyName: string, ruleId: string, fields: object, on = m) =>
  on.post(`/api/v1/rules/blue:${policyName}:${ruleId}/`, ruleOf(policyName, ruleId, fields));
const all = async (on = m): Promise<unknown> => (await on.get('/api/v1/intent')).body;

async function refused(path: string, text: string): Promise<void> {
  const before = await all();
  expect(await m.remove(path)).toMatchObject({ status: 500, text });
  expect(await all()).toEqual(before);
}

test('a group that rules name stays until none does', async () => {
  await rule('db', '10', { fromEndpointGroup: 'web,app' });
  const web = '/api/v1/endpointGroups/blue:web/';
  await refused(
    web,
    'cannot delete group web of tenant blue: rule 10 of policy db names it\nremove it first: netctl policy rule-rm -t blue db 10\n',
  );
  await rule('db', '9', { fromEndpointGroup: 'web' });
  await rule('other', '1', { direction: 'out', toEndpointGroup: 'app,web' });
  await rule('other', '2', { direction: 'out', toEndpointGroup: 'web' });
  await refused(
    web,
    'cannot delete group web of tenant blue: rule 9 of policy db, rule 10 of policy db, rule 1 of policy other and 1 more name it\n' +
      'remove them first, beginning with netctl policy rule-rm -t blue db 9\n',
  );
  for (const key of ['db:9', 'db:10', 'other:1']) await m.remove(`/api/v1/rules/blue:${key}/`);
  await m.remove('/api/v1/policys/blue:other/');
  expect((await m.remove(web)).status).toBe(200);
});

test('so does a network, and one of another tenant is nobody’s business', async () => {
  await m.network('default:far', { encap: 'vxlan', subnet: '10.1.2.0/24' });
  await rule('other', '1', { direction: 'out', toNetwork: 'far' });
  await refused(
    '/api/v1/networks/blue:far/',
    'cannot delete network far of tenant blue: rule 1 of policy other names it\nremove it first: netctl policy rule-rm -t blue other 1\n',
  );
  expect((await m.remove('/api/v1/networks/default:far/')).status).toBe(200);
  await m.remove('/api/v1/rules/blue:other:1/');
  expect((await m.remove('/api/v1/networks/blue:far/')).status).toBe(200);
});

test('a staged rule counts as well, so that what is staged can be committed', async () => {
  await m.post('/api/v1/staged/blue:db', {});
  await m.post('/api/v1/staged/blue:db/rules/1', ruleOf('db', '1', { fromEndpointGroup: 'web' }));
  await m.post('/api/v1/staged/blue:db/rules/2', ruleOf('db', '2', { fromNetwork: 'far' }));
  const names = (what: string, id: string) =>
    `cannot delete ${what} of tenant blue: staged rule ${id} of policy db names it\nremove it first: netctl policy discard -t blue db\n`;
  await refused('/api/v1/endpointGroups/blue:web/', names('group web', '1'));
  await refused('/api/v1/networks/blue:far/', names('network far', '2'));
  await m.remove('/api/v1/staged/blue:db');
  expect((await m.remove('/api/v1/endpointGroups/blue:web/')).status).toBe(200);
  expect((await m.remove('/api/v1/networks/blue:far/')).status).toBe(200);
});

test('a rule that goes to other peers lets go of the ones it had', async () => {
  await rule('db', '1', { fromEndpointGroup: 'web' });
  await m.post('/api/v1/staged/blue:db', {});
  await m.post('/api/v1/staged/blue:db/rules/1', ruleOf('db', '1', { fromEndpointGroup: 'app' }));
  await m.post('/api/v1/staged/blue:db/commit', {});
  expect((await m.remove('/api/v1/endpointGroups/blue:web/')).status).toBe(200);
  expect((await m.remove('/api/v1/endpointGroups/blue:app/')).line).toContain('rule 1 of policy db names it');
});

test.each([
  ['netprofiles/blue:slow', 'NetProfile is being used\ndetach it first from group db\n'],
  ['extContractsGroups/blue:ext', 'External contracts group is in-use\ndetach it first from group db\n'],
  ['policys/blue:db', 'Policy is being used\ndetach it first from group db\n'],
  ['networks/blue:net', 'cannot delete net has 3 endpoint groups\ndelete them first: app, db, web\n'],
])('%s is in use, and the refusal says by whom', (path, text) => refused(`/api/v1/${path}/`, text));

test('application profiles, services and endpoints hold what they refer to', async () => {
  await m.post('/api/v1/appProfiles/blue:shop/', { tenantName: 'blue', appProfileName: 'shop', endpointGroups: ['web'] });
  await m.post('/api/v1/serviceLBs/blue:lb/', {
    tenantName: 'blue',
    serviceName: 'lb',
    networkName: 'far',
    selectors: ['app=web'],
    ports: ['80:8080:TCP'],
  });
  await m.endpoint('blue:net', 'e1', {}, 'app');
  await refused('/api/v1/endpointGroups/blue:web/', 'Cannot delete web, associated to appProfile blue:shop\ntake it out of that first\n');
  await refused('/api/v1/networks/blue:far/', 'cannot delete far has 1 services \ndelete them first: lb\n');
  await refused('/api/v1/endpointGroups/blue:app/', 'Error: EPG app has active endpoints\nnetctl group inspect -t blue app shows them\n');
});

test('a rule and the deletion of what it names, at the same moment by two masters: one of them is refused', async () => {
  const store = new MemoryStore();
  const [one, two] = [await startTestMaster(store), await startTestMaster(store)];
  await objects(one);
  let refusals = 0;
  for (let i = 0; i < 40; i++) {
    await one.group('blue:peer', 'net');
    while (!two.master.context.mirror.state.group('blue:peer')) await new Promise((wake) => setTimeout(wake, 1));
    const [made, deleted] = await Promise.all([
      rule('db', '1', { fromEndpointGroup: 'peer' }, one),
      two.remove('/api/v1/endpointGroups/blue:peer/'),
    ]);
    expect(
      [made.status, deleted.status].toSorted((a, b) => a - b),
      `${made.line} / ${deleted.line}`,
    ).toEqual([200, 500]);
    if (made.status === 500) expect(made.line).toBe('endpoint group not found');
    else expect(deleted.line).toContain('rule 1 of policy db names it');
    refusals += made.status === 500 ? 1 : 0;
    await one.remove('/api/v1/rules/blue:db:1/');
    while (two.master.context.mirror.state.rule('blue:db:1')) await new Promise((wake) => setTimeout(wake, 1));
    await two.remove('/api/v1/endpointGroups/blue:peer/');
    while (one.master.context.mirror.state.group('blue:peer')) await new Promise((wake) => setTimeout(wake, 1));
  }
  expect(refusals).toBeLessThan(40);
  await one.stop(false);
  await two.stop();
});
