/** What is written together, and what becomes of it when the store does not take it. */
import { MemoryStore, type Op, type Store, StoreUnavailableError } from '@contiv/store';
import { expect, test } from 'vitest';
import { Draft } from '../core/plan.js';
import { keys } from '../core/records.js';
import { startTestMaster, type TestMaster } from '../test-support.js';

const apply = (m: TestMaster, members: object) =>
  m.post('/api/v1/intent', { intent: { apiVersion: 'contiv/v1', tenants: [{ tenantName: 'default', ...members }] } });
const rule = (id: number, more: object = {}) => ({ ruleId: String(id), direction: 'in', action: 'allow', ...more });

test('what cannot be stored is refused with a sentence, and what came at the same time is not', async () => {
  const m = await startTestMaster();
  const odd = m.master.context.writer.submit(() => {
    const draft = new Draft();
    draft.create('bgp', keys.bgp('\ud800'), { hostname: 'x', routerip: '', as: '', 'neighbor-as': '', neighbor: '' });
    return draft.done(undefined);
  });
  const others = Promise.all(['a', 'b', 'c'].map((name) => m.tenant(name)));
  await expect(odd).rejects.toThrow(/^this cannot be stored: key .* is not well-formed Unicode$/);
  expect((await others).map(({ status }) => status)).toEqual([200, 200, 200]);
  await m.stop();
});

test('a record that cannot be read is named to who would write it, and to the doctor', async () => {
  const m = await startTestMaster();
  await m.store.txn([], [{ put: keys.tenant('blue'), value: '{"tenantName":7}' }]);
  while (m.master.context.mirror.malformed.size === 0) await new Promise((wake) => setTimeout(wake, 5));
  expect((await m.tenant('blue')).text).toBe(
    "the store's record /contiv/v1/tenants/blue cannot be read\ndelete it or restore it from a backup\n",
  );
  expect((await m.tenant('red')).status).toBe(200);
  const { findings } = (await m.get('/api/v1/doctor')).body as { findings: object[] };
  expect(findings).toContainEqual({
    severity: 'error',
    thing: 'store',
    reason: 'its record /contiv/v1/tenants/blue cannot be read',
    way: 'delete it or restore it from a backup; the log of netmaster says what is wrong with it',
  });
  await m.stop();
});

test('few objects with long lists are more than one transaction takes, and so are the changes of their members in the history', async () => {
  const m = await startTestMaster();
  const contracts = Array.from({ length: 256 }, (_, i) => `uni/tn-common/brc-${String(i).padStart(230, 'x')}`);
  const groups = Array.from({ length: 30 }, (_, i) => ({ contractsGroupName: `c${i}`, contractsType: 'provided', contracts }));
  expect((await apply(m, { extContractsGroups: groups })).line).toMatch(/"applied":true/);
  const long = (last: string) =>
    Array.from({ length: 64 }, (_, i) => `2001:db8:1111:2222:3333:4444:${i}:1-2001:db8:1111:2222:3333:4444:${i}:${last}`);
  const rules = (last: string) => Array.from({ length: 180 }, (_, i) => rule(i, { fromIpAddress: long(last) }));
  for (const last of ['fff1', 'fff2']) {
    expect((await apply(m, { policies: [{ policyName: 'p', rules: rules(last) }] })).line).toMatch(/"applied":true/);
  }
  const history = (await m.get('/api/v1/history?objects=rule')).body as { changes: { action: string; fields: unknown[] }[] }[];
  const updates = history.flatMap(({ changes }) => changes).filter(({ action }) => action === 'update');
  expect([updates.length, updates.filter(({ fields }) => fields.length === 1).length]).toEqual([180, 180]);
  // Asked for one by one, they are written together again.
  const single = (name: string) => ({
    tenantName: 'default',
    contractsGroupName: name,
    contractsType: 'provided',
    contracts: contracts.slice(0, 240),
  });
  const names = Array.from({ length: 30 }, (_, i) => `d${i}`);
  const added = await Promise.all(names.map((name) => m.post(`/api/v1/extContractsGroups/default:${name}/`, single(name))));
  expect(added.filter(({ status }) => status !== 200).map(({ line }) => line)).toEqual([]);
  await m.stop();
});

test('a policy takes all of its rules along, however many they are', async () => {
  const store = new MemoryStore();
  const COUNT = 24_200;
  const record = { tenantName: 'default', policyName: 'p', direction: 'in', priority: 1, action: 'deny', protocol: '', port: 0 };
  const peers = { fromEndpointGroup: '', fromNetwork: '', fromIpAddress: '', toEndpointGroup: '', toNetwork: '', toIpAddress: '' };
  for (let i = 0; i < COUNT; i += 100) {
    const put = (id: number): Op => ({
      put: keys.rule(`default:p:${id}`),
      value: JSON.stringify({ ...record, ...peers, ruleId: String(id) }),
    });
    await store.txn(
      [],
      Array.from({ length: 100 }, (_, j) => put(i + j)),
    );
  }
  const m = await startTestMaster(store);
  await m.post('/api/v1/policys/default:p/', { tenantName: 'default', policyName: 'p' });
  expect(m.master.context.mirror.state.count('rule')).toBe(COUNT);
  expect((await m.remove('/api/v1/policys/default:p/')).status).toBe(200);
  expect(m.master.context.mirror.state.count('rule')).toBe(0);
  expect((await store.range(keys.rule(''))).kvs).toEqual([]);
  await m.stop();
});

/** Is away for a moment when it is first to put a key of the kind, once that was carried out. */
class AwayStore extends MemoryStore {
  until = 0;
  at = '';
  override async txn(...args: Parameters<Store['txn']>): ReturnType<Store['txn']> {
    if (performance.now() < this.until) throw new StoreUnavailableError('gone');
    const result = await super.txn(...args);
    if (this.at === '' || !args[1].some((op) => 'put' in op && op.put.startsWith(this.at))) return result;
    this.at = '';
    this.until = performance.now() + 500;
    throw new StoreUnavailableError('gone');
  }
}

test.each([
  ['before it was decided', keys.journal('', '').replace(/\/+$/, '/'), 0],
  ['after it was decided', keys.rule(''), 500],
])(
  'a big change cut off by an outage %s does not hold others up for long, and is there whole or not at all',
  async (_when, at, rules) => {
    const store = new AwayStore();
    const m = await startTestMaster(store);
    store.at = at;
    const answer = await apply(m, { policies: [{ policyName: 'p', rules: Array.from({ length: 500 }, (_, i) => rule(i)) }] });
    expect(answer.line).toMatch(/^the store did not confirm the change .*look whether it was made and ask again$/);
    const begun = performance.now();
    while ((await m.tenant('later')).status !== 200) expect(performance.now() - begun).toBeLessThan(15_000);
    expect(m.master.context.mirror.state.count('rule')).toBe(rules);
    expect((await store.range('/contiv/v1/journal/')).kvs).toEqual([]);
    await m.stop();
  },
  30_000,
);
