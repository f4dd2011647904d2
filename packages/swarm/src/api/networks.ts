import { allNetworks, type FoundNetwork, isShared, networkKey } from '../cluster/lookup.js';
import type { Engine } from '../engine/engine.js';
import { ApiError, messageOf } from '../errors.js';
import { isObject, type Json, objectAt, printJson, stringAt } from '../json.js';
import { type Context, readJson, sendEmpty, sendJson } from './context.js';
import { ListFilters, momentOf } from './filters.js';
import { proxy } from './proxy.js';

/** Networks: a shared one is shown once, unprefixed, whatever id each engine gave it; an engine's own as `node/name`. */
const BUILTIN = new Set(['none', 'host', 'bridge']);
const ARRIVAL_MS = 10_000;

const NETWORK_FILTERS: ReadonlySet<string> = new Set(['dangling', 'driver', 'id', 'label', 'name', 'node', 'scope', 'type']);

export function list(context: Context): void {
  const { cluster, query } = context;
  const filters = ListFilters.parse(query.get('filters'), NETWORK_FILTERS);
  for (const type of filters.get('type')) {
    if (type !== 'custom' && type !== 'builtin') throw new ApiError(400, `Invalid filter: 'type'='${type}'`);
  }
  const dangling = filters.bool('dangling');
  const drivers = cluster.options.sharedDrivers;
  const all = allNetworks(cluster.engines);
  const counts = new Map<string, number>();
  for (const found of all) counts.set(found.network.Name, (counts.get(found.network.Name) ?? 0) + 1);
  const exactName = filters.get('name').some((value) => all.some((found) => found.network.Name === value));
  const compose = filters.get('label').some((label) => label.startsWith('com.docker.compose.'));
  const rows = distinct(all, drivers).filter((found) => {
    const { network, engine } = found;
    const shared = isShared(network, drivers);
    const shown = shared ? network.Name : `${engine.name}/${network.Name}`;
    const copies = all.filter((other) => networkKey(other, drivers) === networkKey(found, drivers));
    const named =
      !filters.has('name') && !filters.has('id')
        ? true
        : (filters.has('name') && (filters.match('name', network.Name) || filters.match('name', shown))) ||
          (filters.has('id') && copies.some((copy) => filters.prefix('id', copy.network.Id)));
    return (
      named &&
      (!filters.has('type') || filters.get('type').some((type) => (type === 'builtin') === BUILTIN.has(network.Name))) &&
      filters.exact('driver', network.Driver) &&
      filters.exact('scope', network.Scope) &&
      filters.labels('label', network.Labels) &&
      (!filters.has('node') ||
        filters.get('node').every((node) => copies.some((copy) => copy.engine.name === node || copy.engine.id === node))) &&
      (dangling === undefined || dangling === (!BUILTIN.has(network.Name) && copies.every((copy) => endpoints(copy).length === 0)))
    );
  });
  sendJson(
    context,
    200,
    rows.map((found) => {
      const shared = isShared(found.network, drivers);
      const bare = shared || ((exactName || compose) && counts.get(found.network.Name) === 1);
      return { ...found.network, Name: bare ? found.network.Name : `${found.engine.name}/${found.network.Name}` };
    }),
  );
}

function distinct(all: readonly FoundNetwork[], drivers: ReadonlySet<string>): FoundNetwork[] {
  const seen = new Set<string>();
  return all.filter((found) => {
    const key = networkKey(found, drivers);
    return !seen.has(key) && seen.add(key);
  });
}

const endpoints = ({ engine, network }: FoundNetwork) =>
  [...engine.containers.values()].filter(({ facts }) =>
    Object.entries(facts.networks).some(([name, id]) => name === network.Name || id === network.Id),
  );

/** @throws ApiError */
function copiesOf(context: Context, reference = context.params[0] ?? ''): FoundNetwork[] {
  const copies = context.cluster.network(reference);
  if (copies.length === 0) throw new ApiError(404, `No such network: ${reference}`);
  return copies;
}

