/**
 * What netmaster tells its agents: a resumable stream of newline-delimited JSON.
 *
 * `GET /agent/v1/stream?host=NAME[&since=REVISION&epoch=EPOCH]` answers either
 *   `{"type":"snapshot","rev":R}`, one `put` per resource, `{"type":"synced","rev":R,"epoch":E}`, or, when the master still holds
 *   the history after `since`, only the deltas and then `{"type":"synced","rev":R,"epoch":E}`;
 * afterwards deltas as they are committed, and a `tick` at least every 5 s, so that a dead connection is noticed.
 * Revisions are the store's: a stream may be resumed at any master, with the epoch that came last, by which a store that was restored
 * from an older copy is told.
 * Questions (`question.ts`) come between changes.
 */
import { z } from 'zod';
import { listLength, MATCH_LENGTH } from '../objects/lists.js';
import { questionId } from './question.js';

const text = (max: number) => z.string().min(1).max(max);
const revision = z.number().int().nonnegative();
const ip4 = z.ipv4();
const ip6 = z.ipv6();
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);

/** Cluster-wide settings an agent acts on. */
export const globalState = z.object({
  fwdMode: z.enum(['bridge', 'routing']),
  arpMode: z.enum(['proxy', 'flood']),
  pvtSubnet: z.string().max(64),
});
export type GlobalState = z.infer<typeof globalState>;

/** A host of the cluster, as its agent registered it. */
export const hostState = z.object({
  name: text(253),
  /** Where VXLAN packets to this host go. */
  vtepIp: z.union([ip4, ip6]),
  /** Address of the agent's own REST API, `ip:port`. */
  control: text(300),
  vxlanPort: z.number().int().min(1).max(65535),
  mtu: z.number().int().min(576).max(65535),
  /** MTU of its VLAN networks; absent while it has no uplink for them. */
  uplinkMtu: z.number().int().min(68).max(65535).optional(),
  version: text(64),
  /** Does the host's agent hold a stream at present? An absent agent does not mean an absent data path. */
  alive: z.boolean(),
});
export type HostState = z.infer<typeof hostState>;

/** A network with everything allocated for it. */
export const networkState = z.object({
  /** `tenant:network` */
  key: text(130),
  tenant: text(64),
  network: text(64),
  nwType: z.enum(['data', 'infra']),
  encap: z.enum(['vlan', 'vxlan']),
  /** VNI of a vxlan network, VLAN id of a vlan network. */
  tag: z.number().int().min(1).max(16_777_215),
  subnet: z.object({ address: ip4, length: z.number().int().min(1).max(31) }),
  gateway: ip4.optional(),
  subnet6: z.object({ address: ip6, length: z.number().int().min(1).max(128) }).optional(),
  gateway6: ip6.optional(),
  /** Host whose `docker network create` made it; its engine already has the Docker network. */
  origin: text(253).optional(),
  /** Name its Docker network has when `docker network create` made it; absent until the engine has told it. */
  dockerName: text(200).optional(),
});
export type NetworkState = z.infer<typeof networkState>;

/** An endpoint group. */
export const groupState = z.object({
  /** `tenant:group` */
  key: text(130),
  tenant: text(64),
  group: text(64),
  network: text(64),
  id: z.number().int().min(1).max(0xffff_ffff),
  ipPool: z.string().max(64).optional(),
  policies: z.array(text(64)).max(256).optional(),
  netProfile: text(64).optional(),
});
export type GroupState = z.infer<typeof groupState>;

/** A network profile: what the containers of its groups may use of the network, and how their packets are marked. */
export const netprofileState = z.object({
  /** `tenant:profile` */
  key: text(130),
  tenant: text(64),
  profile: text(64),
  /** 0: packets stay as they are. */
  dscp: z.number().int().min(0).max(63),
  /** 0: no limit. */
  bitsPerSecond: z.number().int().nonnegative(),
  burstBytes: z.number().int().nonnegative(),
});
export type NetprofileState = z.infer<typeof netprofileState>;

/** A tenant. */
export const tenantState = z.object({
  name: text(64),
  /** Is a connection that no rule matches denied? */
  denies: z.boolean(),
});
export type TenantState = z.infer<typeof tenantState>;

