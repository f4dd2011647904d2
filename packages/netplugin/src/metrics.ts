/** The agent's Prometheus metrics beyond the driver calls' latency. */
import type { Metrics } from '@contiv/observe';
import type { AgentParts } from './agent.js';

export function exportMetrics(metrics: Metrics, parts: AgentParts): void {
  const { cluster, context, dataplane, datapath, outbox } = parts;
  const gauge = (name: string, help: string, value: () => number) => metrics.gauge({ name, help, collect: (g) => g.set(value()) });
  gauge('in_sync', '1 while the agent follows a netmaster', () => (cluster.synced ? 1 : 0));
  gauge('revision', 'Store revision the agent is at', () => cluster.mirror.revision);
  gauge('local_endpoints', 'Endpoints of this host', () => context.state.endpoints.values().filter((e) => e.stage === 'ready').length);
  gauge('cluster_endpoints', 'Endpoints of the cluster', () => cluster.mirror.endpoints.size);
  gauge('outbox', 'Changes netmaster has yet to be told', () => outbox.pending);
  gauge('datapath_applies', 'Whole applies of the data path since start', () => dataplane.status.applies);
  gauge('datapath_repaired', 'Kernel entries that somebody else had changed, repaired since start', () => dataplane.status.repaired);
  gauge('datapath_failed', 'Objects that cannot be programmed at present', () => dataplane.status.failed.length);
  metrics.gauge({
    name: 'map_entries',
    help: 'Entries of a kernel map',
    labels: ['map'],
    collect: (g) => {
      for (const { name, entries } of datapath.fill()) g.set({ map: name }, entries);
    },
  });
  metrics.gauge({
    name: 'map_max_entries',
    help: 'Capacity of a kernel map',
    labels: ['map'],
    collect: (g) => {
      for (const { name, max } of datapath.fill()) g.set({ map: name }, max);
    },
  });
  metrics.gauge({
    name: 'drops',
    help: 'Packets dropped by the data path since it was loaded, by reason',
    labels: ['reason'],
    collect: (g) => {
      for (const [reason, count] of Object.entries(datapath.drops())) g.set({ reason }, Number(count));
    },
  });
  metrics.gauge({
    name: 'uplink_active',
    help: '1 for the uplink that carries VLANs at present',
    labels: ['uplink'],
    collect: (g) => {
      for (const { name, state } of datapath.uplinks()) g.set({ uplink: name }, state === 'active' ? 1 : 0);
    },
  });
  metrics.gauge({
    name: 'vlan_packets',
    help: 'Packets of VLANs over the uplinks since the data path was loaded',
    labels: ['direction'],
    collect: (g) => {
      const { rxPackets, txPackets } = datapath.uplinkCounters();
      g.set({ direction: 'rx' }, Number(rxPackets));
      g.set({ direction: 'tx' }, Number(txPackets));
    },
  });
  const endpointLabels = ['tenant', 'network', 'ip', 'direction'] as const;
  const perEndpoint = (
    name: string,
    help: string,
    pick: (c: { rxPackets: bigint; rxBytes: bigint; txPackets: bigint; txBytes: bigint }) => [bigint, bigint],
  ) =>
    metrics.gauge({
      name,
      help,
      labels: endpointLabels,
      collect: (g) => {
        g.reset();
        const counters = datapath.counters();
        for (const record of context.state.endpoints.values()) {
          const c = counters.get(record.port);
          if (!c) continue;
          const labels = { tenant: record.ref.tenant, network: record.ref.network, ip: record.ip };
          const [rx, tx] = pick(c);
          g.set({ ...labels, direction: 'rx' }, Number(rx));
          g.set({ ...labels, direction: 'tx' }, Number(tx));
        }
      },
    });
  perEndpoint('endpoint_packets', 'Packets of a local endpoint since it was attached', (c) => [c.rxPackets, c.txPackets]);
  perEndpoint('endpoint_bytes', 'Bytes of a local endpoint since it was attached', (c) => [c.rxBytes, c.txBytes]);
}
