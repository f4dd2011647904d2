/** Every program a host runs, with its flags: the one place where they stand. */
import { join } from 'node:path';
import { z } from 'zod';
import type { HostPlan } from './hosts.js';
import type { LabOptions } from './options.js';

/** Address on which the data path answers DNS; engines send containers there (docs/decisions.md, "DNS"). */
export const DNS_SERVICE_IP = '169.254.20.10';

/** Where the modern engine's root is seen inside a host. */
export const engineRoot = (host: HostPlan): string => join(host.dir, 'engine');
/** Names the process that keeps the mount namespace the modern engine lives in; seen alike from inside that namespace. */
export const ENGINE_HOLDER = '/run/contiv-lab-engine.pid';

/** How a service shows that it serves; asked from inside the host. */
const readySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('http'), url: z.string() }),
  z.object({ kind: z.literal('socket'), path: z.string(), url: z.string() }),
  /** It has no port to ask at: it serves as long as it runs. */
  z.object({ kind: z.literal('process') }),
]);
export type Ready = z.infer<typeof readySchema>;

export const serviceSchema = z.object({
  name: z.string(),
  argv: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()),
  ready: readySchema,
  /** Seconds after which a start counts as failed. */
  startTimeout: z.number(),
  /** Seconds between the polite signal and SIGKILL. */
  stopTimeout: z.number(),
});
export type Service = z.infer<typeof serviceSchema>;

/** Built programs and the node that runs them. */
export interface Programs {
  readonly node: string;
  /** The repository's root. */
  readonly root: string;
  /** Programs that `make build` has made: `netmaster`, `netplugin`, `swarm`, … */
  readonly built: ReadonlySet<string>;
  readonly engine: EngineFacts;
}

export interface EngineFacts {
  /** The machine's own dockerd, whose version the `system` engine is. */
  readonly binary: string;
  /** Docker 23 dropped the cluster store; before, several engines shared networks through etcd. */
  readonly clusterStore: boolean;
}

/** `output`: what `dockerd --version` prints. */
export function engineFacts(binary: string, output: string): EngineFacts {
  const major = Number(/version (\d+)\./.exec(output)?.[1]);
  return { binary, clusterStore: major > 0 && major < 23 };
}

/** Whether the engines share their networks through etcd, so that a network exists once for all of them. */
const sharesNetworks = (options: LabOptions, { engine }: Programs): boolean =>
  options.engine === 'system' && options.store === 'etcd' && engine.clusterStore;

const program = (programs: Programs, name: string): string[] => [programs.node, join(programs.root, 'build', `${name}.cjs`)];

const etcdUrl = (first: HostPlan): string => `etcd://${first.ip}:2379`;

function etcd(host: HostPlan): Service {
  const client = `http://${host.ip}:2379`;
  return {
    name: 'etcd',
    // The v2 API is what Docker 20.10's cluster store and `etcdctl cluster-health` speak; netmaster speaks v3.
    argv: [
      'etcd',
      '--enable-v2',
      '--name',
      host.name,
      '--data-dir',
      join(host.dir, 'etcd'),
      '--listen-client-urls',
      `${client},http://127.0.0.1:2379`,
      '--advertise-client-urls',
      client,
      '--listen-peer-urls',
      'http://127.0.0.1:2380',
      '--logger',
      'zap',
    ],
    env: {},
    ready: { kind: 'http', url: `${client}/health` },
    startTimeout: 30,
    stopTimeout: 10,
  };
}

function docker(options: LabOptions, host: HostPlan, first: HostPlan, programs: Programs): Service {
  const clusterStore = sharesNetworks(options, programs) ? [`--cluster-store=${etcdUrl(first)}`, '--cluster-advertise=eth1:2385'] : [];
  const flags = [
    '--host',
    'unix:///var/run/docker.sock',
    '--host',
    host.engine,
    // Said explicitly, or newer engines wait 15 s to make the point that this port is open to the segment.
    '--tls=false',
    '--data-root',
    join(host.dir, 'docker'),
    '--exec-opt',
    'native.cgroupdriver=cgroupfs',
    '--cgroup-parent',
    `/${host.cgroup}`,
    ...(options.swarmMode ? [] : ['--live-restore']),
    '--dns',
    DNS_SERVICE_IP,
    '--log-level',
    'info',
    ...clusterStore,
  ];
  return {
    name: 'docker',
    argv:
      options.engine === 'system'
        ? [programs.engine.binary, ...flags]
        : ['sh', '-c', `exec nsenter --mount=/proc/$(cat ${ENGINE_HOLDER})/ns/mnt /usr/sbin/dockerd "$@"`, 'dockerd', ...flags],
    env: {},
    ready: { kind: 'socket', path: '/var/run/docker.sock', url: '/_ping' },
    startTimeout: 90,
    stopTimeout: 30,
  };
}