/** A policy: a named set of rules. */
export const policyState = z.object({
  /** `tenant:policy` */
  key: text(130),
  tenant: text(64),
  policy: text(64),
  /** Applies to all containers of the tenant, before the policies of their groups. */
  admin: z.boolean(),
});
export type PolicyState = z.infer<typeof policyState>;

/** A rule of a policy. What is absent matches everything. */
export const ruleState = z.object({
  /** `tenant:policy:rule` */
  key: text(195),
  tenant: text(64),
  policy: text(64),
  way: z.enum(['in', 'out']),
  priority: z.number().int().min(1).max(100),
  deny: z.boolean(),
  /** Connections it decides are always recorded, and written to the log of the agent. */
  log: z.boolean().optional(),
  /** The peer: in one of these groups, and at one of these addresses. Lists are separated by commas. */
  group: text(listLength(64)).optional(),
  network: text(listLength(64)).optional(),
  address: text(listLength(MATCH_LENGTH)).optional(),
  /** The container's own address. */
  own: text(listLength(MATCH_LENGTH)).optional(),
  protocol: text(64).optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  endPort: z.number().int().min(1).max(65_535).optional(),
  /** Several ports and ranges. `port` is the first of them then, so that an agent that knows no lists never makes the rule about all ports. */
  ports: text(listLength(16)).optional(),
});
export type RuleState = z.infer<typeof ruleState>;

/** A container's label, and an option of its endpoint, that name its group. */
export const GROUP_LABEL = 'io.contiv.group';

/** An endpoint: one interface of one container. */
export const endpointState = z.object({
  /** `network.tenant-endpointId` (spec/contiv §5.3) */
  key: text(400),
  tenant: text(64),
  network: text(64),
  group: text(64).optional(),
  endpointId: text(128),
  host: text(253),
  ip: ip4,
  ip6: ip6.optional(),
  mac,
  /** Known once the container's start was reported. */
  containerId: z.string().max(128).optional(),
  containerName: z.string().max(256).optional(),
  aliases: z.array(z.string().max(256)).max(64).optional(),
  labels: z.record(z.string().max(1024), z.string().max(8192)).optional(),
});
export type EndpointState = z.infer<typeof endpointState>;

/** In the order in which a snapshot has them: what others refer to comes first. */
export const RESOURCE_KINDS = ['global', 'host', 'tenant', 'network', 'policy', 'rule', 'netprofile', 'group', 'endpoint'] as const;

/** Every kind of resource on the stream, by name. */
export const resources = {
  global: globalState,
  host: hostState,
  network: networkState,
  tenant: tenantState,
  policy: policyState,
  rule: ruleState,
  netprofile: netprofileState,
  group: groupState,
  endpoint: endpointState,
} as const;
export type ResourceKind = keyof typeof resources;
export type ResourceOf<K extends ResourceKind> = z.infer<(typeof resources)[K]>;

const resourceKind = z.enum(RESOURCE_KINDS);
/** The next line is of the same transaction: to be applied together with it. */
const more = z.literal(true).optional();

/** One line of the stream. */
export const streamLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('snapshot'), rev: revision }),
  z.object({ type: z.literal('synced'), rev: revision, epoch: z.string().max(64).optional() }),
  z.object({ type: z.literal('tick'), rev: revision, epoch: z.string().max(64).optional() }),
  z.object({
    type: z.literal('put'),
    rev: revision,
    kind: resourceKind,
    key: text(400),
    value: z.unknown(),
    more,
  }),
  z.object({ type: z.literal('delete'), rev: revision, kind: resourceKind, key: text(400), more }),
  z.object({ type: z.literal('question'), rev: revision, id: questionId, kind: text(32), body: z.unknown() }),
  z.object({ type: z.literal('withdraw'), rev: revision, id: questionId }),
]);
export type StreamLine = z.infer<typeof streamLine>;

/** `POST /agent/v1/hosts/NAME`: what an agent says of its host before it opens the stream; answers 200 `{}`. */
export const hostRegistration = hostState.omit({ name: true, alive: true });
export type HostRegistration = z.infer<typeof hostRegistration>;
