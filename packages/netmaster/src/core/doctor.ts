/** What is wrong in the cluster, from what the store holds and what the agents said. Pure. */
import type { Checkup, DoctorAnswer, DoctorFinding } from '@contiv/model';
import { itemsOf, nameOfEndpoint } from '@contiv/model';
import { peerFindings, type Say } from './peers.js';
import { presentHost } from './present.js';
import type { EntryOf } from './records.js';
import type { State } from './state.js';

/** What a host's agent answered, or why it did not. */
export type Answered =
  | {
      readonly checkup: Checkup /** When it was asked and had answered, by netmaster's clock. */;
      readonly askedAt: number;
      readonly answeredAt: number;
    }
  | { readonly fault: string };

export interface Self {
  readonly version: string;
  readonly revision: number;
  /** Why the store does not answer, empty while it does. */
  readonly storeFault: string;
  /** Keys of records that could not be read. */
  readonly malformed: Iterable<string>;
}

/** Clocks that differ more make logs hard to compare, … */
const SKEW_WARNING_MS = 2_000;
/** … and certificates and leases wrong. */
const SKEW_ERROR_MS = 60_000;
/** Changes an agent may lack while a busy cluster goes on changing. */
const LAG = 200;
const POOL_WARNING = 0.9;

const RANK = { error: 0, warning: 1, note: 2 } as const;

export function diagnose(state: State, answers: ReadonlyMap<string, Answered>, self: Self): DoctorAnswer {
  const findings: DoctorFinding[] = [];
  const say = (severity: DoctorFinding['severity'], thing: string, reason: string, way: string) =>
    void findings.push({ severity, thing, reason, way });
  if (self.storeFault !== '') say('error', 'store', self.storeFault, 'nothing can be changed until it answers; see the log of netmaster');
  for (const key of self.malformed)
    say(
      'error',
      'store',
      `its record ${key} cannot be read`,
      'delete it or restore it from a backup; the log of netmaster says what is wrong with it',
    );
  const hosts = [...state.all('host')].toSorted((a, b) => (a.key < b.key ? -1 : 1));
  if (hosts.length === 0) say('warning', 'hosts', 'no host is registered', 'start netplugin on every host that is to take part');
  const rows: DoctorAnswer['hosts'] = [];
  for (const host of hosts) {
    const info = presentHost(state, host);
    const answer = answers.get(info.name);
    const thing = `host ${info.name}`;
    const base = { host: info.name, version: info.version, kernel: '', mtu: info.mtu, endpoints: state.endpointsOfHost.of(info.name).size };
    if (!info.alive) {
      const since = info.silentSince === undefined ? '' : ` since ${info.silentSince}`;
      const kept =
        base.endpoints === 0 ? '' : base.endpoints === 1 ? '; its endpoint is kept' : `; its ${base.endpoints} endpoints are kept`;
      say('error', thing, `its agent is not connected${since}${kept}`, `start netplugin there, or: netctl host rm ${info.name}`);
      rows.push({ ...base, state: 'silent' });
      continue;
    }
    if (!answer || 'fault' in answer) {
      say('error', thing, `its agent gives no answer: ${answer?.fault ?? 'it was not asked'}`, 'look at the log of netplugin there');
      rows.push({ ...base, state: 'no answer' });
      continue;
    }
    const { checkup } = answer;
    const clockMs = skew(answer.askedAt, answer.answeredAt, checkup.now);
    const behind = Math.max(0, self.revision - checkup.revision);
    rows.push({
      ...base,
      state: 'connected',
      version: checkup.version,
      kernel: checkup.kernel,
      mtu: checkup.mtu,
      clockMs,
      behind,
      repaired: checkup.repaired,
      peers: { good: checkup.peers.filter((p) => p.fullSize).length, all: checkup.peers.length },
    });
    hostFindings(say, thing, checkup, { clockMs, behind, version: self.version });
    peerFindings(say, info.name, checkup.peers);
  }
  clusterFindings(
    say,
    hosts.map((host) => presentHost(state, host)).filter(({ alive }) => alive),
  );
  poolFindings(say, state);
  nameFindings(say, state);
  ruleFindings(say, state);
  findings.sort((a, b) => RANK[a.severity] - RANK[b.severity]);
  const healthy = findings.every(({ severity }) => severity === 'note');
  return { healthy, version: self.version, revision: self.revision, hosts: rows, findings };
}

