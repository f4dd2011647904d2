import { randomBytes } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import type { Revision } from '@contiv/model';
import { checkKey, checkPrefix, checkRevision, checkTtl, checkTxn } from '../check.js';
import { evaluate, eventKey, leaseUnknown, type View } from '../evaluate.js';
import {
  type Compare,
  type KeyValue,
  type Lease,
  type LeaseId,
  type Op,
  type Store,
  StoreClosedError,
  type StoreEvent,
  StoreRequestError,
  StoreUnavailableError,
  type TxnResult,
  type WatchBatch,
} from '../store.js';
import { LogTail } from '../tail.js';
import { type State, StoreDatabase, type Writer } from './database.js';

export interface LmdbOptions {
  /** Transactions of history kept for watches that reconnect. */
  readonly history?: number;
  /** Bytes of history kept; whichever bound is met first. */
  readonly historyBytes?: number;
}

const DEFAULT_HISTORY = 100_000;
const DEFAULT_HISTORY_BYTES = 256 * 1024 * 1024;
/** Transactions per commit: bounds the latency of the first and the time the event loop is held. */
const MAX_GROUP = 512;
/** History entries trimmed per transaction committed: more than one, so that trimming catches up. */
const TRIM_STEP = 4;
const COMPACT_STEP = 2000;
const END_AGAIN_MS = 1000;

type Leases = Map<LeaseId, { readonly lost?: AbortController; readonly timer?: NodeJS.Timeout }>;

/** A piece of work inside a commit. `run` decides (and may refuse by throwing, having written nothing). */
interface Job {
  readonly run: (group: Group) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** State of a commit in the making. */
interface Group {
  readonly writer: Writer;
  state: State;
}

/**
 * A store in a directory, for one process. Transactions that arrive while a commit is being written share the next one,
 * so durable writes do not wait for one disk flush each.
 */
export class LmdbStore implements Store {
  static readonly #openPaths = new Set<string>();

  readonly #path: string;
  readonly #db: StoreDatabase;
  readonly #history: number;
  readonly #historyBytes: number;
  readonly #tail: LogTail;
  readonly #view: View;
  /** Leases that exist, with the signal of their holder, or the timer of one that outlived its holder. */
  #leases: Leases = new Map();
  readonly #leaseKeys = new Map<LeaseId, Set<string>>();
  #state: State;
  #queue: Job[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;
  #released: Promise<void> | undefined;

