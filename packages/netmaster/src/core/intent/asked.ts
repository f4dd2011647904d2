/** Stored records as what people asked for: without what was worked out or given out, and without zero values. Pure. */
import { INTENT_KINDS, type IntentKind } from '@contiv/model';
import { withoutZeros } from '../present.js';
import type { Entry, EntryOf, Kind, RuleRecord } from '../records.js';
import type { State } from '../state.js';

/** Kinds of records that people set. */
export type AskedEntry = EntryOf<IntentKind>;

const KINDS: ReadonlySet<Kind> = new Set<IntentKind>(INTENT_KINDS);
export const isAsked = (entry: Entry): entry is AskedEntry => KINDS.has(entry.kind);

/** The key of the object in the REST API's paths. */
export const keyOf = (entry: Entry): string => (entry.kind === 'global' || entry.kind === 'aciGw' ? entry.kind : entry.place.first);

/** A network of `docker network create` belongs to the engine that made it, and goes when it goes there. */
export const isForeign = (entry: Entry): boolean => entry.kind === 'network' && entry.record.origin !== '';

/** The members of an object, its names first. */
export function asked(entry: AskedEntry): object {
  switch (entry.kind) {
    case 'network': {
      const { tenantName, networkName, encap, nwType, tag: _tag, ...rest } = entry.record;
      return { tenantName, networkName, encap, ...withoutZeros({ nwType: nwType === 'data' ? '' : nwType, ...rest }) };
    }
    case 'group': {
      const { tenantName, groupName, networkName, id: _id, ...rest } = entry.record;
      return withoutZeros({ tenantName, groupName, networkName, ...rest });
    }
    case 'rule':
      return askedRule(entry.record);
    case 'global':
    case 'tenant':
    case 'netprofile':
    case 'extContracts':
    case 'policy':
    case 'appProfile':
    case 'service':
    case 'bgp':
    case 'aciGw':
      return withoutZeros(entry.record);
  }
}

export function askedRule(record: RuleRecord): object {
  const { tenantName, policyName, ruleId, priority, fromIpAddress, toIpAddress, port, endPort, ...rest } = record;
  return withoutZeros({
    tenantName,
    policyName,
    ruleId,
    priority: priority === 1 ? 0 : priority,
    // A network's subnet is shown with rules that name the network.
    fromIpAddress: rest.fromNetwork === '' ? fromIpAddress : '',
    toIpAddress: rest.toNetwork === '' ? toIpAddress : '',
    // The first of several ports is shown with them.
    ...(rest.ports === '' ? { port, endPort } : {}),
    ...rest,
  });
}

/** Names of an object stand above it in the document. */
function inside(entry: AskedEntry, ...above: readonly string[]): object {
  return Object.fromEntries(Object.entries(asked(entry)).filter(([field]) => !above.includes(field)));
}

const byName = (a: Entry, b: Entry): number =>
  a.place.first.localeCompare(b.place.first, 'en', { numeric: true }) || (a.key < b.key ? -1 : 1);
/** The tenant `default` is there before all others. */
const byTenant = (a: EntryOf<'tenant'>, b: EntryOf<'tenant'>): number =>
  Number(b.place.first === 'default') - Number(a.place.first === 'default') || byName(a, b);

/** Everything that was asked for, as a document; the same state gives the same text. */
export function exportIntent(state: State, apiVersion: string): object {
  const all = (kind: IntentKind, keys: Iterable<string>): AskedEntry[] =>
    [...state.entries(kind, keys)].filter((e) => !isForeign(e)).toSorted(byName);
  const lists = (members: Record<string, readonly object[]>) =>
    Object.fromEntries(Object.entries(members).filter(([, list]) => list.length > 0));
  const tenant = (entry: EntryOf<'tenant'>): object => {
    const name = entry.place.first;
    const here = (kind: IntentKind, keys: Iterable<string>) => all(kind, keys).map((e) => inside(e, 'tenantName'));
    const policies = all('policy', state.policiesOfTenant.of(name)).map((policy) => ({
      ...inside(policy, 'tenantName'),
      ...lists({ rules: all('rule', state.rulesOfPolicy.of(policy.place.first)).map((r) => inside(r, 'tenantName', 'policyName')) }),
    }));
    return {
      ...asked(entry),
      ...lists({
        networks: here('network', state.networksOfTenant.of(name)),
        netprofiles: here('netprofile', state.netprofilesOfTenant.of(name)),
        extContractsGroups: here('extContracts', state.extContractsOfTenant.of(name)),
        policies,
        endpointGroups: here('group', state.groupsOfTenant.of(name)),
        appProfiles: here('appProfile', state.appProfilesOfTenant.of(name)),
        serviceLBs: here('service', state.servicesOfTenant.of(name)),
      }),
    };
  };
  return {
    apiVersion,
    ...(state.global ? { global: asked(state.global) } : {}),
    ...lists({
      tenants: [...state.all('tenant')].toSorted(byTenant).map(tenant),
      bgps: [...state.all('bgp')].toSorted(byName).map((e) => asked(e)),
    }),
    ...(state.aciGw ? { aciGw: inside(state.aciGw, 'name') } : {}),
  };
}
