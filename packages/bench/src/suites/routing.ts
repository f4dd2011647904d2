import { ADDRESS, addressOf, docker, eventually, lab, MASTER, NETMASTER, netctl, onHost, WORKER } from '../lab.js';
import { Client, rate } from '../master.js';
import { BRIDGE, removeNetworks } from '../networks.js';
import { compare, inContainer, type Path, SHORT, serveHost } from '../paths.js';
import { floodPing, SERVERS, stream } from '../probes.js';
import type { Result } from '../result.js';
import { medians, perRound } from '../stats.js';

const [HERE, THERE] = ['bench-rt-a', 'bench-rt-b'] as const;
/** Networks of one tenant, all of which a host knows where they are routed. */
const MANY = 1_000;
/** In a round of a path. */
const PINGS = 7_000;
const EXTRA = /^bench-many\d+$/;
const OWN = /^bench-(many\d+|rt-[ab])$/;
/** Netmaster's. */
const DEFAULT_PRIVATE_SUBNET = '172.19.0.0/16';
const PORTS = { ours: 25_201, docker: 25_202 } as const;

/** A container that serves iperf3; `-p HOST:5201` when published. */
async function server(host: string, name: string, network: string, published?: number): Promise<void> {
  const ports = published === undefined ? [] : ['-p', `${published}:5201`];
  await docker(host, 'run', '-d', '--name', name, '--net', network, ...ports, 'bench', ...SERVERS.stream);
}

/** Routing mode: between networks of a tenant, out by NAT, in by a published port, and with many networks. */
export async function routingSuite(rounds: number): Promise<Result[]> {
  const client = new Client(NETMASTER);
  const name = (i: number): string => `bench-many${i}`;
  try {
    await removeNetworks();
    // Docker may have given the default one to docker_gwbridge, after the networks of the other suites.
    await netctl('global', 'set', '--fwd-mode', 'routing', '--private-subnet', '10.254.0.0/16');
    await docker(MASTER, 'network', 'create', BRIDGE);
    for (const [i, network] of [HERE, THERE].entries()) {
      await netctl('net', 'create', `--subnet=10.79.${i}.0/24`, `--gateway=10.79.${i}.254`, network);
      for (const host of [MASTER, WORKER]) await eventually(`${network} on ${host}`, () => docker(host, 'network', 'inspect', network));
    }
    await server(MASTER, 'rt-from', HERE, PORTS.ours);
    await server(MASTER, 'rt-docker', BRIDGE, PORTS.docker);
    await server(WORKER, 'rt-bridged', HERE);
    await server(WORKER, 'rt-routed', THERE);
    await serveHost(WORKER);
    const from = inContainer(MASTER, 'rt-from');
    const bridged = await addressOf(WORKER, 'rt-bridged', HERE);
    const routed = await addressOf(WORKER, 'rt-routed', THERE);
    const [master = '', worker = ''] = [ADDRESS[MASTER], ADDRESS[WORKER]];
    for (const to of [bridged, routed, worker]) await eventually(`ping ${to}`, () => from('ping', '-c1', '-W1', to));
    const published = (port: number): Path => ({ from: (...command) => onHost(WORKER, ...command, '-p', String(port)), to: master });
    const ping = (p: Path) => floodPing(p.from, p.to, PINGS);
    const one = (p: Path) => stream(p.from, p.to, 1, 1);

    const rtt = await compare(rounds * SHORT.trip, { bridged: { from, to: bridged }, routed: { from, to: routed } }, ping);
    const nat = await compare(
      rounds * SHORT.stream,
      { docker: { from: inContainer(MASTER, 'rt-docker'), to: worker }, ours: { from, to: worker } },
      one,
    );
    const ports = await compare(rounds * SHORT.stream, { docker: published(PORTS.docker), ours: published(PORTS.ours) }, one);

    // The two states cannot be had at once. So there is a ping between the hosts in each round, which knows of no network, and the few are measured before and after.
    const beside = { host: { from: (...command: string[]) => onHost(MASTER, ...command), to: worker }, routed: { from, to: routed } };
    const few = await compare(rounds * SHORT.trip, beside, ping);
    await rate(MANY, 8, (i) =>
      client.post(`/api/v1/networks/default:${name(i)}/`, {
        tenantName: 'default',
        networkName: name(i),
        encap: 'vxlan',
        subnet: `10.${100 + Math.floor(i / 250)}.${i % 250}.0/24`,
        gateway: `10.${100 + Math.floor(i / 250)}.${i % 250}.254`,
        // Made by an engine that has yet to say its name: no Docker network is made of it, which would take longer than all the rest.
        origin: 'bench',
      }),
    );
    await eventually(`${MANY} networks in the data path`, async () => {
      const here = await networksHere();
      if (here < MANY + 2) throw new Error(`${here} of ${MANY + 2}`);
    });
    const restart = await restartToSync();
    await settled();
    const many = await compare(rounds * SHORT.trip, beside, ping);
    await eventually('the many networks are gone', () => removeOwn(client, EXTRA), 120_000);
    await settled();
    const again = await compare(rounds * SHORT.trip, beside, ping);

    const suite = 'routing';
    const both = { host: [...few.host, ...again.host], routed: [...few.routed, ...again.routed] };
    const aboveHost = (samples: typeof both): number => perRound(samples, (f) => f.routed / f.host);
    return [
      {
        suite,
        what: 'RTT between two networks of a tenant, two hosts, `ping -f`',
        figures: medians(rtt),
        unit: 'µs',
        value: perRound(rtt, (f) => f.routed / f.bridged),
        valueName: 'routed ÷ bridged',
        target: { op: '<=', limit: 1.1 },
      },
      {
        suite,
        what: 'egress NAT: TCP, one stream, container to another host',
        figures: medians(nat),
        unit: 'Gbit/s',
        value: perRound(nat, (f) => f.ours / f.docker),
        valueName: 'ours ÷ Docker bridge',
        target: { op: '>=', limit: 0.9 },
      },
      {
        suite,
        what: 'published port: TCP, one stream, from another host',
        figures: medians(ports),
        unit: 'Gbit/s',
        value: perRound(ports, (f) => f.ours / f.docker),
        valueName: "ours ÷ Docker's",
        target: { op: '>=', limit: 0.9 },
      },
      {
        suite,
        what: `RTT with ${MANY} networks on the host`,
        figures: {
          'two networks': medians(both).routed,
          'host then': medians(both).host,
          [`${MANY} networks`]: medians(many).routed,
          'host meanwhile': medians(many).host,
        },
        unit: 'µs',
        value: aboveHost(many) / aboveHost(both),
        valueName: 'many ÷ few, each ÷ host',
        target: { op: '<=', limit: 1.05 },
      },
      {
        suite,
        what: `netplugin's restart until in sync, ${MANY} networks`,
        figures: { restart },
        unit: 's',
        value: restart,
        valueName: 'restart to in sync',
        target: { op: '<=', limit: 5, unit: 's' },
      },
    ];
  } finally {
    await removeNetworks();
    // Again, as long as one is left: a busy machine may answer late, or a container's endpoint may still be on its way out.
    await eventually('no network of the suite is left', () => removeOwn(client, OWN), 120_000);
    client.close();
    await netctl('global', 'set', '--fwd-mode', 'bridge', '--private-subnet', DEFAULT_PRIVATE_SUBNET);
  }
}