/** How far a clock is ahead, as far as the time the answer took lets us know. */
export function skew(askedAt: number, answeredAt: number, theirs: number): number {
  if (theirs > answeredAt) return Math.round(theirs - answeredAt);
  return theirs < askedAt ? Math.round(theirs - askedAt) : 0;
}

function hostFindings(
  say: Say,
  thing: string,
  checkup: Checkup,
  { clockMs, behind, version }: { readonly clockMs: number; readonly behind: number; readonly version: string },
): void {
  for (const problem of checkup.problems) say('error', thing, problem, 'see netplugin status there');
  for (const warning of checkup.warnings) say('warning', thing, warning, 'see netplugin status there');
  if (checkup.version !== version)
    say(
      'warning',
      thing,
      `it runs version ${checkup.version}, netmaster ${version}`,
      'install one version everywhere; traffic goes on meanwhile',
    );
  const seconds = `${Math.abs(clockMs) >= 10_000 ? Math.round(Math.abs(clockMs) / 1_000) : Math.round(Math.abs(clockMs) / 100) / 10} s`;
  if (Math.abs(clockMs) > SKEW_WARNING_MS)
    say(
      Math.abs(clockMs) > SKEW_ERROR_MS ? 'error' : 'warning',
      thing,
      `its clock is ${seconds} ${clockMs > 0 ? 'ahead of' : 'behind'} netmaster's`,
      'run an NTP client, such as chrony, on both',
    );
  if (checkup.inSync && behind > LAG)
    say(
      'warning',
      thing,
      `it is ${behind} changes behind`,
      'it catches up by itself; if it does not, look at its load and its way to netmaster',
    );
  if (checkup.pending > 0)
    say('warning', thing, `netmaster has yet to be told of ${checkup.pending} changes`, 'it is tried again until it succeeds');
  const [last] = checkup.lastRepairs;
  if (checkup.repaired > 0)
    say(
      'note',
      thing,
      `${checkup.repaired} entries of its tables were changed by somebody else and repaired since ${checkup.startedAt}${last === undefined ? '' : `, the last time: ${last}`}`,
      'find out who changes them, if it happens again',
    );
}

interface HostFacts {
  readonly name: string;
  readonly mtu: number;
  readonly uplinkMtu?: number | undefined;
  readonly vxlanPort: number;
  readonly vtepIp: string;
}

/** `1500 (node1, node2) and 1400 (node3)`; `undefined` when all agree. */
function differing(hosts: readonly HostFacts[], of: (host: HostFacts) => number | undefined): string | undefined {
  const byValue = new Map<number, string[]>();
  for (const host of hosts) {
    const value = of(host);
    if (value !== undefined) byValue.set(value, [...(byValue.get(value) ?? []), host.name]);
  }
  if (byValue.size < 2) return undefined;
  return [...byValue]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([value, names]) => `${value} (${names.slice(0, 4).join(', ')}${names.length > 4 ? ', …' : ''})`)
    .join(' and ');
}

function clusterFindings(say: Say, hosts: readonly HostFacts[]): void {
  const mtu = differing(hosts, (h) => h.mtu);
  if (mtu !== undefined)
    say(
      'warning',
      'MTU',
      `the links of the tunnels differ: ${mtu}; large packets from the wider ones are lost on bridged networks`,
      'ip link set LINK mtu … on the hosts that stand out; their networks follow',
    );
  const uplink = differing(hosts, (h) => h.uplinkMtu);
  if (uplink !== undefined) say('warning', 'MTU', `the uplinks of VLANs differ: ${uplink}`, 'give all uplinks one MTU');
  const port = differing(hosts, (h) => h.vxlanPort);
  if (port !== undefined)
    say(
      'error',
      'VXLAN port',
      `hosts use several: ${port}; they do not hear each other`,
      'start netplugin with one --vxlan-port everywhere',
    );
}

