/** The API's collections: for each the shape that is posted, its key, its rules and its answers. */
import {
  type EndpointGroupInput,
  endpointGroupInput,
  endpointGroupInspect,
  endpointGroupObject,
  type GlobalInput,
  globalInput,
  globalInspect,
  globalObject,
  type NetworkInput,
  networkInput,
  networkInspect,
  networkObject,
  type PolicyInput,
  policyInput,
  policyInspect,
  policyObject,
  type RuleInput,
  ruleInput,
  ruleInspect,
  ruleObject,
  type TenantInput,
  tenantInput,
  tenantInspect,
  tenantObject,
} from '@contiv/model';
import type { z } from 'zod';
import { deleteGlobal, putGlobal } from '../core/global.js';
import { deleteGroup, putGroup } from '../core/groups.js';
import { deleteNetwork, putNetwork } from '../core/networks.js';
import { globalOper, groupOper, networkOper, policyOper, tenantOper } from '../core/oper.js';
import type { Plan } from '../core/plan.js';
import { deletePolicy, putPolicy } from '../core/policies.js';
import { policiesOf, presentGlobal, presentGroup, presentNetwork, presentPolicy, presentRule, presentTenant } from '../core/present.js';
import { type EntryOf, keys } from '../core/records.js';
import { deleteRule, putRule } from '../core/rules.js';
import type { State } from '../core/state.js';
import { deleteTenant, putTenant } from '../core/tenants.js';
import type { Context } from './context.js';
import { Listing } from './listing.js';

export type ObjectKind =
  | 'tenant'
  | 'network'
  | 'group'
  | 'policy'
  | 'rule'
  | 'netprofile'
  | 'appProfile'
  | 'extContracts'
  | 'service'
  | 'bgp'
  | 'aciGw'
  | 'global';

export interface Collection<K extends ObjectKind = ObjectKind, Input = never> {
  readonly plural: string;
  /** Name in refusals and links. */
  readonly type: string;
  readonly kind: K;
  readonly keyFields: readonly string[];
  readonly input: z.ZodType<Input>;
  readonly object: z.ZodType;
  readonly inspection: z.ZodType;
  readonly storeKey: (key: string) => string;
  readonly put: (state: State, input: Input) => Plan<void>;
  readonly remove: (state: State, key: string) => Plan<void>;
  readonly present: (state: State, entry: EntryOf<K>) => object;
  /** `undefined`: an inspection answers the object alone. */
  readonly oper: ((state: State, entry: EntryOf<K>) => object) | undefined;
  /** Names of the unset links and link sets of a posted object's echo. */
  readonly links: readonly string[];
  readonly listing: Listing<K>;
}

export const joined = (members: Iterable<string>): string => [...members].join('|');

function pair(key: string): [string, string] {
  const colon = key.indexOf(':');
  return colon < 0 ? [key, ''] : [key.slice(0, colon), key.slice(colon + 1)];
}

export const tenants = (): Collection<'tenant', TenantInput> => ({
  plural: 'tenants',
  type: 'tenant',
  kind: 'tenant',
  keyFields: ['tenantName'],
  input: tenantInput,
  object: tenantObject,
  inspection: tenantInspect,
  storeKey: keys.tenant,
  put: putTenant,
  remove: deleteTenant,
  present: presentTenant,
  oper: (state, entry) => tenantOper(state, entry.place.first),
  links: [],
  listing: new Listing(
    'tenant',
    ['network', 'group', 'policy', 'netprofile', 'appProfile', 'service'],
    presentTenant,
    (state, { place: { first } }) =>
      joined([
        ...state.networksOfTenant.of(first),
        ...state.groupsOfTenant.of(first),
        ...state.policiesOfTenant.of(first),
        ...state.netprofilesOfTenant.of(first),
        ...state.appProfilesOfTenant.of(first),
        ...state.servicesOfTenant.of(first),
      ]),
  ),
});

export const networks = (): Collection<'network', NetworkInput> => ({
  plural: 'networks',
  type: 'network',
  kind: 'network',
  keyFields: ['tenantName', 'networkName'],
  input: networkInput,
  object: networkObject,
  inspection: networkInspect,
  storeKey: keys.network,
  put: putNetwork,
  remove: (state, key) => deleteNetwork(state, ...pair(key)),
  present: presentNetwork,
  oper: networkOper,
  links: ['Tenant'],
  listing: new Listing('network', ['group', 'service'], presentNetwork, (state, { place: { first } }) =>
    joined([...state.groupsOfNetwork.of(first), ...state.servicesOfNetwork.of(first)]),
  ),
});

export const endpointGroups = (): Collection<'group', EndpointGroupInput> => ({
  plural: 'endpointGroups',
  type: 'endpointGroup',
  kind: 'group',
  keyFields: ['tenantName', 'groupName'],
  input: endpointGroupInput,
  object: endpointGroupObject,
  inspection: endpointGroupInspect,
  storeKey: keys.group,
  put: putGroup,
  remove: (state, key) => deleteGroup(state, ...pair(key)),
  present: presentGroup,
  oper: groupOper,
  links: ['AppProfile', 'NetProfile', 'Network', 'Tenant'],
  listing: new Listing('group', ['policy', 'rule', 'appProfile'], presentGroup, (state, entry) =>
    joined([
      ...policiesOf(state, entry).map((p) => p.key),
      ...state.rulesOfPeer.of(entry.place.first),
      ...state.appProfilesOfGroup.of(entry.place.first),
    ]),
  ),
});

export const policies = (): Collection<'policy', PolicyInput> => ({
  plural: 'policys',
  type: 'policy',
  kind: 'policy',
  keyFields: ['tenantName', 'policyName'],
  input: policyInput,
  object: policyObject,
  inspection: policyInspect,
  storeKey: keys.policy,
  put: putPolicy,
  remove: deletePolicy,
  present: presentPolicy,
  oper: policyOper,
  links: ['Tenant'],
  listing: new Listing('policy', ['group', 'rule'], presentPolicy, (state, { place: { first } }) =>
    joined([...state.groupsOfPolicy.of(first), ...state.rulesOfPolicy.of(first)]),
  ),
});

export const rules = (): Collection<'rule', RuleInput> => ({
  plural: 'rules',
  type: 'rule',
  kind: 'rule',
  keyFields: ['tenantName', 'policyName', 'ruleId'],
  input: ruleInput,
  object: ruleObject,
  inspection: ruleInspect,
  storeKey: keys.rule,
  put: putRule,
  remove: deleteRule,
  present: presentRule,
  oper: undefined,
  links: ['MatchEndpointGroup'],
  listing: new Listing('rule', [], presentRule, () => ''),
});

export const globals = (context: Context): Collection<'global', GlobalInput> => ({
  plural: 'globals',
  type: 'global',
  kind: 'global',
  keyFields: ['name'],
  input: globalInput,
  object: globalObject,
  inspection: globalInspect,
  // There is one record, whatever the path says; another name is refused by the key check.
  storeKey: (key) => (key === 'global' ? keys.global : ''),
  put: (state, input) => putGlobal(state, input, context.boot),
  remove: (state) => deleteGlobal(state, context.boot),
  present: presentGlobal,
  oper: (state) => globalOper(state, context.clusterMode),
  links: [],
  listing: new Listing('global', [], presentGlobal, () => ''),
});
