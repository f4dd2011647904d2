/**
 * Calls whose answer does not depend on what they say: the agent does nothing with them, or finds out by itself, comparing with the engine,
 * what a removal was to remove. They succeed also when nobody understands them. An engine of 20.10 repeats a call that broke off, as by a kill of
 * the agent, without its contents.
 */
export const HARMLESS: ReadonlyMap<string, object> = new Map<string, object>([
  ['/NetworkDriver.FreeNetwork', {}],
  ['/NetworkDriver.DeleteNetwork', {}],
  ['/NetworkDriver.DeleteEndpoint', {}],
  ['/NetworkDriver.EndpointOperInfo', { Value: {} }],
  ['/NetworkDriver.Leave', {}],
  ['/NetworkDriver.ProgramExternalConnectivity', {}],
  ['/NetworkDriver.RevokeExternalConnectivity', {}],
  ['/NetworkDriver.DiscoverNew', {}],
  ['/NetworkDriver.DiscoverDelete', {}],
  ['/IpamDriver.ReleasePool', {}],
  ['/IpamDriver.ReleaseAddress', {}],
]);
