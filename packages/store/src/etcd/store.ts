import type { Revision } from '@contiv/model';
import { status } from '@grpc/grpc-js';
import { checkKey, checkPrefix, checkRevision, checkTtl, checkTxn } from '../check.js';
import {
  type Compare,
  type KeyValue,
  type Lease,
  type Op,
  type Store,
  StoreClosedError,
  StoreUnavailableError,
  type TxnResult,
  type WatchBatch,
} from '../store.js';
import { EtcdConnection, isServiceError, translateRefusal } from './connection.js';
import { Codec, interval, revisionOf } from './convert.js';
import { EtcdLease } from './lease.js';
import type { EtcdOptions } from './options.js';
import { api, type Method } from './proto.js';
import { watchPrefix } from './watch.js';

/** Keys per answer of a range: keeps answers far below the deadline. */
const PAGE = 5000;

/** etcd v3 for several masters. */
export class EtcdStore implements Store {
  readonly #connection: EtcdConnection;
  readonly #codec: Codec;
  readonly #closing = new AbortController();
  readonly #leases = new Set<EtcdLease>();

  constructor(options: EtcdOptions) {
    this.#connection = new EtcdConnection(options);
    this.#codec = new Codec(options.prefix);
  }

  async get(key: string): Promise<KeyValue | undefined> {
    checkKey(key);
    const { kvs } = await this.#call(api.range, { key: Buffer.from(this.#codec.key(key)) });
    return kvs[0] === undefined ? undefined : this.#codec.keyValue(kvs[0]);
  }

  async range(prefix: string): Promise<{ readonly revision: Revision; readonly kvs: readonly KeyValue[] }> {
    checkPrefix(prefix);
    for (;;) {
      const result = await this.#pages(this.#codec.key(prefix));
      if (result !== 'compacted') return result;
    }
  }

  async #pages(prefix: string): Promise<{ revision: Revision; kvs: KeyValue[] } | 'compacted'> {
    const { key: first, range_end } = interval(prefix);
    const kvs: KeyValue[] = [];
    let key = first;
    let revision: string | undefined;
    try {
      for (;;) {
        const page = await this.#call(api.range, { key, range_end, limit: PAGE, ...(revision === undefined ? {} : { revision }) });
        // Further pages are of the first one's revision.
        revision ??= page.header.revision;
        for (const kv of page.kvs) kvs.push(this.#codec.keyValue(kv));
        const last = page.kvs.at(-1);
        if (!page.more || last === undefined) return { revision: revisionOf(revision), kvs };
        key = Buffer.concat([last.key, Buffer.from([0])]);
      }
    } catch (error) {
      if (error instanceof Error && error.message.includes('required revision has been compacted')) return 'compacted';
      throw error;
    }
  }

  async txn(compare: readonly Compare[], success: readonly Op[], failure: readonly Op[] = []): Promise<TxnResult> {
    this.#connection.assertOpen();
    checkTxn(compare, success, failure);
    const asksOnly = success.length + failure.length === 0;
    const request = {
      compare: compare.map((c) => this.#codec.compare(c)),
      // Without an operation, a member answers from what it knows, though it may be cut off; a read has it agree with the majority first.
      success: asksOnly ? [{ request_range: { key: Buffer.from(this.#codec.key('/')) } }] : success.map((op) => this.#codec.op(op)),
      failure: failure.map((op) => this.#codec.op(op)),
    };
    const { header, succeeded } = await this.#call(api.txn, request, asksOnly);
    return { succeeded, revision: revisionOf(header.revision) };
  }

  watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    this.#connection.assertOpen();
    checkPrefix(prefix);
    checkRevision(fromRevision, 1);
    return watchPrefix(this.#connection, this.#codec, prefix, fromRevision, signal, this.#closing.signal);
  }

  async lease(ttlSeconds: number): Promise<Lease> {
    this.#connection.assertOpen();
    checkTtl(ttlSeconds);
    const sentAt = performance.now();
    // Granted twice by a retry, the other one runs out by itself.
    const granted = await this.#call(api.leaseGrant, { TTL: ttlSeconds });
    if (granted.error !== '') throw new StoreUnavailableError(`etcd grants no lease: ${granted.error}`);
    const lease = new EtcdLease(this.#connection, granted.ID, Number(granted.TTL), sentAt, (ended) => this.#leases.delete(ended));
    this.#leases.add(lease);
    return lease;
  }

  async compact(revision: number): Promise<void> {
    checkRevision(revision, 0);
    if (revision === 0) return;
    try {
      await this.#connection.call(api.compact, { revision: String(revision), physical: false }, { idempotent: true });
    } catch (error) {
      // Done already, by somebody or by an earlier attempt.
      if (isServiceError(error) && error.code === status.OUT_OF_RANGE && error.details.includes('has been compacted')) return;
      throw translateRefusal(error);
    }
  }

  async close(): Promise<void> {
    if (this.#connection.closed) return;
    const reason = new StoreClosedError('the store is closed');
    this.#connection.close();
    this.#closing.abort(reason);
    for (const lease of this.#leases) lease.end(reason);
  }

  async #call<Request extends object, Response extends object>(
    method: Method<Request, Response>,
    request: Request,
    idempotent = true,
  ): Promise<Response> {
    try {
      return await this.#connection.call(method, request, { idempotent });
    } catch (error) {
      throw translateRefusal(error);
    }
  }
}
