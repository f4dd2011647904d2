/** What a simulated engine holds, in the shapes and sizes of a real one's answers. */
import { createHash } from 'node:crypto';

export const hex = (seed: string): string => createHash('sha256').update(seed).digest('hex');

export interface SimulatedContainer {
  readonly id: string;
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly hostConfig: Record<string, unknown>;
  readonly created: string;
  running: boolean;
}

const IMAGE = `sha256:${hex('image')}`;
const NETWORK = hex('bridge');

export function containerNamed(
  name: string,
  config: Record<string, unknown> = {},
  hostConfig: Record<string, unknown> = {},
): SimulatedContainer {
  return { id: hex(name), name, config, hostConfig, created: new Date(Date.now() - 3_600_000).toISOString(), running: true };
}

export function listRow({ id, name, config, created, running }: SimulatedContainer): unknown {
  return {
    Id: id,
    Names: [`/${name}`],
    Image: 'alpine',
    ImageID: IMAGE,
    Command: 'sleep 3600',
    Created: Math.trunc(Date.parse(created) / 1000),
    Ports: [{ PrivatePort: 80, Type: 'tcp' }],
    Labels: config.Labels ?? LABELS,
    State: running ? 'running' : 'created',
    Status: running ? 'Up About an hour' : 'Created',
    HostConfig: { NetworkMode: 'default' },
    NetworkSettings: { Networks: { bridge: endpoint(id) } },
    Mounts: [],
  };
}

const LABELS = { 'com.docker.swarm.id': hex('label'), 'org.example.service': 'web', 'org.example.version': '1.2.3' };

const endpoint = (id: string) => ({
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  NetworkID: NETWORK,
  EndpointID: hex(`endpoint ${id}`),
  Gateway: '172.17.0.1',
  IPAddress: '172.17.0.2',
  IPPrefixLen: 16,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  MacAddress: '02:42:ac:11:00:02',
  DriverOpts: null,
});

const PATHS = ['acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi', 'timer_list', 'timer_stats'];

export function inspection({ id, name, config, hostConfig, created, running }: SimulatedContainer): unknown {
  const dir = `/var/lib/docker/containers/${id}`;
  return {
    Id: id,
    Created: created,
    Path: 'sleep',
    Args: ['3600'],
    State: {
      Status: running ? 'running' : 'created',
      Running: running,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: running ? 4711 : 0,
      ExitCode: 0,
      Error: '',
      StartedAt: running ? created : '0001-01-01T00:00:00Z',
      FinishedAt: '0001-01-01T00:00:00Z',
    },
    Image: IMAGE,
    ResolvConfPath: `${dir}/resolv.conf`,
    HostnamePath: `${dir}/hostname`,
    HostsPath: `${dir}/hosts`,
    LogPath: `${dir}/${id}-json.log`,
    Name: `/${name}`,
    RestartCount: 0,
    Driver: 'overlay2',
    Platform: 'linux',
    ExecIDs: null,
    HostConfig: {
      Binds: null,
      LogConfig: { Type: 'json-file', Config: {} },
      NetworkMode: 'default',
      PortBindings: {},
      RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
      CpuShares: 0,
      Memory: 0,
      NanoCpus: 0,
      Ulimits: null,
      MaskedPaths: PATHS.map((path) => `/proc/${path}`),
      ReadonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
      ...hostConfig,
    },
    GraphDriver: {
      Name: 'overlay2',
      Data: Object.fromEntries(
        ['LowerDir', 'MergedDir', 'UpperDir', 'WorkDir'].map((key) => [key, `/var/lib/docker/overlay2/${hex(`${key} ${id}`)}/${key}`]),
      ),
    },
    Mounts: [],
    Config: {
      Hostname: id.slice(0, 12),
      Domainname: '',
      User: '',
      Tty: false,
      OpenStdin: false,
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: ['sleep', '3600'],
      Image: 'alpine',
      ExposedPorts: { '80/tcp': {} },
      Labels: LABELS,
      ...config,
    },
    NetworkSettings: { Bridge: '', SandboxID: hex(`sandbox ${id}`), Ports: { '80/tcp': null }, Networks: { bridge: endpoint(id) } },
  };
}

const labels = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`org.example.label${i}`, `value ${i}`]));

export const IMAGES = ['alpine', 'web', 'db', 'cache', 'queue'].map((name) => ({
  Id: name === 'alpine' ? IMAGE : `sha256:${hex(name)}`,
  ParentId: '',
  RepoTags: [`${name}:latest`],
  RepoDigests: [],
  Created: 1_700_000_000,
  Size: 7_000_000,
  SharedSize: -1,
  VirtualSize: 7_000_000,
  Labels: labels,
  Containers: -1,
}));

export const networksOf = (engine: string): unknown =>
  ['bridge', 'host', 'none'].map((name) => ({
    Name: name,
    Id: hex(`${name} of ${engine}`),
    Created: '2026-01-01T00:00:00.000000000Z',
    Scope: 'local',
    Driver: name === 'none' ? 'null' : name,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: name === 'bridge' ? [{ Subnet: '172.17.0.0/16' }] : [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: {},
  }));

export const VOLUMES = {
  Volumes: ['data', 'cache'].map((name) => ({
    CreatedAt: '2026-01-01T00:00:00Z',
    Driver: 'local',
    Labels: {},
    Mountpoint: `/var/lib/docker/volumes/${name}/_data`,
    Name: name,
    Options: {},
    Scope: 'local',
  })),
  Warnings: null,
};

export const infoOf = (name: string, containers: number): unknown => ({
  ID: hex(`id of ${name}`).slice(0, 48),
  Containers: containers,
  ContainersRunning: containers,
  Images: IMAGES.length,
  Driver: 'overlay2',
  NCPU: 64,
  MemTotal: 274_877_906_944,
  Name: name,
  KernelVersion: '6.1.0',
  OperatingSystem: 'Debian GNU/Linux 12 (bookworm)',
  OSType: 'linux',
  Architecture: 'x86_64',
  ServerVersion: '28.5.2',
  SystemTime: new Date().toISOString(),
  Labels: ['zone=a'],
});

export const VERSION = { Version: '28.5.2', ApiVersion: '1.51', MinAPIVersion: '1.24', Os: 'linux', Arch: 'amd64' };
