/** The route to the DNS service address inside a container that lost the interface carrying it. */
export interface SandboxRoutes {
  /** Adds the route to the interface of that endpoint, as soon as the old interface is gone. Returns at once. */
  moveTo(sandboxKey: string, endpoint: { readonly endpointId: string; readonly mac: string }): void;
}
