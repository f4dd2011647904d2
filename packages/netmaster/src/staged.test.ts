import type { HistoryEntry, PolicyInspect, StagedEffect, StagedPolicy } from '@contiv/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Plan, toCompare, toOp } from './core/plan.js';
import { deleteRule } from './core/rules.js';
import { Effect, Judge, type SeenConnection } from './core/staged/effect.js';
import { commitStage } from './core/staged/staged.js';
import { judgeAll } from './effects/seen.js';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
  await m.network('default:net', { encap: 'vxlan', subnet: '10.1.1.0/24' });
  await m.post('/api/v1/policys/default:db/', { tenantName: 'default', policyName: 'db' });
  await m.group('default:web', 'net');
  await m.group('default:db', 'net', { policies: ['db'] });
  await rule('1', { action: 'allow', fromEndpointGroup: 'web' });
  await m.endpoint('default:net', 'w1', { IPAddress: '10.1.1.10' }, 'web');
  await m.endpoint('default:net', 'd1', { IPAddress: '10.1.1.20' }, 'db');
});
afterEach(() => m.stop());

const body = (ruleId: string, fields: object) => ({
  tenantName: 'default',
  policyName: 'db',
  ruleId,
  direction: 'in',
  action: 'deny',
  ...fields,
});
const rule = (ruleId: string, fields: object = {}) => m.post(`/api/v1/rules/default:db:${ruleId}/`, body(ruleId, fields));
const staged = (path = '') => `/api/v1/staged/default:db${path}`;
const stageRule = (ruleId: string, fields: object = {}) => m.post(staged(`/rules/${ruleId}`), body(ruleId, fields));
const shown = async (): Promise<StagedPolicy> => (await m.get(staged())).body as StagedPolicy;
const rules = async (): Promise<string[]> =>
  ((await m.get('/api/v1/rules')).body as { key: string; action: string }[]).map((r) => `${r.key} ${r.action}`);
const changes = async (): Promise<string[]> => (await shown()).changes.map((c) => `${c.action} ${c.key}`);

describe('a staged policy', () => {
  test('is edited without anybody noticing, shown by inspect, and committed in one step', async () => {
    for (const refused of [await stageRule('2'), await m.get(staged('/effect')), await m.get(staged())])
      expect(refused.text).toBe('policy db has no staged version\nnetctl policy stage -t default db opens one\n');
    expect((await m.post(staged(), {})).status).toBe(200);
    expect((await stageRule('2', { priority: 9, protocol: 'tcp', port: 5432 })).status).toBe(200);
    expect((await m.remove(staged('/rules/1'))).status).toBe(200);
    expect(await changes()).toEqual(['delete default:db:1', 'create default:db:2']);
    expect(await rules()).toEqual(['default:db:1 allow']);
    const inspected = (await m.get('/api/v1/inspect/policys/default:db/')).body as PolicyInspect;
    expect(inspected.Oper.staged).toMatchObject({ stale: false, changes: [{ action: 'delete' }, { action: 'create' }] });
    // It outlives the master, and another one knows it.
    const other = await startTestMaster(m.store);
    expect((await other.get(staged())).body).toEqual(await shown());
    await other.stop(false);
    expect((await m.post(staged('/commit'), {})).status).toBe(200);
    expect(await rules()).toEqual(['default:db:2 deny']);
    expect((await m.get(staged())).status).toBe(500);
    const history = ((await m.get('/api/v1/history?objects=default:db')).body as HistoryEntry[]).at(-1);
    expect(history?.changes.map((c) => `${c.action} ${c.kind} ${c.key}`).toSorted()).toEqual([
      'create rule default:db:2',
      'delete rule default:db:1',
      'delete staged default:db',
      'delete stagedRule default:db:1',
      'delete stagedRule default:db:2',
    ]);
  });

  test('keeps only what differs, and discarded leaves nothing', async () => {
    await m.post(staged(), {});
    await stageRule('1', { action: 'allow', fromEndpointGroup: 'web' });
    expect(await changes()).toEqual([]);
    await stageRule('1', { fromEndpointGroup: 'web' });
    expect((await shown()).changes[0]?.fields).toEqual([{ field: 'action', before: 'allow', after: 'deny' }]);
    expect((await stageRule('3', { fromEndpointGroup: 'nobody' })).line).toBe('endpoint group not found');
    expect((await m.remove(staged('/rules/9'))).line).toBe('rule not found');
    await m.remove(staged());
    expect([await rules(), m.master.context.mirror.state.count('stagedRule')]).toEqual([['default:db:1 allow'], 0]);
  });

  test('given as a whole has those rules and no others', async () => {
    const list = [{ ruleId: 2, direction: 'in', action: 'deny' }];
    expect(((await m.post(staged(), { rules: list })).body as StagedPolicy).changes.map((c) => c.action)).toEqual(['delete', 'create']);
    await m.post(staged('/commit'), {});
    expect(await rules()).toEqual(['default:db:2 deny']);
  });

  test('is refused when the policy has changed since, with the way out', async () => {
    await m.post(staged(), {});
    await stageRule('2');
    await rule('3');
    expect((await shown()).stale).toBe(true);
    const refused = await m.call('POST', staged('/commit'), {}, { accept: 'application/problem+json' });
    expect([refused.status, refused.text]).toMatchObject([409, expect.stringContaining('netctl policy discard -t default db')]);
    expect(await rules()).toEqual(['default:db:1 allow', 'default:db:3 deny']);
  });

  test('is not committed over a rule that another master deletes at that moment', async () => {
    await m.post(staged(), {});
    await stageRule('2');
    const { state } = m.master.context.mirror;
    const write = async (plan: Plan<unknown>) =>
      (await m.store.txn([...plan.expects].map(toCompare), [...plan.writes.values()].map(toOp))).succeeded;
    const [gone, commit] = [deleteRule(state, 'default:db:1'), commitStage(state, 'default:db')];
    expect([await write(gone), await write(commit)]).toEqual([true, false]);
  });

  test('names the hosts that say nothing', async () => {
    await m.post(staged(), {});
    const effect = (await m.get(staged('/effect'))).body as StagedEffect;
    expect(effect).toMatchObject({ connections: [], examined: 0 });
  });
});

