/** From the document to the objects it is made of. Pure. */
import type { AciGwInput } from '../objects/aci-gw.js';
import type { AppProfileInput } from '../objects/app-profile.js';
import type { BgpInput } from '../objects/bgp.js';
import type { EndpointGroupInput } from '../objects/endpoint-group.js';
import type { ExtContractsGroupInput } from '../objects/external-contracts.js';
import type { GlobalInput } from '../objects/global.js';
import type { NetprofileInput } from '../objects/netprofile.js';
import type { NetworkInput } from '../objects/network.js';
import type { PolicyInput, RuleInput } from '../objects/policy.js';
import type { ServiceInput } from '../objects/service.js';
import type { TenantInput } from '../objects/tenant.js';
import type { CheckedIntent } from './schema.js';

/** Kinds of objects people set, in an order in which each may refer to those before it. */
export const INTENT_KINDS = [
  'global',
  'tenant',
  'network',
  'netprofile',
  'extContracts',
  'policy',
  'group',
  'rule',
  'appProfile',
  'service',
  'bgp',
  'aciGw',
] as const;
export type IntentKind = (typeof INTENT_KINDS)[number];

export interface IntentInput {
  global: GlobalInput;
  tenant: TenantInput;
  network: NetworkInput;
  netprofile: NetprofileInput;
  extContracts: ExtContractsGroupInput;
  policy: PolicyInput;
  group: EndpointGroupInput;
  rule: RuleInput;
  appProfile: AppProfileInput;
  service: ServiceInput;
  bgp: BgpInput;
  aciGw: AciGwInput;
}

/** An object of the document: its key as in the REST API's paths, its place in the document, and what would be posted. */
export type IntentObject = {
  [K in IntentKind]: {
    readonly kind: K;
    readonly key: string;
    readonly path: readonly (string | number)[];
    readonly input: IntentInput[K];
  };
}[IntentKind];

/** In the document's order. */
export function* objectsOf(intent: CheckedIntent): Generator<IntentObject> {
  if (intent.global) yield { kind: 'global', key: 'global', path: ['global'], input: { name: 'global', ...intent.global } };
  for (const [i, tenant] of intent.tenants.entries()) yield* tenantObjects(tenant, ['tenants', i]);
  for (const [i, bgp] of intent.bgps.entries()) yield { kind: 'bgp', key: bgp.hostname, path: ['bgps', i], input: bgp };
  if (intent.aciGw) yield { kind: 'aciGw', key: 'aciGw', path: ['aciGw'], input: { name: 'aciGw', ...intent.aciGw } };
}

function* tenantObjects(tenant: CheckedIntent['tenants'][number], path: readonly (string | number)[]): Generator<IntentObject> {
  const { tenantName, defaultNetwork, posture } = tenant;
  // What the document does not say has its first value, whatever was set before.
  yield { kind: 'tenant', key: tenantName, path, input: { tenantName, defaultNetwork, posture: posture === '' ? 'allow' : posture } };
  const of = (name: string) => `${tenantName}:${name}`;
  for (const [i, n] of tenant.networks.entries()) {
    const input = { ...n, tenantName, dockerName: '', origin: '', foreignIpam: false };
    yield { kind: 'network', key: of(n.networkName), path: [...path, 'networks', i], input };
  }
  for (const [i, p] of tenant.netprofiles.entries())
    yield { kind: 'netprofile', key: of(p.profileName), path: [...path, 'netprofiles', i], input: { ...p, tenantName } };
  for (const [i, c] of tenant.extContractsGroups.entries())
    yield { kind: 'extContracts', key: of(c.contractsGroupName), path: [...path, 'extContractsGroups', i], input: { ...c, tenantName } };
  for (const [i, { rules, ...policy }] of tenant.policies.entries()) {
    const at = [...path, 'policies', i];
    const { policyName } = policy;
    yield { kind: 'policy', key: of(policyName), path: at, input: { ...policy, tenantName } };
    for (const [j, rule] of rules.entries()) {
      const input = { ...rule, tenantName, policyName };
      yield { kind: 'rule', key: of(`${policyName}:${rule.ruleId}`), path: [...at, 'rules', j], input };
    }
  }
  for (const [i, g] of tenant.endpointGroups.entries())
    yield { kind: 'group', key: of(g.groupName), path: [...path, 'endpointGroups', i], input: { ...g, tenantName } };
  for (const [i, p] of tenant.appProfiles.entries())
    yield { kind: 'appProfile', key: of(p.appProfileName), path: [...path, 'appProfiles', i], input: { ...p, tenantName } };
  for (const [i, s] of tenant.serviceLBs.entries())
    yield { kind: 'service', key: of(s.serviceName), path: [...path, 'serviceLBs', i], input: { ...s, tenantName } };
}
