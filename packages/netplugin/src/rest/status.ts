/** What `netplugin status` shows: one shape, made by the agent, printed by the command. */
import { z } from 'zod';

export const agentStatus = z.object({
  host: z.string(),
  version: z.string(),
  pid: z.number(),
  startedAt: z.string(),
  vtepIp: z.string(),
  vxlanPort: z.number(),
  containerMtu: z.number(),
  instance: z.string(),
  vlan: z.object({
    /** MTU of VLAN networks, 0 without an uplink. */
    mtu: z.number(),
    uplinks: z.array(z.object({ name: z.string(), state: z.string(), mtu: z.number() })),
    rxPackets: z.string(),
    txPackets: z.string(),
    warnings: z.array(z.string()),
  }),
  netmaster: z.object({
    /** The master that is followed, empty while none is. */
    master: z.string(),
    configured: z.array(z.string()),
    inSync: z.boolean(),
    revision: z.number(),
    /** Why there is no stream, and since when. */
    fault: z.string(),
    since: z.string(),
    pending: z.number(),
  }),
  docker: z.object({
    connected: z.boolean(),
    fault: z.string(),
    scope: z.string(),
    networks: z.number(),
    errors: z.record(z.string(), z.string()),
  }),
  peers: z.array(z.object({ host: z.string(), vtepIp: z.string(), alive: z.boolean(), endpoints: z.number() })),
  endpoints: z.object({ local: z.number(), cluster: z.number() }),
  networks: z.object({ here: z.number(), cluster: z.number() }),
  datapath: z.object({
    applies: z.number(),
    written: z.number(),
    repaired: z.number(),
    lastApplyMs: z.number(),
    lastRepairs: z.array(z.string()),
    failed: z.array(z.string()),
    drops: z.record(z.string(), z.string()),
    maps: z.array(z.object({ name: z.string(), entries: z.number(), max: z.number() })),
  }),
  dns: z.object({ listening: z.boolean(), fault: z.string() }),
  /** Not wrong, but worth a thought. */
  warnings: z.array(z.string()),
  /** Sentences about everything that is not as it should be, most urgent first. */
  problems: z.array(z.string()),
  lastError: z.string(),
});
export type AgentStatus = z.infer<typeof agentStatus>;

const row = (name: string, value: string): string => `${name.padEnd(18)}${value}`;

const dropsOf = (drops: Readonly<Record<string, string>>): string =>
  Object.entries(drops)
    .filter(([, count]) => count !== '0')
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ') || 'none';

const uplinkText = (u: AgentStatus['vlan']['uplinks'][number] | undefined): string =>
  u === undefined ? '' : `${u.name.padEnd(15)}  ${u.state}${u.mtu === 0 ? '' : `, MTU ${u.mtu}`}`;

/** The status for people. */
export function formatStatus(s: AgentStatus): string {
  const sync = s.netmaster.inSync
    ? `in sync with ${s.netmaster.master} at revision ${s.netmaster.revision}`
    : `NOT in sync since ${s.netmaster.since} (revision ${s.netmaster.revision}): ${s.netmaster.fault || 'connecting'}`;
  const docker = s.docker.connected
    ? `following, ${s.docker.networks} networks, scope ${s.docker.scope}`
    : `NOT connected: ${s.docker.fault}`;
  const width = Math.max(4, ...s.peers.map((p) => p.host.length));
  const lines = [
    row('Host', `${s.host} (VTEP ${s.vtepIp}, VXLAN port ${s.vxlanPort}, container MTU ${s.containerMtu})`),
    row('Agent', `version ${s.version}, pid ${s.pid}, since ${s.startedAt}`),
    row('Netmaster', sync),
    ...(s.netmaster.pending > 0 ? [row('', `${s.netmaster.pending} changes netmaster has yet to be told`)] : []),
    row('Docker', docker),
    row('Networks', `${s.networks.here} used here, ${s.networks.cluster} in the cluster`),
    row('Endpoints', `${s.endpoints.local} here, ${s.endpoints.cluster} in the cluster`),
    row('DNS', s.dns.listening ? 'listening' : `NOT listening: ${s.dns.fault}`),
    row(
      'Data path',
      `${s.datapath.applies} applies, last ${s.datapath.lastApplyMs.toFixed(1)} ms, ${s.datapath.repaired} drifted entries repaired`,
    ),
    // Empty tables are no news.
    ...s.datapath.maps
      .filter((m) => m.entries > 0)
      .map((m) => row('', `${m.name.padEnd(20)}${m.entries} of ${m.max} (${((m.entries / Math.max(1, m.max)) * 100).toFixed(1)} %)`)),
    row('Drops', dropsOf(s.datapath.drops)),
    row('Uplinks', s.vlan.uplinks.length === 0 ? 'none, so no VLAN networks here' : uplinkText(s.vlan.uplinks[0])),
    ...s.vlan.uplinks.slice(1).map((u) => row('', uplinkText(u))),
    ...(s.vlan.uplinks.length === 0 ? [] : [row('', `VLAN MTU ${s.vlan.mtu}, ${s.vlan.rxPackets} packets in, ${s.vlan.txPackets} out`)]),
    ...s.vlan.warnings.map((w) => row('', w)),
    row('Peers', s.peers.length === 0 ? 'none' : `${'HOST'.padEnd(width)}  VTEP             ALIVE  ENDPOINTS`),
    ...s.peers.map((p) =>
      row('', `${p.host.padEnd(width)}  ${p.vtepIp.padEnd(15)}  ${(p.alive ? 'yes' : 'no').padEnd(5)}  ${p.endpoints}`),
    ),
    ...s.warnings.map((w, i) => row(i === 0 ? 'Warnings' : '', w)),
    row('Last error', s.lastError || 'none'),
  ];
  if (s.problems.length === 0) return [...lines, row('Problems', 'none')].join('\n');
  return [...lines, row('Problems', s.problems[0] ?? ''), ...s.problems.slice(1).map((p) => row('', p))].join('\n');
}
