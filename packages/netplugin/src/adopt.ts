/**
 * Endpoints of this host whose records were lost with the agent's disk: netmaster still knows them, their interfaces bear their names, and the
 * packet filter leads their published ports to them. Pure.
 */
import type { Mirror } from '@contiv/client';
import type { PublishedPort } from '@contiv/datapath';
import type { EndpointState } from '@contiv/model';
import { type EndpointRecord, interfaceNames, type PublishedRecord } from './state/records.js';

/** What netmaster says this host has although the agent knows nothing of it. */
export function withoutRecord(mirror: Mirror, host: string, known: (endpointId: string) => boolean): EndpointState[] {
  return [...mirror.endpoints.values()].filter((endpoint) => endpoint.host === host && !known(endpoint.endpointId));
}

const EVERY4 = '0.0.0.0';

/** A container without IPv6 is published on all of IPv4 either way: what was asked for is most likely no address at all. */
function publishedBy(port: string, ip6: string | undefined, published: readonly PublishedPort[]): PublishedRecord[] {
  return published
    .filter((one) => one.port === port)
    .map(({ port: _name, hostIp, ...rest }) =>
      hostIp === undefined || (hostIp === EVERY4 && ip6 === undefined) ? rest : { ...rest, hostIp },
    );
}

/**
 * Its record.
 * @param published what the packet filter publishes. The engine knows only what was asked for: not which port was given in place of none, nor
 *   which of a container's networks publishes.
 */
export function adopted(endpoint: EndpointState, published: readonly PublishedPort[], createdAt: number): EndpointRecord {
  const { endpointId, tenant, network, group, ip, ip6, mac } = endpoint;
  const names = interfaceNames(endpointId);
  const own = publishedBy(names.port, ip6, published);
  return {
    endpointId,
    networkId: '',
    ref: { tenant, network, ...(group === undefined ? {} : { group }) },
    ip,
    ...(ip6 === undefined ? {} : { ip6 }),
    mac,
    ...names,
    createdAt,
    stage: 'ready',
    ...(own.length === 0 ? {} : { published: own }),
  };
}
