/**
 * From a document to one plan that brings it about, whole or not at all. Each object goes through the rules that a single request would go
 * through, on a copy of the state on which the ones before it have been carried out; what is refused because something else has to come
 * first is tried again after it. Pure: the state is left as it was.
 */
import { createHash } from 'node:crypto';
import {
  type CheckedIntent,
  changedFields,
  INTENT_KINDS,
  type IntentInput,
  type IntentKind,
  type IntentObject,
  type IntentPlan,
  type ObjectChange,
  objectsOf,
  Refusal,
} from '@contiv/model';
import { deleteGlobal, putGlobal } from '../global.js';
import { deleteGroup, setGroup } from '../groups.js';
import { deleteNetwork, putNetwork } from '../networks.js';
import { deleteAciGw, deleteBgp, deleteExtContracts, deleteService, putAciGw, putBgp, putExtContracts, putService } from '../outside.js';
import type { Plan } from '../plan.js';
import { deletePolicy, putPolicy } from '../policies.js';
import { deleteAppProfile, deleteNetprofile, putAppProfile, putNetprofile } from '../profiles.js';
import { type Entry, type GlobalRecord, keys } from '../records.js';
import { deleteRule, setRule } from '../rules.js';
import type { State } from '../state.js';
import { deleteTenant, putTenant } from '../tenants.js';
import { asked, isAsked, isForeign, keyOf } from './asked.js';
import { Together } from './together.js';

type Planners = {
  readonly [K in IntentKind]: {
    readonly storeKey: (key: string) => string;
    readonly put: (state: State, input: IntentInput[K]) => Plan<void>;
    readonly remove: (state: State, key: string) => Plan<void>;
  };
};

const parts = (key: string): [string, string] => [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)];

const planners = (boot: GlobalRecord): Planners => ({
  global: { storeKey: () => keys.global, put: (s, i) => putGlobal(s, i, boot), remove: (s) => deleteGlobal(s, boot) },
  tenant: { storeKey: keys.tenant, put: putTenant, remove: deleteTenant },
  network: { storeKey: keys.network, put: putNetwork, remove: (s, key) => deleteNetwork(s, ...parts(key)) },
  netprofile: { storeKey: keys.netprofile, put: putNetprofile, remove: deleteNetprofile },
  extContracts: { storeKey: keys.extContracts, put: putExtContracts, remove: deleteExtContracts },
  policy: { storeKey: keys.policy, put: putPolicy, remove: deletePolicy },
  group: { storeKey: keys.group, put: setGroup, remove: (s, key) => deleteGroup(s, ...parts(key)) },
  rule: { storeKey: keys.rule, put: setRule, remove: deleteRule },
  appProfile: { storeKey: keys.appProfile, put: putAppProfile, remove: deleteAppProfile },
  service: { storeKey: keys.service, put: putService, remove: deleteService },
  bgp: { storeKey: keys.bgp, put: putBgp, remove: deleteBgp },
  aciGw: { storeKey: () => keys.aciGw, put: putAciGw, remove: (s) => deleteAciGw(s) },
});

interface Step {
  readonly kind: IntentKind;
  readonly key: string;
  readonly storeKey: string;
  readonly plan: (state: State) => Plan<void>;
}

export interface IntentOptions {
  readonly prune: boolean;
  readonly boot: GlobalRecord;
}

/** @throws Refusal that begins with the kind and the key of the object it is about. */
export function planIntent(state: State, intent: CheckedIntent, options: IntentOptions): Plan<IntentPlan> {
  const together = new Together(state);
  try {
    const changes: ObjectChange[] = [];
    let waiting = stepsOf(state, intent, options);
    while (waiting.length > 0) {
      const refused: Step[] = [];
      let first: Refusal | undefined;
      for (const step of waiting) {
        const before = entryAt(state, step);
        try {
          together.add(step.plan(state));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          first ??= new Refusal(error.code, `${step.kind} ${step.key}: ${error.message}`, error.hint);
          refused.push(step);
          continue;
        }
        const change = changeOf(step, before, entryAt(state, step));
        if (change) changes.push(change);
      }
      if (first && refused.length === waiting.length) throw first;
      waiting = refused;
    }
    return together.plan({ id: idOf(changes), applied: false, steps: changes });
  } finally {
    together.undo();
  }
}

/** Deletions from the last kind to the first, then the document's objects from the first kind to the last. */
function stepsOf(state: State, intent: CheckedIntent, { prune, boot }: IntentOptions): Step[] {
  const plan = planners(boot);
  const wanted = [...objectsOf(intent)];
  const puts = INTENT_KINDS.flatMap((kind) => wanted.filter((object) => object.kind === kind)).map((object): Step => {
    const { kind, key } = object;
    return { kind, key, storeKey: plan[kind].storeKey(key), plan: (s) => put(plan, s, object) };
  });
  if (!prune) return puts;
  const kept = new Set(puts.map((step) => step.storeKey));
  const deletes = INTENT_KINDS.toReversed().flatMap((kind) =>
    [...state.all(kind)]
      .filter((entry) => !kept.has(entry.key) && isPrunable(entry, kept))
      .map((entry): Step => {
        const key = keyOf(entry);
        return { kind, key, storeKey: entry.key, plan: (s) => plan[kind].remove(s, key) };
      }),
  );
  return [...deletes, ...puts];
}

/** Settings and the tenant `default` are always there; a policy's rules go with it. */
function isPrunable(entry: Entry, kept: ReadonlySet<string>): boolean {
  if (entry.kind === 'global' || isForeign(entry)) return false;
  if (entry.kind === 'tenant') return entry.place.first !== 'default';
  if (entry.kind === 'rule') return kept.has(keys.policy(`${entry.record.tenantName}:${entry.record.policyName}`));
  return true;
}

function put(plan: Planners, state: State, object: IntentObject): Plan<void> {
  // Kind and input belong together, which the type system cannot follow through the table.
  const planner = plan[object.kind] as { put: (state: State, input: IntentInput[IntentKind]) => Plan<void> };
  return planner.put(state, object.input);
}

const entryAt = (state: State, { kind, storeKey }: Step): Entry | undefined => state.at(kind, storeKey);

function changeOf({ kind, key }: Step, before: Entry | undefined, after: Entry | undefined): ObjectChange | undefined {
  if (before?.text === after?.text) return undefined;
  const fields = changedFields(before && isAsked(before) ? asked(before) : undefined, after && isAsked(after) ? asked(after) : undefined);
  const action = before ? (after ? 'update' : 'delete') : 'create';
  return { action, kind, key, fields };
}

const idOf = (changes: readonly ObjectChange[]): string => createHash('sha256').update(JSON.stringify(changes)).digest('hex').slice(0, 16);
