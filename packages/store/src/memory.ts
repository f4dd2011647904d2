import { randomBytes } from 'node:crypto';
import type { Revision } from '@contiv/model';
import { checkKey, checkPrefix, checkRevision, checkTtl, checkTxn } from './check.js';
import { evaluate, eventKey, type View } from './evaluate.js';
import { compareKeys } from './order.js';
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
  type TxnResult,
  type WatchBatch,
} from './store.js';
import { type LogEntry, LogTail } from './tail.js';

/** Transactions of history kept for watches. */
const DEFAULT_HISTORY = 100_000;

/** A store that is gone with the process: an event log and a map. For tests and for trying things out. */
export class MemoryStore implements Store {
  readonly #state = new Map<string, KeyValue>();
  readonly #leases = new Map<LeaseId, AbortController>();
  readonly #history: number;
  readonly #tail: LogTail;
  readonly #view: View;
  /** Dense: entry i has revision compacted + 1 + i. */
  #log: LogEntry[] = [];
  #revision = 0 as Revision;
  #compacted = 0 as Revision;
  #closed = false;

  constructor(options: { readonly history?: number } = {}) {
    this.#history = options.history ?? DEFAULT_HISTORY;
    this.#view = {
      get: (key) => this.#state.get(key),
      keysWithPrefix: (prefix) => [...this.#state.keys()].filter((key) => key.startsWith(prefix)),
      hasLease: (id) => this.#leases.has(id),
    };
    this.#tail = new LogTail({
      revision: () => this.#revision,
      compacted: () => this.#compacted,
      read: (from, limit) => {
        const start = from - this.#compacted - 1;
        return this.#log.slice(start, start + limit);
      },
    });
  }

  async get(key: string): Promise<KeyValue | undefined> {
    this.#assertOpen();
    checkKey(key);
    return this.#state.get(key);
  }

  async range(prefix: string): Promise<{ readonly revision: Revision; readonly kvs: readonly KeyValue[] }> {
    this.#assertOpen();
    checkPrefix(prefix);
    const kvs = [...this.#state.values()].filter((kv) => kv.key.startsWith(prefix));
    return { revision: this.#revision, kvs: kvs.sort((a, b) => compareKeys(a.key, b.key)) };
  }

  async txn(compare: readonly Compare[], success: readonly Op[], failure: readonly Op[] = []): Promise<TxnResult> {
    this.#assertOpen();
    checkTxn(compare, success, failure);
    const { succeeded, events } = evaluate(this.#view, this.#next(), compare, success, failure);
    this.#commit(events);
    return { succeeded, revision: this.#revision };
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
    this.#leases.set(id, lost);
    return { id, lost: lost.signal, revoke: async () => this.expireLease(id) };
  }

  /** What happens when a lease runs out: its keys go in one transaction, its holder is told. */
  expireLease(id: LeaseId): void {
    const lost = this.#leases.get(id);
    if (lost === undefined) return;
    this.#leases.delete(id);
    const keys = [...this.#state.values()].filter((kv) => kv.lease === id).map((kv) => kv.key);
    const ops = keys.sort(compareKeys).map((key) => ({ delete: key }));
    this.#commit(evaluate(this.#view, this.#next(), [], ops, []).events);
    lost.abort(new StoreRequestError(`lease ${id} is gone`));
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    checkRevision(revision, 0);
    if (revision > this.#revision)
      throw new StoreRequestError(`cannot compact to revision ${revision}: the present one is ${this.#revision}`);
    if (revision <= this.#compacted) return;
    this.#log = this.#log.slice(revision - this.#compacted);
    this.#compacted = revision as Revision;
    this.#tail.wake();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#tail.close();
    for (const lost of this.#leases.values()) lost.abort(new StoreClosedError('the store is closed'));
  }

  #next(): Revision {
    return (this.#revision + 1) as Revision;
  }

  #commit(events: readonly StoreEvent[]): void {
    if (events.length === 0) return;
    this.#revision = this.#next();
    for (const event of events) {
      if (event.type === 'put') this.#state.set(eventKey(event), event.kv);
      else this.#state.delete(event.key);
    }
    this.#log.push({ revision: this.#revision, events });
    // In steps, so that trimming costs nothing per write.
    if (this.#log.length > this.#history * 1.25) {
      const excess = this.#log.length - this.#history;
      this.#log = this.#log.slice(excess);
      this.#compacted = (this.#compacted + excess) as Revision;
    }
    this.#tail.wake();
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreClosedError('the store is closed');
  }
}
