import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { meansImage, parseReference } from '../cluster/reference.js';
import { errorText } from '../engine/client.js';
import type { Engine } from '../engine/engine.js';
import type { Image } from '../engine/shapes.js';
import { ApiError, messageOf } from '../errors.js';
import { type Json, objectAt, parseJson, printJson, stringAt } from '../json.js';
import { type Context, sendEmpty, sendJson } from './context.js';
import { ListFilters } from './filters.js';
import { encodePath, proxy } from './proxy.js';
import { answer } from './volumes.js';

const IMAGE_FILTERS: ReadonlySet<string> = new Set(['before', 'dangling', 'label', 'node', 'reference', 'since']);

/** Images: one row per id over all engines; pulls, imports and loads go to every healthy engine. */
export function list(context: Context): void {
  const { cluster, query } = context;
  const filters = ListFilters.parse(query.get('filters'), IMAGE_FILTERS);
  const dangling = filters.bool('dangling');
  const engines = cluster.engines.filter((engine) => filters.exact('node', engine.name) || filters.exact('node', engine.id));
  const rows = new Map<string, Image>();
  for (const engine of engines) {
    for (const image of engine.images) {
      const present = rows.get(image.Id);
      rows.set(
        image.Id,
        present === undefined
          ? image
          : { ...present, RepoTags: union(present.RepoTags, image.RepoTags), RepoDigests: union(present.RepoDigests, image.RepoDigests) },
      );
    }
  }
  const bound = (key: string) =>
    filters.get(key).map((name) => {
      const found = [...rows.values()].find((image) => meansImage(name, image));
      if (found === undefined) throw new ApiError(400, `Invalid filter: 'type'='${key}': no such image found: '${name}'`);
      return found.Created;
    });
  const before = bound('before');
  const since = bound('since');
  const old = query.get('filter') ?? '';
  const references = [...filters.get('reference'), ...(old === '' ? [] : [old])];
  const shown = [...rows.values()].flatMap((row) => {
    const image = references.length === 0 ? row : onlyNamed(row, references);
    const untagged = image.RepoTags.every((tag) => tag === '<none>:<none>');
    const wanted =
      (references.length === 0 || image.RepoTags.length > 0 || image.RepoDigests.length > 0) &&
      filters.labels('label', image.Labels) &&
      (dangling === undefined || dangling === untagged) &&
      before.every((created) => image.Created < created) &&
      since.every((created) => image.Created > created);
    return wanted ? [image] : [];
  });
  shown.sort((a, b) => b.Created - a.Created);
  sendJson(context, 200, shown);
}

const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])];

/** With only the names that were asked for, as an engine answers. */
function onlyNamed(image: Image, references: readonly string[]): Image {
  const named = (name: string): boolean => references.some((wanted) => glob(wanted, name));
  return { ...image, RepoTags: image.RepoTags.filter(named), RepoDigests: image.RepoDigests.filter(named) };
}

