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
  const { sandboxKey, dnsRoute, ...rest } = record;
  state.endpoints.setAnyway(endpointId, rest);
  if (dnsRoute !== true) return;
  const heir = state.endpoints.values().find((e) => e.sandboxKey === sandboxKey && e.stage === 'ready');
  if (!heir) return;
  state.endpoints.setAnyway(heir.endpointId, { ...heir, dnsRoute: true });
  routes.moveTo(sandboxKey, heir);
}