  /** Opens or makes the store in the directory; throws `StoreUnavailableError`. */
  constructor(path: string, options: LmdbOptions = {}) {
    this.#history = options.history ?? DEFAULT_HISTORY;
    this.#historyBytes = options.historyBytes ?? DEFAULT_HISTORY_BYTES;
    try {
      if (existsSync(path) && LmdbStore.#openPaths.has(realpathSync(path))) throw new Error('this process has it open already');
      this.#db = new StoreDatabase(path);
      this.#state = this.#db.state();
    } catch (error) {
      throw new StoreUnavailableError(`cannot open the store in ${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#path = realpathSync(path);
    LmdbStore.#openPaths.add(this.#path);
    this.#tail = new LogTail({
      revision: () => this.#state.revision,
      compacted: () => this.#state.compacted,
      read: (from, limit) => this.#db.log(from, limit),
    });
    this.#view = {
      get: (key) => this.#db.get(key),
      keysWithPrefix: (prefix) => this.#db.keysWithPrefix(prefix),
      hasLease: (id) => this.#leases.has(id),
    };
    this.#adoptLeases();
  }

  /** The last committed revision. */
  get revision(): Revision {
    return this.#state.revision;
  }

  async get(key: string): Promise<KeyValue | undefined> {
    this.#assertOpen();
    checkKey(key);
    return this.#db.get(key);
  }

  async range(prefix: string): Promise<{ readonly revision: Revision; readonly kvs: readonly KeyValue[] }> {
    this.#assertOpen();
    checkPrefix(prefix);
    return this.#db.range(prefix);
  }

  async txn(compare: readonly Compare[], success: readonly Op[], failure: readonly Op[] = []): Promise<TxnResult> {
    this.#assertOpen();
    checkTxn(compare, success, failure);
    return this.#enqueue((group) => {
      const { succeeded, events } = evaluate(this.#view, next(group.state), compare, success, failure);
      this.#write(group, events);
      return { succeeded, revision: group.state.revision };
    });
  }

  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    this.#assertOpen();
    checkPrefix(prefix);
    checkRevision(fromRevision, 1);
    return this.#tail.watch(prefix, fromRevision, signal);
  }

  async lease(ttlSeconds: number): Promise<Lease> {
    this.#assertOpen();
    checkTtl(ttlSeconds);
    const id = randomBytes(8).toString('hex');
    const lost = new AbortController();
    await this.#enqueue((group) => {
      group.writer.putLease(id, ttlSeconds);
      this.#leases.set(id, { lost });
    });
    return { id, lost: lost.signal, revoke: () => this.#endLease(id) };
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    checkRevision(revision, 0);
    await this.#enqueue((group) => {
      const { state } = group;
      if (revision > state.revision)
        throw new StoreRequestError(`cannot compact to revision ${revision}: the present one is ${state.revision}`);
      if (revision > state.compacted) group.state = { ...state, compacted: revision as Revision };
    });
    while (this.#state.trimmed < this.#state.compacted && !this.#closed) await this.#enqueue((group) => this.#trim(group, COMPACT_STEP));
  }

  /** Waits for what was accepted; leases outlive the store by their ttl, counted from the next opening. */
  async close(): Promise<void> {
    this.#end(new StoreClosedError('the store is closed'));
    this.#released ??= this.#release();
    await this.#released;
  }

  /** From now on nothing is accepted; holders of leases and watches are told. */
  #end(reason: StoreClosedError): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { lost, timer } of this.#leases.values()) {
      clearTimeout(timer);
      lost?.abort(reason);
    }
    this.#tail.close();
  }

  async #release(): Promise<void> {
    await this.#draining;
    await this.#db.close();
    LmdbStore.#openPaths.delete(this.#path);
  }

  #enqueue<T>(run: (group: Group) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ run, resolve: (value) => resolve(value as T), reject });
      this.#draining ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // Work of this turn of the event loop shares the first commit.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const jobs = this.#queue.splice(0, MAX_GROUP);
      const settle: (() => void)[] = [];
      const leases = new Map(this.#leases);
      try {
        this.#state = await this.#db.commit((writer) => {
          const group: Group = { writer, state: this.#state };
          for (const job of jobs) settle.push(this.#runJob(job, group));
          this.#trimExcess(group, jobs.length * TRIM_STEP);
          if (group.state !== this.#state) writer.putState(group.state);
          return group.state;
        });
        for (const done of settle) done();
        this.#tail.wake();
      } catch (error) {
        this.#fail(jobs, leases, error);
      }
    }
    this.#draining = undefined;
  }

  #runJob(job: Job, group: Group): () => void {
    let value: unknown;
    try {
      value = job.run(group);
    } catch (error) {
      // A refusal concerns its own caller; anything else may have left half of a transaction and undoes the commit.
      if (!(error instanceof StoreRequestError)) throw error;
      return () => job.reject(error);
    }
    return () => job.resolve(value);
  }

  #fail(jobs: readonly Job[], leases: Leases, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const failure =
      error instanceof StoreClosedError
        ? error
        : new StoreUnavailableError(`cannot write to the store in ${this.#path}: ${reason}; is its disk full?`);
    // What the jobs did to the view in memory is undone.
    if (error instanceof StoreClosedError) this.#end(error);
    else {
      this.#state = this.#db.state();
      this.#leases = leases;
      this.#bindAll();
    }
    for (const job of jobs) job.reject(failure);
  }

  #write(group: Group, events: readonly StoreEvent[]): void {
    if (events.length === 0) return;
    const revision = next(group.state);
    for (const event of events) {
      const previousLease = event.previous?.lease;
      if (previousLease !== undefined) this.#leaseKeys.get(previousLease)?.delete(eventKey(event));
      if (event.type === 'put') {
        group.writer.putKey(event.kv);
        if (event.kv.lease !== undefined) this.#bind(event.kv.lease, event.kv.key);
      } else group.writer.removeKey(event.key);
    }
    const bytes = group.writer.appendLog(revision, events);
    group.state = { ...group.state, revision, historyBytes: group.state.historyBytes + bytes };
  }

  /** Moves `compacted` along when history is over its bounds, and removes entries that are behind it. */
  #trimExcess(group: Group, step: number): void {
    const { state } = group;
    const excess = state.revision - state.trimmed - this.#history;
    const tooLarge = state.historyBytes > this.#historyBytes;
    if (excess > 0 || tooLarge) {
      const compacted = Math.min(state.revision, state.trimmed + Math.max(excess, tooLarge ? step : 0));
      if (compacted > state.compacted) group.state = { ...state, compacted: compacted as Revision };
    }
    this.#trim(group, step);
  }

  #trim(group: Group, step: number): void {
    let { trimmed, historyBytes } = group.state;
    const end = Math.min(group.state.compacted, trimmed + step);
    if (end <= trimmed) return;
    while (trimmed < end) {
      trimmed = (trimmed + 1) as Revision;
      historyBytes -= group.writer.trimLog(trimmed);
    }
    group.state = { ...group.state, trimmed, historyBytes };
  }

  async #endLease(id: LeaseId): Promise<void> {
    if (this.#closed) return;
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    await this.#enqueue((group) => {
      if (!this.#leases.has(id)) return;
      const keys = [...(this.#leaseKeys.get(id) ?? [])].sort();
      this.#write(
        group,
        evaluate(
          this.#view,
          next(group.state),
          [],
          keys.map((key) => ({ delete: key })),
          [],
        ).events,
      );
      group.writer.removeLease(id);
      this.#leases.delete(id);
      this.#leaseKeys.delete(id);
    });
    lease.lost?.abort(leaseUnknown(id));
  }

  #bind(id: LeaseId, key: string): void {
    const keys = this.#leaseKeys.get(id) ?? new Set();
    this.#leaseKeys.set(id, keys.add(key));
  }

  /** Leases on disk belong to a process that is gone: give them one more ttl, for a holder elsewhere to be noticed, then end them. */
  #adoptLeases(): void {
    for (const { id, ttlSeconds } of this.#db.leases()) this.#endLater(id, ttlSeconds * 1000);
    this.#bindAll();
  }

  /** Nobody else ends it: where it cannot be written, as on a full disk, it is tried until it can. */
  #endLater(id: LeaseId, ms: number): void {
    const again = () => {
      if (!this.#closed) this.#endLater(id, END_AGAIN_MS);
    };
    const timer = setTimeout(() => void this.#endLease(id).catch(again), ms);
    timer.unref();
    this.#leases.set(id, { timer });
  }

  #bindAll(): void {
    this.#leaseKeys.clear();
    if (this.#leases.size === 0) return;
    for (const kv of this.#db.range('/').kvs) if (kv.lease !== undefined) this.#bind(kv.lease, kv.key);
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreClosedError('the store is closed');
  }
}

const next = (state: State): Revision => (state.revision + 1) as Revision;
