/** Documents, plans and exports against each other, on states without a store. */
import { type CheckedIntent, INTENT_VERSION, type IntentDocument, type IntentPlan, intentSchema, Refusal } from '@contiv/model';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { randomIntent } from '../../testing/random-intent.js';
import { createEndpoint } from '../endpoints.js';
import { bootstrap, defaultGlobal } from '../global.js';
import type { Plan } from '../plan.js';
import { State } from '../state.js';
import { exportIntent } from './asked.js';
import { planIntent } from './plan.js';

let revision = 1;

function commit<T>(state: State, plan: Plan<T>): T {
  revision++;
  for (const [key, expected] of plan.expects) {
    const found = plan.expects.has(key) ? revisionOf(state, key) : 0;
    expect(found, key).toBe(expected);
  }
  for (const { key, entry } of plan.writes.values())
    state.set(key, entry && { ...entry, createRevision: Math.min(entry.createRevision, revision), modRevision: revision });
  return plan.reply;
}

function revisionOf(state: State, key: string): number {
  const before = state.set(key, undefined);
  state.set(key, before);
  return before?.modRevision ?? 0;
}

function cluster(): State {
  const state = new State();
  commit(state, bootstrap(state, defaultGlobal));
  return state;
}

const checked = (document: unknown): CheckedIntent => intentSchema.parse(document);
const plan = (state: State, document: unknown, prune = true): Plan<IntentPlan> =>
  planIntent(state, checked(document), { prune, boot: defaultGlobal });
const text = (state: State): string => JSON.stringify(exportIntent(state, INTENT_VERSION));
const indexes = (state: State): string =>
  JSON.stringify([
    new Set(state.tagsInUse('vlan')).size,
    [...state.tagsInUse('vxlan')].toSorted((a, b) => a - b),
    state.groupCounter?.record,
  ]);

test('what is exported is what was applied: it differs in nothing, and makes the same cluster elsewhere', () => {
  fc.assert(
    fc.property(randomIntent, (document) => {
      const [here, there] = [cluster(), cluster()];
      commit(here, plan(here, document));
      expect(plan(here, document).reply.steps).toEqual([]);
      const exported: unknown = JSON.parse(text(here));
      expect(plan(here, exported).reply.steps).toEqual([]);
      commit(there, plan(there, exported));
      expect(text(there)).toBe(text(here));
    }),
    { numRuns: 80 },
  );
});

test('planning leaves the state as it was; a change to any other document is whole or refused, and then there is nothing to do', () => {
  let [made, refused] = [0, 0];
  const tryAll = (from: IntentDocument, to: IntentDocument): void => {
    const state = cluster();
    commit(state, plan(state, from));
    const [before, tables] = [text(state), indexes(state)];
    try {
      const next = plan(state, to);
      expect([text(state), indexes(state)]).toEqual([before, tables]);
      commit(state, next);
      expect(plan(state, to).reply.steps).toEqual([]);
      made++;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      expect(error.message).toMatch(/^\w+ \S.*: \S/);
      expect([text(state), indexes(state)]).toEqual([before, tables]);
      refused++;
    }
  };
  fc.assert(fc.property(randomIntent, randomIntent, tryAll), { numRuns: 80 });
  // Networks cannot be changed, so some are refused; both have to be common.
  expect(Math.min(made, refused)).toBeGreaterThan(5);
});

test('a document without prune only ever adds and changes', () => {
  fc.assert(
    fc.property(randomIntent, randomIntent, (from, to) => {
      const state = cluster();
      commit(state, plan(state, from));
      try {
        expect(plan(state, to, false).reply.steps.filter((s) => s.action === 'delete')).toEqual([]);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
    }),
    { numRuns: 100 },
  );
});

test('thousands of networks go in a moment, however many endpoints others have', () => {
  const state = cluster();
  const kept = { networkName: 'kept', encap: 'vxlan', subnet: '10.0.0.0/16' };
  const others = Array.from({ length: 2_000 }, (_, i) => ({
    networkName: `n${i}`,
    encap: 'vxlan',
    subnet: `11.${i >> 8}.${i & 255}.0/24`,
  }));
  const document = (networks: object[]) => ({ apiVersion: INTENT_VERSION, tenants: [{ tenantName: 'default', networks }] });
  commit(state, plan(state, document([kept, ...others])));
  const create = (i: number) =>
    createEndpoint(state, { TenantName: 'default', NetworkName: 'kept', EndpointID: `e${i}`, ConfigEP: { Host: 'h1' } });
  for (let i = 0; i < 4_000; i++) commit(state, create(i));
  const begin = performance.now();
  expect(plan(state, document([kept])).reply.steps).toHaveLength(others.length);
  expect(performance.now() - begin).toBeLessThan(3_000);
});
