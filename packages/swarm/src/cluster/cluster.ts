import { randomBytes } from 'node:crypto';
import { type CallOptions, type EngineTls, readText } from '../engine/client.js';
import { compareVersions, Engine, type EngineState, minVersion } from '../engine/engine.js';
import type { EngineEvent } from '../engine/shapes.js';
import type { Container } from '../engine/view.js';
import { ApiError, ConnectionError, messageOf } from '../errors.js';
import { type Json, parseJson, printJson, stringAt, stringMapAt, stringsAt } from '../json.js';
import type { Log } from '../log.js';
import type { Filter } from '../scheduler/filters.js';
import { UnsatisfiedError } from '../scheduler/filters.js';
import { requirements, SWARM_ID, withRequirements } from '../scheduler/labels.js';
import { selectNodes } from '../scheduler/select.js';
import type { Strategy } from '../scheduler/strategy.js';
import { type ContainerView, type Demand, EMPTY_DEMAND, type NodeView } from '../scheduler/types.js';
import { bodyForEngine, demandOf, normaliseCreate, pendingView, placeNetworks, unprefixReferences } from './create.js';
import { type Found, findContainer, findNetwork, isShared } from './lookup.js';
import { meansImage, parseReference } from './reference.js';

export interface ClusterOptions {
  readonly log: Log;
  readonly tls?: EngineTls;
  readonly strategy: Strategy;
  readonly filters: readonly Filter[];
  readonly refreshMinMs: number;
  readonly refreshMaxMs: number;
  readonly failureRetry: number;
  readonly overcommit: number;
  readonly createRetry: number;
  /** Drivers whose networks of one name are one network. */
  readonly sharedDrivers: ReadonlySet<string>;
}

export type ClusterListener = {
  readonly onEvent?: (engine: Engine, event: EngineEvent) => void;
  readonly onState?: (engine: Engine, state: EngineState, previous: EngineState) => void;
};

interface Pending {
  readonly node: string;
  readonly view: ContainerView;
}

/** Capped here because nothing newer has been implemented. */
export const HIGHEST_API = '1.51';
export const LOWEST_API = '1.24';
const NO_ENGINE_API = '1.41';
const VALIDATE_EVERY_MS = 2000;
const VALIDATE_AT_ONCE = 32;
const CREATE_TIMEOUT_MS = 120_000;
const NETWORK_WAIT_MS = 10_000;
const DOUBT_MS = 600_000;
const ANNOUNCED_MS = 1000;

/** All engines as one: membership, look-ups, placement. */
export class Cluster {
  readonly options: ClusterOptions;
  readonly #members = new Map<string, Engine>();
  readonly #pendingCreates = new Set<Pending>();
  /** Names that renames are about to give. */
  readonly #pendingNames = new Set<string>();
  readonly #listeners = new Set<ClusterListener>();
  readonly #validating = new Set<Engine>();
  readonly #timer: NodeJS.Timeout;
  readonly drained = new Set<string>();
  #sorted: readonly Engine[] | undefined;
  #announced = { at: 0, version: NO_ENGINE_API };
  /** Creations whose answer was lost: the engine may have made the container all the same. Swarm id → where, and until when it counts. */
  readonly #doubtful = new Map<string, { readonly engine: Engine; readonly until: number }>();

