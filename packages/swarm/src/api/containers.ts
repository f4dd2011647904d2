import type { ServerResponse } from 'node:http';
import type { Cluster } from '../cluster/cluster.js';
import { type Found, newestFirst } from '../cluster/lookup.js';
import type { Engine } from '../engine/engine.js';
import { ApiError, messageOf } from '../errors.js';
import { isObject, type Json, numberAt, objectAt, printJson, stringAt } from '../json.js';
import { type Context, flag, readJson, sendJson, type UpgradeContext } from './context.js';
import { ListFilters } from './filters.js';
import { hijack, proxy } from './proxy.js';
import { listContainers, PS_FILTERS, printRow } from './ps.js';

/** Containers and what runs in them. */
type Located = Pick<Context, 'cluster' | 'params'>;

/** @throws ApiError when the container is unknown or its node cannot serve it */
export function owner(context: Located): Found {
  const [name = ''] = context.params;
  const found = context.cluster.container(name);
  if (found === undefined) throw new ApiError(404, `No such container: ${name}`);
  if (!found.engine.healthy) throw new ApiError(500, `Container ${name} running on unhealthy node ${found.engine.name}`);
  return found;
}

export async function list(context: Context): Promise<void> {
  const { cluster, query, manager } = context;
  const filters = ListFilters.parse(query.get('filters'), PS_FILTERS);
  const named = filters.get('node');
  const byName = manager.containerNameRefreshFilter !== '' && filters.get('name').includes(manager.containerNameRefreshFilter);
  if (byName || (manager.refreshOnNodeFilter && named.length > 0)) {
    const engines = cluster.healthyEngines.filter((engine) => byName || named.includes(engine.name));
    await Promise.allSettled(engines.map((engine) => engine.refreshAll(true)));
  }
  const reference = query.get('before') ?? '';
  const find = (text: string) => cluster.container(text)?.container;
  const before = reference === '' ? undefined : find(reference);
  if (reference !== '' && before === undefined) throw new ApiError(404, `No such container ${reference}`);
  const now = Date.now();
  const rows = listContainers(newestFirst(cluster.engines), {
    all: flag(query, 'all'),
    limit: Number.parseInt(query.get('limit') ?? '0', 10) || 0,
    before,
    filters,
    find,
  });
  const sizes = flag(query, 'size') ? await sizesOf(cluster) : undefined;
  await sendRows(context, rows, (held) => {
    const row = printRow(held, now);
    const size = sizes?.get(held.container.id);
    return size === undefined ? row : `${row.slice(0, -1)},"SizeRw":${size.rw},"SizeRootFs":${size.rootFs}}`;
  });
}

async function sizesOf(cluster: Cluster): Promise<Map<string, { rw: number; rootFs: number }>> {
  const sizes = new Map<string, { rw: number; rootFs: number }>();
  const answers = await cluster.onAll((engine) =>
    engine.client.call('GET', '/containers/json', { query: { all: '1', size: '1' }, timeoutMs: 120_000 }),
  );
  for (const { value } of answers)
    for (const row of Array.isArray(value) ? value : [])
      sizes.set(stringAt(row, 'Id'), { rw: numberAt(row, 'SizeRw'), rootFs: numberAt(row, 'SizeRootFs') });
  return sizes;
}

/** Rows of a large cluster are tens of megabytes: they leave in pieces, and a slow reader is waited for. */
async function sendRows<T>({ response, signal }: Context, rows: readonly T[], print: (row: T) => string): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.write('[');
  for (let i = 0; i < rows.length && !signal.aborted; i += ROWS_AT_ONCE) {
    const piece = rows.slice(i, i + ROWS_AT_ONCE).map(print);
    const text = Buffer.from(i === 0 ? piece.join(',') : `,${piece.join(',')}`);
    if (!response.write(text) && !signal.aborted) await drained(response);
  }
  response.end(']\n');
}
const ROWS_AT_ONCE = 1000;

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });

export async function inspect(context: Context): Promise<void> {
  const { engine, container } = owner(context);
  const answer = await engine.client.call('GET', `/containers/${container.id}/json`, {
    query: { size: context.query.get('size') ?? undefined },
  });
  sendJson(context, 200, withNode(engine, answer));
}

/** The engine's answer with `Node` before `Name`, and published addresses that can be reached. */
function withNode(engine: Engine, answer: unknown): unknown {
  if (!isObject(answer)) return answer;
  const node = {
    ID: engine.id,
    IP: engine.ip,
    Addr: engine.addr,
    Name: engine.name,
    Cpus: engine.info.NCPU,
    Memory: engine.info.MemTotal,
    Labels: engine.labels,
  };
  const result: Json = {};
  for (const [key, value] of Object.entries(answer)) {
    if (key === 'Name') result.Node = node;
    result[key] = value;
  }
  const settings = objectAt(answer, 'NetworkSettings');
  const ports = Object.entries(objectAt(settings, 'Ports')).map(([port, list]) => {
    if (!Array.isArray(list)) return [port, list];
    const seen = new Set<string>();
    const reachable = list
      .filter(isObject)
      .map((entry) => (['', '0.0.0.0', '::'].includes(stringAt(entry, 'HostIp')) ? { ...entry, HostIp: engine.ip } : entry));
    return [port, reachable.filter((entry) => !seen.has(printJson(entry)) && seen.add(printJson(entry)))];
  });
  if (isObject(settings.Ports)) result.NetworkSettings = { ...settings, Ports: Object.fromEntries(ports) };
  return result;
}