export async function inspect(context: Context): Promise<void> {
  const reference = context.params[0] ?? '';
  let found = context.cluster.network(reference);
  if (found.length === 0) {
    await Promise.allSettled(context.cluster.healthyEngines.map((engine) => engine.refreshNetworks()));
    found = copiesOf(context);
  }
  const [first] = found;
  if (first === undefined) throw new ApiError(404, `No such network: ${reference}`);
  const healthy = found.filter(({ engine }) => engine.healthy);
  const [only] = healthy;
  if (only === undefined) throw new ApiError(500, `Network ${reference} is on unhealthy node ${first.engine.name}`);
  if (healthy.length === 1) return proxy(context, only.engine, { path: `/networks/${only.network.Id}` });
  const answers = await Promise.allSettled(
    healthy.map(({ engine, network }) => engine.client.call('GET', `/networks/${network.Id}`, { timeoutMs: 10_000 })),
  );
  const objects = answers.flatMap((answer) => (answer.status === 'fulfilled' && isObject(answer.value) ? [answer.value] : []));
  const [base] = objects;
  if (base === undefined) throw new ApiError(404, `No such network: ${reference}`);
  const containers: Json = {};
  for (const object of objects) {
    for (const [id, endpoint] of Object.entries(objectAt(object, 'Containers'))) if (!id.startsWith('ep-')) containers[id] = endpoint;
  }
  sendJson(context, 200, { ...base, Containers: containers });
}

export async function create(context: Context): Promise<void> {
  const { cluster } = context;
  const given = await readJson(context);
  if (!isObject(given)) throw new ApiError(400, 'invalid JSON: an object describing the network is expected');
  const full = stringAt(given, 'Name');
  const slash = full.indexOf('/');
  // A plugin's network may have a slash in its name; only a node's name before it is a choice of node.
  const first = slash < 0 ? '' : full.slice(0, slash);
  const driver = stringAt(given, 'Driver');
  const pinned = slash > 0 && (cluster.isNode(first) || !cluster.options.sharedDrivers.has(driver));
  const name = pinned ? full.slice(slash + 1) : full;
  const engine = cluster.pick(pinned ? { constraints: [`node==${first}`] } : {});
  const shared = cluster.options.sharedDrivers.has(driver);
  if (shared && cluster.network(name).length > 0) throw new ApiError(409, `network with name ${name} already exists`);
  const body = { ...given, Name: name, Driver: driver === '' ? 'bridge' : driver };
  const { maker, answer } = await firstManager(pinned ? [engine] : [engine, ...cluster.healthyEngines], (one) =>
    one.client.call('POST', '/networks/create', { body: printJson(body), timeoutMs: 60_000 }),
  );
  await maker.refreshNetworks();
  const made = maker.networks.find((network) => network.Id === stringAt(answer, 'Id'));
  // A network of swarm mode comes to a node with its first container there.
  if (made !== undefined && made.Scope !== 'swarm' && isShared(made, cluster.options.sharedDrivers)) await arrive(context, name);
  sendJson(context, 201, answer);
}

const isNoManager = (error: unknown): boolean => error instanceof ApiError && /not a swarm manager/i.test(error.message);

/** What only a manager of Docker's swarm mode can do, from the first of the engines that is one; everything else is done by the first engine. */
async function firstManager<T>(
  engines: readonly Engine[],
  work: (engine: Engine) => Promise<T>,
): Promise<{ readonly maker: Engine; readonly answer: T }> {
  const [first, ...others] = new Set(engines);
  if (first === undefined) throw new ApiError(500, 'No healthy node available in the cluster');
  try {
    return { maker: first, answer: await work(first) };
  } catch (error) {
    if (!isNoManager(error) || others.length === 0) throw error;
    return firstManager(others, work).catch((later: unknown) => {
      throw isNoManager(later) ? error : later;
    });
  }
}

