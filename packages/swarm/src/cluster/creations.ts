/** Containers on their way: where they are placed, what is reserved for them meanwhile, and what becomes of those nobody knows the end of. */
import { randomBytes } from 'node:crypto';
import { type CallOptions, readText } from '../engine/client.js';
import type { Engine } from '../engine/engine.js';
import type { Container } from '../engine/view.js';
import { ApiError, ConnectionError, messageOf } from '../errors.js';
import { type Json, parseJson, printJson, stringAt, stringMapAt, stringsAt } from '../json.js';
import type { Log } from '../log.js';
import { requirements, SWARM_ID, withRequirements } from '../scheduler/labels.js';
import type { ContainerView, Demand } from '../scheduler/types.js';
import { bodyForEngine, demandOf, normaliseCreate, pendingView, placeNetworks, unprefixReferences } from './create.js';
import { type FoundNetwork, isShared } from './lookup.js';
import { parseReference } from './reference.js';

/** What creations need to know of the cluster. */
export interface Pool {
  readonly engines: readonly Engine[];
  isNode(name: string): boolean;
  network(reference: string): readonly FoundNetwork[];
  /** Engines that hold an image. */
  holders(image: string): readonly Engine[];
  /** The best engine for a demand. @throws ApiError */
  pick(demand: Demand): Engine;
}

export interface CreationOptions {
  readonly log: Log;
  /** How often another engine is tried. */
  readonly createRetry: number;
  readonly sharedDrivers: ReadonlySet<string>;
}

interface Pending {
  readonly node: string;
  readonly view: ContainerView;
}

const CREATE_TIMEOUT_MS = 120_000;
const NETWORK_WAIT_MS = 10_000;
const DOUBT_MS = 600_000;

export class Creations {
  readonly #pool: Pool;
  readonly #options: CreationOptions;
  readonly #pending = new Set<Pending>();
  /** Names that renames are about to give. */
  readonly #pendingNames = new Set<string>();
  /** Creations whose answer was lost: the engine may have made the container all the same. Swarm id → where, and until when it counts. */
  readonly #doubtful = new Map<string, { readonly engine: Engine; readonly until: number }>();

