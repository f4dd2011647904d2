import type { Revision } from '@contiv/model';

/** A key's present value. Keys are UTF-8 text beginning with `/`, at most 1,024 bytes; values are UTF-8 text, at most 1 MiB. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** Lease the key hangs on, if any. */
  readonly lease?: LeaseId;
}

export type LeaseId = string;

/** A condition of a transaction. `modRevision: 0` means "the key does not exist". */
export type Compare =
  | { readonly key: string; readonly modRevision: number }
  | { readonly key: string; readonly exists: boolean }
  | { readonly key: string; readonly value: string };

export type Op =
  | { readonly put: string; readonly value: string; readonly lease?: LeaseId }
  | { readonly delete: string }
  /** All keys that begin with the text. */
  | { readonly deletePrefix: string };

export interface TxnResult {
  readonly succeeded: boolean;
  /** Revision after the transaction: of the writes, or the present one when nothing was written. */
  readonly revision: Revision;
}

export type StoreEvent =
  | { readonly type: 'put'; readonly kv: KeyValue; readonly previous?: KeyValue }
  | { readonly type: 'delete'; readonly key: string; readonly revision: Revision; readonly previous?: KeyValue };

/** All events of one or more whole transactions, in order; `events` is empty for a progress report. */
export interface WatchBatch {
  readonly revision: Revision;
  readonly events: readonly StoreEvent[];
}

export interface Lease {
  readonly id: LeaseId;
  /** Aborted when the lease has expired or can no longer be proved alive (monotonic clock, before the server's own deadline). */
  readonly lost: AbortSignal;
  revoke(): Promise<void>;
}

/**
 * The one interface to state: etcd v3's model, small enough for an embedded database too. All implementations pass
 * `conformance.ts`.
 *
 * INVARIANTS
 * - Revisions grow by one per transaction that changed something (on an etcd shared with others: by one or more) and never
 *   repeat; every write of a transaction carries the same one. A transaction that changed nothing has no revision of its own.
 * - What `txn` has answered is durable and seen by every later `get`, `range` and `txn` of any client.
 * - A watch delivers each event from `fromRevision` on exactly once, in order, across reconnects, or throws `CompactedError`.
 * - Errors: `StoreUnavailableError` when the store cannot be reached in bounded time, `CompactedError`, `StoreClosedError`
 *   (also from watches that are open when the store is closed), `StoreRequestError` for what no store would accept.
 *   After `StoreUnavailableError` from `txn` the outcome is unknown; callers re-read.
 */
export interface Store {
  get(key: string): Promise<KeyValue | undefined>;
  /** All keys that begin with `prefix`, ascending, of one revision. */
  range(prefix: string): Promise<{ readonly revision: Revision; readonly kvs: readonly KeyValue[] }>;
  /** If all of `compare` hold, `success`, else `failure` (default: nothing), atomically. Duplicate keys in one list are refused. */
  txn(compare: readonly Compare[], success: readonly Op[], failure?: readonly Op[]): Promise<TxnResult>;
  /** Events of keys that begin with `prefix` with a revision greater than or equal to `fromRevision`; ends when `signal` aborts. */
  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** A lease of `ttlSeconds`, kept alive until revoked or the process ends; its keys vanish with it. */
  lease(ttlSeconds: number): Promise<Lease>;
  /** Forget history up to and including the revision; present values stay. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}
/** The request itself is wrong (duplicate key, too large, unknown lease); nothing was written and trying again does not help. */
export class StoreRequestError extends Error {
  override readonly name = 'StoreRequestError';
}
export class StoreClosedError extends Error {
  override readonly name = 'StoreClosedError';
}
/** The watch asked for history that is gone: list again and watch from the list's revision. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  readonly compactRevision: Revision;
  constructor(compactRevision: Revision) {
    super(`history up to revision ${compactRevision} is compacted; list again`);
    this.compactRevision = compactRevision;
  }
}
