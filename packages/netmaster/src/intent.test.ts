import type { IntentDocument, IntentPlan } from '@contiv/model';
import { MemoryStore } from '@contiv/store';
import { describe, expect, test } from 'vitest';
import { type Answer, startTestMaster, type TestMaster } from './test-support.js';

const apply = (m: TestMaster, intent: unknown, options: object = {}): Promise<Answer> =>
  m.call('POST', '/api/v1/intent', { intent, ...options }, { accept: 'application/problem+json' });
const planOf = (answer: Answer): IntentPlan => {
  expect(answer.text).toContain('"steps"');
  return answer.body as IntentPlan;
};
const exported = async (m: TestMaster): Promise<IntentDocument> => (await m.get('/api/v1/intent')).body as IntentDocument;
const lines = (answer: Answer): string[] => planOf(answer).steps.map((s) => `${s.action} ${s.kind} ${s.key}`);
const intent = (...tenants: object[]) => ({ apiVersion: 'contiv/v1', tenants });

const blue = (more: object = {}) => ({
  tenantName: 'blue',
  networks: [{ networkName: 'net', subnet: '10.1.1.0/24' }],
  policies: [{ policyName: 'web', rules: [{ ruleId: 1, direction: 'in', action: 'deny', protocol: 'tcp', fromEndpointGroup: 'client' }] }],
  endpointGroups: [
    { groupName: 'client', networkName: 'net' },
    { groupName: 'web', networkName: 'net', policies: ['web'] },
  ],
  ...more,
});

describe('a document', () => {
  test('is brought about in an order that works, and applied again there is nothing to do', async () => {
    const m = await startTestMaster();
    const dry = await apply(m, intent(blue()), { dryRun: true });
    expect(planOf(dry).applied).toBe(false);
    expect(lines(dry)).toEqual([
      'create tenant blue',
      'create network blue:net',
      'create policy blue:web',
      'create group blue:client',
      'create group blue:web',
      'create rule blue:web:1',
    ]);
    expect((await m.get('/api/v1/tenants/blue')).status).toBe(500);
    const done = planOf(await apply(m, intent(blue()), { expect: planOf(dry).id }));
    expect([done.applied, done.steps]).toEqual([true, planOf(dry).steps]);
    expect((await m.get('/api/v1/rules/blue:web:1')).body).toMatchObject({ fromEndpointGroup: 'client', protocol: 'tcp' });
    expect(planOf(await apply(m, intent(blue()))).steps).toEqual([]);
    await m.stop();
  });

  test('has lists as YAML has them, and nothing is to do when they come in another order', async () => {
    const m = await startTestMaster();
    const rules = (fields: object) =>
      intent(
        blue({ policies: [{ policyName: 'web', rules: [{ ruleId: 1, direction: 'in', action: 'allow', protocol: 'tcp', ...fields }] }] }),
      );
    await apply(m, rules({ ports: ['8000-8099', 80], fromEndpointGroup: ['web', 'client'], fromIpAddress: ['fd00::/64', '10.1.1.0/24'] }));
    const [tenant] = (await exported(m)).tenants?.filter((t) => t.tenantName === 'blue') ?? [];
    expect(tenant?.policies?.[0]?.rules).toEqual([
      {
        ruleId: '1',
        direction: 'in',
        action: 'allow',
        protocol: 'tcp',
        ports: '80,8000-8099',
        fromEndpointGroup: 'client,web',
        fromIpAddress: '10.1.1.0/24,fd00::/64',
      },
    ]);
    const same = { ports: '80,8000-8099', fromEndpointGroup: 'web, client', fromIpAddress: '10.1.1.0/24,fd00::/64' };
    expect(planOf(await apply(m, rules(same), { dryRun: true })).steps).toEqual([]);
    const wider = planOf(await apply(m, rules({ ...same, ports: '80,443,8000-8099' })));
    expect(wider.steps).toMatchObject([
      { action: 'update', fields: [{ field: 'ports', before: '80,8000-8099', after: '80,443,8000-8099' }] },
    ]);
    // Nobody is not everybody.
    expect((await apply(m, rules({ ...same, fromEndpointGroup: [] }))).text).toContain('fromEndpointGroup string invalid format');
    expect((await apply(m, rules({ ...same, ports: [''] }))).text).toContain('ports string invalid format');
    expect((await apply(m, rules({ ...same, fromIpAddress: [null] }))).text).toContain('fromIpAddress must be a string');
    await m.stop();
  });

  test('deletes nothing without prune, and with it what is not in the document, references first', async () => {
    const m = await startTestMaster();
    await apply(m, intent(blue(), { tenantName: 'red' }));
    const less = blue({
      policies: [],
      endpointGroups: [{ groupName: 'web', networkName: 'net' }],
      networks: [{ networkName: 'net', subnet: '10.1.1.0/24' }],
    });
    expect(lines(await apply(m, intent(less), { dryRun: true }))).toEqual(['update group blue:web']);
    const pruned = await apply(m, intent(less), { prune: true });
    expect(lines(pruned)).toEqual(['delete group blue:client', 'delete tenant red', 'update group blue:web', 'delete policy blue:web']);
    expect((await m.get('/api/v1/rules')).body).toEqual([]);
    expect(planOf(await apply(m, intent(less), { prune: true })).steps).toEqual([]);
    await m.stop();
  });

  test('changes a rule in place and says what of it', async () => {
    const m = await startTestMaster();
    await apply(m, intent(blue()));
    const other = blue({
      policies: [{ policyName: 'web', rules: [{ ruleId: '1', direction: 'in', action: 'allow', protocol: 'tcp', port: 80 }] }],
    });
    const changed = planOf(await apply(m, intent(other)));
    expect(changed.steps).toEqual([
      {
        action: 'update',
        kind: 'rule',
        key: 'blue:web:1',
        fields: [
          { field: 'action', before: 'deny', after: 'allow' },
          { field: 'fromEndpointGroup', before: 'client' },
          { field: 'port', after: 80 },
        ],
      },
    ]);
    await m.stop();
  });

  test('changes the tag of a group, which the same group posted again never does', async () => {
    const m = await startTestMaster();
    const tagged = (cfgdTag: string) =>
      intent(blue({ endpointGroups: [{ groupName: 'client', networkName: 'net', cfgdTag }], policies: [] }));
    await apply(m, tagged('one'));
    const { steps } = planOf(await apply(m, tagged('two')));
    expect(steps).toMatchObject([{ action: 'update', key: 'blue:client', fields: [{ field: 'cfgdTag', before: 'one', after: 'two' }] }]);
    expect(planOf(await apply(m, tagged('two'))).steps).toEqual([]);
    await m.group('blue:client', 'net', { cfgdTag: 'three' });
    expect(planOf(await apply(m, tagged('two'))).steps).toEqual([]);
    await m.stop();
  });

  test('that cannot be brought about changes nothing and names the object', async () => {
    const m = await startTestMaster();
    await apply(m, intent(blue()));
    const before = await exported(m);
    const moved = blue({ networks: [{ networkName: 'net', subnet: '10.2.2.0/24' }] });
    const refused = await apply(m, intent({ tenantName: 'red' }, moved));
    expect([refused.status, refused.body]).toMatchObject([
      409,
      { detail: expect.stringMatching(/^network blue:net: Cant change network parameters/) },
    ]);
    expect(await exported(m)).toEqual(before);
    const unknown = await apply(m, intent(blue({ appProfiles: [{ appProfileName: 'x', endpointGroups: ['nobody'] }] })));
    expect(unknown.text).toContain('appProfile blue:x: EndpointGroup blue:nobody not found');
    const twice = await apply(m, intent(blue(), blue()));
    expect([twice.status, twice.text]).toMatchObject([400, expect.stringContaining('tenants.1.tenantName: tenantName blue is here twice')]);
    const typo = await apply(m, { apiVersion: 'contiv/v1', tenants: [{ tenantName: 'x', postur: 'deny' }] });
    expect(typo.status).toBe(400);
    expect(await exported(m)).toEqual(before);
    await m.stop();
  });

  test('is not applied when somebody changed something after the plan was looked at', async () => {
    const m = await startTestMaster();
    const dry = planOf(await apply(m, intent(blue()), { dryRun: true }));
    await m.tenant('blue');
    const refused = await apply(m, intent(blue()), { expect: dry.id });
    expect([refused.status, refused.text]).toMatchObject([409, expect.stringContaining('this plan is not the one you saw')]);
    expect((await m.get('/api/v1/networks')).body).toEqual([]);
    await m.stop();
  });

  test('keeps clear of networks that docker network create made', async () => {
    const m = await startTestMaster();
    await m.network('default:theirs', { subnet: '10.7.0.0/24', encap: 'vxlan', origin: 'h1', dockerName: 'theirs' });
    expect(JSON.stringify(await exported(m))).not.toContain('theirs');
    expect(planOf(await apply(m, await exported(m), { prune: true })).steps).toEqual([]);
    await m.stop();
  });
});