  constructor(pool: Pool, options: CreationOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** What is being made on a node already takes its room. */
  pendingOn(node: string): ContainerView[] {
    return [...this.#pending].filter((entry) => entry.node === node).map((entry) => entry.view);
  }

  /** @throws ApiError 409 when a container, or one being created, has the name. */
  assertNameFree(name: string): void {
    if (name === '') return;
    const full = `/${name.replace(/^\//, '')}`;
    if (this.#pool.engines.some((engine) => engine.containers.named(full) !== undefined)) throw nameConflict(name);
    for (const { view } of this.#pending) if (view.names.includes(full)) throw nameConflict(name);
    if (this.#pendingNames.has(full)) throw nameConflict(name);
  }

  /** Keeps a name for a container that is being renamed, until the answer is called. @throws ApiError as `assertNameFree` */
  reserveName(name: string): () => void {
    this.assertNameFree(name);
    const full = `/${name}`;
    this.#pendingNames.add(full);
    return () => this.#pendingNames.delete(full);
  }

  /**
   * Places and creates a container. The choice and the reservation are one step without a pause, so that no two creations see the
   * same free room; engines then work side by side. @throws ApiError
   */
  async create(
    given: unknown,
    options: { name: string; platform?: string; registryAuth?: string; signal?: AbortSignal },
  ): Promise<{ engine: Engine; id: string; warnings: string[] }> {
    const name = options.name.replace(/^\//, '');
    let body = unprefixReferences(normaliseCreate(given), (word) => this.#pool.isNode(word));
    const labels = stringMapAt(body, 'Labels');
    if (labels[SWARM_ID] === undefined) body = { ...body, Labels: { ...labels, [SWARM_ID]: swarmId() } };
    const image = stringAt(body, 'Image');
    let retries = 0;
    let withImage = false;
    for (;;) {
      const attempt = withImage ? addAffinity(body, `image==${image}`) : body;
      const reserved = this.#reserve(attempt, name);
      try {
        const made = await this.#createOn(reserved.engine, withImage ? keepAffinities(reserved.body, body) : reserved.body, {
          ...options,
          name,
        });
        this.#believe(reserved);
        return made;
      } catch (error) {
        if (error instanceof ConnectionError) this.#doubt(reserved);
        const pinned = requirements(stringMapAt(body, 'Labels'), 'constraint').some((text) => /^node==[^~]/.test(text));
        if (error instanceof MissingImageError && !withImage && !pinned && this.#pool.holders(image).some((engine) => engine.healthy)) {
          withImage = true;
          continue;
        }
        if (error instanceof MissingImageError) throw error.answer;
        const os = /image operating system "([^"]+)" cannot be used on this platform/.exec(messageOf(error))?.[1];
        if (retries >= (os === undefined ? this.#options.createRetry : 1) || options.signal?.aborted === true) throw clientError(error);
        retries++;
        if (os !== undefined) body = addConstraint(body, `ostype==${os}`);
        this.#options.log.error('Failed to create container, retrying', { error: messageOf(error) });
      } finally {
        this.#pending.delete(reserved.pending);
      }
    }
  }

  #reserve(body: Json, name: string): { engine: Engine; body: Json; pending: Pending } {
    this.assertNameFree(name);
    const placed = placeNetworks(body, { resolve: (reference) => this.#networkName(reference) });
    const demand = demandOf(placed, name);
    const engine = this.#pool.pick(demand);
    const pending = { node: engine.id, view: pendingView(demand, stringMapAt(placed, 'Labels')) };
    this.#pending.add(pending);
    return { engine, body: placed, pending };
  }

  #doubt({ engine, body }: { engine: Engine; body: Json }): void {
    const id = stringMapAt(body, 'Labels')[SWARM_ID];
    if (id !== undefined) this.#doubtful.set(id, { engine, until: Date.now() + DOUBT_MS });
  }

  /** The same container made on the same engine after all, as when a move is tried again. */
  #believe({ engine, body }: { engine: Engine; body: Json }): void {
    const id = stringMapAt(body, 'Labels')[SWARM_ID] ?? '';
    if (this.#doubtful.get(id)?.engine === engine) this.#doubtful.delete(id);
  }

  /** The client was told that it failed, and may have made it elsewhere: a container that turns up later is nobody's. */
  removeDoubtful(): void {
    for (const [id, { engine, until }] of this.#doubtful) {
      if (Date.now() > until || engine.stopped) this.#doubtful.delete(id);
      const container = engine.containers.labelled(id);
      if (container === undefined || !engine.healthy) continue;
      this.#doubtful.delete(id);
      this.#options.log.warn(
        `Removing container ${container.id} from ${engine.name}: its creation was given up before the engine answered`,
      );
      engine.client.call('DELETE', `/containers/${container.id}`, { query: { force: '1' } }).then(
        () => engine.forgetContainer(container.id),
        (error: unknown) => this.#options.log.error(`cannot remove container ${container.id}: ${messageOf(error)}`),
      );
    }
  }

  /** What engines call a network a client names, and the node it is bound to. */
  #networkName(reference: string): { name: string; node?: string } | undefined {
    const copies = this.#pool.network(reference);
    const [first] = copies;
    if (first === undefined) return undefined;
    if (isShared(first.network, this.#options.sharedDrivers)) return { name: first.network.Name };
    if (['bridge', 'host', 'none'].includes(reference)) return { name: reference };
    return { name: first.network.Name, node: first.engine.name };
  }

  async #createOn(
    engine: Engine,
    body: Json,
    options: { name: string; platform?: string; registryAuth?: string },
  ): Promise<{ engine: Engine; id: string; warnings: string[] }> {
    const image = stringAt(body, 'Image');
    const call: CallOptions = {
      query: { name: options.name === '' ? undefined : options.name, platform: options.platform },
      body: printJson(bodyForEngine(body, engine.info.NCPU)),
      timeoutMs: CREATE_TIMEOUT_MS,
    };
    const create = () => this.#whenNetworkArrives(body, () => engine.client.call('POST', '/containers/create', call));
    let answer: unknown;
    try {
      answer = await create();
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404 && /no such image/i.test(error.message))) throw error;
      await this.#pull(engine, image, options);
      answer = await create();
    }
    const id = stringAt(answer, 'Id');
    const container = await this.#appeared(engine, id);
    if (container === undefined) throw new ApiError(500, "Container created but refresh didn't report it back");
    return { engine, id, warnings: stringsAt(answer, 'Warnings') };
  }

  async #appeared(engine: Engine, id: string): Promise<Container | undefined> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const container = await engine.refreshContainer(id);
      if (container !== undefined) return container;
    }
    return engine.containers.get(id);
  }

