import { randomUUID } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Revision } from '@contiv/model';
import { ABORT, type Database, open, type RootDatabase } from 'lmdb';
import { prefixEnd } from '../order.js';
import { type KeyValue, type LeaseId, StoreClosedError, type StoreEvent, StoreUnavailableError } from '../store.js';
import type { LogEntry } from '../tail.js';
import { isAlive, type Owner, thisProcess } from './owner.js';

const FORMAT = 1;
/** Bytes of history parsed at a time. */
const READ_BYTES = 4 * 1024 * 1024;

/** With its parents. Node's own `recursive` never ends where the kernel says ENOENT below a directory that exists, as in /proc. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** Counters kept with the data, in one record. */
export interface State {
  readonly revision: Revision;
  readonly compacted: Revision;
  /** Revision before the oldest entry still on disk; behind `compacted` while trimming goes on. */
  readonly trimmed: Revision;
  /** Size of the entries on disk, as JSON. */
  readonly historyBytes: number;
}

/**
 * The LMDB environment: `keys` (key → present value), `log` (revision → events), `leases` (id → ttl), `meta`. Values are
 * JSON. Everything typed and synchronous except `commit`.
 */
export class StoreDatabase {
  readonly #env: RootDatabase<string, string>;
  readonly #keys: Database<string, Uint8Array>;
  readonly #log: Database<string, number>;
  readonly #leases: Database<string, string>;
  readonly #meta: Database<string, string>;
  readonly #owner: Owner;

