import type { EngineTls } from '../engine/client.js';
import { compareVersions, Engine, type EngineState, minVersion } from '../engine/engine.js';
import type { EngineEvent } from '../engine/shapes.js';
import { ApiError, messageOf } from '../errors.js';
import type { Log } from '../log.js';
import type { Filter } from '../scheduler/filters.js';
import { UnsatisfiedError } from '../scheduler/filters.js';
import { selectNodes } from '../scheduler/select.js';
import type { Strategy } from '../scheduler/strategy.js';
import { type Demand, EMPTY_DEMAND, type NodeView } from '../scheduler/types.js';
import { Creations } from './creations.js';
import { type Found, findContainer, findNetwork } from './lookup.js';
import { meansImage } from './reference.js';

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

/** Capped here because nothing newer has been implemented. */
export const HIGHEST_API = '1.51';
export const LOWEST_API = '1.24';
const NO_ENGINE_API = '1.41';
const VALIDATE_EVERY_MS = 2000;
const VALIDATE_AT_ONCE = 32;
const ANNOUNCED_MS = 1000;

/** All engines as one: membership, look-ups, placement. */
export class Cluster {
  readonly options: ClusterOptions;
  readonly #members = new Map<string, Engine>();
  readonly #listeners = new Set<ClusterListener>();
  readonly #validating = new Set<Engine>();
  readonly #timer: NodeJS.Timeout;
  readonly drained = new Set<string>();
  #sorted: readonly Engine[] | undefined;
  #announced = { at: 0, version: NO_ENGINE_API };
  readonly creations: Creations;

  constructor(options: ClusterOptions) {
    this.options = options;
    this.creations = new Creations(this, options);
    this.#timer = setInterval(() => {
      this.#validatePending();
      this.creations.removeDoubtful();
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
    const pending = this.creations.pendingOn(engine.id);
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
}

const NATURAL = new Intl.Collator('en', { numeric: true });

/** `node-2` before `node-10`. */
export function compareNames(a: string, b: string): number {
  return NATURAL.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
