import { lookup } from 'node:dns/promises';
import { ConnectionError, messageOf } from '../errors.js';
import type { Log } from '../log.js';
import type { ImageView } from '../scheduler/types.js';
import { EngineClient, type EngineTls, parseOrText, splitHostPort } from './client.js';
import { ContainerCache } from './containers.js';
import { EventMonitor } from './events.js';
import {
  type EngineEvent,
  type Image,
  type Info,
  imageSchema,
  infoSchema,
  inspectSchema,
  type Network,
  networkSchema,
  type Row,
  rowSchema,
  type Version,
  type Volume,
  versionSchema,
  volumeSchema,
} from './shapes.js';
import { type Container, containerOf, engineLabels, type Holder, saysNews, skewOf } from './view.js';

export type EngineState = 'Pending' | 'Healthy' | 'Unhealthy' | 'Disconnected';

export interface EngineOptions {
  readonly log: Log;
  readonly tls?: EngineTls;
  /** Milliseconds between refreshes: at least, at most. */
  readonly refreshMinMs: number;
  readonly refreshMaxMs: number;
  /** Failures of connection in a row that make an engine unhealthy. */
  readonly failureRetry: number;
  /** Over-commit in whole percent. */
  readonly overcommitPercent: number;
  readonly onEvent: (engine: Engine, event: EngineEvent) => void;
  readonly onState: (engine: Engine, state: EngineState, previous: EngineState) => void;
}

const LIVENESS_MS = 8000;
const LIVENESS_AGAIN_MS = 1000;
const LIVENESS_TIMEOUT_MS = 4000;
const EMPTY_INFO: Info = infoSchema.parse({});
const ASKED_ON = new Set(['die', 'kill', 'oom', 'pause', 'start', 'restart', 'stop', 'unpause', 'rename', 'update', 'create']);
const IGNORED = new Set([
  'top',
  'resize',
  'export',
  'exec_create',
  'exec_start',
  'exec_detach',
  'exec_die',
  'attach',
  'detach',
  'extract-to-dir',
  'copy',
  'archive-path',
]);

/** One engine: its state, what it holds as far as known, and the loops that keep both true. */
export class Engine {
  readonly addr: string;
  readonly client: EngineClient;
  state: EngineState = 'Pending';
  ip = '';
  info: Info = EMPTY_INFO;
  version: Version = { Version: '', ApiVersion: '1.24', MinAPIVersion: '1.24' };
  labels: Readonly<Record<string, string>> = {};
  readonly containers = new ContainerCache();
  images: readonly Image[] = [];
  imageViews: readonly ImageView[] = [];
  networks: readonly Network[] = [];
  volumes: readonly Volume[] = [];
  error = '';
  updatedAt = new Date();
  /** When the engine last answered, in milliseconds since 1970. */
  heardAt = 0;
  failures = 0;
  drained = false;
  readonly #options: EngineOptions;
  readonly #events: EventMonitor;
  readonly #stop = new AbortController();
  #refreshTimer: NodeJS.Timeout | undefined;
  #livenessTimer: NodeJS.Timeout | undefined;
  #specsAt = 0;
  #skewMs = 0;
  #othersRead = false;
  #clock = 0;
  readonly #lists = new Map<string, { asked: number; text: string }>();

