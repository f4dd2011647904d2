/** Deleting what something else refers to: refused, and the refusal names who and the way out; or told afterwards, where rules of policies name it. */
import type { DoctorAnswer, IntentDocument } from '@contiv/model';
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

test('a group that rules name goes as in Contiv, and the doctor names the rules that miss it', async () => {
  const told = async () => {
    const { body } = await m.get('/api/v1/doctor/');
    return (body as DoctorAnswer).findings
      .filter(({ thing }) => thing.includes('rule'))
      .map(({ thing, reason, way }) => [thing, reason, way]);
  };
  await rule('db', '10', { fromEndpointGroup: 'web,app' });
  await rule('other', '1', { direction: 'out', toNetwork: 'far' });
  expect(await told()).toEqual([]);
  expect((await m.remove('/api/v1/endpointGroups/blue:web/')).status).toBe(200);
  expect(await told()).toEqual([
    [
      'rule 10 of policy blue/db',
      'it names group web, which is gone, and has no effect on it',
      'make it again, or: netctl policy rule-rm -t blue db 10',
    ],
  ]);
  expect((await m.remove('/api/v1/endpointGroups/blue:app/')).status).toBe(200);
  expect((await m.remove('/api/v1/networks/blue:far/')).status).toBe(200);
  expect((await told()).map(([thing, reason]) => `${thing}: ${reason}`)).toEqual([
    'rule 10 of policy blue/db: it names group app and group web, which are gone, and has no effect on them',
    'rule 1 of policy blue/other: it names network far, which is gone, and has no effect on it',
  ]);
  await m.group('blue:web', 'net');
  await m.group('blue:app', 'net');
  await m.network('blue:far', { encap: 'vxlan', subnet: '10.1.2.0/24' });
  expect(await told()).toEqual([]);
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
