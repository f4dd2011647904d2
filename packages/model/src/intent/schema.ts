/**
 * What people asked of a cluster, as one document: tenants with everything in them, and the settings beside them. The members are those of
 * the REST API's objects; what stands above an object in the document (its tenant, its policy) is not repeated in it.
 */
import { z } from 'zod';
import { aciGwInput } from '../objects/aci-gw.js';
import { appProfileInput } from '../objects/app-profile.js';
import { bgpInput } from '../objects/bgp.js';
import { endpointGroupInput } from '../objects/endpoint-group.js';
import { extContractsGroupInput } from '../objects/external-contracts.js';
import { globalInput } from '../objects/global.js';
import { netprofileInput } from '../objects/netprofile.js';
import { networkInput } from '../objects/network.js';
import { policyInput, ruleInput } from '../objects/policy.js';
import { word } from '../objects/primitives.js';
import { serviceInput } from '../objects/service.js';
import { tenantInput } from '../objects/tenant.js';

export const INTENT_VERSION = 'contiv/v1';

/** YAML reads `1` as a number where a name was meant. */
const textOrNumber = <T extends z.ZodType<string>>(schema: T) => z.preprocess((v) => (typeof v === 'number' ? String(v) : v), schema);

/** YAML has lists of its own: `[app, ops]` is `app,ops`. An empty one is refused, for leaving the member out means everybody. */
const textOrList = <T extends z.ZodType<string>>(schema: T) =>
  z.preprocess((v) => (typeof v === 'number' ? String(v) : Array.isArray(v) && v.every(isItem) ? v.join(',') || ',' : v), schema);
const isItem = (v: unknown): boolean => typeof v === 'string' || typeof v === 'number';

const list = <T extends z.ZodType>(what: string, item: T) =>
  z
    .array(item, { error: `${what} must be a list` })
    .max(100_000, `${what} has too many members`)
    .prefault([]);

const rule = ruleInput
  .omit({ key: true, tenantName: true, policyName: true })
  .extend({
    ruleId: textOrNumber(ruleInput.shape.ruleId),
    protocol: textOrNumber(ruleInput.shape.protocol),
    direction: word('direction', ['in', 'out'], false),
    fromEndpointGroup: textOrList(ruleInput.shape.fromEndpointGroup),
    fromIpAddress: textOrList(ruleInput.shape.fromIpAddress),
    fromNetwork: textOrList(ruleInput.shape.fromNetwork),
    ports: textOrList(ruleInput.shape.ports),
    toEndpointGroup: textOrList(ruleInput.shape.toEndpointGroup),
    toIpAddress: textOrList(ruleInput.shape.toIpAddress),
    toNetwork: textOrList(ruleInput.shape.toNetwork),
  })
  .strict();
type Context = z.core.$RefinementCtx;
type Path = readonly (string | number)[];

/** Twice the same name is a mistake somebody has to look at. */
function once(context: Context, items: readonly string[], path: Path, field: string): void {
  const seen = new Set<string>();
  for (const [i, name] of items.entries()) {
    if (seen.has(name)) context.addIssue({ code: 'custom', path: [...path, i, field], message: `${field} ${name} is here twice` });
    seen.add(name);
  }
}

/** Rules alone, as a staged policy is read from a file. */
export const ruleIntents = z
  .array(rule, { error: 'rules must be a list' })
  .max(100_000, 'rules has too many members')
  .superRefine((rules, context) =>
    once(
      context,
      rules.map((r) => r.ruleId),
      [],
      'ruleId',
    ),
  );

const policy = policyInput
  .omit({ key: true, tenantName: true })
  .extend({ rules: ruleIntents.prefault([]) })
  .strict();

/** The members `docker network create` sets are no part of it: those networks belong to the engine that made them. */
const network = networkInput
  .omit({ key: true, tenantName: true, dockerName: true, origin: true, foreignIpam: true })
  .extend({ encap: word('encap', ['vlan', 'vxlan'], false).prefault('vxlan') })
  .strict();

const tenant = tenantInput
  .omit({ key: true })
  .extend({
    networks: list('networks', network),
    netprofiles: list('netprofiles', netprofileInput.omit({ key: true, tenantName: true }).strict()),
    extContractsGroups: list('extContractsGroups', extContractsGroupInput.omit({ key: true, tenantName: true }).strict()),
    policies: list('policies', policy),
    endpointGroups: list('endpointGroups', endpointGroupInput.omit({ key: true, tenantName: true }).strict()),
    appProfiles: list('appProfiles', appProfileInput.omit({ key: true, tenantName: true }).strict()),
    serviceLBs: list('serviceLBs', serviceInput.omit({ key: true, tenantName: true }).strict()),
  })
  .strict();

const bgp = bgpInput
  .omit({ key: true })
  .extend({ as: textOrNumber(bgpInput.shape.as), 'neighbor-as': textOrNumber(bgpInput.shape['neighbor-as']) })
  .strict();

const document = z.strictObject({
  apiVersion: z.literal(INTENT_VERSION, { error: `apiVersion must be ${INTENT_VERSION}` }),
  /** Settings that are left out stay as they are. */
  global: globalInput.omit({ key: true, name: true }).strict().optional(),
  tenants: list('tenants', tenant),
  bgps: list('bgps', bgp),
  aciGw: aciGwInput.omit({ key: true, name: true }).strict().optional(),
});

export const intentSchema = document.superRefine((intent, context) => {
  once(
    context,
    intent.tenants.map((t) => t.tenantName),
    ['tenants'],
    'tenantName',
  );
  once(
    context,
    intent.bgps.map((b) => b.hostname),
    ['bgps'],
    'hostname',
  );
  for (const [i, t] of intent.tenants.entries()) {
    const at = (list: string) => ['tenants', i, list];
    for (const [list, field, names] of [
      ['networks', 'networkName', t.networks.map((n) => n.networkName)],
      ['netprofiles', 'profileName', t.netprofiles.map((p) => p.profileName)],
      ['extContractsGroups', 'contractsGroupName', t.extContractsGroups.map((c) => c.contractsGroupName)],
      ['policies', 'policyName', t.policies.map((p) => p.policyName)],
      ['endpointGroups', 'groupName', t.endpointGroups.map((g) => g.groupName)],
      ['appProfiles', 'appProfileName', t.appProfiles.map((p) => p.appProfileName)],
      ['serviceLBs', 'serviceName', t.serviceLBs.map((s) => s.serviceName)],
    ] as const)
      once(context, names, at(list), field);
  }
});
/** A document that was checked: all members are there. */
export type CheckedIntent = z.output<typeof intentSchema>;
/** A document as people write it: zero values may be left out. */
export type IntentDocument = z.input<typeof intentSchema>;
