/** Two masters that plan on the same state: of two plans that exclude each other only the first is written. */
import { MemoryStore } from '@contiv/store';
import { expect, test } from 'vitest';
import { bootstrap, defaultGlobal } from './global.js';
import { forgetHost, holdingsOf, markAlive, markSilent, noteSilent, registerHost, releaseLost } from './hosts.js';
import { type Plan, toCompare, toOp } from './plan.js';
import { decode, keys } from './records.js';
import { Silences } from './silences.js';
import { State } from './state.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const registration = (last: number) => ({ vtepIp: `10.0.0.${last}`, control: 'x:1', vxlanPort: 8472, mtu: 1500, version: '2.0.0' });

class Cluster {
  readonly store = new MemoryStore();

  async state(): Promise<State> {
    const state = new State();
    for (const { key, value, createRevision, modRevision } of (await this.store.range('/')).kvs)
      state.set(key, decode(key, value, createRevision, modRevision));
    return state;
  }

  async write(plan: Plan<unknown>): Promise<boolean> {
    return (await this.store.txn([...plan.expects].map(toCompare), [...plan.writes.values()].map(toOp))).succeeded;
  }

  async run(plan: (state: State) => Plan<unknown>): Promise<void> {
    expect(await this.write(plan(await this.state()))).toBe(true);
  }
}

async function withHost(): Promise<{ cluster: Cluster; lease: string }> {
  const cluster = new Cluster();
  await cluster.run((s) => bootstrap(s, defaultGlobal));
  await cluster.run((s) => registerHost(s, 'h1', registration(1)));
  await cluster.store.txn([], [{ put: keys.address('default:n', '10.1.1.1'), value: JSON.stringify({ host: 'h1' }) }]);
  return { cluster, lease: (await cluster.store.lease(60)).id };
}

test.each([
  ['noted as silent', (s: State) => noteSilent(s, 'h1', '2026-01-01T00:00:00Z')],
  ['released', (s: State) => releaseLost(s, 'h1', holdingsOf(s, 'h1'))],
])('a host that comes back to another master at that moment is not %s', async (_what, plan) => {
  const { cluster, lease } = await withHost();
  const state = await cluster.state();
  const [back, gone] = [markAlive(state, 'h1', 'other', lease), plan(state)];
  expect([gone.writes.size > 0, await cluster.write(back), await cluster.write(gone)]).toEqual([true, true, false]);
});

test('nor is it forgotten', async () => {
  const { cluster, lease } = await withHost();
  await cluster.store.txn([], [{ delete: keys.address('default:n', '10.1.1.1') }]);
  const state = await cluster.state();
  const [back, gone] = [markAlive(state, 'h1', 'other', lease), forgetHost(state, 'h1')];
  expect([await cluster.write(back), await cluster.write(gone)]).toEqual([true, false]);
});

test('two hosts that register one VTEP address at two masters at once do not both get it', async () => {
  const cluster = new Cluster();
  await cluster.run((s) => bootstrap(s, defaultGlobal));
  const state = await cluster.state();
  const [one, two] = [registerHost(state, 'h1', registration(1)), registerHost(state, 'h2', registration(1))];
  expect([await cluster.write(one), await cluster.write(two)]).toEqual([true, false]);
});

test('silence is counted from when the stream ended, whatever was noted before', async () => {
  const { cluster, lease } = await withHost();
  await cluster.run((s) => markAlive(s, 'h1', 'm', lease));
  await cluster.store.txn(
    [],
    [{ put: keys.host('h1'), value: JSON.stringify({ ...registration(1), silentSince: '2020-01-01T00:00:00Z' }) }],
  );
  await cluster.run((s) => markSilent(s, 'h1', 'm', '2026-01-01T00:00:00Z'));
  expect((await cluster.state()).host('h1')?.record.silentSince).toBe('2026-01-01T00:00:00Z');
});

test.each([
  ['forwards', 30 * DAY],
  ['back', -30 * DAY],
])('a host is lost when it was silent for so long, and neither sooner nor later when the clock is set %s', async (_where, step) => {
  const cluster = new Cluster();
  await cluster.run((s) => bootstrap(s, defaultGlobal));
  await cluster.run((s) => registerHost(s, 'h1', registration(1)));
  const wall = Date.parse('2026-01-01T00:00:00Z');
  await cluster.run((s) => noteSilent(s, 'h1', new Date(wall).toISOString()));
  const state = await cluster.state();
  const silences = new Silences();
  const lost = (hours: number, set = 0) => silences.lost(state, DAY, wall + hours * HOUR + set, 5_000 + hours * HOUR);
  expect([lost(1), lost(2, step), lost(23, step), lost(24, step)]).toEqual([[], [], [], ['h1']]);
  // Another master, or this one after a start, has only the time of day to go by.
  expect([new Silences().lost(state, DAY, wall + 23 * HOUR, 0), new Silences().lost(state, DAY, wall + DAY, 0)]).toEqual([[], ['h1']]);
});
