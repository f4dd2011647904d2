import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { ApiError, ConnectionError, messageOf } from '../errors.js';
import { isObject, parseJson } from '../json.js';
import { Liveness } from './liveness.js';

/** Certificates for engines; the host name is always checked when `verify` is set. */
export interface EngineTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly verify: boolean;
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Milliseconds for the whole answer. */
  readonly timeoutMs?: number;
  /** Path without `/vX.Y`, as for `info` and `_ping` before the version is known. */
  readonly unversioned?: boolean;
}

export interface StreamOptions {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Readable | string;
  readonly signal?: AbortSignal;
  /** Milliseconds until the answer begins; none by default: the engine may work for long before it says a word. */
  readonly headersTimeoutMs?: number;
  /** Milliseconds until the answer has ended. */
  readonly timeoutMs?: number;
}

const CALL_TIMEOUT_MS = 30_000;
const DIAL_TIMEOUT_MS = 10_000;
/** An answer larger than this is no list of a real engine. */
const MAX_ANSWER = 256 * 1024 * 1024;

/** HTTP to one engine: short calls on kept connections, streams and raw connections of their own. */
export class EngineClient {
  readonly host: string;
  readonly port: number;
  readonly addr: string;
  /** `1.41`; prefixed to the paths of `call`. */
  version = '1.24';
  readonly #tls: EngineTls | undefined;
  readonly #agent: HttpAgent;
  readonly #liveness: Liveness;
  /**
   * Told of every outcome: undefined for an answer of any status, else what kept it from coming. An answer that is merely late tells
   * nothing of the engine: one hung container must not make its node a dead one. Whether the engine is alive is what `ping` asks.
   */
  readonly #report: (failure: ConnectionError | undefined) => void;
  /** Requests and raw connections that are open, ended when the engine is given up. */
  readonly #open = new Set<{ destroy(error?: Error): unknown }>();

  constructor(addr: string, tls: EngineTls | undefined, report: (failure: ConnectionError | undefined) => void) {
    this.addr = addr;
    const { host, port } = splitHostPort(addr);
    this.host = host;
    this.port = port;
    this.#tls = tls;
    this.#report = report;
    const keep = { keepAlive: true, maxSockets: 32, maxFreeSockets: 2, scheduling: 'lifo' as const, timeout: 60_000 };
    this.#liveness = new Liveness(addr, (timeoutMs) => this.dial(timeoutMs));
    this.#agent = tls === undefined ? new HttpAgent(keep) : new HttpsAgent({ ...keep, ...this.#tlsOptions() });
  }

  /** The parsed answer, or the text where it is no JSON. @throws ApiError for status 400 and above, ConnectionError */
  async call(method: string, path: string, options: CallOptions = {}): Promise<unknown> {
    const text = await this.text(method, path, options);
    return text === '' ? undefined : parseOrText(text);
  }

