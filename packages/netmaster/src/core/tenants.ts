/** Rules of tenants (spec/contiv §1.4). */
import { Refusal, type TenantInput } from '@contiv/model';
import { answer, Draft, type Plan } from './plan.js';
import { keys } from './records.js';
import type { State } from './state.js';

/** Posting the same tenant again is no error: a client that lost the answer may ask again. Only its posture may be changed. */
export function putTenant(state: State, input: TenantInput): Plan<void> {
  const { tenantName, defaultNetwork } = input;
  const seen = state.tenant(tenantName);
  const posture = input.posture === 'deny' ? 'deny' : '';
  if (seen) {
    if (seen.record.defaultNetwork !== defaultNetwork) throw new Refusal('conflict', 'Cant change tenant parameters after its created');
    if (input.posture === '' || posture === seen.record.posture) return answer(undefined);
    const change = new Draft();
    change.replace(seen, { ...seen.record, posture });
    return change.done(undefined);
  }
  const draft = new Draft();
  draft.create('tenant', keys.tenant(tenantName), { tenantName, defaultNetwork, posture });
  return draft.done(undefined);
}

export function deleteTenant(state: State, name: string): Plan<void> {
  const seen = state.tenant(name);
  if (!seen) throw new Refusal('not-found', 'tenant not found');
  const appProfiles = state.appProfilesOfTenant.of(name).size;
  if (appProfiles > 0) throw new Refusal('in-use', `cannot delete ${name}, has ${appProfiles} app profiles`);
  const groups = state.groupsOfTenant.of(name).size;
  if (groups > 0) throw new Refusal('in-use', `cannot delete ${name} has ${groups} endpoint groups`);
  const policies = state.policiesOfTenant.of(name).size;
  if (policies > 0) throw new Refusal('in-use', `cannot delete ${name} has ${policies} policies`);
  const netprofiles = state.netprofilesOfTenant.of(name).size;
  if (netprofiles > 0) throw new Refusal('in-use', `Cannot delete ${name} has ${netprofiles} netprofiles`);
  const services = state.servicesOfTenant.of(name).size;
  if (services > 0) throw new Refusal('in-use', `cannot delete ${name} has ${services} services`);
  const contracts = state.extContractsOfTenant.of(name).size;
  if (contracts > 0) throw new Refusal('in-use', `cannot delete ${name} has ${contracts} external contracts groups`);
  const networks = state.networksOfTenant.of(name).size;
  if (networks > 0) throw new Refusal('in-use', `cannot delete ${name} has ${networks} networks`);
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}
