/** What the store holds: one JSON record per key under `/contiv/v1/`. */
import { endpointState, type HistoryEntry, historyEntry, hostRegistration } from '@contiv/model';
import { z } from 'zod';

export const ROOT = '/contiv/v1/';

/** Keys of the records. Names contain neither `/` nor `:`, so every key reads back without doubt. */
export const keys = {
  global: `${ROOT}global`,
  /** Last group id given out; ids are never reused (spec/contiv §1.4 has them repeat). */
  groupCounter: `${ROOT}counters/group`,
  background: `${ROOT}locks/background`,
  epochs: `${ROOT}epochs`,
  tenant: (tenant: string) => `${ROOT}tenants/${tenant}`,
  network: (networkKey: string) => `${ROOT}networks/${networkKey}`,
  policy: (policyKey: string) => `${ROOT}policies/${policyKey}`,
  /** `T:P:R` */
  rule: (ruleKey: string) => `${ROOT}rules/${ruleKey}`,
  netprofile: (profileKey: string) => `${ROOT}netprofiles/${profileKey}`,
  appProfile: (profileKey: string) => `${ROOT}appProfiles/${profileKey}`,
  extContracts: (groupKey: string) => `${ROOT}extContracts/${groupKey}`,
  service: (serviceKey: string) => `${ROOT}services/${serviceKey}`,
  bgp: (host: string) => `${ROOT}bgps/${host}`,
  aciGw: `${ROOT}aciGw`,
  group: (groupKey: string) => `${ROOT}groups/${groupKey}`,
  address: (networkKey: string, address: string) => `${ROOT}addresses/${networkKey}/${address}`,
  endpoint: (networkKey: string, endpointId: string) => `${ROOT}endpoints/${networkKey}/${endpointId}`,
  /** `T:P`: the policy has a staged version. */
  staged: (policyKey: string) => `${ROOT}staged/${policyKey}`,
  /** `T:P:R`: the rule in it, or its absence, where that differs from the policy's own. */
  stagedRule: (ruleKey: string) => `${ROOT}stagedRules/${ruleKey}`,
  /** Ascending by time. */
  history: (id: string) => `${ROOT}history/${id}`,
  host: (host: string) => `${ROOT}hosts/${host}`,
  alive: (host: string) => `${ROOT}alive/${host}`,
  master: (id: string) => `${ROOT}masters/${id}`,
  /** There while a change that does not fit into one transaction is made: nobody else writes meanwhile. */
  bigChange: `${ROOT}bigChange`,
  /** What such a change writes, in parts. */
  journal: (id: string, part: number | '') => `${ROOT}journal/${id}/${part === '' ? '' : String(part).padStart(6, '0')}`,
};

const globalRecord = z.object({
  networkInfraType: z.string(),
  fwdMode: z.enum(['bridge', 'routing']),
  arpMode: z.enum(['proxy', 'flood']),
  pvtSubnet: z.string(),
  vlans: z.string(),
  vxlans: z.string(),
});
export type GlobalRecord = z.infer<typeof globalRecord>;

const tenantRecord = z.object({ tenantName: z.string(), defaultNetwork: z.string(), posture: z.enum(['', 'deny']).default('') });
export type TenantRecord = z.infer<typeof tenantRecord>;

/** A network as it was asked for, and the tag it was given. */
const networkRecord = z.object({
  tenantName: z.string(),
  networkName: z.string(),
  nwType: z.enum(['data', 'infra']),
  encap: z.enum(['vlan', 'vxlan']),
  pktTag: z.number().int(),
  subnet: z.string(),
  gateway: z.string(),
  ipv6Subnet: z.string(),
  ipv6Gateway: z.string(),
  cfgdTag: z.string(),
  origin: z.string(),
  dockerName: z.string(),
  foreignIpam: z.boolean(),
  /** VNI or VLAN id in use. */
  tag: z.number().int(),
});
export type NetworkRecord = z.infer<typeof networkRecord>;

const groupRecord = z.object({
  tenantName: z.string(),
  groupName: z.string(),
  networkName: z.string(),
  ipPool: z.string(),
  netProfile: z.string(),
  policies: z.array(z.string()),
  extContractsGrps: z.array(z.string()),
  cfgdTag: z.string(),
  id: z.number().int(),
});
export type GroupRecord = z.infer<typeof groupRecord>;

const policyRecord = z.object({ tenantName: z.string(), policyName: z.string(), admin: z.boolean().default(false) });
export type PolicyRecord = z.infer<typeof policyRecord>;

