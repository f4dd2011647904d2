/** The agent's copy of the cluster, as the stream told it. Pure data and its updates. */
import {
  type EndpointState,
  type GlobalState,
  type GroupState,
  type HostState,
  type NetprofileState,
  type NetworkState,
  type PolicyState,
  type ResourceKind,
  type ResourceOf,
  type RuleState,
  resources,
  type TenantState,
} from '@contiv/model';
import { z } from 'zod';

export interface Mirror {
  /** Revision everything below is as of. */
  revision: number;
  /** The history that revision belongs to, as netmaster names it; without it a stream begins anew. */
  epoch?: string | undefined;
  global: GlobalState | undefined;
  readonly hosts: Map<string, HostState>;
  readonly networks: Map<string, NetworkState>;
  readonly tenants: Map<string, TenantState>;
  readonly policies: Map<string, PolicyState>;
  readonly rules: Map<string, RuleState>;
  readonly netprofiles: Map<string, NetprofileState>;
  readonly groups: Map<string, GroupState>;
  readonly endpoints: Map<string, EndpointState>;
}

export function emptyMirror(): Mirror {
  return {
    revision: 0,
    global: undefined,
    hosts: new Map(),
    networks: new Map(),
    tenants: new Map(),
    policies: new Map(),
    rules: new Map(),
    netprofiles: new Map(),
    groups: new Map(),
    endpoints: new Map(),
  };
}

/** One change, already checked against its schema. `before` is what the mirror held. */
export type Change =
  | { readonly kind: 'global'; readonly key: string; readonly after: GlobalState | undefined }
  | { readonly kind: 'host'; readonly key: string; readonly before: HostState | undefined; readonly after: HostState | undefined }
  | { readonly kind: 'network'; readonly key: string; readonly before: NetworkState | undefined; readonly after: NetworkState | undefined }
  | { readonly kind: 'tenant'; readonly key: string; readonly before: TenantState | undefined; readonly after: TenantState | undefined }
  | { readonly kind: 'policy'; readonly key: string; readonly before: PolicyState | undefined; readonly after: PolicyState | undefined }
  | { readonly kind: 'rule'; readonly key: string; readonly before: RuleState | undefined; readonly after: RuleState | undefined }
  | {
      readonly kind: 'netprofile';
      readonly key: string;
      readonly before: NetprofileState | undefined;
      readonly after: NetprofileState | undefined;
    }
  | { readonly kind: 'group'; readonly key: string; readonly before: GroupState | undefined; readonly after: GroupState | undefined }
  | {
      readonly kind: 'endpoint';
      readonly key: string;
      readonly before: EndpointState | undefined;
      readonly after: EndpointState | undefined;
    };

function put<T>(map: Map<string, T>, key: string, after: T | undefined): T | undefined {
  const before = map.get(key);
  if (after === undefined) map.delete(key);
  else map.set(key, after);
  return before;
}

/** Parses and stores one resource; answers the change, or a sentence when the value is not understood (and nothing was stored). */
export function storeResource(mirror: Mirror, kind: ResourceKind, key: string, value: unknown): Change | string {
  const parsed = resources[kind].safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return `netmaster sent ${kind} ${key} in a form that is not understood (${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''})`;
  }
  return applyChange(mirror, kind, key, parsed.data);
}

export function removeResource(mirror: Mirror, kind: ResourceKind, key: string): Change {
  return applyChange(mirror, kind, key, undefined);
}

function applyChange(mirror: Mirror, kind: ResourceKind, key: string, value: ResourceOf<ResourceKind> | undefined): Change {
  switch (kind) {
    case 'global':
      mirror.global = asKind('global', value);
      return { kind, key, after: mirror.global };
    case 'host': {
      const after = asKind('host', value);
      return { kind, key, before: put(mirror.hosts, key, after), after };
    }
    case 'network': {
      const after = asKind('network', value);
      return { kind, key, before: put(mirror.networks, key, after), after };
    }
    case 'tenant': {
      const after = asKind('tenant', value);
      return { kind, key, before: put(mirror.tenants, key, after), after };
    }
    case 'policy': {
      const after = asKind('policy', value);
      return { kind, key, before: put(mirror.policies, key, after), after };
    }
    case 'rule': {
      const after = asKind('rule', value);
      return { kind, key, before: put(mirror.rules, key, after), after };
    }
    case 'netprofile': {
      const after = asKind('netprofile', value);
      return { kind, key, before: put(mirror.netprofiles, key, after), after };
    }
    case 'group': {
      const after = asKind('group', value);
      return { kind, key, before: put(mirror.groups, key, after), after };
    }
    case 'endpoint': {
      const after = asKind('endpoint', value);
      return { kind, key, before: put(mirror.endpoints, key, after), after };
    }
  }
}

/** The value was parsed with the schema of `kind` just before. */
function asKind<K extends ResourceKind>(_kind: K, value: ResourceOf<ResourceKind> | undefined): ResourceOf<K> | undefined {
  return value as ResourceOf<K> | undefined;
}

const entries = <T extends z.ZodType>(schema: T) => z.array(z.tuple([z.string(), schema]));
/** 3: with network profiles. A text without them must not be taken for one that has none. */
const FORMAT = 3;
const stored = z.object({
  format: z.literal(FORMAT),
  revision: z.number().int().nonnegative(),
  epoch: z.string().optional(),
  global: resources.global.optional(),
  hosts: entries(resources.host),
  networks: entries(resources.network),
  tenants: entries(resources.tenant),
  policies: entries(resources.policy),
  rules: entries(resources.rule),
  netprofiles: entries(resources.netprofile),
  groups: entries(resources.group),
  endpoints: entries(resources.endpoint),
});

/** Text of a mirror for the disk. */
export function serialiseMirror(mirror: Mirror): string {
  return JSON.stringify({
    format: FORMAT,
    revision: mirror.revision,
    epoch: mirror.epoch,
    global: mirror.global,
    hosts: [...mirror.hosts],
    networks: [...mirror.networks],
    tenants: [...mirror.tenants],
    policies: [...mirror.policies],
    rules: [...mirror.rules],
    netprofiles: [...mirror.netprofiles],
    groups: [...mirror.groups],
    endpoints: [...mirror.endpoints],
  });
}

/** `undefined` when the text is not a mirror of this format: the next snapshot replaces it. */
export function parseMirror(text: string): Mirror | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = stored.safeParse(json);
  if (!parsed.success) return undefined;
  const { revision, epoch, global, hosts, networks, tenants, policies, rules, netprofiles, groups, endpoints } = parsed.data;
  return {
    revision,
    epoch,
    global,
    hosts: new Map(hosts),
    networks: new Map(networks),
    tenants: new Map(tenants),
    policies: new Map(policies),
    rules: new Map(rules),
    netprofiles: new Map(netprofiles),
    groups: new Map(groups),
    endpoints: new Map(endpoints),
  };
}
