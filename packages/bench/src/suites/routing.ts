import { ADDRESS, addressOf, docker, eventually, lab, MASTER, NETMASTER, netctl, onHost, WORKER } from '../lab.js';
import { Client, rate } from '../master.js';
import { BRIDGE, removeNetworks } from '../networks.js';
import { inContainer } from '../paths.js';
import { floodPing, stream } from '../probes.js';
import type { Result } from '../result.js';
import { interleave, median, medians } from '../stats.js';

const [HERE, THERE] = ['bench-rt-a', 'bench-rt-b'] as const;
/** Networks of one tenant, all of which a host knows where they are routed. */
const MANY = 1_000;
const PINGS = 20_000;
const OWN = /^bench-(many\d+|rt-[ab])$/;
/** Netmaster's. */
const DEFAULT_PRIVATE_SUBNET = '172.19.0.0/16';
const PORTS = { ours: 25_201, docker: 25_202 } as const;

/** A container that serves iperf3; `-p HOST:5201` when published. */
async function server(host: string, name: string, network: string, published?: number): Promise<void> {
  const ports = published === undefined ? [] : ['-p', `${published}:5201`];
  await docker(host, 'run', '-d', '--name', name, '--net', network, ...ports, 'bench', 'iperf3', '-s');
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
    await onHost(WORKER, 'sh', '-c', 'iperf3 -s -D >/dev/null');
    const from = inContainer(MASTER, 'rt-from');
    const bridged = await addressOf(WORKER, 'rt-bridged', HERE);
    const routed = await addressOf(WORKER, 'rt-routed', THERE);
    const [master = '', worker = ''] = [ADDRESS[MASTER], ADDRESS[WORKER]];
    for (const to of [bridged, routed, worker]) await eventually(`ping ${to}`, () => from('ping', '-c1', '-W1', to));
    const published = (port: number) => () => stream((...command) => onHost(WORKER, ...command, '-p', String(port)), master, 3, 1);

    const rtt = await interleave(rounds, {
      bridged: () => floodPing(from, bridged, PINGS),
      routed: () => floodPing(from, routed, PINGS),
    });
    const nat = await interleave(rounds, {
      docker: () => stream(inContainer(MASTER, 'rt-docker'), worker, 3, 1),
      ours: () => stream(from, worker, 3, 1),
    });
    const ports = await interleave(rounds, { docker: published(PORTS.docker), ours: published(PORTS.ours) });

    const few = await interleave(rounds, { routed: () => floodPing(from, routed, PINGS) });
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
    const many = await interleave(rounds, { routed: () => floodPing(from, routed, PINGS) });

    const suite = 'routing';
    const [rttOf, natOf, portsOf] = [medians(rtt), medians(nat), medians(ports)];
    const [one, thousand] = [median(few.routed), median(many.routed)];
    return [
      {
        suite,
        what: 'RTT between two networks of a tenant, two hosts, `ping -f`',
        figures: rttOf,
        unit: 'µs',
        value: rttOf.routed / rttOf.bridged,
        valueName: 'routed ÷ bridged',
        target: { op: '<=', limit: 1.1 },
      },
      {
        suite,
        what: 'egress NAT: TCP, one stream, container to another host',
        figures: natOf,
        unit: 'Gbit/s',
        value: natOf.ours / natOf.docker,
        valueName: 'ours ÷ Docker bridge',
        target: { op: '>=', limit: 0.9 },
      },
      {
        suite,
        what: 'published port: TCP, one stream, from another host',
        figures: portsOf,
        unit: 'Gbit/s',
        value: portsOf.ours / portsOf.docker,
        valueName: "ours ÷ Docker's",
        target: { op: '>=', limit: 0.9 },
      },
      {
        suite,
        what: `RTT with ${MANY} networks on the host`,
        figures: { 'two networks': one, [`${MANY} networks`]: thousand },
        unit: 'µs',
        value: thousand / one,
        valueName: 'many ÷ few',
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
    await eventually('no network of the suite is left', () => removeOwn(client), 120_000);
    client.close();
    await netctl('global', 'set', '--fwd-mode', 'bridge', '--private-subnet', DEFAULT_PRIVATE_SUBNET);
  }
}

/** Asks for the removal of whatever there is of this suite; fails with the reason while something stays. */
async function removeOwn(client: Client): Promise<void> {
  const listed: unknown = JSON.parse(await client.get('/api/v1/networks/'));
  const names = (Array.isArray(listed) ? listed : []).flatMap((network: unknown): string[] => {
    const found: unknown = typeof network === 'object' && network !== null ? Reflect.get(network, 'networkName') : undefined;
    return typeof found === 'string' && OWN.test(found) ? [found] : [];
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
  for (const host of [MASTER, WORKER]) {
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
  }
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