  constructor(options: ClusterOptions) {
    this.options = options;
    this.#timer = setInterval(() => {
      this.#validatePending();
      this.#removeDoubtful();
    }, VALIDATE_EVERY_MS);
  }

  listen(listener: ClusterListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Engines that were validated, by name. */
  get engines(): readonly Engine[] {
    this.#sorted ??= [...this.#members.values()]
      .filter((engine) => engine.state !== 'Pending')
      .sort((a, b) => compareNames(a.name, b.name));
    return this.#sorted;
  }
  get healthyEngines(): readonly Engine[] {
    return this.engines.filter((engine) => engine.healthy);
  }
  get pendingEngines(): readonly Engine[] {
    return [...this.#members.values()].filter((engine) => engine.state === 'Pending');
  }

  /** Discovery's word: removals before additions. */
  setMembers(addresses: readonly string[]): void {
    const wanted = new Set(addresses);
    for (const [addr, engine] of this.#members) {
      if (wanted.has(addr)) continue;
      this.options.log.info(`Removed Engine ${engine.name || '(unknown)'}`, { addr });
      this.#members.delete(addr);
      this.#changed();
      engine.disconnect();
    }
    for (const addr of wanted) {
      if (this.#members.has(addr)) continue;
      const { log, tls, refreshMinMs, refreshMaxMs, failureRetry, overcommit } = this.options;
      const engine = new Engine(addr, {
        log,
        ...(tls === undefined ? {} : { tls }),
        refreshMinMs,
        refreshMaxMs,
        failureRetry,
        overcommitPercent: Math.trunc(overcommit * 100),
        onEvent: (from, event) => {
          for (const listener of this.#listeners) listener.onEvent?.(from, event);
        },
        onState: (of, state, previous) => {
          this.#changed();
          for (const listener of this.#listeners) listener.onState?.(of, state, previous);
        },
      });
      this.#members.set(addr, engine);
    }
    this.#validatePending();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const engine of this.#members.values()) engine.disconnect();
    this.#members.clear();
    this.#changed();
  }

  /** Engines came, went or changed their state. */
  #changed(): void {
    this.#sorted = undefined;
    this.#announced = { at: 0, version: NO_ENGINE_API };
  }

  #validatePending(): void {
    for (const engine of this.pendingEngines) {
      if (this.#validating.size >= VALIDATE_AT_ONCE) return;
      const wait = Math.min(2 ** Math.min(engine.failures, 5), 30) * 1000;
      if (this.#validating.has(engine) || (engine.error !== '' && Date.now() - engine.updatedAt.getTime() < wait)) continue;
      this.#validating.add(engine);
      engine
        .validate((info) => {
          const twin = [...this.#members.values()].find(
            (other) => other !== engine && other.id === info.ID && (other.state !== 'Pending' || this.#validating.has(other)),
          );
          if (twin === undefined) return;
          this.options.log.error(`ID duplicated. ID shared by ${engine.addr} and ${twin.addr}`);
          throw new Error(`ID duplicated. ID shared by this node ${engine.addr} and another node ${twin.addr}`);
        })
        .then(() => {
          if (this.#members.get(engine.addr) !== engine) return;
          engine.drained = this.drained.has(engine.name);
          engine.activate();
          this.options.log.info(`Registered Engine ${engine.name} at ${engine.addr}`);
        })
        .catch((error: unknown) => this.options.log.debug(`Failed to validate pending node: ${messageOf(error)}`, { Addr: engine.addr }))
        .finally(() => {
          this.#validating.delete(engine);
          if (this.#validating.size < VALIDATE_AT_ONCE) this.#validatePending();
        });
    }
  }

  /** The version clients are told: what every healthy engine speaks. Every answer carries it, so it is worked out once a second. */
  get apiVersion(): string {
    const now = Date.now();
    if (now - this.#announced.at > ANNOUNCED_MS) {
      const versions = new Set(this.healthyEngines.map((engine) => engine.version.ApiVersion));
      this.#announced = { at: now, version: versions.size === 0 ? NO_ENGINE_API : [...versions].reduce(minVersion, HIGHEST_API) };
    }
    return this.#announced.version;
  }

  /** A client's version in words this engine understands. */
  versionFor(engine: Engine, asked: string): string {
    const capped = minVersion(asked, engine.version.ApiVersion);
    return compareVersions(capped, engine.version.MinAPIVersion) < 0 ? engine.version.MinAPIVersion : capped;
  }

  /** Every healthy engine at once. One that fails is left out unless all do. @throws ApiError */
  async onAll<T>(task: (engine: Engine) => Promise<T>): Promise<{ engine: Engine; value: T }[]> {
    const engines = this.healthyEngines;
    const results = await Promise.allSettled(engines.map(async (engine) => ({ engine, value: await task(engine) })));
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failures = results.flatMap((result, i) =>
      result.status === 'rejected' ? [{ node: engines[i]?.name, reason: result.reason as unknown }] : [],
    );
    const [first] = failures;
    if (done.length === 0 && first !== undefined)
      throw first.reason instanceof ApiError ? first.reason : new ApiError(500, messageOf(first.reason));
    for (const failure of failures)
      this.options.log.warn(`left out of an answer: ${messageOf(failure.reason)}`, { node: failure.node ?? '' });
    return done;
  }

  isNode(name: string): boolean {
    return this.engines.some((engine) => engine.name === name || engine.id === name);
  }

  container(reference: string): Found | undefined {
    return findContainer(this.engines, reference);
  }

  network(reference: string) {
    return findNetwork(this.engines, reference, this.options.sharedDrivers);
  }

  /** Engines a client may be sent to, best first, for a demand that is no container. @throws ApiError */
  pick(demand: Partial<Demand> = {}): Engine {
    const [engine] = this.#select({ ...EMPTY_DEMAND, ...demand });
    if (engine === undefined) throw new ApiError(500, 'No healthy node available in the cluster');
    return engine;
  }

  /** Every engine that meets a demand. @throws ApiError */
  pickAll(demand: Partial<Demand>): readonly Engine[] {
    return this.#select({ ...EMPTY_DEMAND, ...demand });
  }

  holders(image: string): Engine[] {
    return this.engines.filter((engine) => engine.images.some((candidate) => meansImage(image, candidate)));
  }

  nodes(): NodeView[] {
    return this.engines.map((engine) => this.#nodeView(engine));
  }

  #nodeView(engine: Engine): NodeView {
    const pending = [...this.#pendingCreates].filter((entry) => entry.node === engine.id).map((entry) => entry.view);
    return {
      id: engine.id,
      name: engine.name,
      addr: engine.addr,
      labels: engine.labels,
      containers: pending.length === 0 ? engine.containers.views : [...engine.containers.views, ...pending],
      images: engine.imageViews,
      totalMemory: engine.totalMemory,
      totalCpus: engine.totalCpus,
      health: engine.health,
      drained: engine.drained,
    };
  }

  #select(demand: Demand): Engine[] {
    try {
      const { filters, strategy } = this.options;
      const nodes = selectNodes(filters, strategy, demand, this.nodes());
      const byId = new Map(this.engines.map((engine) => [engine.id, engine]));
      return nodes.flatMap((node) => byId.get(node.id) ?? []);
    } catch (error) {
      if (error instanceof UnsatisfiedError) throw new ApiError(500, error.message);
      throw error;
    }
  }

  /** @throws ApiError 409 when a container, or one being created, has the name. */
  assertNameFree(name: string): void {
    if (name === '') return;
    const full = `/${name.replace(/^\//, '')}`;
    if (this.engines.some((engine) => engine.containers.named(full) !== undefined)) throw nameConflict(name);
    for (const { view } of this.#pendingCreates) if (view.names.includes(full)) throw nameConflict(name);
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
    let body = unprefixReferences(normaliseCreate(given), (word) => this.isNode(word));
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
        if (error instanceof MissingImageError && !withImage && !pinned && this.holders(image).some((engine) => engine.healthy)) {
          withImage = true;
          continue;
        }
        if (error instanceof MissingImageError) throw error.answer;
        const os = /image operating system "([^"]+)" cannot be used on this platform/.exec(messageOf(error))?.[1];
        if (retries >= (os === undefined ? this.options.createRetry : 1) || options.signal?.aborted === true) throw clientError(error);
        retries++;
        if (os !== undefined) body = addConstraint(body, `ostype==${os}`);
        this.options.log.error('Failed to create container, retrying', { error: messageOf(error) });
      } finally {
        this.#pendingCreates.delete(reserved.pending);
      }
    }
  }

  #reserve(body: Json, name: string): { engine: Engine; body: Json; pending: Pending } {
    this.assertNameFree(name);
    const placed = placeNetworks(body, { resolve: (reference) => this.#networkName(reference) });
    const demand = demandOf(placed, name);
    const engine = this.pick(demand);
    const pending = { node: engine.id, view: pendingView(demand, stringMapAt(placed, 'Labels')) };
    this.#pendingCreates.add(pending);
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
  #removeDoubtful(): void {
    for (const [id, { engine, until }] of this.#doubtful) {
      if (Date.now() > until || engine.stopped) this.#doubtful.delete(id);
      const container = engine.containers.labelled(id);
      if (container === undefined || !engine.healthy) continue;
      this.#doubtful.delete(id);
      this.options.log.warn(`Removing container ${container.id} from ${engine.name}: its creation was given up before the engine answered`);
      engine.client.call('DELETE', `/containers/${container.id}`, { query: { force: '1' } }).then(
        () => engine.forgetContainer(container.id),
        (error: unknown) => this.options.log.error(`cannot remove container ${container.id}: ${messageOf(error)}`),
      );
    }
  }

  /** What engines call a network a client names, and the node it is bound to. */
  #networkName(reference: string): { name: string; node?: string } | undefined {
    const copies = this.network(reference);
    const [first] = copies;
    if (first === undefined) return undefined;
    if (isShared(first.network, this.options.sharedDrivers)) return { name: first.network.Name };
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
      await this.pull(engine, image, options);
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
        const copies = missing === undefined ? [] : this.network(missing);
        const shared = copies.some(({ network }) => isShared(network, this.options.sharedDrivers));
        if (!shared || Date.now() > deadline || stringAt(body, 'Image') === '') throw error;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
  }

  /** Pulls on one engine with the client's credentials. @throws MissingImageError, ApiError */
  async pull(engine: Engine, image: string, options: { platform?: string; registryAuth?: string }): Promise<void> {
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

const NATURAL = new Intl.Collator('en', { numeric: true });

/** `node-2` before `node-10`. */
export function compareNames(a: string, b: string): number {
  return NATURAL.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
