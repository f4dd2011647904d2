/** Wires the name index to the DNS server: who asks is told by the data path, what they may see by the networks of their sandbox. */
import { type Datapath, DNS_SERVICE_IP } from '@contiv/datapath';
import { networkKey } from '@contiv/model';
import type { Cluster } from './cluster.js';
import { NameIndex, type Viewpoint } from './names.js';
import type { LocalState } from './state/records.js';

const NOBODY: Viewpoint = new Set();

/** Networks of the container behind a query's source address; none for a client that is no container of ours. */
export function viewpoint(datapath: Datapath, state: LocalState, client: string): Viewpoint {
  const port = datapath.portOfDnsClient(client);
  const asker = port === undefined ? undefined : state.endpoints.values().find((e) => e.port === port && e.stage === 'ready');
  if (!asker) return NOBODY;
  const networks = new Set<string>();
  for (const record of state.endpoints.values()) {
    const sameSandbox = record === asker || (asker.sandboxKey && record.sandboxKey === asker.sandboxKey);
    if (sameSandbox && record.stage === 'ready') networks.add(networkKey(record.ref.tenant, record.ref.network));
  }
  return networks;
}

/** An index that follows the cluster. */
export function followNames(cluster: Cluster): NameIndex {
  const index = new NameIndex();
  index.replace(cluster.mirror);
  cluster.listen({ replaced: () => index.replace(cluster.mirror), changed: (change) => index.change(change) });
  return index;
}

export { DNS_SERVICE_IP };