  /** Opens or makes the directory and takes it for this process; throws `StoreUnavailableError`. */
  constructor(path: string) {
    makeDirectory(path);
    this.#env = open<string, string>({
      path,
      encoding: 'string',
      maxDbs: 8,
      noSubdir: false,
      // A commit is on disk before anyone sees it.
      overlappingSync: false,
      // Ours are made one after the other anyway; and the promise of such a batch is nobody's: if it cannot be written, the process would end.
      eventTurnBatching: false,
    });
    this.#keys = this.#env.openDB<string, Uint8Array>('keys', { encoding: 'string', keyEncoding: 'binary' });
    this.#log = this.#env.openDB<string, number>('log', { encoding: 'string' });
    this.#leases = this.#env.openDB<string, string>('leases', { encoding: 'string' });
    this.#meta = this.#env.openDB<string, string>('meta', { encoding: 'string' });
    this.#owner = thisProcess(randomUUID());
    // LMDB's own writer lock spans processes, so of two that try at once the second sees the first.
    const refusal = this.#env.transactionSync(() => this.#take());
    if (refusal !== undefined) {
      void this.#env.close();
      throw new StoreUnavailableError(refusal);
    }
  }

  #take(): string | undefined {
    const format = this.#meta.get('format');
    if (format !== undefined && format !== String(FORMAT)) {
      return `its format is ${format}, this program reads ${FORMAT}; use the version that wrote it`;
    }
    const present = this.#meta.get('owner');
    if (present !== undefined) {
      const owner = parse<Owner>(present);
      if (isAlive(owner)) return `process ${owner.pid} has it open; stop that one, or use etcd for several`;
    }
    this.#meta.putSync('format', String(FORMAT));
    this.#meta.putSync('owner', JSON.stringify(this.#owner));
    return undefined;
  }

  state(): State {
    const text = this.#meta.get('state');
    if (text !== undefined) return parse<State>(text);
    return { revision: 0 as Revision, compacted: 0 as Revision, trimmed: 0 as Revision, historyBytes: 0 };
  }

  get(key: string): KeyValue | undefined {
    const text = this.#keys.get(Buffer.from(key));
    return text === undefined ? undefined : parse<KeyValue>(text);
  }

  /** Present values under the prefix and the revision they belong to, of one snapshot. */
  range(prefix: string): { readonly revision: Revision; readonly kvs: readonly KeyValue[] } {
    const transaction = this.#env.useReadTransaction();
    try {
      const text = this.#meta.get('state', { transaction });
      const kvs: KeyValue[] = [];
      for (const { value } of this.#keys.getRange({ ...bounds(prefix), transaction })) kvs.push(parse<KeyValue>(value));
      return { revision: text === undefined ? (0 as Revision) : parse<State>(text).revision, kvs };
    } finally {
      transaction.done();
    }
  }

  keysWithPrefix(prefix: string): string[] {
    return [...this.#keys.getKeys(bounds(prefix))].map((key) => Buffer.from(key).toString());
  }

  log(from: number, limit: number): LogEntry[] {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const { key, value } of this.#log.getRange({ start: from, limit })) {
      entries.push({ revision: key as Revision, events: parse<StoreEvent[]>(value) });
      bytes += value.length;
      if (bytes > READ_BYTES) break;
    }
    return entries;
  }

  leases(): { readonly id: LeaseId; readonly ttlSeconds: number }[] {
    return [...this.#leases.getRange()].map(({ key, value }) => ({ id: key, ttlSeconds: Number(value) }));
  }

  /**
   * Runs `body` in one write transaction; resolves when it is on disk. A failure in `body` undoes all of it.
   * Throws `StoreClosedError` when another process has taken the directory over.
   */
  async commit<T>(body: (writer: Writer) => T): Promise<T> {
    let failure: unknown;
    const result = await this.#transaction(() => {
      try {
        const owner = this.#meta.get('owner');
        if (owner === undefined || parse<Owner>(owner).token !== this.#owner.token) {
          throw new StoreClosedError('another process has taken the store over');
        }
        return { value: body(this.#writer) };
      } catch (error) {
        failure = error;
        // A thrown error alone would commit what was written before it.
        return ABORT;
      }
    });
    if (failure !== undefined) throw failure;
    if (!('value' in result)) throw new StoreUnavailableError('the transaction was aborted');
    return result.value as T;
  }

  /** Gives the directory back. */
  async close(): Promise<void> {
    try {
      await this.#transaction(() => {
        const owner = this.#meta.get('owner');
        if (owner !== undefined && parse<Owner>(owner).token === this.#owner.token) this.#meta.removeSync('owner');
      });
    } finally {
      await this.#env.close();
    }
  }

  /** One that cannot be written, as on a full disk, is refused twice: by its own promise, and with the reason by one that hangs on the error. */
  async #transaction<T>(body: () => T): Promise<T> {
    try {
      return await this.#env.transaction(body);
    } catch (error) {
      if (error instanceof Error && 'commitError' in error) await Promise.race([error.commitError, setImmediate()]);
      throw error;
    }
  }

  readonly #writer: Writer = {
    putState: (state) => this.#meta.putSync('state', JSON.stringify(state)),
    putKey: (kv) => this.#keys.putSync(Buffer.from(kv.key), JSON.stringify(kv)),
    removeKey: (key) => this.#keys.removeSync(Buffer.from(key)),
    appendLog: (revision, events) => {
      const text = JSON.stringify(events);
      this.#log.putSync(revision, text);
      return text.length;
    },
    trimLog: (revision) => {
      const bytes = this.#log.get(revision)?.length ?? 0;
      this.#log.removeSync(revision);
      return bytes;
    },
    putLease: (id, ttlSeconds) => this.#leases.putSync(id, String(ttlSeconds)),
    removeLease: (id) => this.#leases.removeSync(id),
  };
}

/** Writes of one transaction. */
export interface Writer {
  putState(state: State): void;
  putKey(kv: KeyValue): void;
  removeKey(key: string): void;
  /** Size of the entry. */
  appendLog(revision: Revision, events: readonly StoreEvent[]): number;
  /** Size of the entry that went. */
  trimLog(revision: number): number;
  putLease(id: LeaseId, ttlSeconds: number): void;
  removeLease(id: LeaseId): void;
}

function bounds(prefix: string): { start: Buffer; end?: Buffer } {
  const start = Buffer.from(prefix);
  const end = prefixEnd(start);
  return end === undefined ? { start } : { start, end };
}

/** What we wrote ourselves, under a format number that was checked. */
function parse<T>(text: string): T {
  return JSON.parse(text) as T;
}
