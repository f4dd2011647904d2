/** The stored intent as agents know it, for what is worked out from it. */
import type { ServiceState, TraceView } from '@contiv/model';
import { globalState, groupState, hostState, networkState, policyState, ruleState, tenantState } from './present.js';
import type { Kind } from './records.js';
import type { State } from './state.js';

function mapOf<T>(entries: Iterable<T>, key: (item: T) => string): Map<string, T> {
  const map = new Map<string, T>();
  for (const item of entries) map.set(key(item), item);
  return map;
}

export function viewOf(state: State): TraceView {
  const all = <K extends Kind>(kind: K) => [...state.all(kind)];
  return {
    global: state.global && globalState(state.global),
    hosts: mapOf(
      all('host').map((host) => hostState(state, host)),
      (h) => h.name,
    ),
    networks: mapOf(
      all('network').map((network) => networkState(state, network)),
      (n) => n.key,
    ),
    tenants: mapOf(all('tenant').map(tenantState), (t) => t.name),
    policies: mapOf(all('policy').map(policyState), (p) => p.key),
    rules: mapOf(all('rule').map(ruleState), (r) => r.key),
    groups: mapOf(all('group').map(groupState), (g) => g.key),
    endpoints: mapOf(
      all('endpoint').map(({ record }) => record),
      (e) => e.key,
    ),
  };
}

export const servicesOf = (state: State): ServiceState[] =>
  [...state.all('service')].map(({ record }) => ({ tenant: record.tenantName, service: record.serviceName, selectors: record.selectors }));