function netmaster(options: LabOptions, host: HostPlan, first: HostPlan, programs: Programs): Service {
  return {
    name: 'netmaster',
    argv: [
      ...program(programs, 'netmaster'),
      '--mode',
      'docker',
      '--netmode',
      'vxlan',
      '--fwdmode',
      'bridge',
      '--store',
      options.store === 'etcd' ? etcdUrl(first) : `lmdb://${join(host.dir, 'netmaster')}`,
      '--external-address',
      '0.0.0.0:9999',
      '--internal-address',
      `${host.ip}:9999`,
    ],
    env: {},
    ready: { kind: 'http', url: `http://${host.ip}:9999/healthz` },
    startTimeout: 30,
    stopTimeout: 15,
  };
}

/** What tells a host's agent from others, by the names of netplugin's variables. */
export const agentIdentity = (lab: string, host: HostPlan) => ({
  STATE_DIR: join(host.dir, 'netplugin'),
  INSTANCE: `${lab}-${host.name}`,
  VTEP_IP: host.vtepIp,
  CONTROL_IP: host.ip,
});

function netplugin(options: LabOptions, lab: string, host: HostPlan, masters: readonly HostPlan[], programs: Programs): Service {
  const identity = agentIdentity(lab, host);
  return {
    name: 'netplugin',
    argv: [
      ...program(programs, 'netplugin'),
      '--mode',
      'docker',
      '--netmode',
      'vxlan',
      '--fwdmode',
      'bridge',
      '--host',
      host.name,
      '--vtep-ip',
      host.vtepIp,
      '--ctrl-ip',
      host.ip,
      '--vlan-uplinks',
      options.vlanUplinks,
      ...masters.flatMap((master) => ['--netmaster', `http://${master.ip}:9999`]),
      '--state-dir',
      identity.STATE_DIR,
      '--instance',
      identity.INSTANCE,
      '--docker-scope',
      sharesNetworks(options, programs) ? 'global' : 'local',
    ],
    env: {},
    ready: { kind: 'http', url: `http://${host.ip}:9090/healthz` },
    startTimeout: 60,
    stopTimeout: 15,
  };
}

/** One manager knows the engines by heart; several find them, and elect the primary, through the store. */
function swarm(host: HostPlan, hosts: readonly HostPlan[], first: HostPlan, replicated: boolean, programs: Programs): Service {
  const discovery = replicated ? ['--replication', '--advertise', `${host.ip}:2375`, etcdUrl(first)] : hosts.map((h) => `${h.ip}:2385`);
  return {
    name: 'swarm',
    argv: [...program(programs, 'swarm'), 'manage', '-H', ':2375', ...discovery],
    env: {},
    ready: { kind: 'http', url: `http://${host.ip}:2375/_ping` },
    startTimeout: 30,
    stopTimeout: 15,
  };
}

/** Keeps the host's engine among those the replicated managers find in the store. */
function swarmJoin(host: HostPlan, first: HostPlan, programs: Programs): Service {
  return {
    name: 'swarm-join',
    argv: [...program(programs, 'swarm'), 'join', '--heartbeat', '5s', '--ttl', '15s', '--advertise', `${host.ip}:2385`, etcdUrl(first)],
    env: {},
    ready: { kind: 'process' },
    startTimeout: 30,
    stopTimeout: 15,
  };
}

/** The services of a host in the order of their names' first need; they may be started side by side except that etcd comes first. */
export function hostServices(
  options: LabOptions,
  lab: string,
  host: HostPlan,
  hosts: readonly HostPlan[],
  programs: Programs,
): readonly Service[] {
  const first = hosts[0] ?? host;
  const wanted = (name: string): boolean => !options.bare && programs.built.has(name);
  const masters = hosts.filter((h) => h.isMaster);
  const replicated = masters.length > 1;
  const manages = replicated ? host.isMaster : host.index === 0;
  return [
    ...(host.index === 0 && options.store === 'etcd' ? [etcd(host)] : []),
    docker(options, host, first, programs),
    ...(host.isMaster && wanted('netmaster') ? [netmaster(options, host, first, programs)] : []),
    ...(wanted('netplugin') ? [netplugin(options, lab, host, masters, programs)] : []),
    ...(replicated && wanted('swarm') ? [swarmJoin(host, first, programs)] : []),
    ...(manages && wanted('swarm') ? [swarm(host, hosts, first, replicated, programs)] : []),
  ];
}

/** Names a user may type for a service, beside the service's own. */
export const SERVICE_ALIASES: Readonly<Record<string, string>> = { dockerd: 'docker', 'docker.service': 'docker' };
