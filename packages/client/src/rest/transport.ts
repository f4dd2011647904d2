/** HTTP to the first of several netmasters that answers: keep-alive, time-outs, bounded answers. */
import http from 'node:http';
import type https from 'node:https';
import { errorOf, notUnderstood } from './answer.js';
import { ApiError, type Attempt, UnreachableError, UrlError } from './errors.js';

export interface TransportOptions {
  /** Base addresses, asked in turn until one answers. */
  readonly urls: readonly string[];
  /** Sent as `x-auth-token`; needs https. */
  readonly token?: string;
  /** Take any TLS certificate. */
  readonly insecure?: boolean;
  /** What the client calls itself; netmaster's history shows it. */
  readonly userAgent?: string;
  /** Milliseconds until a connection must stand, TLS included. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds until the whole answer must be there. */
  readonly timeoutMs?: number;
  /** Longest answer taken, in bytes. */
  readonly maxBytes?: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash; sent as it is. */
  readonly path: string;
  /** JSON-encoded when present. */
  readonly body?: unknown;
  /** Milliseconds until the whole answer must be there, where that is more than usual. */
  readonly timeoutMs?: number;
}

export interface HttpAnswer {
  /** The address that answered. */
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  /** Without parameters, lower case. */
  readonly type: string;
  readonly text: string;
  /** Who was asked before, and may have done what was asked although no such answer came. */
  readonly before?: readonly Attempt[];
}

const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** `http://a:9999,http://b:9999` as base addresses without a slash at the end; throws {@link UrlError}. */
export function parseUrls(list: string): string[] {
  const urls = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (urls.length === 0) throw new UrlError('no address is given');
  return urls.map((text) => {
    const url = /^https?:\/\//.test(text) && URL.canParse(text) ? new URL(text) : undefined;
    if (!url) throw new UrlError(`"${text}" is not of the form http://HOST:PORT or https://HOST:PORT`);
    if (url.username !== '' || url.password !== '') throw new UrlError('an address carries no user and no password; log in instead');
    if (url.search !== '' || url.hash !== '') throw new UrlError(`"${text}" has more than a host, a port and a path`);
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  });
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: 16 });
  #secure: https.Agent | undefined;
  /** Index of the address that answered last. */
  #preferred = 0;

  constructor(options: TransportOptions) {
    if (options.urls.length === 0) throw new UrlError('no address is given');
    const exposed = options.urls.find((url) => !url.startsWith('https:'));
    if (options.token !== undefined && exposed !== undefined) throw new UrlError('setting auth token requires a https auth_proxy URL');
    this.#options = options;
  }

  /**
   * The answer of the first master that gives one. A master that says 503 is passed over while another is left; all requests of this API
   * may be repeated, so one whose answer got lost is simply asked again elsewhere; who was asked before is told with the answer.
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const { urls } = this.#options;
    const attempts: Attempt[] = [];
    const before: Attempt[] = [];
    let busy: HttpAnswer | undefined;
    for (let i = 0; i < urls.length; i++) {
      const index = (this.#preferred + i) % urls.length;
      const url = urls[index] ?? '';
      try {
        const answer = await this.#once(url, request);
        if (answer.status !== 503) {
          this.#preferred = index;
          return request.method === 'GET' ? answer : { ...answer, before };
        }
        busy ??= answer;
        before.push({ url, reason: errorOf(answer).detail });
      } catch (error) {
        if (error instanceof ApiError) throw error;
        const attempt = { url, reason: reasonOf(error) };
        attempts.push(attempt);
        if (error instanceof LostError) before.push(attempt);
      }
    }
    if (busy) return busy;
    throw new UnreachableError(attempts, request.method !== 'GET' && before.length > 0);
  }

  /**
   * The lines of an answer that has no end of its own, from the first master that gives one. Empty lines keep the connection and are left
   * out; after `silenceMs` without any it is dead. Ends when the caller breaks off.
   */
  async *lines(path: string, silenceMs: number): AsyncGenerator<string, void, undefined> {
    const { urls } = this.#options;
    const attempts: Attempt[] = [];
    for (let i = 0; i < urls.length; i++) {
      const index = (this.#preferred + i) % urls.length;
      const url = urls[index] ?? '';
      let response: http.IncomingMessage;
      try {
        response = await this.#open(url, path);
      } catch (error) {
        attempts.push({ url, reason: reasonOf(error) });
        continue;
      }
      if (response.statusCode === 503 && i + 1 < urls.length) {
        attempts.push({ url, reason: 'not ready' });
        response.destroy();
        continue;
      }
      this.#preferred = index;
      yield* linesOf(url, path, response, silenceMs);
      return;
    }
    throw new UnreachableError(attempts);
  }

  async #open(url: string, path: string): Promise<http.IncomingMessage> {
    const { token, connectTimeoutMs = CONNECT_TIMEOUT_MS, insecure } = this.#options;
    const secure = url.startsWith('https:');
    const { get } = secure ? await import('node:https') : http;
    return new Promise((resolve, reject) => {
      const headers = {
        accept: 'application/x-ndjson, application/problem+json',
        'user-agent': 'contiv-client',
        ...(token === undefined ? {} : { 'x-auth-token': token }),
      };
      const req = get(`${url}${path}`, {
        agent: false,
        headers,
        ...(secure ? { rejectUnauthorized: insecure !== true } : {}),
      });
      const timer = setTimeout(() => req.destroy(new TimeoutError('no answer', 3 * connectTimeoutMs)), 3 * connectTimeoutMs);
      req.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      req.on('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
    });
  }

  close(): void {
    this.#plain.destroy();
    this.#secure?.destroy();
  }

  /** TLS is half of what a start of netctl loads, so only who needs it does. */
  async #tls(): Promise<{ request: typeof https.request; agent: https.Agent }> {
    const { Agent, request } = await import('node:https');
    this.#secure ??= new Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: this.#options.insecure !== true });
    return { request, agent: this.#secure };
  }

  async #once(url: string, request: HttpRequest): Promise<HttpAnswer> {
    const { token, connectTimeoutMs = CONNECT_TIMEOUT_MS, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES } = this.#options;
    const base = new URL(url);
    const secure = base.protocol === 'https:';
    const over = secure ? await this.#tls() : { request: http.request, agent: this.#plain };
    return new Promise((resolve, reject) => {
      const payload = request.body === undefined ? undefined : JSON.stringify(request.body);
      const req = over.request({
        agent: over.agent,
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port === '' ? (secure ? 443 : 80) : Number(base.port),
        method: request.method,
        path: `${base.pathname.replace(/\/+$/, '')}${request.path}`,
        headers: {
          host: base.host,
          accept: 'application/json, application/problem+json',
          'user-agent': this.#options.userAgent ?? 'contiv-client',
          ...(token === undefined ? {} : { 'x-auth-token': token }),
          ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        },
      });
      const late = (what: string, ms: number) => setTimeout(() => req.destroy(new TimeoutError(what, ms)), ms);
      const connecting = late('no connection', connectTimeoutMs);
      const whole = late('no answer', Math.max(timeoutMs, request.timeoutMs ?? 0));
      const settle = () => {
        clearTimeout(connecting);
        clearTimeout(whole);
      };
      let sent = false;
      const fail = (error: Error) => {
        settle();
        reject(sent && !(error instanceof ApiError) ? new LostError(reasonOf(error)) : error);
      };
      const connected = () => {
        clearTimeout(connecting);
        sent = true;
      };
      req.on('socket', (socket) => {
        if (req.reusedSocket) connected();
        else socket.once(secure ? 'secureConnect' : 'connect', connected);
      });
      req.on('error', fail);
      req.on('response', (res) => {
        clearTimeout(connecting);
        const chunks: Buffer[] = [];
        let size = 0;
        res.on('error', fail);
        res.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= maxBytes) chunks.push(chunk);
          else req.destroy(new ApiError(res.statusCode ?? 0, 'not-understood', `the answer of ${url} is longer than ${maxBytes} bytes`));
        });
        res.on('end', () => {
          settle();
          resolve({
            url,
            status: res.statusCode ?? 0,
            statusText: res.statusMessage ?? '',
            type: (res.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
            text: Buffer.concat(chunks).toString('utf8'),
          });
        });
      });
      req.end(payload);
    });
  }
}