const manyRules = (count: number, port: number) =>
  intent(
    blue({
      policies: [
        {
          policyName: 'web',
          rules: Array.from({ length: count }, (_, i) => ({
            ruleId: i + 1,
            direction: 'in',
            action: 'allow',
            protocol: 'tcp',
            port: port + i,
          })),
        },
      ],
    }),
  );

describe('a change of more than one transaction', () => {
  test('is seen whole, by readers and by agents, and by masters that come later', async () => {
    const m = await startTestMaster();
    planOf(await apply(m, manyRules(500, 1_000)));
    const seen = new Set<string>();
    const revisions = new Set<number>();
    m.master.context.mirror.onChange((changes) => {
      const ports = [...m.master.context.mirror.state.all('rule')].map((r) => (r.record.port >= 5_000 ? 'new' : 'old'));
      seen.add([...new Set(ports)].join('+'));
      for (const change of changes) if (change.after?.kind === 'rule') revisions.add(change.revision);
    });
    const steps = planOf(await apply(m, manyRules(500, 5_000))).steps.length;
    expect([steps, [...seen].filter((s) => s.includes('+')), revisions.size]).toEqual([500, [], 1]);
    const late = await startTestMaster(m.store);
    expect(await exported(late)).toEqual(await exported(m));
    await late.stop(false);
    await m.stop();
  });

  test('takes turns with other writers, and nothing of either is lost', async () => {
    const store = new MemoryStore();
    const [one, two] = [await startTestMaster(store), await startTestMaster(store)];
    const [a, b, ...others] = await Promise.all([
      apply(one, manyRules(400, 1_000)),
      apply(two, intent(blue(), { tenantName: 'red' })),
      ...Array.from({ length: 30 }, (_, i) => two.tenant(`t${i}`)),
    ]);
    expect([a.status, b.status, ...others.map((o) => o.status)]).toEqual(Array.from({ length: 32 }, () => 200));
    await expect.poll(() => exported(one)).toEqual(await exported(two));
    expect(((await one.get('/api/v1/tenants')).body as unknown[]).length).toBe(33);
    await one.stop(false);
    await two.stop();
  });
});