  constructor(addr: string, options: EngineOptions) {
    this.addr = addr;
    this.#options = options;
    this.client = new EngineClient(addr, options.tls, (failure) => this.#account(failure));
    this.#events = new EventMonitor(this.client, (event) => this.#onEvent(event), options.log);
  }

  get id(): string {
    return this.info.ID;
  }
  get name(): string {
    return this.info.Name;
  }
  get healthy(): boolean {
    return this.state === 'Healthy';
  }
  get totalMemory(): number {
    return this.info.MemTotal + Math.trunc((this.info.MemTotal * this.#options.overcommitPercent) / 100);
  }
  get totalCpus(): number {
    return this.info.NCPU + Math.trunc((this.info.NCPU * this.#options.overcommitPercent) / 100);
  }
  /** 0 to 100 (spec/swarm.md 3.1). */
  get health(): number {
    const { failureRetry } = this.#options;
    return !this.healthy || this.failures >= failureRetry ? 0 : Math.trunc(100 - (this.failures * 100) / failureRetry);
  }
  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** The containers at this moment; moves and removals change the map meanwhile. */
  held(): readonly Container[] {
    return [...this.containers.values()];
  }

  /** Reads who the engine is. Nothing runs in the background yet; `check` may refuse it. @throws Error */
  async validate(check: (info: Info) => void): Promise<void> {
    try {
      this.ip = (await lookup(splitHostPort(this.addr).host)).address;
      await this.#readSpecs();
      check(this.info);
      this.#events.start();
      await Promise.all([
        this.refreshContainers(true),
        this.refreshImages(),
        this.refreshVolumes().catch(() => {}),
        this.refreshNetworks().catch(() => {}),
      ]);
      this.error = '';
      this.updatedAt = new Date();
    } catch (error) {
      this.#events.stop();
      this.error = messageOf(error);
      this.updatedAt = new Date();
      throw error;
    }
  }

  /** From Pending to Healthy; starts the loops. */
  activate(): void {
    if (this.stopped) return;
    this.failures = 0;
    this.#setState('Healthy');
    this.#scheduleRefresh();
    this.#scheduleLiveness();
  }

  /** Removed from discovery, or the manager ends. */
  disconnect(): void {
    if (this.stopped) return;
    this.#stop.abort();
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#livenessTimer);
    this.#events.stop();
    this.client.close();
    this.#setState('Disconnected');
  }

  async refreshContainers(inspectAll = false): Promise<void> {
    const asked = this.containers.draw();
    const rows = parseRows(await this.client.call('GET', '/containers/json', { query: { all: '1' } }));
    this.containers.keepOnly(new Set(rows.map((row) => row.Id)), asked);
    const changed = rows.filter((row) => {
      const known = this.containers.get(row.Id);
      return inspectAll || known === undefined || saysNews(known, row);
    });
    await eachOf(changed, 4, async (row) => {
      const container = this.#made(row, await this.#inspect(row.Id));
      if (container !== undefined) this.containers.put(container, asked);
    });
  }

  /** Lists and inspects one container; forgets it when it is gone. */
  async refreshContainer(id: string): Promise<Container | undefined> {
    const asked = this.containers.draw();
    const filters = JSON.stringify({ id: [id] });
    const [answer, inspected] = await Promise.all([
      this.client.call('GET', '/containers/json', { query: { all: '1', filters } }),
      this.#inspect(id),
    ]);
    const [row] = parseRows(answer);
    const container = row === undefined ? undefined : this.#made(row, inspected);
    if (container === undefined) {
      this.containers.forget(id, asked);
      return undefined;
    }
    this.containers.put(container, asked);
    return this.containers.get(container.id);
  }

  forgetContainer(id: string): void {
    this.containers.forget(id);
  }

  async refreshImages(): Promise<void> {
    const answer = await this.#news('/images/json');
    if (answer === undefined) return;
    this.images = parseList(answer, imageSchema);
    this.imageViews = this.images.map((image) => ({ id: image.Id, repoTags: image.RepoTags, repoDigests: image.RepoDigests }));
  }
  async refreshNetworks(): Promise<void> {
    const answer = await this.#news('/networks');
    if (answer !== undefined) this.networks = parseList(answer, networkSchema);
  }
  async refreshVolumes(): Promise<void> {
    const answer = await this.#news('/volumes');
    if (answer === undefined) return;
    this.volumes = parseList(typeof answer === 'object' && answer !== null && 'Volumes' in answer ? answer.Volumes : [], volumeSchema);
  }

  /** A list, unless it is the one known already, or one asked for later has been answered meanwhile. */
  async #news(path: string): Promise<unknown> {
    const asked = ++this.#clock;
    const text = await this.client.text('GET', path);
    const known = this.#lists.get(path);
    if (known !== undefined && known.asked > asked) return undefined;
    this.#lists.set(path, { asked, text });
    return known?.text === text ? undefined : parseOrText(text);
  }

  async refreshAll(inspectAll = false): Promise<void> {
    await Promise.all([this.refreshContainers(inspectAll), this.refreshImages(), this.refreshNetworks(), this.refreshVolumes()]);
  }

  get #holder(): Holder {
    return { name: this.name, ip: this.ip, cpus: this.info.NCPU, skewMs: this.#skewMs };
  }

  #made(row: Row, inspected: unknown): Container | undefined {
    const parsed = inspectSchema.safeParse(inspected);
    return parsed.success && parsed.data.Id === row.Id ? containerOf(row, parsed.data, inspected, this.#holder) : undefined;
  }

  /** Undefined when the engine has no answer: the container is gone, or its inspection fails. @throws ConnectionError */
  async #inspect(id: string): Promise<unknown> {
    try {
      return await this.client.call('GET', `/containers/${id}/json`);
    } catch (error) {
      if (error instanceof ConnectionError) throw error;
      return undefined;
    }
  }

  async #readSpecs(): Promise<void> {
    const asked = Date.now();
    const info = infoSchema.parse(await this.client.call('GET', '/info', { unversioned: true }));
    const answered = Date.now();
    const version = versionSchema.parse(await this.client.call('GET', '/version', { unversioned: true }));
    if (info.NCPU === 0 || info.MemTotal === 0) {
      throw new Error(`cannot get resources for this engine, make sure ${this.addr} is a Docker Engine, not a Swarm manager`);
    }
    const { labels, ignored } = engineLabels(info);
    for (const label of ignored)
      this.#options.log.warn(`Engine (ID: ${info.ID}, Addr: ${this.addr}): label ${label} is ignored, "node" is the node's name`);
    if (this.info.ID !== '' && this.info.ID !== info.ID && this.state !== 'Pending') {
      throw new Error(
        `Engine (ID: ${this.info.ID}, Addr: ${this.addr}) shows up with another ID:${info.ID}. Please remove it from cluster, it can be added back.`,
      );
    }
    this.#skewMs = skewOf(Date.parse(info.SystemTime), asked, answered);
    if (this.#skewMs !== 0)
      this.#options.log.warn(`Engine (ID: ${info.ID}, Addr: ${this.addr}) has unsynchronized systime with swarm: ${this.#skewMs} ms`);
    this.labels = labels;
    this.info = info;
    this.version = version;
    this.client.version = minVersion(version.ApiVersion, '1.51');
    this.#specsAt = Date.now();
  }

  #account(failure: ConnectionError | undefined): void {
    if (this.stopped) return;
    this.updatedAt = new Date();
    if (failure === undefined) {
      this.heardAt = Date.now();
      this.failures = 0;
      if (this.state === 'Unhealthy') {
        this.#setState('Healthy');
        this.#othersRead = false;
        this.#scheduleRefresh(0);
      }
      if (this.state === 'Healthy') this.error = '';
      return;
    }
    this.failures++;
    this.error = failure.message;
    if (this.state !== 'Healthy' || this.failures < this.#options.failureRetry) return;
    this.#options.log.error(`Flagging engine as unhealthy. Connect failed ${this.failures} times`, { id: this.id, name: this.name });
    this.#setState('Unhealthy');
    this.client.endAll(`node ${this.name} became unreachable`);
  }

  #setState(state: EngineState): void {
    const previous = this.state;
    if (previous === state) return;
    this.state = state;
    this.#options.onState(this, state, previous);
  }

  #scheduleRefresh(afterMs?: number): void {
    const { refreshMinMs, refreshMaxMs, failureRetry } = this.#options;
    const backoff = Math.min(Math.max(this.failures - failureRetry, 0), 10);
    const wait = afterMs ?? refreshMinMs * (1 + backoff) + Math.random() * (refreshMaxMs - refreshMinMs);
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => {
      this.#refresh()
        .catch((error: unknown) => this.#options.log.debug(`Engine refresh failed: ${messageOf(error)}`, { name: this.name }))
        .finally(() => {
          if (!this.stopped) this.#scheduleRefresh();
        });
    }, wait);
  }

  /** One question after the other, so that one connection does for all of them. */
  async #refresh(): Promise<void> {
    if (!this.healthy || Date.now() - this.#specsAt > 300_000) await this.#readSpecs();
    await this.refreshContainers();
    // Events tell of these; every other time they are read all the same, in case one was missed.
    if (this.#othersRead) {
      this.#othersRead = false;
      return;
    }
    await this.refreshVolumes();
    await this.refreshNetworks();
    await this.refreshImages();
    this.#othersRead = true;
  }

  /** A short call that finds a dead or frozen engine long before a refresh would; at once again when one has failed. */
  #scheduleLiveness(): void {
    const usual = Math.min(LIVENESS_MS, Math.max(this.#options.refreshMinMs, 250));
    const wait = this.failures > 0 && this.healthy ? Math.min(usual, LIVENESS_AGAIN_MS) : usual * (0.8 + Math.random() * 0.4);
    this.#livenessTimer = setTimeout(() => {
      this.client
        .ping(LIVENESS_TIMEOUT_MS)
        .catch(() => {})
        .finally(() => {
          if (!this.stopped) this.#scheduleLiveness();
        });
    }, wait);
  }