const MAX_LINE = 1024 * 1024;

async function* linesOf(
  url: string,
  path: string,
  response: http.IncomingMessage,
  silenceMs: number,
): AsyncGenerator<string, void, undefined> {
  const status = response.statusCode ?? 0;
  const type = (response.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  let rest = '';
  let timer: NodeJS.Timeout | undefined;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => response.destroy(new TimeoutError('nothing came', silenceMs)), silenceMs);
  };
  try {
    if (status === 200 && type !== 'application/x-ndjson') throw notUnderstood({ url, status }, path);
    response.setEncoding('utf8');
    watch();
    for await (const chunk of response) {
      // How long the reader takes over it is not the sender's silence.
      clearTimeout(timer);
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop() ?? '';
      if (rest.length > MAX_LINE) throw new ApiError(status, 'not-understood', `the answer of ${url} has a line without end`);
      if (status === 200) for (const part of parts) if (part !== '') yield part;
      if (status !== 200) rest = `${parts.join('\n')}\n${rest}`;
      watch();
    }
    if (status !== 200) throw errorOf({ url, status, statusText: response.statusMessage ?? '', type, text: rest.trim() });
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new UnreachableError([{ url, reason: error instanceof TimeoutError ? error.message : 'its answer broke off in the middle' }]);
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

/** It was sent, and no answer came. */
class LostError extends Error {}

class TimeoutError extends Error {
  constructor(what: string, ms: number) {
    super(`${what} within ${ms >= 1_000 ? `${Math.round(ms / 100) / 10} s` : `${ms} ms`}`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was closed without an answer',
  EPIPE: 'the connection was closed without an answer',
  ENOTFOUND: 'no such host name',
  EAI_AGAIN: 'the host name cannot be resolved at the moment',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'no connection in time',
  EACCES: 'not allowed to connect',
  EPROTO: 'it does not speak TLS; try http://',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; try http://',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS; try http://',
};
const CERTIFICATE = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO_/;

/** Why there was no answer, in words. */
function reasonOf(error: unknown): string {
  // Node puts the reasons of a host with several addresses inside.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof Error)) return String(first);
  const code = 'code' in first && typeof first.code === 'string' ? first.code : '';
  if (code.startsWith('HPE_')) return 'what answers does not speak HTTP';
  if (CERTIFICATE.test(code)) return `its certificate is not trusted: ${first.message}`;
  return REASONS[code] ?? first.message;
}
