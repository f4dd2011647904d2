/**
 * Staged policies: the changes somebody would like to make to a policy's rules, kept beside it until they are committed or discarded. What is
 * stored is the difference, so what is not touched follows the policy, and nothing staged acts on anybody.
 */
import { createHash } from 'node:crypto';
import { changedFields, type ObjectChange, Refusal, type RuleInput, type StagedPolicy } from '@contiv/model';
import { asked, askedRule } from '../intent/asked.js';
import { Together } from '../intent/together.js';
import { answer, Draft, type Plan } from '../plan.js';
import { type EntryOf, keys, type RuleRecord } from '../records.js';
import { checkedRule, deleteRule, inputOf, sameRule, setRule } from '../rules.js';
import type { State } from '../state.js';

const split = (key: string): [string, string] => [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)];

/** What the policy's rules are at present, in a few characters. */
function digestOf(state: State, policyKey: string): string {
  const rules = [...state.entries('rule', state.rulesOfPolicy.of(policyKey))].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const text = rules.map((rule) => JSON.stringify(Object.entries(asked(rule)).toSorted(([a], [b]) => (a < b ? -1 : 1))));
  return createHash('sha256').update(text.join('\n')).digest('hex').slice(0, 16);
}

/** Throws a refusal with the way out when nothing is staged. */
export function findStaged(state: State, key: string): EntryOf<'staged'> {
  const staged = state.staged(key);
  const [tenant, policy] = split(key);
  if (!staged)
    throw new Refusal('not-found', `policy ${policy} has no staged version`, `netctl policy stage -t ${tenant} ${policy} opens one`);
  return staged;
}

/** Opens a staged version; one that is there stays as it is. */
export function openStage(state: State, key: string, now: Date): Plan<void> {
  const [tenantName, policyName] = split(key);
  const policy = state.policy(key);
  if (!policy) throw new Refusal('not-found', 'Policy not found', `tenant ${tenantName} has no policy ${policyName}`);
  if (state.staged(key)) return answer(undefined);
  const draft = new Draft();
  draft.touch(policy);
  draft.create('staged', keys.staged(key), { tenantName, policyName, base: digestOf(state, key), since: now.toISOString() });
  return draft.done(undefined);
}

/** The staged policy has this rule. */
export function stageRule(state: State, input: RuleInput): Plan<void> {
  const staged = findStaged(state, `${input.tenantName}:${input.policyName}`);
  return put(state, staged, input.ruleId, checkedRule(state, input).record);
}

/** The staged policy does not have the rule. */
export function unstageRule(state: State, key: string, ruleId: string): Plan<void> {
  const staged = findStaged(state, key);
  const edited = state.stagedRule(`${key}:${ruleId}`);
  if (edited ? edited.record.rule === null : !state.rule(`${key}:${ruleId}`)) throw new Refusal('not-found', 'rule not found');
  return put(state, staged, ruleId, null);
}

/** The staged policy has these rules and no others. */
export function stageRules(state: State, key: string, inputs: readonly RuleInput[], now: Date): Plan<void> {
  const together = new Together(state);
  try {
    together.add(openStage(state, key, now));
    for (const input of inputs) together.add(stageRule(state, input));
    const kept = new Set(inputs.map((input) => input.ruleId));
    for (const ruleId of stagedRules(state, key).keys()) if (!kept.has(ruleId)) together.add(unstageRule(state, key, ruleId));
    return together.plan(undefined);
  } finally {
    together.undo();
  }
}

/** Keeps only what differs from the policy's own rule. */
function put(state: State, staged: EntryOf<'staged'>, ruleId: string, rule: RuleRecord | null): Plan<void> {
  const { tenantName, policyName } = staged.record;
  const key = `${tenantName}:${policyName}:${ruleId}`;
  const active = state.rule(key);
  const edited = state.stagedRule(key);
  const same = rule === null ? active === undefined : active !== undefined && sameRule(active.record, rule);
  const draft = new Draft();
  // Whoever commits or discards at the same time has to look again.
  draft.touch(staged);
  if (same && !edited) return answer(undefined);
  if (same && edited) draft.remove(edited);
  else if (edited) draft.replace(edited, { tenantName, policyName, ruleId, rule });
  else draft.create('stagedRule', keys.stagedRule(key), { tenantName, policyName, ruleId, rule });
  return draft.done(undefined);
}

/** Makes the policy what is staged. Refused when its rules have changed since. */
export function commitStage(state: State, key: string): Plan<StagedPolicy> {
  const staged = findStaged(state, key);
  const reply = presentStage(state, staged);
  const [tenant, policy] = split(key);
  if (reply.stale)
    throw new Refusal(
      'conflict',
      `the rules of policy ${policy} have changed since it was staged`,
      `netctl policy diff -t ${tenant} ${policy} shows what would become of them now; netctl policy discard -t ${tenant} ${policy}, then stage it again`,
    );
  const together = new Together(state);
  try {
    const at = state.policy(key);
    const edits = [...state.entries('stagedRule', state.stagedRulesOfPolicy.of(key))];
    // Rules that are added meanwhile touch the policy.
    if (at) together.add(touched(at));
    for (const { record } of edits)
      together.add(record.rule ? setRule(state, inputOf(record.rule)) : deleteRule(state, `${key}:${record.ruleId}`));
    together.add(dropStage(state, staged));
    return together.plan(reply);
  } finally {
    together.undo();
  }
}

function touched(entry: EntryOf<'policy'>): Plan<void> {
  const draft = new Draft();
  draft.touch(entry);
  return draft.done(undefined);
}

/** Drops what is staged. */
export const discardStage = (state: State, key: string): Plan<void> => dropStage(state, findStaged(state, key));

function dropStage(state: State, staged: EntryOf<'staged'>): Plan<void> {
  const draft = new Draft();
  draft.remove(staged);
  for (const rule of state.entries('stagedRule', state.stagedRulesOfPolicy.of(staged.place.first))) draft.remove(rule);
  return draft.done(undefined);
}

/** The rules the policy would have, by id. */
export function stagedRules(state: State, key: string): Map<string, RuleRecord> {
  const rules = new Map([...state.entries('rule', state.rulesOfPolicy.of(key))].map((r) => [r.record.ruleId, r.record]));
  for (const { record } of state.entries('stagedRule', state.stagedRulesOfPolicy.of(key))) {
    if (record.rule) rules.set(record.ruleId, record.rule);
    else rules.delete(record.ruleId);
  }
  return rules;
}

/** What would change, rule by rule. */
export function presentStage(state: State, staged: EntryOf<'staged'>): StagedPolicy {
  const key = staged.place.first;
  const changes = [...state.entries('stagedRule', state.stagedRulesOfPolicy.of(key))].flatMap(({ record }): ObjectChange[] => {
    const active = state.rule(`${key}:${record.ruleId}`);
    if (!active && !record.rule) return [];
    const fields = changedFields(active && asked(active), record.rule ? askedRule(record.rule) : undefined);
    const action = active ? (record.rule ? 'update' : 'delete') : 'create';
    return [{ action, kind: 'rule', key: `${key}:${record.ruleId}`, fields }];
  });
  const sorted = changes.toSorted((a, b) => a.key.localeCompare(b.key, 'en', { numeric: true }));
  return { key, since: staged.record.since, stale: staged.record.base !== digestOf(state, key), changes: sorted };
}
