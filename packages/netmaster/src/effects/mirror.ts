/** The store in memory, kept current by its watch. Reads come from here; writes are planned here and decided there. */
import { backoffMs, type Logger, sleep } from '@contiv/observe';
import { CompactedError, type Store, type StoreEvent } from '@contiv/store';
import { decode, type Entry, KINDS, keys, placeOf, ROOT } from '../core/records.js';
import { State } from '../core/state.js';
import { abandon, carryOut, type Mark, readJournal, readMark } from './big-change.js';

/** One key's change, in the order of the store's history. */
export interface Change {
  readonly revision: number;
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

/** Called after a whole batch is applied; `relisted` when history was lost and the changes are a difference of two lists. */
export type ChangeListener = (changes: readonly Change[], revision: number, relisted: boolean) => void;

const HEALTH_INTERVAL_MS = 2_000;
/** A store that has not answered for this long counts as gone. */
const HEALTH_LIMIT_MS = 5_000;
/** A big change whose master is gone or gave it up, or that makes no progress for long, is finished when it is decided, and taken back when it is not. */
const ORPHANED_AFTER_MS = 1_000;
const STUCK_AFTER_MS = 60_000;

interface Waiter {
  readonly revision: number;
  readonly wake: () => void;
}

export class Mirror {
  readonly state = new State();
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #listeners: ChangeListener[] = [];
  #waiters: Waiter[] = [];
  readonly #stopping = new AbortController();
  #revision = 0;
  #listed = false;
  #lastAnswer = Number.NEGATIVE_INFINITY;
  #lastError = '';
  /** The last thing asked of the store failed. */
  #silent = false;
  #tasks: Promise<void>[] = [];
  /** The big change that is under way, and what came since it was decided: nobody sees half of it. */
  #mark: (Mark & { since: number }) | undefined;
  #held: StoreEvent[] = [];
  /** Big changes that this master began and gave up. */
  readonly #disowned = new Set<string>();
  /** Keys whose records could not be read. */
  readonly malformed = new Set<string>();

  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Last revision applied. */
  get revision(): number {
    return this.#revision;
  }
  /** Was the store ever read completely? */
  get listed(): boolean {
    return this.#listed;
  }
  /** Does the store answer at present? */
  get healthy(): boolean {
    return this.#listed && !this.#silent && performance.now() - this.#lastAnswer < HEALTH_LIMIT_MS;
  }
  /** Why it is not healthy, one clause. */
  get lastError(): string {
    if (this.healthy) return '';
    return this.#lastError === '' ? 'it has not answered yet' : this.#lastError;
  }

  onChange(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#tasks = [this.#follow(), this.#probe()];
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#tasks);
  }

  /** The store answered just now (a write did). */
  answered(): void {
    this.#silent = false;
    this.#lastAnswer = performance.now();
  }

  failed(error: unknown): void {
    this.#silent = true;
    this.#lastError = error instanceof Error ? error.message : String(error);
  }

  /** This master makes the big change no longer, whatever became of it. */
  disown(id: string): void {
    this.#disowned.add(id);
  }

  /** Resolves to true once the revision is applied, to false after the time. */
  waitFor(revision: number, timeoutMs: number): Promise<boolean> {
    if (this.#revision >= revision) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((w) => w !== waiter);
        resolve(false);
      }, timeoutMs);
      const waiter: Waiter = {
        revision,
        wake: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    let attempt = 0;
    while (!signal.aborted) {
      try {
        await this.#list();
        attempt = 0;
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof CompactedError) {
          this.#logger.warn({ compacted: error.compactRevision }, 'the history this master was at is gone; listing again');
          continue;
        }
        this.failed(error);
        this.#logger.warn({ err: error }, 'the store cannot be followed; trying again');
        await sleep(backoffMs(attempt++, { baseMs: 200, maxMs: 3_000 }), signal);
      }
    }
  }

