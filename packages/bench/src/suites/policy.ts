import { deliveries } from '../agents.js';
import { accept, connect, type Spot } from '../connecting.js';
import { ADDRESS, addressOf, docker, eventually, MASTER, NETMASTER, netctl, onHost, sleeper, WORKER } from '../lab.js';
import { Client, startMaster } from '../master.js';
import { ensureNetworks, OVERLAY } from '../networks.js';
import { compare, inContainer, SHORT, serve, serveHost } from '../paths.js';
import { floodPing, stream, tcpRoundTrip } from '../probes.js';
import { type Result, toMarkdown } from '../result.js';
import { applyRules, rule } from '../rules.js';
import { servicePid, tableOf } from '../service.js';
import { interleave, median, medians, pause, percentile, perRound } from '../stats.js';
import { cpuDuring } from '../usage.js';

const suite = 'policy';
const NETWORK = 'bench-pol';
/** Groups, and under the same names their policies. */
const [FEW, MANY, LIMITED] = ['bench-few', 'bench-many', 'bench-limited'] as const;
const SIZES = { [FEW]: 10, [MANY]: 10_000 } as const;
const SERVED = [FEW, MANY, LIMITED, OVERLAY] as const;
type Network = (typeof SERVED)[number];
/** Rules that are added and removed again, one by one. */
const CHANGES = 100;
const LIMIT_MS = 5_000;
const AGENTS = 1_000;
const DELIVERIES = 50;
const PER_SECOND = 10_000;
/** Of what a profile's rate counts, frames of 1,464 bytes, TCP's payload is 1,398. */
const PAYLOAD = 1398 / 1464;

const caller = (network: Network): Spot => ({ host: MASTER, container: `pol-${network}-a` });
const called = (network: Network): Spot => ({ host: WORKER, container: `pol-${network}-b` });

/** What policies cost: packets, connections, changes, and the agent. */
export async function policySuite(rounds: number, etcd: `etcd://${string}`): Promise<Result[]> {
  await ensureNetworks();
  const stops: (() => Promise<unknown>)[] = [];
  try {
    await prepare();
    for (const network of [MANY, OVERLAY, FEW] as const) stops.push(await accept(called(network)));
    const results: Result[] = [];
    for (const part of [
      () => packets(rounds),
      () => connections(rounds),
      agentCpu,
      changes,
      () => bandwidths(rounds),
      () => masters(etcd),
    ]) {
      const found = await part();
      // Told as they come: the whole takes minutes.
      process.stderr.write(`${toMarkdown(found)}\n`);
      results.push(...found);
    }
    return results;
  } finally {
    for (const stop of stops) await stop().catch(() => undefined);
    await remove();
  }
}

async function prepare(): Promise<void> {
  await netctl('net', 'create', '--subnet=10.76.0.0/24', NETWORK);
  await applyRules(NETMASTER, SIZES);
  await netctl('netprofile', 'create', '-b', '6Mbps', LIMITED);
  for (const group of [FEW, MANY]) await netctl('group', 'create', '-p', group, NETWORK, group);
  await netctl('group', 'create', '-n', LIMITED, NETWORK, LIMITED);
  for (const network of SERVED) {
    for (const { host, container } of [caller(network), called(network)]) {
      await eventually(`${network} on ${host}`, () => docker(host, 'network', 'inspect', network));
      await sleeper(host, container, network);
    }
    await serve(WORKER, called(network).container);
    const { from, to } = await path(network);
    await eventually(`ping ${to}`, () => from('ping', '-c1', '-W1', to));
  }
  await serveHost(WORKER);
}

async function remove(): Promise<void> {
  for (const network of SERVED)
    for (const { host, container } of [caller(network), called(network)]) await docker(host, 'rm', '-f', container).catch(() => undefined);
  for (const group of [FEW, MANY, LIMITED]) await netctl('group', 'rm', group).catch(() => undefined);
  for (const policy of [FEW, MANY]) await netctl('policy', 'rm', policy).catch(() => undefined);
  await netctl('netprofile', 'rm', LIMITED).catch(() => undefined);
  await netctl('net', 'rm', NETWORK).catch(() => undefined);
}

const path = async (network: Network) => ({
  from: inContainer(MASTER, caller(network).container),
  to: await addressOf(WORKER, called(network).container, network),
});