/** A familiar-name pattern against `repo:tag`, with or without the tag; `*` and `?` stay within one path segment. */
function glob(wanted: string, tag: string): boolean {
  const { repository } = parseReference(tag);
  const familiar = `${repository}:${parseReference(tag).tag}`;
  const source = wanted
    .replace(/^(?:index\.)?docker\.io\//, '')
    .replace(/^library\//, '')
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '[^/]*')
    .replaceAll('?', '[^/]');
  const matcher = new RegExp(`^${source}$`);
  return matcher.test(repository) || matcher.test(familiar);
}

/** @throws ApiError 404 */
function holder(context: Context, name: string): Engine {
  const engine = context.cluster.holders(name).find((candidate) => candidate.healthy);
  if (engine === undefined) throw new ApiError(404, `No such image: ${name}`);
  return engine;
}

export function toHolder(rest: string) {
  return async (context: Context): Promise<void> => {
    const [name = ''] = context.params;
    await proxy(context, holder(context, name), { path: `/images/${encodePath(name)}${rest}` });
  };
}

export async function push(context: Context): Promise<void> {
  const [name = ''] = context.params;
  const tag = context.query.get('tag') ?? '';
  await proxy(context, holder(context, tag === '' ? name : `${name}:${tag}`), { path: `/images/${encodePath(name)}/push` });
}

/** One engine that holds all of them. */
export async function getMany(context: Context): Promise<void> {
  const names = context.query.getAll('names').flatMap((entry) => entry.split(','));
  const engine = context.cluster.healthyEngines.find((candidate) =>
    names.every((name) => candidate.images.some((image) => meansImage(name, image))),
  );
  if (engine === undefined) throw new ApiError(404, `Unable to find a healthy engine containing all images: [${names.join(' ')}]`);
  await proxy(context, engine);
}

/** Holders a name means; a row of names that is no tag but an id prefix under three characters is not one. */
async function onHolders(context: Context, name: string, missing: string, task: (engine: Engine) => Promise<unknown>): Promise<unknown[]> {
  const engines = context.cluster.holders(name).filter((engine) => engine.healthy);
  if (engines.length === 0) throw new ApiError(404, missing);
  const results = await Promise.allSettled(engines.map(task));
  await Promise.allSettled(engines.map((engine) => engine.refreshImages()));
  answer(results, engines);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

export async function tag(context: Context): Promise<void> {
  const [name = ''] = context.params;
  await onHolders(context, name, `No such image: ${name}`, (engine) =>
    engine.client.call('POST', `/images/${encodePath(name)}/tag${context.rawQuery}`),
  );
  sendEmpty(context, 201);
}

export async function remove(context: Context): Promise<void> {
  const [name = ''] = context.params;
  const lists = await onHolders(context, name, `No such image ${name}`, (engine) =>
    engine.client.call('DELETE', `/images/${encodePath(name)}${context.rawQuery}`, { timeoutMs: 120_000 }),
  );
  const seen = new Set<string>();
  sendJson(
    context,
    200,
    lists.flatMap((list) => (Array.isArray(list) ? list : [])).filter((row) => !seen.has(printJson(row)) && seen.add(printJson(row))),
  );
}

/** `docker pull` (`fromImage`) and `docker import` (`fromSrc`) everywhere. */
export async function create(context: Context): Promise<void> {
  const { query } = context;
  const image = query.get('fromImage') ?? '';
  if (image === '') return fanOut(context, 'Importing Image...');
  const tagged = query.get('tag') ?? '';
  const reference = tagged === '' ? image : tagged.includes(':') ? `${image}@${tagged}` : `${image}:${tagged}`;
  await fanOut(context, `Pulling ${reference}...`);
}

export async function load(context: Context): Promise<void> {
  await fanOut(context, 'Loading Image...');
}

/** The same request at every healthy engine, the body teed; progress lines carry the node. Errors are told at the end. */
async function fanOut(context: Context, title: string): Promise<void> {
  const { cluster, response, request, signal } = context;
  const engines = cluster.healthyEngines;
  if (engines.length === 0) throw new ApiError(500, 'No healthy node available in the cluster');
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  const say = (message: Json) => response.write(`${printJson(message)}\n`);
  const pull = title.startsWith('Pulling');
  const bodies = pull ? engines.map(() => undefined) : tee(request, engines.length);
  const results = await Promise.allSettled(
    engines.map(async (engine, i) => {
      if (pull) say({ status: title, id: engine.name });
      try {
        await fanOutOne(context, engine, bodies[i], signal, (message) => {
          const status = stringAt(message, 'status') || stringAt(message, 'stream').trim();
          const { stream: _stream, ...kept } = message;
          if (status !== '') say({ ...kept, id: engine.name, status: `${title} : ${status}` });
        });
        if (pull) say({ status: title, id: engine.name });
      } catch (error) {
        bodies[i]?.destroy();
        say({ id: engine.name, status: `${title} : ${messageOf(error)}` });
        throw error;
      }
    }),
  );
  await Promise.allSettled(engines.map((engine) => engine.refreshImages()));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [messageOf(result.reason)] : []));
  const otherSystem =
    failures.length < results.length && failures.every((text) => /image operating system|cannot load \S+ image on/.test(text));
  const [failure] = failures;
  if (failure !== undefined && !otherSystem) say({ error: failure, errorDetail: { code: 1, message: failure } });
  response.end();
}

async function fanOutOne(
  context: Context,
  engine: Engine,
  body: Readable | undefined,
  signal: AbortSignal,
  say: (message: Json) => void,
): Promise<void> {
  const { request, path, rawQuery } = context;
  const auth = request.headers['x-registry-auth'];
  const headers = {
    ...(body === undefined
      ? {}
      : { 'Content-Type': request.headers['content-type'] ?? 'application/x-tar', 'Transfer-Encoding': 'chunked' }),
    ...(typeof auth === 'string' ? { 'X-Registry-Auth': auth } : {}),
  };
  const reply = await engine.client.stream('POST', `/v${context.cluster.versionFor(engine, context.version)}${path}${rawQuery}`, {
    headers,
    signal,
    ...(body === undefined ? {} : { body }),
  });
  const failed = (reply.statusCode ?? 500) >= 400;
  let error = '';
  for await (const line of lines(reply)) {
    const message = objectOf(line);
    if (failed) error = errorText(message, reply.statusCode ?? 500);
    else if (stringAt(message, 'error') !== '') error = stringAt(message, 'error');
    else say(message);
  }
  if (error !== '' || failed) throw new ApiError(reply.statusCode ?? 500, error || `engine answered ${reply.statusCode}`);
}

/** JSON objects, one a line or back to back. */
export async function* lines(stream: Readable): AsyncGenerator<string> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    rest += String(chunk);
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) if (part.trim() !== '') yield part;
    if (rest.length > 16 * 1024 * 1024) throw new ApiError(502, 'a line of the engine is longer than 16 MiB');
  }
  if (rest.trim() !== '') yield rest;
}

