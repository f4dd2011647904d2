import { randomBytes } from 'node:crypto';
import { findVolumes } from '../cluster/lookup.js';
import type { Engine } from '../engine/engine.js';
import { ApiError, messageOf } from '../errors.js';
import { isObject, printJson, stringAt, stringMapAt } from '../json.js';
import { requirements } from '../scheduler/labels.js';
import { type Context, readJson, sendEmpty, sendJson } from './context.js';
import { ListFilters } from './filters.js';
import { proxy } from './proxy.js';

const VOLUME_FILTERS: ReadonlySet<string> = new Set(['dangling', 'driver', 'label', 'name', 'node']);

/** Volumes: local ones as `node/name`, those of shared drivers bare and once. */
export function list(context: Context): void {
  const { cluster, query } = context;
  const filters = ListFilters.parse(query.get('filters'), VOLUME_FILTERS);
  const dangling = filters.bool('dangling');
  const seen = new Set<string>();
  const rows = cluster.engines.flatMap((engine) =>
    engine.volumes
      .filter((volume) => {
        const local = volume.Driver === 'local';
        const used = [...engine.containers.values()].some(({ facts }) => facts.mounts.some((mount) => mount.name === volume.Name));
        const shown =
          (!filters.has('name') || filters.get('name').some((part) => volume.Name.includes(part))) &&
          filters.labels('label', volume.Labels) &&
          filters.exact('driver', volume.Driver) &&
          (!local || filters.exact('node', engine.name)) &&
          (dangling === undefined || dangling === !used);
        if (!shown || local) return shown;
        return !seen.has(volume.Name) && seen.add(volume.Name);
      })
      .map((volume) => (volume.Driver === 'local' ? { ...volume, Name: `${engine.name}/${volume.Name}` } : volume)),
  );
  sendJson(context, 200, { Volumes: rows, Warnings: null });
}

export async function inspect(context: Context): Promise<void> {
  const [reference = ''] = context.params;
  const found = findVolumes(context.cluster.healthyEngines, reference);
  const [first] = found;
  if (first === undefined) throw new ApiError(404, `No such volume: ${reference}`);
  await proxy(context, first.engine, { path: `/volumes/${encodeURIComponent(first.volume.Name)}` });
}

export async function create(context: Context): Promise<void> {
  const { cluster } = context;
  const given = await readJson(context);
  if (!isObject(given)) throw new ApiError(400, 'invalid JSON: an object describing the volume is expected');
  const full = stringAt(given, 'Name');
  const slash = full.indexOf('/');
  const name = slash >= 0 ? full.slice(slash + 1) : full === '' ? randomBytes(32).toString('hex') : full;
  const whitelists = requirements(stringMapAt(given, 'Labels'), 'whitelist');
  const engines: readonly Engine[] =
    slash >= 0
      ? [cluster.pick({ constraints: [`node==${full.slice(0, slash)}`] })]
      : whitelists.length > 0
        ? cluster.pickAll({ whitelists })
        : cluster.healthyEngines;
  if (engines.length === 0) throw new ApiError(500, 'No healthy node available in the cluster');
  const body = printJson({ ...given, Name: name });
  const results = await Promise.allSettled(
    engines.map((engine) => engine.client.call('POST', '/volumes/create', { body, timeoutMs: 60_000 })),
  );
  await Promise.allSettled(engines.map((engine) => engine.refreshVolumes()));
  answer(results, engines);
  const made = results.find((result) => result.status === 'fulfilled');
  sendJson(context, 201, made?.status === 'fulfilled' ? made.value : {});
}

export async function remove(context: Context): Promise<void> {
  const [reference = ''] = context.params;
  const found = findVolumes(context.cluster.healthyEngines, reference);
  if (found.length === 0) throw new ApiError(404, `No such volume ${reference}`);
  const force = context.query.get('force') ?? undefined;
  const results = await Promise.allSettled(
    found.map(({ engine, volume }) => engine.client.call('DELETE', `/volumes/${encodeURIComponent(volume.Name)}`, { query: { force } })),
  );
  await Promise.allSettled(found.map(({ engine }) => engine.refreshVolumes()));
  answer(
    results,
    found.map(({ engine }) => engine),
  );
  sendEmpty(context, 204);
}

export async function update(context: Context): Promise<void> {
  const [reference = ''] = context.params;
  const [first] = findVolumes(context.cluster.healthyEngines, reference);
  if (first === undefined) throw new ApiError(404, `No such volume: ${reference}`);
  await proxy(context, first.engine, { path: `/volumes/${encodeURIComponent(first.volume.Name)}` });
}

/** One error text for all nodes that failed, with the status they agree on. @throws ApiError */
export function answer(results: readonly PromiseSettledResult<unknown>[], engines: readonly Engine[]): void {
  const failures = results.flatMap((result, i) =>
    result.status === 'rejected' ? [{ node: engines[i]?.name ?? '', reason: result.reason as unknown }] : [],
  );
  if (failures.length === 0) return;
  const statuses = new Set(failures.map(({ reason }) => (reason instanceof ApiError ? reason.status : 500)));
  const [status = 500] = statuses;
  throw new ApiError(statuses.size === 1 ? status : 500, failures.map(({ node, reason }) => `${node}: ${messageOf(reason)}`).join('\n'));
}