  /** The answer as it came. @throws as `call` */
  async text(method: string, path: string, options: CallOptions = {}): Promise<string> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(options.query ?? {})) if (value !== undefined) search.set(key, value);
    const query = search.size === 0 ? '' : `?${search.toString()}`;
    const full = `${options.unversioned === true ? '' : `/v${this.version}`}${path}${query}`;
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    const headers = { ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }), ...options.headers };
    const body = options.body === undefined ? {} : { body: options.body };
    const answer = await this.stream(method, full, { headers, timeoutMs, ...body }, true);
    const text = await readText(answer).catch((error: unknown) => {
      answer.destroy();
      throw error instanceof ApiError ? error : this.#failed(error);
    });
    const status = answer.statusCode ?? 500;
    if (status >= 400) throw new ApiError(status, errorText(parseOrText(text), status));
    return text;
  }

  /** The answer once its headers are here. Abort the signal or destroy the answer to end the request. @throws ConnectionError */
  stream(method: string, path: string, options: StreamOptions = {}, pooled = false): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers: OutgoingHttpHeaders = { Host: this.addr, ...options.headers };
      const base: RequestOptions = { host: this.host, port: this.port, method, path, headers, setHost: false };
      const request =
        this.#tls === undefined
          ? httpRequest({ ...base, agent: pooled ? this.#agent : false })
          : httpsRequest({ ...base, agent: pooled ? this.#agent : false, ...this.#tlsOptions() });
      this.#open.add(request);
      request.on('close', () => this.#open.delete(request));
      // An error after the answer has begun reaches whoever reads the answer.
      let begun: IncomingMessage | undefined;
      const endAfter = (ms: number | undefined, reason: string) =>
        ms === undefined ? undefined : setTimeout(() => (begun ?? request).destroy(new LateError(reason)), ms);
      const headersTimer = endAfter(options.headersTimeoutMs, 'no answer in time');
      const wholeTimer = endAfter(options.timeoutMs, 'no complete answer in time');
      let dial: NodeJS.Timeout | undefined;
      request.on('socket', (socket) => {
        socket.setNoDelay(true);
        if (!socket.connecting) return;
        dial = setTimeout(() => request.destroy(new Error('i/o timeout')), DIAL_TIMEOUT_MS);
        socket.once('connect', () => clearTimeout(dial));
      });
      const abort = () => request.destroy(new Error('aborted'));
      if (options.signal?.aborted === true) abort();
      options.signal?.addEventListener('abort', abort, { once: true });
      request.on('close', () => {
        for (const timer of [dial, headersTimer, wholeTimer]) clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
      });
      request.on('response', (answer) => {
        begun = answer;
        clearTimeout(headersTimer);
        this.#report(undefined);
        resolve(answer);
      });
      request.on('upgrade', (_answer, socket) => {
        socket.destroy();
        reject(new ApiError(502, `engine ${this.addr} switched protocols unasked`));
      });
      request.on('error', (error) => {
        if (begun === undefined) reject(options.signal?.aborted === true ? error : this.#failed(error));
      });
      if (typeof options.body === 'string') request.end(options.body);
      else if (options.body === undefined) request.end();
      else options.body.pipe(request);
    });
  }

  /** Whether the engine answers at all. @throws ConnectionError */
  async ping(timeoutMs: number): Promise<void> {
    try {
      await this.#liveness.ask(timeoutMs);
    } catch (error) {
      throw error instanceof ConnectionError ? error : this.#failed(error);
    }
    this.#report(undefined);
  }

  /** A raw connection for hijacked requests; both halves close separately. @throws ConnectionError */
  dial(timeoutMs = DIAL_TIMEOUT_MS): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const tls = this.#tls;
      const tcp = connectTcp({
        host: this.host,
        port: this.port,
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
      });
      const socket: Socket =
        tls === undefined ? tcp : connectTls({ socket: tcp, host: this.host, servername: servername(this.host), ...this.#tlsOptions() });
      const timer = setTimeout(() => socket.destroy(new Error('i/o timeout')), timeoutMs);
      this.#open.add(socket);
      const fail = (error: Error) => {
        clearTimeout(timer);
        this.#open.delete(socket);
        tcp.destroy();
        reject(this.#failed(error));
      };
      socket.once('error', fail);
      if (socket !== tcp) tcp.once('error', fail);
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
        clearTimeout(timer);
        socket.off('error', fail);
        socket.on('close', () => this.#open.delete(socket));
        // No word of the engine yet: the kernel takes connections for a frozen one too.
        resolve(socket);
      });
    });
  }

  /** Ends every request and raw connection, so that no client waits for an engine that is gone. */
  endAll(reason: string): void {
    for (const one of this.#open) one.destroy(new Error(reason));
    this.#open.clear();
  }

  close(): void {
    this.endAll('closed');
    this.#agent.destroy();
  }

  #tlsOptions() {
    const tls = this.#tls;
    if (tls === undefined) return {};
    return {
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      rejectUnauthorized: tls.verify,
      minVersion: 'TLSv1.2' as const,
    };
  }

  #failed(error: unknown): ConnectionError {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const detail = code === 'ECONNREFUSED' ? 'connection refused' : code === 'EHOSTUNREACH' ? 'no route to host' : messageOf(error);
    const scheme = this.#tls === undefined ? 'tcp' : 'https';
    const failure = new ConnectionError(
      `Cannot connect to the Docker daemon at ${scheme}://${this.addr}. Is the docker daemon running? (${detail})`,
    );
    if (!(error instanceof LateError)) this.#report(failure);
    return failure;
  }
}

/** The engine had time enough for this one answer. */
class LateError extends Error {}

/** `host:port`, IPv6 in brackets. */
export function splitHostPort(addr: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(addr);
  return match === null ? { host: addr, port: 2375 } : { host: match[1] ?? match[2] ?? '', port: Number(match[3]) };
}

/** @throws ApiError 413 beyond the limit; what is left stays unread. */
export function readText(stream: Readable, limit = MAX_ANSWER): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= limit) return;
      chunks.length = 0;
      stream.off('data', take).pause();
      reject(new ApiError(413, `body is larger than ${limit} bytes`));
    };
    stream.on('data', take);
    stream.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('the connection ended in the middle of an answer')));
  });
}

export function parseOrText(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

export function errorText(body: unknown, status: number): string {
  const message = isObject(body) && typeof body.message === 'string' ? body.message : typeof body === 'string' ? body.trim() : '';
  return message === '' ? `engine answered ${status}` : message;
}

/** Certificates of addresses are checked against `host`; only names may be sent. */
export const servername = (host: string) => (/^[\d.]+$|:/.test(host) ? '' : host);
