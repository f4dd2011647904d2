import type { Revision } from '@contiv/model';
import { eventKey } from './evaluate.js';
import { CompactedError, StoreClosedError, type StoreEvent, type WatchBatch } from './store.js';

/** One committed transaction. */
export interface LogEntry {
  readonly revision: Revision;
  readonly events: readonly StoreEvent[];
}

/** A log of committed transactions that watches read from. */
export interface EventLog {
  /** The last committed revision. */
  revision(): Revision;
  /** History up to and including it is gone. */
  compacted(): Revision;
  /** Transactions with a revision of `from` or more, in order, at most `limit`. */
  read(from: number, limit: number): readonly LogEntry[];
}

/** Transactions read at a time: bounds memory and the time other work waits. */
const CHUNK = 256;

/**
 * Watches over an event log. A watch is a position, not a queue: a slow reader costs nothing until compaction passes it,
 * and then it is told.
 */
export class LogTail {
  readonly #log: EventLog;
  readonly #wakers = new Set<() => void>();
  #closed = false;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** To be called after each commit and compaction. */
  wake(): void {
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    for (const waker of wakers) waker();
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }

  /** A batch per chunk with matching events; an empty one when the reader has caught up on events of others only. */
  async *watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncGenerator<WatchBatch> {
    let next = fromRevision;
    while (!signal.aborted) {
      if (this.#closed) throw new StoreClosedError('the store is closed');
      if (next <= this.#log.compacted()) throw new CompactedError(this.#log.compacted());
      const chunk = this.#log.read(next, CHUNK);
      const last = chunk.at(-1);
      if (last === undefined) {
        await this.#changed(signal);
        continue;
      }
      next = last.revision + 1;
      const events = chunk.flatMap((entry) => entry.events.filter((event) => eventKey(event).startsWith(prefix)));
      if (events.length > 0 || last.revision === this.#log.revision()) yield { revision: last.revision, events };
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wakers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#wakers.add(done);
      signal.addEventListener('abort', done);
    });
  }
}
