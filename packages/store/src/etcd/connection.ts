import { type ChannelOptions, Client, type ClientDuplexStream, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { StoreClosedError, StoreRequestError, StoreUnavailableError } from '../store.js';
import { ATTEMPT_TIMEOUT_MS, type EtcdOptions, REQUEST_TIMEOUT_MS } from './options.js';
import { api, type Method } from './proto.js';

/**
 * Keepalive notices a peer that is gone without a word within 8.5 s. Not below 5 s, nor without calls: etcd answers
 * that with GOAWAY "too_many_pings" (its `--grpc-keepalive-min-time`).
 */
const CHANNEL: ChannelOptions = {
  'grpc.keepalive_time_ms': 5500,
  'grpc.keepalive_timeout_ms': 3000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.max_receive_message_length': -1,
  'grpc.enable_retries': 0,
  // A connection that is given up is really closed, not handed to the next client.
  'grpc.use_local_subchannel_pool': 1,
};

export interface CallOptions {
  /** Whether doing it twice is the same as doing it once. If not, it is retried only when it certainly was not done. */
  readonly idempotent: boolean;
}

/**
 * Connections to the endpoints of one cluster: one is in use, the next takes over when it fails.
 */
export class EtcdConnection {
  readonly #options: EtcdOptions;
  readonly #timeoutMs: number;
  #current = 0;
  #client: Client;
  #token: string | undefined;
  #authenticating: Promise<void> | undefined;
  #closed = false;
  readonly #streams = new Set<() => void>();

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#timeoutMs = Math.min(options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS, 5000);
    this.#client = this.#connect();
  }

  get endpoint(): string {
    return this.#options.endpoints[this.#current % this.#options.endpoints.length] ?? '';
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** One request, one answer, in bounded time. */
  async call<Request extends object, Response extends object>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    const deadline = performance.now() + this.#timeoutMs;
    for (let attempt = 0; ; attempt++) {
      this.assertOpen();
      const client = this.#client;
      try {
        await this.#authenticate(deadline);
        return await this.#unary(client, method, request, deadline);
      } catch (error) {
        this.assertOpen();
        if (!isServiceError(error)) throw error;
        const verdict = judge(error);
        if (verdict === 'refused') throw error;
        if (verdict === 'token') this.#token = undefined;
        else this.giveUp(client, error.code === status.DEADLINE_EXCEEDED);
        const mayRetry = options.idempotent || verdict === 'token' || verdict === 'not-sent';
        const pause = Math.min(500, 25 * 2 ** attempt) * (0.5 + Math.random() / 2);
        if (!mayRetry || performance.now() + pause >= deadline) throw this.#unavailable(error);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  /** A stream on the connection in use; ends with an error when that is given up. */
  async open<Request extends object, Response extends object>(
    method: Method<Request, Response>,
    deadlineMs?: number,
  ): Promise<{ readonly stream: ClientDuplexStream<Request, Response>; readonly failed: (error: unknown) => void }> {
    this.assertOpen();
    await this.#authenticate(performance.now() + this.#timeoutMs);
    this.assertOpen();
    const client = this.#client;
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const stream = client.makeBidiStreamRequest(method.path, method.serialize, method.deserialize, this.#metadata(), options);
    const cancel = () => stream.cancel();
    this.#streams.add(cancel);
    stream.on('close', () => this.#streams.delete(cancel));
    const failed = (error: unknown) => {
      if (isServiceError(error) && judge(error) === 'token') this.#token = undefined;
      else this.giveUp(client, false);
    };
    return { stream, failed };
  }

  /**
   * Leaves the endpoint of a client that failed. With others, the next one; a connection that does not answer is closed
   * even when there is no other, because it may be a black hole.
   */
  giveUp(client: Client, silent: boolean): void {
    if (client !== this.#client || this.#closed) return;
    if (this.#options.endpoints.length === 1 && !silent) return;
    this.#current = (this.#current + 1) % this.#options.endpoints.length;
    this.#client = this.#connect();
    // Streams resume on the new connection without loss; left on the old one they would wait for keepalive to fail.
    for (const cancel of this.#streams) cancel();
    client.close();
  }

  close(): void {
    this.#closed = true;
    this.#client.close();
  }

  assertOpen(): void {
    if (this.#closed) throw new StoreClosedError('the store is closed');
  }

  #connect(): Client {
    const { tls } = this.#options;
    const creds =
      tls === undefined ? credentials.createInsecure() : credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
    return new Client(this.endpoint, creds, CHANNEL);
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('token', this.#token);
    return metadata;
  }

  async #authenticate(deadline: number): Promise<void> {
    const { auth } = this.#options;
    if (auth === undefined || this.#token !== undefined) return;
    this.#authenticating ??= (async () => {
      const request = { name: auth.user, password: auth.password };
      this.#token = (await this.#unary(this.#client, api.authenticate, request, deadline)).token;
    })().finally(() => {
      this.#authenticating = undefined;
    });
    await this.#authenticating;
  }

  #unary<Request extends object, Response extends object>(
    client: Client,
    method: Method<Request, Response>,
    request: Request,
    deadline: number,
  ): Promise<Response> {
    const left = Math.max(1, deadline - performance.now());
    const limit = this.#options.endpoints.length > 1 ? Math.min(left, ATTEMPT_TIMEOUT_MS) : left;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.serialize,
        method.deserialize,
        request,
        this.#metadata(),
        { deadline: Date.now() + limit },
        (error, response) => {
          if (error !== null) reject(error);
          else if (response === undefined) reject(new StoreUnavailableError(`etcd at ${this.endpoint} sent an empty answer`));
          else resolve(response);
        },
      );
    });
  }

  #unavailable(error: ServiceError): StoreUnavailableError {
    const where = this.#options.endpoints.join(', ');
    return new StoreUnavailableError(`etcd at ${where} cannot be used: ${reason(error)}; ${advice(error)}`);
  }
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

type Verdict =
  /** The request was judged and will be refused again. */
  | 'refused'
  /** Our token has run out. */
  | 'token'
  /** Nothing was done. */
  | 'not-sent'
  | 'unknown';

function judge({ code, details }: ServiceError): Verdict {
  if (code === status.UNAUTHENTICATED) return 'token';
  // grpc-js says so when a call never left for want of a connection.
  if (code === status.UNAVAILABLE) return /^No connection established|^Name resolution failed/.test(details) ? 'not-sent' : 'unknown';
  if (code === status.RESOURCE_EXHAUSTED) return details.includes('too many requests') ? 'not-sent' : 'unknown';
  if (code === status.INVALID_ARGUMENT) return /auth token|revision of auth store/.test(details) ? 'token' : 'refused';
  return UNKNOWN_OUTCOME.has(code) ? 'unknown' : 'refused';
}

const UNKNOWN_OUTCOME = new Set([status.DEADLINE_EXCEEDED, status.CANCELLED, status.INTERNAL, status.UNKNOWN, status.ABORTED]);

/** grpc-js's sentence without its preamble and notes. */
function reason(error: ServiceError): string {
  const details = error.details || error.message;
  return details.replace(/^No connection established\. Last error: (?:Error: )?/, '').replace(/\.? Resolution note:.*$/s, '');
}

function advice(error: ServiceError): string {
  if (error.details.includes('space exceeded')) return 'its space quota is used up: compact, defragment and disarm its alarm with etcdctl';
  return 'is it running, and do address, port and TLS settings match?';
}

/** A refusal of etcd in the terms of the interface. */
export function translateRefusal(error: unknown): unknown {
  if (!isServiceError(error)) return error;
  if (error.code === status.UNAUTHENTICATED || error.code === status.PERMISSION_DENIED) {
    return new StoreUnavailableError(`etcd refuses access: ${error.details}; check user, password and role`);
  }
  return new StoreRequestError(`etcd refuses: ${error.details}`);
}
