/** What the agent tells about itself. */

import { type AgentParts, overhead } from '../agent.js';
import { participation } from '../desired.js';
import { portProblems, portWarnings } from '../tunnel.js';
import { mtuProblems, uplinkProblems, uplinkWarnings } from '../uplinks.js';
import { VERSION } from '../version.js';
import type { AgentStatus } from './status.js';

/** Map fill from which on a human should know. */
const NEARLY_FULL = 0.9;

export function statusOf(parts: AgentParts): AgentStatus {
  const { config, cluster, datapath, dataplane, context, outbox, dockerNetworks, follower, driver, dns, flows, hostSync, infra } = parts;
  const { mirror } = cluster;
  const perHost = new Map<string, number>();
  for (const endpoint of mirror.endpoints.values()) perHost.set(endpoint.host, (perHost.get(endpoint.host) ?? 0) + 1);
  const locals = context.state.endpoints.values().filter((e) => e.stage === 'ready');
  const uplinks = datapath.uplinks();
  const carried = datapath.uplinkCounters();
  const maps = datapath.fill().map(({ name, entries, max }) => ({ name, entries, max }));
  const { status } = dataplane;
  const fwdMode = mirror.global?.fwdMode;
  const others = [...mirror.hosts.values()].filter((h) => h.name !== config.host);
  const problems = [
    ...status.failed,
    ...(cluster.synced ? [] : [`not following a netmaster: ${cluster.fault || 'connecting'}`]),
    ...(cluster.complete ? [] : ['no snapshot of the cluster yet: the data path is left as it is']),
    ...(follower.connected ? [] : [`not following the Docker Engine: ${follower.fault || 'connecting'}`]),
    ...dockerNetworks.errors.values(),
    ...hostSync.errors,
    ...(infra.fault === '' ? [] : [infra.fault]),
    ...(cluster.unsaved === '' ? [] : [cluster.unsaved]),
    ...(flows.fault === '' ? [] : [`records of connections are lost, for they cannot be written: ${flows.fault}`]),
    ...uplinkProblems(uplinks),
    ...portProblems(config.vxlanPort, others),
    ...mtuProblems({ mtu: datapath.containerMtu + overhead(config.vtepIp), uplinkMtu: datapath.vlanMtu }, others),
    ...(dns.fault === '' ? [] : [`DNS does not serve: ${dns.fault}`]),
    ...(fwdMode === undefined || fwdMode === config.fwdmode
      ? []
      : [`netplugin's local forward mode "${config.fwdmode}" doesn't match global settings "${fwdMode}"; the global one is used`]),
    ...maps.filter((m) => m.entries > m.max * NEARLY_FULL).map((m) => `map ${m.name} is nearly full: ${m.entries} of ${m.max} entries`),
  ];
  return {
    host: config.host,
    version: VERSION,
    pid: process.pid,
    startedAt: parts.startedAt.toISOString(),
    vtepIp: config.vtepIp,
    vxlanPort: config.vxlanPort,
    containerMtu: datapath.containerMtu,
    vlan: {
      mtu: datapath.vlanMtu ?? 0,
      uplinks: uplinks.map(({ name, state, mtu }) => ({ name, state, mtu })),
      rxPackets: String(carried.rxPackets),
      txPackets: String(carried.txPackets),
      warnings: uplinkWarnings(uplinks),
    },
    instance: config.instance,
    netmaster: {
      master: cluster.master ?? '',
      configured: [...config.masters],
      inSync: cluster.synced,
      revision: mirror.revision,
      fault: cluster.fault,
      since: new Date(cluster.faultSince).toISOString(),
      pending: outbox.pending,
    },
    docker: {
      connected: follower.connected,
      fault: follower.fault,
      scope: config.dockerScope,
      networks: dockerNetworks.count,
      errors: Object.fromEntries(dockerNetworks.errors),
    },
    peers: [...mirror.hosts.values()]
      .filter((h) => h.name !== config.host)
      .map((h) => ({ host: h.name, vtepIp: h.vtepIp, alive: h.alive, endpoints: perHost.get(h.name) ?? 0 }))
      .sort((a, b) => (a.host < b.host ? -1 : 1)),
    endpoints: { local: locals.length, cluster: mirror.endpoints.size },
    networks: { here: participation(cluster.mirror, locals).size, cluster: mirror.networks.size },
    datapath: {
      applies: status.applies,
      written: status.written,
      repaired: status.repaired,
      lastApplyMs: status.lastApplyMs,
      lastRepairs: [...status.lastRepairs],
      failed: [...status.failed],
      drops: Object.fromEntries(Object.entries(datapath.drops()).map(([reason, count]) => [reason, String(count)])),
      maps,
    },
    dns: { listening: dns.listening, fault: dns.fault },
    warnings: [...portWarnings(config.vxlanPort), ...driver.warnings],
    problems,
    lastError: driver.lastError || outbox.lastFault || cluster.fault,
  };
}

/** Everything the agent holds, for a person with a question. */
export function debugState(parts: AgentParts): unknown {
  const { cluster, context, datapath } = parts;
  const { mirror } = cluster;
  const { state } = context;
  return {
    status: statusOf(parts),
    local: {
      networks: state.networks.values(),
      pools: state.pools.values(),
      reservations: state.reservations.values(),
      endpoints: state.endpoints.values(),
      infra: state.infra.values(),
    },
    cluster: {
      revision: mirror.revision,
      global: mirror.global,
      hosts: [...mirror.hosts.values()],
      networks: [...mirror.networks.values()],
      groups: [...mirror.groups.values()],
      endpoints: [...mirror.endpoints.values()],
    },
    stations: datapath.stations(),
    counters: Object.fromEntries([...datapath.counters()].map(([port, c]) => [port, texts(c)])),
  };
}

/** 64-bit counters as text: JSON numbers would lose digits. */
function texts(counters: object): unknown {
  return JSON.parse(JSON.stringify(counters, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)));
}

/** Contiv's `/inspect/driver`; tests read the keys of `VtepTable` and `LocalIp`. */
export function driverInspection(parts: AgentParts): unknown {
  const peers = [...parts.cluster.mirror.hosts.values()].filter((h) => h.name !== parts.config.host);
  return {
    vlan: {},
    vxlan: { LocalIp: parts.config.vtepIp, VtepTable: Object.fromEntries(peers.map((h) => [h.vtepIp, h.name])) },
  };
}
