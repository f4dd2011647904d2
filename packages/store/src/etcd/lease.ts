import { type Lease, StoreRequestError } from '../store.js';
import type { EtcdConnection } from './connection.js';
import { api } from './proto.js';

const RETRY_MS = 200;

/**
 * A lease kept alive in the background. What we can prove is counted from the moment a keepalive was *sent*, on the
 * monotonic clock, less a margin: `lost` comes before the server gives the keys to someone else.
 */
export class EtcdLease implements Lease {
  readonly id: string;
  readonly #connection: EtcdConnection;
  readonly #lost = new AbortController();
  readonly #onEnd: (lease: EtcdLease) => void;
  #expiry: NodeJS.Timeout | undefined;
  #next: NodeJS.Timeout | undefined;

  /** `sentAt`: `performance.now()` before the grant was asked for. */
  constructor(connection: EtcdConnection, id: string, ttlSeconds: number, sentAt: number, onEnd: (lease: EtcdLease) => void) {
    this.#connection = connection;
    this.id = id;
    this.#onEnd = onEnd;
    this.#proved(ttlSeconds, sentAt);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async revoke(): Promise<void> {
    if (this.#lost.signal.aborted) return;
    this.end(new StoreRequestError(`lease ${this.id} was revoked`));
    await this.#connection.call(api.leaseRevoke, { ID: this.id }, { idempotent: true }).catch((error: unknown) => {
      // Gone already, of itself or by an earlier attempt.
      if (!(error instanceof Error && error.message.includes('lease not found'))) throw error;
    });
  }

  /** Stops keeping it alive and tells the holder. */
  end(reason: Error): void {
    clearTimeout(this.#expiry);
    clearTimeout(this.#next);
    this.#onEnd(this);
    if (!this.#lost.signal.aborted) this.#lost.abort(reason);
  }

  #proved(ttlSeconds: number, sentAt: number): void {
    const ttlMs = ttlSeconds * 1000;
    const margin = Math.min(1000, ttlMs / 5);
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(
      () => this.end(new StoreRequestError(`lease ${this.id} could not be kept alive`)),
      Math.max(0, sentAt + ttlMs - margin - performance.now()),
    );
    this.#schedule(ttlMs / 3, ttlMs / 3);
  }

  #schedule(delayMs: number, timeoutMs: number): void {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => void this.#keepAlive(Math.min(5000, Math.max(500, timeoutMs))), delayMs);
  }

  async #keepAlive(timeoutMs: number): Promise<void> {
    const sentAt = performance.now();
    let ttl: number | undefined;
    try {
      ttl = await this.#ask(timeoutMs);
    } catch {
      // Tried again until the proof runs out.
    }
    if (this.#lost.signal.aborted) return;
    if (ttl === undefined) this.#schedule(RETRY_MS, timeoutMs);
    else if (ttl <= 0) this.end(new StoreRequestError(`lease ${this.id} has expired`));
    else this.#proved(ttl, sentAt);
  }

  /** Seconds the server gives it from now; 0 when it has none. */
  async #ask(timeoutMs: number): Promise<number> {
    const { stream, failed } = await this.#connection.open(api.leaseKeepAlive, timeoutMs);
    return new Promise<number>((resolve, reject) => {
      stream.on('data', (response: { readonly TTL: string }) => {
        resolve(Number(response.TTL));
        stream.end();
      });
      stream.on('error', (error) => {
        failed(error);
        reject(error);
      });
      stream.on('end', () => reject(new Error('no answer')));
      stream.write({ ID: this.id });
    });
  }
}
