import { hostname, release } from 'node:os';
import { LOWEST_API } from '../cluster/cluster.js';
import { ApiError } from '../errors.js';
import { integerText, isObject, type Json, numberAt, printJson } from '../json.js';
import { type Context, SWARM_VERSION, sendJson } from './context.js';
import { eventMatches, type HubEvent } from './event-hub.js';
import { ListFilters } from './filters.js';
import { containerCounts, systemStatus } from './info.js';
import { proxy } from './proxy.js';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const architecture = ARCHITECTURES[process.arch] ?? process.arch;

export function ping({ request, response }: Context): void {
  response.writeHead(200, {
    'Builder-Version': '1',
    Swarm: 'inactive',
    'Cache-Control': 'no-cache, no-store, must-revalidate',
    Pragma: 'no-cache',
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': request.method === 'HEAD' ? 0 : 2,
  });
  response.end(request.method === 'HEAD' ? undefined : 'OK');
}

export function info(context: Context): void {
  const { cluster, manager } = context;
  const { engines } = cluster;
  const counts = containerCounts(engines);
  const sum = (of: (engine: (typeof engines)[number]) => number) => engines.reduce((total, engine) => total + of(engine), 0);
  const { env } = process;
  sendJson(context, 200, {
    ID: '',
    Containers: counts.total,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.stopped,
    Images: sum((engine) => engine.images.length),
    Driver: '',
    DriverStatus: null,
    SystemStatus: systemStatus({
      ...manager.role(),
      strategy: cluster.options.strategy,
      filters: cluster.options.filters.map((filter) => filter.name),
      engines,
      pending: cluster.pendingEngines,
      nodes: cluster.nodes(),
    }),
    Plugins: { Volume: null, Network: null, Authorization: null, Log: null },
    MemoryLimit: true,
    SwapLimit: true,
    KernelMemory: false,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    BridgeNfIptables: true,
    BridgeNfIp6tables: true,
    Debug: false,
    NFd: 0,
    OomKillDisable: true,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: '',
    CgroupDriver: '',
    NEventsListener: manager.events.listeners,
    KernelVersion: release(),
    OperatingSystem: 'linux',
    OSVersion: '',
    OSType: 'linux',
    Architecture: architecture,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: null,
    NCPU: sum((engine) => engine.totalCpus),
    MemTotal: sum((engine) => engine.totalMemory),
    GenericResources: null,
    DockerRootDir: '',
    HttpProxy: withoutCredentials(env.http_proxy),
    HttpsProxy: withoutCredentials(env.https_proxy),
    NoProxy: env.no_proxy ?? '',
    Name: hostname(),
    Labels: null,
    ExperimentalBuild: manager.experimental,
    ServerVersion: `swarm/${SWARM_VERSION}`,
    Runtimes: null,
    DefaultRuntime: '',
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null },
    LiveRestoreEnabled: false,
    Isolation: '',
    InitBinary: '',
    SecurityOptions: null,
    Warnings: null,
  });
}

/** As an engine shows it; with or without a scheme, and whatever characters a password has. */
function withoutCredentials(proxy = ''): string {
  return proxy.replace(/^(\w+:\/\/)?.*@/, '$1xxxxx:xxxxx@');
}

export function version(context: Context): void {
  const { cluster, manager } = context;
  const details = {
    ApiVersion: cluster.apiVersion,
    MinAPIVersion: LOWEST_API,
    GitCommit: 'HEAD',
    GoVersion: `node ${process.version}`,
    Os: 'linux',
    Arch: architecture,
    KernelVersion: release(),
    BuildTime: '<unknown>',
  };
  sendJson(context, 200, {
    Platform: { Name: 'Docker Swarm - Community' },
    Components: [
      { Name: 'Engine', Version: `swarm/${SWARM_VERSION}`, Details: { ...details, Experimental: String(manager.experimental) } },
    ],
    Version: `swarm/${SWARM_VERSION}`,
    ...details,
    Experimental: manager.experimental,
  });
}

