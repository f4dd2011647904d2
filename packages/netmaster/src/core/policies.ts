/** Rules of policies (spec/contiv §1.4). */
import { type PolicyInput, Refusal } from '@contiv/model';
import { refuseUsed } from './in-use.js';
import { answer, Draft, type Plan } from './plan.js';
import { keys } from './records.js';
import type { State } from './state.js';

/** A policy has nothing that could be changed: posting it again is no error. */
export function putPolicy(state: State, { tenantName, policyName, admin }: PolicyInput): Plan<void> {
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', 'Tenant not found');
  const key = `${tenantName}:${policyName}`;
  const seen = state.policy(key);
  if (seen && seen.record.admin !== admin)
    throw new Refusal('conflict', `policy ${policyName} is ${seen.record.admin ? 'an' : 'no'} admin policy; delete it and make it anew`);
  if (seen) return answer(undefined);
  const draft = new Draft();
  draft.touch(tenant);
  draft.create('policy', keys.policy(key), { tenantName, policyName, admin });
  return draft.done(undefined);
}

/** Its rules go with it, and what is staged of it. */
export function deletePolicy(state: State, key: string): Plan<void> {
  const seen = state.policy(key);
  if (!seen) throw new Refusal('not-found', 'policy not found');
  refuseUsed(state, state.groupsOfPolicy.of(key), 'Policy is being used');
  const draft = new Draft();
  draft.remove(seen);
  draft.clear(keys.rule(`${key}:`));
  const staged = state.staged(key);
  if (staged) draft.remove(staged);
  draft.clear(keys.stagedRule(`${key}:`));
  return draft.done(undefined);
}
