/** HTTP to one of several netmasters: the one that answered last is asked first, the others when it does not. */
import http from 'node:http';
import https from 'node:https';
import type { RefusalCode } from '@contiv/model';
import { z } from 'zod';

/** `unreachable`: no master answered in time. `internal`: one answered, but not as agreed. The others are refusals of netmaster's. */
export type MasterErrorCode = RefusalCode | 'unreachable' | 'internal';

/** A failed call; `message` is one sentence for the user. */
export class MasterError extends Error {
  override readonly name = 'MasterError';
  readonly code: MasterErrorCode;

  constructor(code: MasterErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** Is it worth asking again later without changing anything? */
  get transient(): boolean {
    return this.code === 'unreachable' || this.code === 'unavailable' || this.code === 'internal';
  }
}

/** `http://host:port` without path; throws `MasterError` otherwise. */
export function parseMasterUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && url.pathname === '/' && url.search === '') return url.origin;
  throw new MasterError('invalid', `netmaster address "${text}" is not of the form http://HOST:PORT`);
}

const problem = z.object({ code: z.string(), detail: z.string() });
const REFUSALS: ReadonlySet<string> = new Set([
  'invalid',
  'denied',
  'not-found',
  'conflict',
  'in-use',
  'exhausted',
  'too-large',
  'unavailable',
]);
const isRefusal = (code: string): code is RefusalCode => REFUSALS.has(code);

const MAX_ANSWER = 16 * 1024 * 1024;

export interface RequestOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** Milliseconds for everything together, all masters and retries included. */
  readonly deadlineMs: number;
  /** Ask each master once only. */
  readonly once?: boolean;
}

export class MasterPool {
  readonly urls: readonly string[];
  readonly #agents: readonly [http.Agent, https.Agent];
  #preferred = 0;
  /** When each request that has no answer yet was made. */
  readonly #waiting = new Set<{ readonly since: number }>();

  constructor(urls: readonly string[]) {
    if (urls.length === 0)
      throw new MasterError('invalid', 'no netmaster address is configured; give at least one --netmaster http://HOST:PORT');
    this.urls = urls.map(parseMasterUrl);
    this.#agents = [new http.Agent({ keepAlive: true, maxSockets: 64 }), new https.Agent({ keepAlive: true, maxSockets: 64 })];
  }

  /** The master that answered last. */
  get preferred(): string {
    return this.urls[this.#preferred] ?? '';
  }

  /** The next master is asked first from now on, unless somebody else has found out already that this one does not answer. */
  passOver(url: string): void {
    if (url === this.preferred) this.#preferred = (this.#preferred + 1) % this.urls.length;
  }

  /** The sentence for whoever cannot wait any longer, while a request has had no answer for `ms`. */
  silentFor(ms: number): string | undefined {
    const now = performance.now();
    return [...this.#waiting].some(({ since }) => now - since >= ms) ? this.#unreachable('no answer yet') : undefined;
  }

  #unreachable(reason: string): string {
    return `no netmaster answers at ${this.urls.join(', ')} (${reason}); start netmaster, or give netplugin the right --netmaster address`;
  }

  /**
   * One request; masters that do not answer are passed over, round after round, until the deadline. Safe only because every call of ours
   * may be repeated. A refusal is an answer and is not tried elsewhere.
   */
  async request(options: RequestOptions): Promise<unknown> {
    const waiting = { since: performance.now() };
    this.#waiting.add(waiting);
    try {
      return await this.#ask(options);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  async #ask(options: RequestOptions): Promise<unknown> {
    const deadline = performance.now() + options.deadlineMs;
    let reason = '';
    for (let attempt = 0; ; attempt++) {
      const left = deadline - performance.now();
      if (left <= 0) break;
      const url = this.preferred;
      // While there is another master, a silent one gets half of what is left.
      const share = this.urls.length > 1 ? Math.max(left / 2, Math.min(left, 250)) : left;
      try {
        return await this.#once(url, options, share);
      } catch (error) {
        if (error instanceof MasterError && error.code !== 'unreachable' && error.code !== 'unavailable') throw error;
        reason = error instanceof Error ? error.message : String(error);
        this.passOver(url);
        if (options.once && attempt + 1 >= this.urls.length) break;
        if ((attempt + 1) % this.urls.length === 0) await pause(Math.min(200, Math.max(0, deadline - performance.now())));
      }
    }
    throw new MasterError('unreachable', this.#unreachable(reason));
  }

  #once(url: string, options: RequestOptions, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
      const secure = url.startsWith('https:');
      const req = (secure ? https : http).request(`${url}${options.path}`, {
        agent: this.#agents[secure ? 1 : 0],
        method: options.method,
        headers: {
          accept: 'application/problem+json, application/json',
          ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        },
      });
      const timer = setTimeout(() => req.destroy(new Error(`no answer within ${Math.round(timeoutMs)} ms`)), timeoutMs);
      const fail = (error: Error) => {
        clearTimeout(timer);
        reject(new MasterError('unreachable', reasonOf(error)));
      };
      req.on('error', fail);
      req.on('response', (res) => {
        const chunks: Buffer[] = [];
        let size = 0;
        res.on('error', fail);
        res.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER) req.destroy(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        res.on('end', () => {
          clearTimeout(timer);
          const text = Buffer.concat(chunks).toString('utf8');
          const status = res.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(jsonOf(text));
          else reject(refusal(url, status, text));
        });
      });
      req.end(payload);
    });
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }
}

/** netmaster's own sentence, as typed error. A 500 without a problem body is Contiv's plain text: its first line. */
function refusal(url: string, status: number, text: string): MasterError {
  const parsed = problem.safeParse(jsonOf(text));
  if (parsed.success) {
    const { code, detail } = parsed.data;
    // netmaster puts what to do about it on a line of its own.
    return new MasterError(isRefusal(code) ? code : 'internal', detail.trim().replaceAll(/\s*\n\s*/g, '; '));
  }
  const line = text.split('\n', 1)[0]?.slice(0, 500) ?? '';
  if (status === 503) return new MasterError('unavailable', line || `netmaster at ${url} is not ready`);
  return new MasterError('internal', line || `netmaster at ${url} answered with status ${status}`);
}

function jsonOf(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Node puts nothing useful into the message of an AggregateError (several addresses tried). */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((e) => (e instanceof Error ? e.message : String(e))).join('; ');
  return error.message;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
