import { afterEach, beforeEach, expect, test } from 'vitest';
import { netctl, ScriptedServer } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
});
afterEach(() => server.stop());
const call = (...argv: string[]) => netctl(['--netmaster', server.url, 'policy', ...argv]);
const staged = { key: 'default:db', since: '2026-01-01T00:00:00Z', stale: false, changes: [] };
const connection = (effect: string, live: boolean, more: object = {}) => ({
  effect,
  live,
  protocol: 6,
  from: { ip: '10.1.1.3', port: 40_000, container: 'web1', group: 'web' },
  to: { ip: '10.1.1.1', port: 80 },
  count: 1,
  ...more,
});

test('diff tells rules, connections by what becomes of them, and who said nothing; ends with 1 when a rule differs', async () => {
  const rule = { action: 'create', kind: 'rule', key: 'default:db:2', fields: [{ field: 'action', after: 'deny' }] };
  server.get('/api/v1/staged/default:db/effect', {
    ...staged,
    stale: true,
    changes: [rule],
    connections: [
      connection('cut', true, { rule: 'db:2' }),
      connection('cut', false, { count: 3 }),
      connection('open', true, { protocol: 1 }),
    ],
    examined: 9,
    missing: [{ host: 'h2', reason: 'its agent is not connected' }],
  });
  expect(await call('diff', 'db')).toEqual({
    status: 1,
    out: `+ rule default:db:2  action=deny
The policy has changed since: it cannot be committed. Discard it and stage it again
Would be cut:
  tcp web1 (10.1.1.3, group web) -> 10.1.1.1 port 80, 1 connection, by rule db:2
Recorded, would have been denied:
  tcp web1 (10.1.1.3, group web) -> 10.1.1.1 port 80, 3 connections, by the tenant's default
Denied, would be allowed:
  icmp web1 (10.1.1.3, group web) -> 10.1.1.1, 1 connection, by the tenant's default
9 connections looked at
Not everything is known of host h2: its agent is not connected
`,
    err: '',
  });
});

test('diff says when it does not show or know everything, and then of nothing that there is none', async () => {
  server.get('/api/v1/staged/default:db/effect', {
    ...staged,
    connections: [connection('cut', true)],
    leftOut: 7,
    examined: 500_000,
    unexamined: 20,
    missing: [],
  });
  const { out } = await call('diff', 'db');
  expect(out).toMatch(/would have been denied: none of those that are shown\nDenied, would be allowed: none of those/);
  expect(out).toMatch(/and 7 more that are not shown\n500000 connections looked at; 20 more were not/);
});

test('rules are edited in the staged version only, and a file may give them all', async () => {
  server.on('POST /api/v1/staged/default:db/rules/2', { body: staged });
  server.on('POST /api/v1/staged/default:db', { body: staged });
  expect(await call('rule-add', '--staged', '-j', 'deny', 'db', '2')).toMatchObject({ status: 0 });
  expect(await call('rule-rm', '--staged', 'db', '2')).toMatchObject({ status: 0 });
  const files = { 'r.yaml': '- {ruleId: 1, direction: in, action: deny}\n' };
  expect((await netctl(['--netmaster', server.url, 'policy', 'stage', '-f', 'r.yaml', 'db'], { files })).status).toBe(0);
  expect((await call('stage', 'db')).status).toBe(0);
  expect(server.changes.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'POST /api/v1/staged/default:db/rules/2',
    'DELETE /api/v1/staged/default:db/rules/2',
    'POST /api/v1/staged/default:db',
    'POST /api/v1/staged/default:db',
  ]);
  expect(server.changes[2]?.body).toMatchObject({ rules: [{ ruleId: '1' }] });
  const twice = { 'r.yaml': '- {ruleId: 1, direction: in, action: deny}\n- {ruleId: 1, direction: in, action: allow}\n' };
  expect(await netctl(['--netmaster', server.url, 'policy', 'stage', '-f', 'r.yaml', 'db'], { files: twice })).toMatchObject({
    status: 3,
    err: 'ERRO[0000] r.yaml:2:4: ruleId 1 is here twice\n',
  });
  expect(server.changes[3]?.body).toEqual({});
});