/** Waits a little for the agents (or the engines' store) to bring a shared network to every engine. */
async function arrive(context: Context, name: string): Promise<void> {
  const deadline = Date.now() + ARRIVAL_MS;
  for (;;) {
    const missing = context.cluster.healthyEngines.filter((engine) => !engine.networks.some((network) => network.Name === name));
    if (missing.length === 0 || Date.now() > deadline || context.signal.aborted) return;
    await Promise.allSettled(missing.map((engine) => engine.refreshNetworks()));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const PRUNE_FILTERS: ReadonlySet<string> = new Set(['label', 'label!', 'until']);

/**
 * `docker network prune`. An engine asked to do it would take away a shared network that it has no container on, though containers of
 * other engines use it: what is in use is known here alone.
 */
export async function prune(context: Context): Promise<void> {
  const { cluster, query } = context;
  const filters = ListFilters.parse(query.get('filters'), PRUNE_FILTERS);
  const until = filters.get('until').map((text) => momentOf(text, Date.now()));
  const drivers = cluster.options.sharedDrivers;
  await Promise.allSettled(cluster.healthyEngines.flatMap((engine) => [engine.refreshNetworks(), engine.refreshContainers()]));
  const all = allNetworks(cluster.engines);
  const removed: string[] = [];
  for (const found of distinct(all, drivers)) {
    const { engine, network } = found;
    const copies = all.filter((other) => networkKey(other, drivers) === networkKey(found, drivers));
    const created = Date.parse(stringAt(network, 'Created'));
    const goes =
      !BUILTIN.has(network.Name) &&
      network.Ingress !== true &&
      network.ConfigOnly !== true &&
      filters.labels('label', network.Labels) &&
      !filters.get('label!').some((label) => new ListFilters(new Map([['label', [label]]])).labels('label', network.Labels)) &&
      until.every((moment) => created < moment) &&
      copies.every((copy) => copy.engine.healthy && !endpoints(copy).some(({ facts }) => facts.running));
    if (!goes) continue;
    const shown = isShared(network, drivers) ? network.Name : `${engine.name}/${network.Name}`;
    // As on an engine: what cannot be removed stays, and is not among what was.
    await removeCopies(context, copies, shown).then(
      () => removed.push(shown),
      (error: unknown) => context.manager.log.warn(`network ${shown} was not pruned: ${messageOf(error)}`),
    );
  }
  sendJson(context, 200, { NetworksDeleted: removed });
}

export async function remove(context: Context): Promise<void> {
  await removeCopies(context, copiesOf(context), context.params[0] ?? '');
  sendEmpty(context, 204);
}

/** @throws ApiError when the network is still there */
async function removeCopies(context: Context, copies: readonly FoundNetwork[], reference: string): Promise<void> {
  const failures: unknown[] = [];
  let removed = 0;
  for (const { engine, network } of copies) {
    try {
      await engine.client.call('DELETE', `/networks/${network.Id}`);
      removed++;
    } catch (error) {
      // One removal of a shared network takes it from the others too, so it may be gone already.
      // A worker of swarm mode removes nothing; its manager is among the others.
      if (!(error instanceof ApiError && error.status === 404) && !(isNoManager(error) && copies.length > 1)) failures.push(error);
    }
  }
  await Promise.allSettled(copies.map(({ engine }) => engine.refreshNetworks()));
  const [failure] = failures;
  if (failure !== undefined && (removed === 0 || context.cluster.network(reference).length > 0)) {
    throw failure instanceof ApiError ? failure : new ApiError(500, messageOf(failure));
  }
}

/** `connect` and `disconnect`, on the container's engine and under that engine's own id of the network. */
export function change(action: 'connect' | 'disconnect') {
  return async (context: Context): Promise<void> => {
    const body = await readJson(context);
    const reference = stringAt(body, 'Container');
    if (!isObject(body) || reference === '') throw new ApiError(404, 'Container is not specified');
    const copies = copiesOf(context);
    const found = context.cluster.container(reference);
    if (found === undefined) {
      if (action === 'connect') throw new ApiError(404, `No such container: ${reference}`);
      const [any] = copies.filter(({ engine }) => engine.healthy);
      if (any === undefined) throw new ApiError(404, `No such container: ${reference}`);
      return proxy(context, any.engine, { path: `/networks/${any.network.Id}/${action}`, body: printJson(body) });
    }
    const { engine, container } = found;
    const local = copies.find((copy) => copy.engine === engine) ?? copies[0];
    const id = local?.engine === engine ? local.network.Id : (local?.network.Name ?? '');
    await proxy(context, engine, {
      path: `/networks/${encodeURIComponent(id)}/${action}`,
      body: printJson({ ...body, Container: container.id }),
      afterwards: async () => {
        await Promise.all([engine.refreshContainer(container.id), engine.refreshNetworks()]);
      },
    });
  };
}
