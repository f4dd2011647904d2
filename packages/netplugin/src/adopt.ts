/** Endpoints of this host whose records were lost with the agent's disk: netmaster still knows them, and their interfaces bear their names. Pure. */
import type { Mirror } from '@contiv/client';
import type { EndpointState } from '@contiv/model';
import { type EndpointRecord, interfaceNames } from './state/records.js';

/** What netmaster says this host has although the agent knows nothing of it. */
export function withoutRecord(mirror: Mirror, host: string, known: (endpointId: string) => boolean): EndpointState[] {
  return [...mirror.endpoints.values()].filter((endpoint) => endpoint.host === host && !known(endpoint.endpointId));
}

/** Its record, if its interface is there. Whether the engine still has it as well, the comparison with the engine finds out. */
export function adopted(endpoint: EndpointState, ports: ReadonlySet<string>, createdAt: number): EndpointRecord | undefined {
  const { endpointId, tenant, network, group, ip, ip6, mac } = endpoint;
  const names = interfaceNames(endpointId);
  if (!ports.has(names.port)) return undefined;
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
  };
}