async function packets(rounds: number): Promise<Result[]> {
  const host = { from: (...command: string[]) => onHost(MASTER, ...command), to: ADDRESS[WORKER] ?? '' };
  const paths = { host, overlay: await path(OVERLAY), '10 rules': await path(FEW), '10,000 rules': await path(MANY) };
  const ping = await compare(rounds * SHORT.trip, paths, (p) => floodPing(p.from, p.to, 7_000));
  const rr = await compare(rounds * SHORT.trip, paths, (p) => tcpRoundTrip(p.from, p.to, 1));
  const { host: _host, ...tunnels } = paths;
  const single = await compare(rounds * SHORT.stream, tunnels, (p) => stream(p.from, p.to, 1, 1));
  const times = [
    ['`ping -f`', ping],
    ['TCP request/response', rr],
  ] as const;
  return [
    ...times.flatMap(([what, samples]): Result[] => [
      {
        suite,
        what: `RTT with 10,000 rules on the group, two hosts, ${what}`,
        figures: medians(samples),
        unit: 'µs',
        value: perRound(samples, (f) => f['10,000 rules'] / f['10 rules']),
        valueName: '10,000 ÷ 10 rules',
        target: { op: '<=', limit: 1.03 },
      },
      {
        suite,
        what: `RTT with policy, tracking and flow records, two hosts, ${what}`,
        figures: medians(samples),
        unit: 'µs',
        value: perRound(samples, (f) => (f['10 rules'] - f.host) / (f.overlay - f.host)),
        valueName: 'overhead ours ÷ overlay',
        target: { op: '<=', limit: 1 },
      },
    ]),
    {
      suite,
      what: 'TCP, one stream, with 10,000 rules on the group, two hosts',
      figures: medians(single),
      unit: 'Gbit/s',
      value: perRound(single, (f) => f['10 rules'] / f['10,000 rules']),
      valueName: '10 ÷ 10,000 rules',
      target: { op: '<=', limit: 1.03 },
    },
  ];
}

async function connections(rounds: number): Promise<Result[]> {
  const [overlay, ours] = [(await path(OVERLAY)).to, (await path(MANY)).to];
  const results: Result[] = [];
  for (const clients of [1, 32]) {
    const samples = await interleave(rounds, {
      overlay: () => connect(caller(OVERLAY), overlay, clients, 2),
      ours: () => connect(caller(MANY), ours, clients, 2),
    });
    results.push({
      suite,
      what: `new TCP connections with 10,000 rules, two hosts, ${clients === 1 ? 'one client' : `${clients} clients`}`,
      figures: medians(samples),
      unit: 'per s',
      value: perRound(samples, (f) => f.ours / f.overlay),
      valueName: 'ours ÷ overlay',
      target: { op: '>=', limit: 0.9 },
    });
  }
  return results;
}

/** Of the busier of the two agents. */
async function agentCpu(): Promise<Result[]> {
  const { to } = await path(FEW);
  let reached = 0;
  const work = (async () => {
    await pause(100);
    reached = await connect(caller(FEW), to, 32, 10, PER_SECOND);
  })();
  const usage = await Promise.all([MASTER, WORKER].map(async (host) => cpuDuring(await servicePid(host, 'netplugin'), () => work)));
  return [
    {
      suite,
      what: `an agent's CPU while ${PER_SECOND.toLocaleString('en-US')} connections a second begin, with flow records (${Math.round(reached).toLocaleString('en-US')} reached)`,
      figures: { caller: usage[0] ?? 0, called: usage[1] ?? 0 },
      unit: '% of a core',
      value: Math.max(...usage),
      valueName: 'busier agent',
      target: { op: '<=', limit: 30, unit: '%' },
    },
  ];
}

