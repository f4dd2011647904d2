/** The route to the DNS service address inside a container that lost the interface carrying it. */
import type { LocalState } from '../state/records.js';

export interface SandboxRoutes {
  /** Adds the route to the interface of that endpoint, as soon as the old interface is gone. Returns at once. */
  moveTo(sandboxKey: string, endpoint: { readonly endpointId: string; readonly mac: string }): void;
}

/** Takes an endpoint out of its sandbox; another one there inherits the route to the DNS service, if it had that. */
export function leaveSandbox({ state, routes }: { readonly state: LocalState; readonly routes: SandboxRoutes }, endpointId: string): void {
  const record = state.endpoints.get(endpointId);
  if (!record || record.sandboxKey === undefined) return;
  const { sandboxKey, dnsRoute, routeDue: _due, ...rest } = record;
  state.endpoints.setAnyway(endpointId, rest);
  if (dnsRoute !== true) return;
  const heir = state.endpoints.values().find((e) => e.sandboxKey === sandboxKey && e.stage === 'ready');
  if (!heir) return;
  state.endpoints.setAnyway(heir.endpointId, { ...heir, dnsRoute: true, routeDue: true });
  routes.moveTo(sandboxKey, heir);
}

/** The moves that an agent was killed in. */
export function resumeMoves({ state, routes }: { readonly state: LocalState; readonly routes: SandboxRoutes }): void {
  for (const record of state.endpoints.values())
    if (record.routeDue === true && record.sandboxKey !== undefined && record.stage === 'ready') routes.moveTo(record.sandboxKey, record);
}