export async function create(context: Context): Promise<void> {
  const body = await readJson(context);
  const platform = context.query.get('platform') ?? undefined;
  const auth = context.request.headers['x-registry-auth'];
  const created = await context.cluster.creations.create(body, {
    name: context.query.get('name') ?? '',
    signal: context.signal,
    ...(platform === undefined ? {} : { platform }),
    ...(typeof auth === 'string' ? { registryAuth: auth } : {}),
  });
  sendJson(context, 201, { Id: created.id, Warnings: created.warnings });
}

/** To the container's engine under its full id. `refresh` keeps the manager's memory true before the client is answered. */
export function toOwner(rest: string, refresh = false) {
  return async (context: Context): Promise<void> => {
    const { engine, container } = owner(context);
    await proxy(context, engine, {
      path: `/containers/${container.id}${rest}`,
      ...(refresh ? { afterwards: async () => void (await engine.refreshContainer(container.id)) } : {}),
      ...(rest === '/wait' ? { onLoss: (error: Error) => waitLost(engine, error) } : {}),
    });
  };
}

function waitLost(engine: Engine, error: Error): string {
  return `${printJson({ StatusCode: 125, Error: { Message: `node ${engine.name}: ${messageOf(error)}` } })}\n`;
}

export async function remove(context: Context): Promise<void> {
  const { engine, container } = owner(context);
  await proxy(context, engine, {
    path: `/containers/${container.id}`,
    afterwards: async (status) => {
      if (status < 300 || status === 404) engine.forgetContainer(container.id);
      await engine.refreshVolumes();
    },
  });
}

export async function rename(context: Context): Promise<void> {
  const { engine, container } = owner(context);
  const name = (context.query.get('name') ?? '').replace(/^\//, '');
  const release = context.cluster.creations.reserveName(name);
  try {
    await proxy(context, engine, {
      path: `/containers/${container.id}/rename`,
      query: `?name=${encodeURIComponent(name)}`,
      afterwards: async () => void (await engine.refreshContainer(container.id)),
    });
  } finally {
    release();
  }
}

export async function commit(context: Context): Promise<void> {
  const { engine, container } = owner({ cluster: context.cluster, params: [context.query.get('container') ?? ''] });
  const query = new URLSearchParams(context.query);
  query.set('container', container.id);
  await proxy(context, engine, { path: '/commit', query: `?${query.toString()}`, afterwards: () => engine.refreshImages() });
}

export async function attach(context: UpgradeContext): Promise<void> {
  const { engine, container } = owner(context);
  await hijack(context, engine, `/containers/${container.id}/attach${context.path.endsWith('/ws') ? '/ws' : ''}`);
}

/** Which engine runs an exec, remembered for a day, at most this many. */
const MAX_EXECS = 50_000;
const execs = new Map<string, Engine>();

export async function execCreate(context: Context): Promise<void> {
  const { engine, container } = owner(context);
  const body = await readJson(context);
  const command = objectAt({ body }, 'body').Cmd;
  if (!Array.isArray(command) || command.length === 0) throw new ApiError(400, 'No exec command specified');
  const answer = await engine.client.call('POST', `/containers/${container.id}/exec`, { body: printJson(body) });
  rememberExec(stringAt(answer, 'Id'), engine);
  sendJson(context, 201, answer);
}

export function rememberExec(id: string, engine: Engine): void {
  if (id === '') return;
  execs.set(id, engine);
  const [oldest] = execs.keys();
  if (execs.size > MAX_EXECS && oldest !== undefined) execs.delete(oldest);
}

async function execOwner(context: Located): Promise<{ id: string; engine: Engine }> {
  const [id = ''] = context.params;
  if (!/^[0-9a-f]{64}$/.test(id)) throw new ApiError(404, `Exec ${id} not found`);
  const known = execs.get(id);
  if (known !== undefined) return { id, engine: known };
  // Made before this manager started, or straight at an engine.
  const answers = await context.cluster.onAll((engine) => engine.client.call('GET', `/exec/${id}/json`).catch(() => undefined));
  const holder = answers.find(({ value }) => value !== undefined);
  if (holder === undefined) throw new ApiError(404, `Exec ${id} not found`);
  rememberExec(id, holder.engine);
  return { id, engine: holder.engine };
}

export function toExec(rest: string) {
  return async (context: Context): Promise<void> => {
    const { id, engine } = await execOwner(context);
    await proxy(context, engine, { path: `/exec/${id}${rest}` });
  };
}

export async function execStart(context: UpgradeContext): Promise<void> {
  const { id, engine } = await execOwner(context);
  await hijack(context, engine, `/exec/${id}/start`);
}