/** From netmaster's answer until both hosts' data paths judge by the new rules. */
async function changes(): Promise<Result[]> {
  const client = new Client(NETMASTER);
  const configs = [await tableOf(MASTER, 'config'), await tableOf(WORKER, 'config')];
  // Every connection is judged anew in an epoch; it begins when the rules have been switched to.
  const epochs = (): number[] => configs.map((map) => map.get(Buffer.alloc(4))?.readUInt32LE(0) ?? 0);
  const delay = async (write: () => Promise<unknown>): Promise<number> => {
    const before = epochs();
    await write();
    const answered = performance.now();
    while (epochs().some((epoch, i) => epoch === before[i])) {
      if (performance.now() - answered > LIMIT_MS) throw new Error(`a rule is not enforced on both hosts after ${LIMIT_MS} ms`);
      await pause(1);
    }
    const took = performance.now() - answered;
    await pause(25);
    return took;
  };
  const results: Result[] = [];
  try {
    for (const policyName of [FEW, MANY]) {
      const delays: number[] = [];
      for (let i = 0; i < CHANGES; i++) {
        const path = `/api/v1/rules/default:${policyName}:change${i}/`;
        const body = { ...rule(SIZES[policyName] + i), ruleId: `change${i}`, policyName, tenantName: 'default' };
        delays.push(await delay(() => client.post(path, body)));
        delays.push(await delay(() => client.delete(path)));
      }
      const size = SIZES[policyName].toLocaleString('en-US');
      results.push({
        suite,
        what: `answer to a rule's change in a policy of ${size} → enforced on both hosts, ${delays.length} changes`,
        figures: { p50: median(delays), p90: percentile(delays, 90), p99: percentile(delays, 99) },
        unit: 'ms',
        value: percentile(delays, 99),
        valueName: 'p99',
        target: { op: '<=', limit: 50, unit: 'ms' },
      });
    }
  } finally {
    for (const map of configs) map.close();
    client.close();
  }
  return results;
}

async function bandwidths(rounds: number): Promise<Result[]> {
  const { from, to } = await path(LIMITED);
  const results: Result[] = [];
  for (const [rate, mbit] of [
    ['6Mbps', 6],
    ['16Mbps', 16],
    ['1Gbps', 1024],
  ] as const) {
    await netctl('netprofile', 'create', '-b', rate, LIMITED);
    await pause(500);
    const samples: number[] = [];
    for (let i = 0; i < Math.min(rounds, 3); i++)
      samples.push((await stream((...command) => from(...command, '-O', '1'), to, 3, 1)) * 1000);
    const expected = mbit * 1.048576 * PAYLOAD;
    results.push({
      suite,
      what: `a group with ${rate}: TCP, one stream, two hosts`,
      figures: { expected, measured: median(samples) },
      unit: 'Mbit/s',
      value: Math.abs(median(samples) / expected - 1) * 100,
      valueName: 'off by',
      target: { op: '<=', limit: 5, unit: '%' },
    });
  }
  return results;
}

/** Masters without hosts: 10,000 rules at once, and one of them told to a thousand agents. */
async function masters(etcd: `etcd://${string}`): Promise<Result[]> {
  const results: Result[] = [];
  const applied = (store: string, seconds: number): Result => ({
    suite,
    what: `10,000 rules by \`netctl apply\`, ${store}`,
    figures: { apply: seconds },
    unit: 's',
    value: seconds,
    valueName: 'apply',
    target: { op: '<=', limit: 10, unit: 's' },
  });
  const onEtcd = await startMaster(`${etcd}-policy-${Date.now()}`, 19_993);
  try {
    results.push(applied('etcd', await applyRules(onEtcd.url, { [MANY]: SIZES[MANY] })));
  } finally {
    await onEtcd.stop();
  }
  const master = await startMaster('lmdb', 19_992);
  const client = new Client(master.url);
  try {
    // Nobody has rules yet: a snapshot of 10,000 for each of the agents would take longer than all the rest.
    await client.post(`/api/v1/policys/default:${FEW}/`, { policyName: FEW, tenantName: 'default' });
    const ids = Array.from({ length: DELIVERIES }, (_, i) => `told-${String(i).padStart(4, '0')}`);
    const delays = await deliveries(master, client, AGENTS, 'rule', ids, (ruleId) =>
      client.post(`/api/v1/rules/default:${FEW}:${ruleId}/`, { ...rule(0), ruleId, policyName: FEW, tenantName: 'default' }),
    );
    results.push({
      suite,
      what: 'a rule sent → line read by each of 1,000 simulated agents (one process reads them all)',
      figures: { p50: median(delays), p99: percentile(delays, 99) },
      unit: 'ms',
      value: percentile(delays, 99),
      valueName: 'p99',
      target: { op: '<=', limit: 500, unit: 'ms' },
    });
    results.push(applied('embedded', await applyRules(master.url, { [MANY]: SIZES[MANY] })));
  } finally {
    client.close();
    await master.stop();
  }
  return results;
}