const ruleRecord = z.object({
  tenantName: z.string(),
  policyName: z.string(),
  ruleId: z.string(),
  direction: z.enum(['in', 'out']),
  priority: z.number().int(),
  fromEndpointGroup: z.string(),
  fromNetwork: z.string(),
  fromIpAddress: z.string(),
  toEndpointGroup: z.string(),
  toNetwork: z.string(),
  toIpAddress: z.string(),
  protocol: z.string(),
  port: z.number().int(),
  endPort: z.number().int().default(0),
  ports: z.string().default(''),
  log: z.boolean().default(false),
  action: z.enum(['allow', 'deny']),
});
export type RuleRecord = z.infer<typeof ruleRecord>;

/** A staged policy: `base` is made from the rules it was staged from. */
const stagedRecord = z.object({ tenantName: z.string(), policyName: z.string(), base: z.string(), since: z.string() });
export type StagedRecord = z.infer<typeof stagedRecord>;
/** `null`: the staged policy does not have the rule. */
const stagedRuleRecord = z.object({ tenantName: z.string(), policyName: z.string(), ruleId: z.string(), rule: ruleRecord.nullable() });
export type StagedRuleRecord = z.infer<typeof stagedRuleRecord>;

const netprofileRecord = z.object({
  tenantName: z.string(),
  profileName: z.string(),
  bandwidth: z.string(),
  DSCP: z.number().int(),
  burst: z.number().int(),
});
export type NetprofileRecord = z.infer<typeof netprofileRecord>;

const appProfileRecord = z.object({ tenantName: z.string(), appProfileName: z.string(), endpointGroups: z.array(z.string()) });
export type AppProfileRecord = z.infer<typeof appProfileRecord>;

const extContractsRecord = z.object({
  tenantName: z.string(),
  contractsGroupName: z.string(),
  contractsType: z.enum(['provided', 'consumed']),
  contracts: z.array(z.string()),
});
export type ExtContractsRecord = z.infer<typeof extContractsRecord>;

const serviceRecord = z.object({
  tenantName: z.string(),
  serviceName: z.string(),
  networkName: z.string(),
  ipAddress: z.string(),
  ports: z.array(z.string()),
  selectors: z.array(z.string()),
});
export type ServiceRecord = z.infer<typeof serviceRecord>;

const bgpRecord = z.object({
  hostname: z.string(),
  routerip: z.string(),
  as: z.string(),
  'neighbor-as': z.string(),
  neighbor: z.string(),
});
export type BgpRecord = z.infer<typeof bgpRecord>;

const aciGwRecord = z.object({
  name: z.string(),
  enforcePolicies: z.string(),
  includeCommonTenant: z.string(),
  pathBindings: z.string(),
  nodeBindings: z.string(),
  physicalDomain: z.string(),
});
export type AciGwRecord = z.infer<typeof aciGwRecord>;

/** An address in use: reserved by a host, which may have a name for that, or held by an endpoint on it. */
const addressRecord = z.object({ host: z.string(), endpointId: z.string().optional(), reservation: z.string().optional() });
export type AddressRecord = z.infer<typeof addressRecord>;

/** One request that changed something, or a part of it. */
export type HistoryRecord = HistoryEntry;

/** A host's registration; `silentSince` (ISO 8601) is set while no master holds a stream of its agent. */
const hostRecord = hostRegistration.extend({ silentSince: z.string().optional() });
export type HostRecord = z.infer<typeof hostRecord>;

/** Which master holds the stream of the host's agent. Hangs on that master's lease. */
const aliveRecord = z.object({ master: z.string() });
const counterRecord = z.object({ last: z.number().int() });
/** Starts of masters, oldest first; `after`: the revision before. */
const epochsRecord = z.object({ epochs: z.array(z.object({ id: z.string(), after: z.number().int() })) });
/** A master that runs. Hangs on its lease. */
const masterRecord = z.object({ id: z.string(), address: z.string(), version: z.string() });
export type MasterRecord = z.infer<typeof masterRecord>;