function poolFindings(say: Say, state: State): void {
  const judge = (thing: string, taken: number, size: number, way: string) => {
    if (size === 0 || taken / size < POOL_WARNING) return;
    const left = size - taken;
    if (left <= 0) say('error', thing, `all its ${size} addresses are taken`, way);
    else say('warning', thing, `${taken} of its ${size} addresses are taken`, way);
  };
  for (const network of state.all('network')) {
    const key = network.place.first;
    const { v4 } = state.layout(network);
    const pools = state.pools(key);
    const usage = state.usage(key);
    const inPool = (n: number) => pools.some((p) => n >= p.first && n <= p.last);
    const taken = [...usage.v4.keys()].filter((n) => n !== v4.gateway && !inPool(n) && n >= v4.usable.first && n <= v4.usable.last).length;
    const held = pools.reduce((sum, p) => sum + p.last - p.first + 1, 0);
    const gateway =
      v4.gateway !== undefined && v4.gateway >= v4.usable.first && v4.gateway <= v4.usable.last && !inPool(v4.gateway) ? 1 : 0;
    const size = v4.usable.last - v4.usable.first + 1 - gateway - held;
    const { tenantName, networkName } = network.record;
    judge(
      `network ${tenantName}/${networkName}`,
      taken,
      size,
      `remove containers, or make a larger network: netctl net create -t ${tenantName} --subnet=… NAME`,
    );
    for (const pool of pools) {
      const used = [...usage.v4.keys()].filter((n) => n >= pool.first && n <= pool.last && n !== v4.gateway).length;
      const room = pool.last - pool.first + 1 - (v4.gateway !== undefined && v4.gateway >= pool.first && v4.gateway <= pool.last ? 1 : 0);
      judge(`pool of group ${pool.groupKey.replace(':', '/')}`, used, room, 'remove containers, or make a group with a larger --ip-pool');
    }
  }
}

/** A name that two containers of a tenant have leads to both. */
function nameFindings(say: Say, state: State): void {
  const named = new Map<string, Map<string, EntryOf<'endpoint'>>>();
  for (const endpoint of state.all('endpoint')) {
    const { tenant, containerName, containerId } = endpoint.record;
    if (!containerName || containerId === undefined) continue;
    const key = `${tenant}/${containerName}`;
    const those = named.get(key) ?? new Map<string, EntryOf<'endpoint'>>();
    named.set(key, those.set(containerId, endpoint));
  }
  for (const [name, those] of named) {
    if (those.size < 2) continue;
    const where = [...those.values()].map(({ record }) => `${record.ip} on ${record.host}`).join(', ');
    const [first] = those.values();
    say(
      'warning',
      `name ${name}`,
      `${those.size} containers are called so: ${where}; the name leads to any of them`,
      `rename all but one ${first ? nameOfEndpoint(first.record) : ''}: docker rename`,
    );
  }
}

/** How many rules without their peers are told one by one. */
const MOST_RULES = 20;

/** As in Contiv, a group or network may go although rules name it. A rule whose peers are all gone is about nobody until there are such again. */
function ruleFindings(say: Say, state: State): void {
  let more = 0;
  let told = 0;
  for (const { record } of state.all('rule')) {
    const { tenantName: tenant, policyName, ruleId } = record;
    const missing = [
      ...[record.fromEndpointGroup, record.toEndpointGroup]
        .flatMap(itemsOf)
        .flatMap((n) => (state.group(`${tenant}:${n}`) ? [] : `group ${n}`)),
      ...[record.fromNetwork, record.toNetwork].flatMap(itemsOf).flatMap((n) => (state.network(`${tenant}:${n}`) ? [] : `network ${n}`)),
    ];
    if (missing.length === 0) continue;
    if (told++ >= MOST_RULES) {
      more++;
      continue;
    }
    say(
      'warning',
      `rule ${ruleId} of policy ${tenant}/${policyName}`,
      `it names ${missing.join(' and ')}, which ${missing.length > 1 ? 'are' : 'is'} gone, and has no effect on ${missing.length > 1 ? 'them' : 'it'}`,
      `make it again, or: netctl policy rule-rm -t ${tenant} ${policyName} ${ruleId}`,
    );
  }
  if (more > 0) say('warning', 'rules', `${more} more name groups or networks that are gone`, 'netctl policy rule-ls shows them');
}