  /** A shared network made a moment ago may not be on this engine yet: its agent brings it. */
  async #whenNetworkArrives<T>(body: Json, task: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + NETWORK_WAIT_MS;
    for (;;) {
      try {
        return await task();
      } catch (error) {
        const missing = error instanceof ApiError && error.status === 404 ? /network (\S+) not found/.exec(error.message)?.[1] : undefined;
        const copies = missing === undefined ? [] : this.#pool.network(missing);
        const shared = copies.some(({ network }) => isShared(network, this.#options.sharedDrivers));
        if (!shared || Date.now() > deadline || stringAt(body, 'Image') === '') throw error;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
  }

  /** Pulls on one engine with the client's credentials. @throws MissingImageError, ApiError */
  async #pull(engine: Engine, image: string, options: { platform?: string; registryAuth?: string }): Promise<void> {
    // An id is in no registry, but another engine may hold it.
    if (/^[0-9a-f]{64}$/.test(image)) {
      throw new MissingImageError(new ApiError(400, `invalid repository name (${image}), cannot specify 64-byte hexadecimal strings`));
    }
    if (/^sha256:[0-9a-f]{64}$/.test(image)) throw new MissingImageError(new ApiError(404, `No such image: ${image}`));
    const { repository, tag, digest } = parseReference(image);
    const search = new URLSearchParams({ fromImage: repository, tag: digest || tag || 'latest' });
    if (options.platform !== undefined) search.set('platform', options.platform);
    const headers = options.registryAuth === undefined ? {} : { 'X-Registry-Auth': options.registryAuth };
    const answer = await engine.client.stream('POST', `/v${engine.client.version}/images/create?${search.toString()}`, { headers });
    const text = await readText(answer);
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    let error = '';
    for (const line of lines) {
      const message: unknown = safeParse(line);
      error = stringAt(message, 'error') || ((answer.statusCode ?? 500) >= 400 ? stringAt(message, 'message') : '') || error;
    }
    if (error === '' && (answer.statusCode ?? 500) < 400) {
      await engine.refreshImages();
      return;
    }
    // A client that is told 404 pulls by itself, with its own credentials, and asks again.
    const refused = /not found|denied|unauthorized|does not exist|authentication|no basic auth/i.test(error);
    throw new MissingImageError(
      refused ? new ApiError(404, `No such image: ${image}`) : new ApiError(500, error || `pull of ${image} failed on ${engine.name}`),
    );
  }
}

class MissingImageError extends Error {
  readonly answer: ApiError;
  constructor(answer: ApiError) {
    super(answer.message);
    this.answer = answer;
  }
}

function safeParse(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return undefined;
  }
}

function addAffinity(body: Json, expression: string): Json {
  const labels = stringMapAt(body, 'Labels');
  return { ...body, Labels: withRequirements(labels, 'affinity', [...requirements(labels, 'affinity'), expression]) };
}

/** A temporary affinity chose the node; it is not the container's to keep. */
function keepAffinities(placed: Json, original: Json): Json {
  return {
    ...placed,
    Labels: withRequirements(stringMapAt(placed, 'Labels'), 'affinity', requirements(stringMapAt(original, 'Labels'), 'affinity')),
  };
}

function addConstraint(body: Json, expression: string): Json {
  const labels = stringMapAt(body, 'Labels');
  return { ...body, Labels: withRequirements(labels, 'constraint', [...requirements(labels, 'constraint'), expression]) };
}

/** Clients take 404 for a missing image and begin to pull; what else is missing (a network, a plugin) is a bad request. */
function clientError(error: unknown): unknown {
  if (error instanceof ConnectionError) return new ApiError(500, error.message);
  return error instanceof ApiError && error.status === 404 ? new ApiError(400, error.message) : error;
}

function nameConflict(name: string): ApiError {
  return new ApiError(
    409,
    `Conflict: The name ${name.replace(/^\//, '')} is already assigned. You have to delete (or rename) that container to be able to assign ${name.replace(/^\//, '')} to a container again.`,
  );
}

/** 64 hexadecimal digits of which the first twelve are not all decimal, so that no tool takes them for a number. */
function swarmId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^\d{12}/.test(id)) return id;
  }
}