/** Asks for the removal of networks by their names; fails with the reason while something stays. */
async function removeOwn(client: Client, which: RegExp): Promise<void> {
  const listed: unknown = JSON.parse(await client.get('/api/v1/networks/'));
  const names = (Array.isArray(listed) ? listed : []).flatMap((network: unknown): string[] => {
    const found: unknown = typeof network === 'object' && network !== null ? Reflect.get(network, 'networkName') : undefined;
    return typeof found === 'string' && which.test(found) ? [found] : [];
  });
  const kept: string[] = [];
  await rate(names.length, 8, (i) =>
    client
      .delete(`/api/v1/networks/default:${names[i]}/`)
      .catch((error: unknown) => void kept.push(error instanceof Error ? error.message : String(error))),
  );
  if (kept[0] !== undefined) throw new Error(`${kept.length} of ${names.length} networks stay, for instance: ${kept[0]}`);
}

interface Status {
  readonly inSync: boolean;
  readonly applies: number;
  readonly written: number;
  readonly here: number;
}

async function statusOf(host: string): Promise<Status> {
  const status: unknown = JSON.parse(await onHost(host, 'curl', '-s', '-m', '2', `http://${ADDRESS[host]}:9090/status`));
  const at = (...path: string[]): unknown => {
    let value = status;
    for (const key of path) value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
    return value;
  };
  return {
    inSync: at('netmaster', 'inSync') === true,
    applies: Number(at('datapath', 'applies') ?? 0),
    written: Number(at('datapath', 'written') ?? 0),
    here: Number(at('networks', 'here') ?? 0),
  };
}

const networksHere = async (): Promise<number> => (await statusOf(MASTER)).here;

/** Until both agents follow netmaster and have had nothing to write for a whole apply: what they do meanwhile would be measured, too. */
async function settled(): Promise<void> {
  const one = async (host: string): Promise<void> => {
    let before = await statusOf(host);
    await eventually(
      `${host} has nothing more to do`,
      async () => {
        const now = await statusOf(host);
        const quiet = now.inSync && now.applies > before.applies && now.written === before.written;
        if (now.applies > before.applies) before = now;
        if (!quiet) throw new Error(`in sync ${now.inSync}, ${now.applies} applies, ${now.written} entries written`);
      },
      120_000,
    );
  };
  await Promise.all([one(MASTER), one(WORKER)]);
}

/** Seconds from the order to restart until the agent follows netmaster and has brought its data path up to date. */
async function restartToSync(): Promise<number> {
  const began = performance.now();
  await lab('exec', MASTER, '--', 'service', 'netplugin', 'restart');
  await eventually('in sync', async () => {
    const { inSync, applies, here } = await statusOf(MASTER);
    if (!inSync || applies === 0 || here < MANY + 2) throw new Error(`in sync ${inSync}, ${applies} applies, ${here} networks`);
  });
  return (performance.now() - began) / 1000;
}