  async #probe(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#store.txn([], []);
        this.answered();
        await this.#tidy();
      } catch (error) {
        this.failed(error);
      }
      await sleep(HEALTH_INTERVAL_MS, signal, true);
    }
  }

  /** Finishes or takes back what a master that is gone has left. */
  async #tidy(): Promise<void> {
    const mark = this.#mark;
    const age = performance.now() - (mark?.since ?? Number.POSITIVE_INFINITY);
    const worked = mark && this.#isThere(mark.owner) && !this.#disowned.has(mark.id);
    if (mark && age > (worked ? STUCK_AFTER_MS : ORPHANED_AFTER_MS)) await this.#settle(mark);
  }

  /** Whether a master is alive; that it is gone may be held back itself, behind the change it has begun. */
  #isThere(owner: string): boolean {
    const key = keys.master(owner);
    return this.state.at('master', key) !== undefined && !this.#held.some((event) => event.type === 'delete' && event.key === key);
  }

  async #settle(mark: Mark): Promise<void> {
    this.#logger.warn({ id: mark.id }, mark.decided ? 'finishing a change another master began' : 'a change that was begun is taken back');
    if (mark.decided) await carryOut(this.#store, mark, await readJournal(this.#store, mark));
    else await abandon(this.#store, mark);
  }

  /** Everything, with no decided change left half done. */
  async #wholeRange(): ReturnType<Store['range']> {
    for (;;) {
      const list = await this.#store.range(ROOT);
      const kv = list.kvs.find(({ key }) => key === keys.bigChange);
      const mark = kv && readMark(kv);
      this.#held = [];
      this.#mark = mark && { ...mark, since: performance.now() };
      if (!mark?.decided) return list;
      await this.#settle(mark);
    }
  }

  async #list(): Promise<void> {
    const { revision, kvs } = await this.#wholeRange();
    this.answered();
    const changes: Change[] = [];
    const present = new Set<string>();
    for (const kv of kvs) {
      present.add(kv.key);
      this.#put(kv.key, kv.value, kv.createRevision, kv.modRevision, revision, changes);
    }
    for (const gone of this.#keysOutside(present)) changes.push({ revision, before: this.state.set(gone, undefined), after: undefined });
    const relisted = this.#listed;
    this.#listed = true;
    this.#advance(changes, revision, relisted);
  }

  #keysOutside(present: ReadonlySet<string>): string[] {
    return KINDS.flatMap((kind) => [...this.state.all(kind)].map((entry) => entry.key)).filter((key) => !present.has(key));
  }

  async #watch(): Promise<void> {
    for await (const batch of this.#store.watch(ROOT, this.#revision + 1, this.#stopping.signal)) {
      this.answered();
      const changes: Change[] = [];
      for (const event of batch.events) this.#take(event, changes);
      if (!this.#mark?.decided) this.#advance(changes, batch.revision, false);
      else if (changes.length > 0) this.#advance(changes, changes.at(-1)?.revision ?? 0, false);
    }
  }

  /** What comes while a big change is carried out is applied with its end, as if all of it had been written then. */
  #take(event: StoreEvent, changes: Change[]): void {
    if (event.type === 'put' && event.kv.key === keys.bigChange) this.#mark = { ...readMark(event.kv), since: performance.now() };
    else if (event.type === 'delete' && event.key === keys.bigChange) {
      this.#mark = undefined;
      this.#disowned.clear();
      const held = this.#held;
      this.#held = [];
      const whole: Change[] = [];
      for (const each of held) this.#apply(each, whole);
      changes.push(...whole.map((change) => ({ ...change, revision: event.revision })));
    } else if (this.#mark?.decided) this.#held.push(event);
    else this.#apply(event, changes);
    if (this.#mark) this.#mark.since = performance.now();
  }

  #apply(event: StoreEvent, changes: Change[]): void {
    if (event.type === 'put') {
      const { key, value, createRevision, modRevision } = event.kv;
      this.#put(key, value, createRevision, modRevision, modRevision, changes);
    } else {
      this.malformed.delete(event.key);
      if (!placeOf(event.key)) return;
      const before = this.state.set(event.key, undefined);
      if (before) changes.push({ revision: event.revision, before, after: undefined });
    }
  }

  #put(key: string, value: string, createRevision: number, modRevision: number, revision: number, changes: Change[]): void {
    const place = placeOf(key);
    if (!place) return;
    const known = this.state.at(place.kind, key);
    let next: Entry | undefined;
    try {
      // Written again as it was: keep the parsed record.
      next = known?.text === value ? { ...known, createRevision, modRevision } : decode(key, value, createRevision, modRevision);
      this.malformed.delete(key);
    } catch (error) {
      this.malformed.add(key);
      this.#logger.error({ key }, error instanceof Error ? error.message : String(error));
    }
    const before = this.state.set(key, next);
    if (before?.text !== next?.text) changes.push({ revision, before, after: next });
  }

  #advance(changes: readonly Change[], revision: number, relisted: boolean): void {
    this.#revision = Math.max(this.#revision, revision);
    for (const listener of this.#listeners) listener(changes, this.#revision, relisted);
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter((w) => w.revision <= this.#revision);
    this.#waiters = this.#waiters.filter((w) => w.revision > this.#revision);
    for (const waiter of due) waiter.wake();
  }
}
