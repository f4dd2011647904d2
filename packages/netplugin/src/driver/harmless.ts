import { libnetwork } from '@contiv/docker';

/**
 * Calls whose answer does not depend on what they say: the agent does nothing with them, or finds out by itself, comparing with the engine,
 * what a removal was to remove. They succeed also when nobody understands them. An engine of 20.10 repeats a call that broke off, as by a kill of
 * the agent, without its contents.
 */
const HARMLESS: ReadonlyMap<string, object> = new Map<string, object>([
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

const PROGRAM = '/NetworkDriver.ProgramExternalConnectivity';

/** The answer to such a call. @param contents what it says, as far as that is known; ports to publish are no harmless matter */
export function harmlessAnswer(path: string, contents: string): object | undefined {
  return path === PROGRAM && mayPublish(contents) ? undefined : HARMLESS.get(path);
}

function mayPublish(contents: string): boolean {
  try {
    const { Options } = libnetwork.externalConnectivity.parse(JSON.parse(contents));
    const ports = Options?.[libnetwork.netlabel.portMap] ?? [];
    return !Array.isArray(ports) || ports.length > 0;
  } catch {
    return true;
  }
}
