/** Rules of network profiles and application profiles (spec/contiv §1.4). */
import { type AppProfileInput, type NetprofileInput, Refusal } from '@contiv/model';
import { refuseUsed } from './in-use.js';
import { answer, Draft, holds, type Plan } from './plan.js';
import { keys } from './records.js';
import type { State } from './state.js';

export function putNetprofile(state: State, input: NetprofileInput): Plan<void> {
  const { key: _key, ...record } = input;
  const { tenantName, profileName, burst } = record;
  const key = `${tenantName}:${profileName}`;
  if (tenantName === '') throw new Refusal('invalid', 'Invalid tenant name');
  const seen = state.netprofile(key);
  // A burst of one kilobyte is less than a full frame: nothing would ever pass.
  if (burst === 1) throw new Refusal('invalid', `Invalid Burst size. burst size ${seen ? 'must be ' : ''}> 1500 bytes`);
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', 'Tenant not found');
  if (holds(seen, record)) return answer(undefined);
  const draft = new Draft();
  if (seen) draft.replace(seen, record);
  else {
    draft.touch(tenant);
    draft.create('netprofile', keys.netprofile(key), record);
  }
  return draft.done(undefined);
}

export function deleteNetprofile(state: State, key: string): Plan<void> {
  const seen = state.netprofile(key);
  if (!seen) throw new Refusal('not-found', 'netprofile not found');
  refuseUsed(state, state.groupsOfNetprofile.of(key), 'NetProfile is being used');
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}

/** Posting a profile again replaces its groups; one group that is not there and nothing is changed. */
export function putAppProfile(state: State, input: AppProfileInput): Plan<void> {
  const { tenantName, appProfileName } = input;
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', `Tenant ${tenantName} not found`);
  const endpointGroups = [...new Set(input.endpointGroups)];
  const groups = endpointGroups.map((name) => {
    const group = state.group(`${tenantName}:${name}`);
    if (!group) throw new Refusal('not-found', `EndpointGroup ${tenantName}:${name} not found`);
    return group;
  });
  const key = `${tenantName}:${appProfileName}`;
  const record = { tenantName, appProfileName, endpointGroups };
  const seen = state.appProfile(key);
  if (holds(seen, record)) return answer(undefined);
  const draft = new Draft();
  for (const group of groups) draft.touch(group);
  if (seen) draft.replace(seen, record);
  else {
    draft.touch(tenant);
    draft.create('appProfile', keys.appProfile(key), record);
  }
  return draft.done(undefined);
}

export function deleteAppProfile(state: State, key: string): Plan<void> {
  const seen = state.appProfile(key);
  if (!seen) throw new Refusal('not-found', 'appProfile not found');
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}