/** `sec[.nanosec]` or RFC 3339, in nanoseconds. @throws ApiError */
export function parseTime(text: string): bigint {
  const match = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text);
  if (match !== null) return BigInt(match[1] ?? '0') * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
  const date = Date.parse(text);
  if (Number.isNaN(date)) throw new ApiError(400, `strconv.ParseInt: parsing "${text.slice(0, 64)}": invalid syntax`);
  return BigInt(date) * 1_000_000n;
}

/** `docker events`: history from `since`, then what happens, until `until`. */
export function events(context: Context): void {
  const { manager, query, response, signal } = context;
  const filters = ListFilters.parse(query.get('filters'));
  const since = query.get('since');
  const until = query.get('until');
  const from = since === null || since === '' ? undefined : parseTime(since);
  const to = until === null || until === '' ? undefined : parseTime(until);
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  const write = (event: HubEvent): void => {
    if (to !== undefined && event.nano > to) return;
    if (!eventMatches(filters, event.body)) return;
    response.write(`${printJson(event.body)}\n`);
    // A reader that has stopped reading must not fill the manager's memory.
    if (response.writableLength > 16 * 1024 * 1024) response.destroy();
  };
  if (from !== undefined) for (const event of manager.events.history(from)) write(event);
  const left = to === undefined ? undefined : Number(to / 1_000_000n) - Date.now();
  if (left !== undefined && left <= 0) {
    response.end();
    return;
  }
  const stop = manager.events.listen(write);
  const timer = left === undefined || left > 2 ** 31 - 1 ? undefined : setTimeout(() => response.end(), left);
  const finish = () => {
    clearTimeout(timer);
    stop();
  };
  signal.addEventListener('abort', finish, { once: true });
  response.on('close', finish);
}

/** Any one healthy engine answers (`/auth`, `/images/search`, `/distribution/…`). */
export async function anyEngine(context: Context): Promise<void> {
  await proxy(context, context.cluster.pick());
}

/** `docker system df` of all engines in one. */
export async function systemDf(context: Context): Promise<void> {
  const answers = await context.cluster.onAll((engine) =>
    engine.client.call('GET', `/system/df${context.rawQuery}`, { timeoutMs: 120_000 }),
  );
  const merged: Json = { LayersSize: 0, Images: [], Containers: [], Volumes: [], BuildCache: [] };
  for (const { engine, value } of answers) {
    if (!isObject(value)) continue;
    merged.LayersSize = numberAt(merged, 'LayersSize') + numberAt(value, 'LayersSize');
    for (const key of ['Images', 'Containers', 'Volumes', 'BuildCache']) {
      const list: unknown = value[key];
      const into = merged[key];
      if (Array.isArray(list) && Array.isArray(into))
        into.push(...(key === 'Volumes' ? list.map((item: unknown) => prefixed(item, engine.name)) : list));
    }
  }
  sendJson(context, 200, merged);
}

function prefixed(item: unknown, node: string): unknown {
  return isObject(item) && item.Driver === 'local' ? { ...item, Name: `${node}/${String(item.Name)}` } : item;
}

/** Prune on every healthy engine; lists joined, bytes added. */
export async function prune(context: Context): Promise<void> {
  const path = context.path;
  const answers = await context.cluster.onAll((engine) => engine.client.call('POST', `${path}${context.rawQuery}`, { timeoutMs: 300_000 }));
  const merged: Json = {};
  for (const { value } of answers) {
    if (!isObject(value)) continue;
    for (const [key, found] of Object.entries(value)) {
      const present = merged[key];
      if (Array.isArray(found)) merged[key] = [...new Set([...(Array.isArray(present) ? present : []), ...found])];
      else if (integerText(found) !== undefined) merged[key] = numberAt(merged, key) + numberAt(value, key);
      else merged[key] ??= found;
    }
  }
  await Promise.allSettled(context.cluster.healthyEngines.map((engine) => engine.refreshAll()));
  sendJson(context, 200, merged);
}

export function notInCluster(reason: string) {
  return (): never => {
    throw new ApiError(501, reason);
  };
}

export function noSuchPlugin({ params }: Context): never {
  throw new ApiError(404, `plugin "${params[0] ?? ''}" not found`);
}

export function notSwarmMode(): never {
  throw new ApiError(
    503,
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );
}
