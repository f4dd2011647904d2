import { changedFields, type HistoryEntry, MASKED } from '@contiv/model';
import { expect, test, vi } from 'vitest';
import { forgetHistory } from './core/history.js';
import { startTestMaster, type TestMaster } from './test-support.js';

const history = async (m: TestMaster, query = ''): Promise<HistoryEntry[]> =>
  (await m.get(`/api/v1/history${query}`)).body as HistoryEntry[];
const told = (entries: readonly HistoryEntry[]): string[] => entries.flatMap((e) => e.changes.map((c) => `${c.action} ${c.kind} ${c.key}`));

test('each change is written down with who made it; questions, repetitions and refusals are not', async () => {
  const m = await startTestMaster();
  const headers = { 'user-agent': 'netctl/9' };
  await m.call('POST', '/api/v1/tenants/blue/', { tenantName: 'blue' }, headers);
  await m.call('POST', '/api/v1/tenants/blue/', { tenantName: 'blue' }, headers);
  await m.call('POST', '/api/v1/networks/nobody:n/', { tenantName: 'nobody', networkName: 'n', encap: 'vxlan', subnet: '10.1.1.0/24' });
  await m.call('POST', '/api/v1/tenants/blue/', { tenantName: 'blue', posture: 'deny' }, headers);
  await m.post('/api/v1/policys/blue:web/', { tenantName: 'blue', policyName: 'web' });
  await m.post('/api/v1/rules/blue:web:1/', { tenantName: 'blue', policyName: 'web', ruleId: '1', direction: 'in', action: 'deny' });
  await m.call('POST', '/api/v1/intent', { intent: { apiVersion: 'contiv/v1', tenants: [{ tenantName: 'red' }] }, source: 'c.yaml' });
  await m.remove('/api/v1/policys/blue:web/');
  const all = await history(m);
  expect(told(all)).toEqual([
    'create tenant blue',
    'update tenant blue',
    'create policy blue:web',
    'create rule blue:web:1',
    'create tenant red',
    'delete policy blue:web',
    'delete rule blue:web:1',
  ]);
  expect(all[1]).toMatchObject({ from: '127.0.0.1', client: 'netctl/9', changes: [{ fields: [{ field: 'posture', after: 'deny' }] }] });
  expect(all[4]?.source).toBe('c.yaml');
  expect(Math.abs(Date.parse(all[0]?.time ?? '') - Date.now())).toBeLessThan(60_000);
  expect(told(await history(m, '?objects=blue:web'))).toEqual([
    'create policy blue:web',
    'create rule blue:web:1',
    'delete policy blue:web',
    'delete rule blue:web:1',
  ]);
  expect(told(await history(m, '?objects=tenant/red,rule'))).toEqual([
    'create rule blue:web:1',
    'create tenant red',
    'delete rule blue:web:1',
  ]);
  const ofPolicy = await history(m, '?objects=policy/blue:web');
  expect(told(ofPolicy)).toEqual(told(await history(m, '?objects=blue:web')));
  expect(told(await history(m, '?objects=tenant/blue'))).toEqual(told(all).filter((change) => change.includes('blue')));
  expect(told(await history(m, '?objects=group/blue:web'))).toEqual([]);
  expect(await history(m, `?since=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
  expect((await m.get('/api/v1/history?since=yesterday')).status).toBe(500);
  // Another master says the same.
  const other = await startTestMaster(m.store);
  expect(await history(other)).toEqual(all);
  await other.stop(false);
  await m.stop();
});

test('keeps the order of what happens within a millisecond', async () => {
  const m = await startTestMaster();
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    for (let i = 0; i < 20; i++) await m.tenant(`t${i}`);
    expect(told(await history(m))).toEqual(Array.from({ length: 20 }, (_, i) => `create tenant t${i}`));
  } finally {
    vi.useRealTimers();
    await m.stop();
  }
});

test('is bounded: the oldest entries go first', async () => {
  const m = await startTestMaster();
  for (let i = 0; i < 12; i++) await m.tenant(`t${i}`);
  const { mirror, writer } = m.master.context;
  const now = Date.now();
  expect(forgetHistory(mirror.state, now)).toBeUndefined();
  const bounds = { entries: 5, characters: 1e9, days: 1 };
  await writer.submit((s) => forgetHistory(s, now, bounds) ?? { expects: new Map(), writes: new Map(), cleared: [], reply: 0 });
  expect(told(await history(m))).toEqual(['t7', 't8', 't9', 't10', 't11'].map((t) => `create tenant ${t}`));
  expect(forgetHistory(mirror.state, now + 2 * 86_400_000, bounds)?.reply).toBe(5);
  expect(forgetHistory(mirror.state, now, { ...bounds, characters: 1 })?.reply).toBe(5);
  await m.stop();
});

test('shows no secrets', () => {
  expect(changedFields({ password: 'a', as: '1' }, { password: 'b', as: '2' })).toEqual([
    { field: 'as', before: '1', after: '2' },
    { field: 'password', before: MASKED, after: MASKED },
  ]);
});