export interface RecordOf {
  global: GlobalRecord;
  counter: z.infer<typeof counterRecord>;
  background: MasterRecord;
  epochs: z.infer<typeof epochsRecord>;
  tenant: TenantRecord;
  network: NetworkRecord;
  group: GroupRecord;
  policy: PolicyRecord;
  rule: RuleRecord;
  netprofile: NetprofileRecord;
  appProfile: AppProfileRecord;
  extContracts: ExtContractsRecord;
  service: ServiceRecord;
  bgp: BgpRecord;
  aciGw: AciGwRecord;
  staged: StagedRecord;
  stagedRule: StagedRuleRecord;
  history: HistoryRecord;
  address: AddressRecord;
  endpoint: z.infer<typeof endpointState>;
  host: HostRecord;
  alive: z.infer<typeof aliveRecord>;
  master: MasterRecord;
}
export type Kind = keyof RecordOf;

const schemas: { [K in Kind]: z.ZodType<RecordOf[K]> } = {
  global: globalRecord,
  counter: counterRecord,
  background: masterRecord,
  epochs: epochsRecord,
  tenant: tenantRecord,
  network: networkRecord,
  group: groupRecord,
  policy: policyRecord,
  rule: ruleRecord,
  netprofile: netprofileRecord,
  appProfile: appProfileRecord,
  extContracts: extContractsRecord,
  service: serviceRecord,
  bgp: bgpRecord,
  aciGw: aciGwRecord,
  staged: stagedRecord,
  stagedRule: stagedRuleRecord,
  history: historyEntry,
  address: addressRecord,
  endpoint: endpointState,
  host: hostRecord,
  alive: aliveRecord,
  master: masterRecord,
};

const folders: Readonly<Record<string, Kind>> = {
  global: 'global',
  counters: 'counter',
  locks: 'background',
  epochs: 'epochs',
  tenants: 'tenant',
  networks: 'network',
  groups: 'group',
  policies: 'policy',
  rules: 'rule',
  netprofiles: 'netprofile',
  appProfiles: 'appProfile',
  extContracts: 'extContracts',
  services: 'service',
  bgps: 'bgp',
  aciGw: 'aciGw',
  staged: 'staged',
  stagedRules: 'stagedRule',
  history: 'history',
  addresses: 'address',
  endpoints: 'endpoint',
  hosts: 'host',
  alive: 'alive',
  masters: 'master',
};

export const KINDS: readonly Kind[] = Object.values(folders);

/** Where a key stands: its kind and the words after it. */
export interface Place {
  readonly kind: Kind;
  /** `addresses/T:N/10.1.1.1` has `T:N` and `10.1.1.1`; others have one word. */
  readonly first: string;
  readonly second: string;
}

/** `undefined` for keys that are none of ours. */
export function placeOf(key: string): Place | undefined {
  if (!key.startsWith(ROOT)) return undefined;
  const path = key.slice(ROOT.length);
  const a = path.indexOf('/');
  const folder = a < 0 ? path : path.slice(0, a);
  const kind = Object.hasOwn(folders, folder) ? folders[folder] : undefined;
  if (!kind) return undefined;
  const rest = a < 0 ? '' : path.slice(a + 1);
  const b = kind === 'address' || kind === 'endpoint' ? rest.indexOf('/') : -1;
  return b < 0 ? { kind, first: rest, second: '' } : { kind, first: rest.slice(0, b), second: rest.slice(b + 1) };
}

/** A present key with its record parsed. */
export interface Kept<K extends Kind = Kind> {
  readonly key: string;
  readonly text: string;
  readonly record: RecordOf[K];
  readonly createRevision: number;
  readonly modRevision: number;
}

/** A {@link Kept} that says its kind. */
export type Entry = { [K in Kind]: Kept<K> & { readonly kind: K; readonly place: Place } }[Kind];
export type EntryOf<K extends Kind> = Extract<Entry, { kind: K }>;

/** Throws a sentence that names the key when the text is no record of its kind. */
export function decode(key: string, text: string, createRevision: number, modRevision: number): Entry | undefined {
  const place = placeOf(key);
  if (!place) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(`the store's record ${key} is not JSON; delete it or restore it from a backup`);
  }
  const parsed = schemas[place.kind].safeParse(json);
  if (!parsed.success)
    throw new Error(`the store's record ${key} is malformed (${parsed.error.issues[0]?.message}); delete it or restore it`);
  return entry(place.kind, place, key, text, parsed.data, createRevision, modRevision);
}

export function entry(
  kind: Kind,
  place: Place,
  key: string,
  text: string,
  record: RecordOf[Kind],
  createRevision: number,
  modRevision: number,
): Entry {
  // The record was checked against the kind's own schema (or made for it), which the type system cannot follow through the table.
  return { kind, place, key, text, record, createRevision, modRevision } as Entry;
}