  async #onEvent(event: EngineEvent): Promise<void> {
    try {
      await this.#react(event);
    } catch (error) {
      this.#options.log.debug(`cannot follow event ${event.Type} ${event.Action}: ${messageOf(error)}`, { name: this.name });
    }
    this.#options.onEvent(this, event);
  }

  async #react(event: EngineEvent): Promise<void> {
    const id = event.Actor?.ID ?? event.id ?? '';
    const action = event.Action.split(':')[0] ?? '';
    if (event.Type === 'network') {
      const container = event.Actor?.Attributes.container ?? '';
      if (/^(?:dis)?connect$/.test(action) && container !== '') await this.refreshContainer(container);
      return this.refreshNetworks();
    }
    if (event.Type === 'volume') return this.refreshVolumes();
    if (event.Type === 'image') return this.refreshImages();
    if (event.Type === 'daemon') return action === 'reload' ? this.#readSpecs() : undefined;
    if (event.Type !== 'container' || id === '' || IGNORED.has(action)) return;
    if (action === 'destroy') return this.forgetContainer(id);
    if (action === 'commit') return this.refreshImages();
    if (ASKED_ON.has(action) || action === 'health_status') await this.refreshContainer(id);
  }
}

function parseRows(answer: unknown): Row[] {
  return parseList(answer, rowSchema);
}

function parseList<T>(answer: unknown, schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } }): T[] {
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((item: unknown) => {
    const parsed = schema.safeParse(item);
    return parsed.success ? [parsed.data] : [];
  });
}

async function eachOf<T>(items: readonly T[], width: number, task: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      for (const item of queue) await task(item);
    }),
  );
}

export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}

export const minVersion = (a: string, b: string): string => (compareVersions(a, b) <= 0 ? a : b);