describe('whom it concerns', () => {
  const seen = (from: string, to: string, port: number, own = 40_000): SeenConnection => ({
    tenant: 'default',
    network: 'net',
    live: true,
    protocol: 6,
    from: { ip: from, port: own },
    to: { ip: to, port },
  });
  const [WEB, DB, OTHER] = ['10.1.1.10', '10.1.1.20', '192.0.2.7'];
  const all = [WEB, DB, OTHER].flatMap((from) => [WEB, DB, OTHER].flatMap((to) => [80, 5432].map((port) => seen(from, to, port))));

  test('is told with names, counted by ends and port', async () => {
    await m.post(staged(), {});
    await stageRule('2', { priority: 9, protocol: 'tcp', port: 5432, fromEndpointGroup: 'web' });
    const effect = new Effect(m.master.context.mirror.state, 'default:db');
    for (const c of [seen(WEB, DB, 5432), seen(WEB, DB, 5432, 40_001), seen(WEB, DB, 80), seen(DB, WEB, 5432), seen(OTHER, DB, 5432)])
      effect.add(c);
    expect([effect.examined, effect.connections]).toEqual([
      5,
      [
        {
          effect: 'cut',
          live: true,
          protocol: 6,
          from: { ip: WEB, port: 0, group: 'web' },
          to: { ip: DB, port: 5432, group: 'db' },
          rule: 'db:2',
          count: 2,
        },
      ],
    ]);
  });

  test('is told while others go on, however many rules and connections there are, and not beyond the time it may take', async () => {
    const list = Array.from({ length: 1_000 }, (_, n) => ({ ruleId: n, direction: 'in', action: 'deny', protocol: 'tcp', port: n + 1 }));
    await m.post(staged(), { rules: list });
    const { state } = m.master.context.mirror;
    // What differs by the caller's port only is one question.
    const many = new Effect(state, 'default:db');
    expect(
      await judgeAll(
        many,
        Array.from({ length: 20_000 }, (_, n) => seen(WEB, DB, 900, 1_024 + n)),
      ),
    ).toBe(0);
    expect([many.examined, many.connections]).toMatchObject([20_000, [{ effect: 'cut', rule: 'db:899', count: 20_000 }]]);
    const scan = Array.from({ length: 60_000 }, (_, n) => seen(WEB, DB, n + 1));
    let turns = 0;
    const others = setInterval(() => turns++, 1);
    const some = new Effect(state, 'default:db');
    const left = await judgeAll(some, scan, 300);
    clearInterval(others);
    expect(turns).toBeGreaterThan(2);
    expect(left).toBeGreaterThan(0);
    expect(some.examined + left).toBe(scan.length);
  });

  test('is judged as the committed policy judges', async () => {
    await rule('9', { action: 'deny', priority: 50, protocol: 'tcp', port: 80 });
    await m.post(staged(), {});
    await stageRule('2', { priority: 60, fromIpAddress: '192.0.2.0/24' });
    await stageRule('3', { priority: 70, direction: 'out', toEndpointGroup: 'web' });
    await m.remove(staged('/rules/9'));
    const { state } = m.master.context.mirror;
    const verdicts = (judge: Judge) => all.map((c) => judge.verdict(c));
    const [before, then] = [verdicts(new Judge(state, 'default')), verdicts(new Judge(state, 'default', 'default:db'))];
    await m.post(staged('/commit'), {});
    expect(verdicts(new Judge(state, 'default'))).toEqual(then);
    expect(then.map((v) => v.deny)).not.toEqual(before.map((v) => v.deny));
  });
});