export function objectOf(line: string): Json {
  try {
    return objectAt({ value: parseJson(line) }, 'value');
  } catch {
    return { status: line };
  }
}

/** Copies of one body; the slowest reader sets the pace, one that is gone sets none. */
function tee(source: Readable, count: number): PassThrough[] {
  const copies = Array.from({ length: count }, () => new PassThrough());
  for (const copy of copies) copy.on('error', () => {});
  void (async () => {
    try {
      for await (const chunk of source) {
        const slow = copies.filter((copy) => !copy.destroyed && !copy.write(chunk));
        await Promise.all(slow.map((copy) => Promise.race([once(copy, 'drain'), once(copy, 'close')]).catch(() => {})));
      }
      for (const copy of copies) copy.end();
    } catch (error) {
      for (const copy of copies) copy.destroy(error instanceof Error ? error : undefined);
    }
  })();
  return copies;
}

/** Engines that run a build now, by the client's build id. */
const builds = new Map<string, Engine>();

/** `docker build`: the scheduler picks a node, build arguments may steer it; messages carry the node. */
export async function build(context: Context): Promise<void> {
  const { cluster, query, request, response, signal } = context;
  const search = new URLSearchParams(query);
  const given = objectOf(query.get('buildargs') ?? '{}');
  const kept: Json = {};
  const demand = { constraints: [] as string[], affinities: [] as string[], whitelists: [] as string[] };
  for (const [key, value] of Object.entries(given)) {
    const [kind = '', ...rest] = key.split(':');
    const list =
      kind === 'constraint'
        ? demand.constraints
        : kind === 'affinity'
          ? demand.affinities
          : kind === 'whitelist'
            ? demand.whitelists
            : undefined;
    if (list === undefined || rest.length === 0) kept[key] = value;
    else list.push(typeof value === 'string' && value !== '' ? `${rest.join(':')}=${value}` : rest.join(':'));
  }
  if (query.has('buildargs')) search.set('buildargs', JSON.stringify(kept));
  // Current clients leave `rm` out and mean yes.
  if (!search.has('rm')) search.set('rm', '1');
  const buildKit = query.get('version') === '2';
  const engine = buildKit
    ? buildNode(context)
    : cluster.pick({ ...demand, memory: Number(query.get('memory')) || 0, cpus: Number(query.get('cpushares')) || 0 });
  const buildId = query.get('buildid') ?? '';
  if (buildId !== '') builds.set(buildId, engine);
  const rawQuery = `?${search.toString()}`;
  const afterwards = () => engine.refreshImages();
  try {
    if (buildKit) return await proxy(context, engine, { query: rawQuery, afterwards });
    const headers: Record<string, string> = {
      'Content-Type': request.headers['content-type'] ?? 'application/x-tar',
      'Transfer-Encoding': 'chunked',
    };
    const config = request.headers['x-registry-config'];
    if (typeof config === 'string') headers['X-Registry-Config'] = config;
    const reply = await engine.client.stream('POST', `/v${cluster.versionFor(engine, context.version)}/build${rawQuery}`, {
      headers,
      body: request,
      signal,
    });
    if ((reply.statusCode ?? 500) >= 400) {
      let text = '';
      for await (const line of lines(reply)) text += line;
      throw new ApiError(reply.statusCode ?? 500, errorText(objectOf(text), reply.statusCode ?? 500));
    }
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    for await (const line of lines(reply)) response.write(`${printJson(labelled(objectOf(line), engine.name))}\n`);
    await afterwards();
    response.end();
  } finally {
    if (buildId !== '') builds.delete(buildId);
  }
}

/** The CLI prints `id: stream` only for messages with an id; aux objects must stay as they are. */
function labelled(message: Json, node: string): Json {
  return 'aux' in message || 'error' in message ? message : { ...message, id: node };
}

export async function buildCancel(context: Context): Promise<void> {
  const id = context.query.get('id') ?? '';
  if (id === '') throw new ApiError(400, 'build ID not provided');
  const deadline = Date.now() + 5000;
  while (!builds.has(id) && Date.now() < deadline && !context.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 100));
  const engine = builds.get(id);
  if (engine === undefined) throw new ApiError(404, 'timeout waiting for build to start');
  await proxy(context, engine);
}

/** BuildKit's sessions, its gRPC and its builds carry nothing in common, so all of one client's go to one engine. */
const buildNodes = new Map<string, Engine>();
export function buildNode(context: Pick<Context, 'cluster' | 'request'>): Engine {
  const client = context.request.socket.remoteAddress ?? '';
  const known = buildNodes.get(client);
  if (known?.healthy === true) return known;
  const engine = context.cluster.pick();
  if (buildNodes.size > 10_000) buildNodes.clear();
  buildNodes.set(client, engine);
  return engine;
}
