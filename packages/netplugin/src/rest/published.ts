/**
 * The ports of this host that lead to containers, in words. Docker cannot show them (`docker port`, `docker ps`): of a remote driver's answer
 * it keeps only what has its own Go types, and what came as JSON has none (moby, getEndpointPortMapInfo). Pure.
 */
import type { Mirror } from '@contiv/client';
import type { EndpointRecord } from '../state/records.js';

type Publisher = Pick<EndpointRecord, 'endpointId' | 'ref' | 'ip' | 'published'>;

/** `# *:9099/tcp -> 10.1.2.3:9000, web in contiv-net of tenant default`, by port. */
export function publishedLines(endpoints: Iterable<Publisher>, known: Mirror['endpoints']): string[] {
  const lines: { readonly port: number; readonly text: string }[] = [];
  for (const { endpointId, ref, ip, published = [] } of endpoints) {
    const name = known.get(`${ref.network}.${ref.tenant}-${endpointId}`)?.containerName;
    const whose = `${name ? `${name} in ` : ''}${ref.network} of tenant ${ref.tenant}`;
    for (const { protocol, hostIp = '', hostPort, containerPort } of published)
      lines.push({
        port: hostPort,
        text: `# ${hostIp.includes(':') ? `[${hostIp}]` : hostIp || '*'}:${hostPort}/${protocol} -> ${ip}:${containerPort}, ${whose}`,
      });
  }
  return lines.sort((a, b) => a.port - b.port || (a.text < b.text ? -1 : 1)).map(({ text }) => text);
}
