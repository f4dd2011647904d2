/** HTTP to a Docker Engine over its unix socket, TCP or TLS: keep-alive, bounded in time and size. */
import http from 'node:http';
import https from 'node:https';

/** An engine that could not be asked, or that refused; `status` is 0 when no answer came. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface EngineAddress {
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
}

/** `unix:///path`, `tcp://host:port` or `http://host:port`; throws `EngineError` for anything else. */
export function parseEngineAddress(text: string): EngineAddress {
  const unix = /^unix:\/\/(\/.+)$/.exec(text);
  if (unix?.[1] !== undefined) return { socketPath: unix[1] };
  const tcp = /^(?:tcp|http):\/\/(\[[0-9a-fA-F:]+\]|[^:/[\]]+):(\d{1,5})\/?$/.exec(text);
  const port = Number(tcp?.[2]);
  if (tcp?.[1] !== undefined && port >= 1 && port <= 65535) return { host: tcp[1].replace(/^\[|\]$/g, ''), port };
  throw new EngineError(0, `docker host "${text}" is neither unix:///PATH nor tcp://HOST:PORT`);
}

const MAX_BODY = 64 * 1024 * 1024;

/** PEM texts, as `dockerd --tlsverify` wants them of its clients. */
export interface EngineTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface EngineOptions {
  /** For TCP only. */
  readonly tls?: EngineTls;
  /** Requests at a time. */
  readonly maxSockets?: number;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export class Transport {
  readonly #address: EngineAddress & Partial<EngineTls>;
  readonly #request: typeof http.request;
  readonly #agent: http.Agent;
  readonly #where: string;
  /** Ends of the requests that have no answer yet. */
  readonly #underWay = new Set<(error: Error) => void>();
  #closed = false;

  constructor(address: string, { tls, maxSockets = 8 }: EngineOptions = {}) {
    const parsed = parseEngineAddress(address);
    const secured = tls !== undefined && parsed.socketPath === undefined;
    this.#address = secured ? { ...parsed, ...tls } : parsed;
    this.#request = secured ? https.request : http.request;
    this.#where = address;
    const settings = { keepAlive: true, maxSockets, timeout: 60_000 };
    this.#agent = secured ? new https.Agent(settings) : new http.Agent(settings);
  }

  #failure(error: Error): EngineError {
    return new EngineError(0, `Docker Engine at ${this.#where} does not answer: ${error.message}`);
  }

  /** One request and its whole answer; given up when `signal` is aborted. */
  request(method: string, path: string, body: unknown, timeoutMs: number, signal?: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw this.#failure(new Error('it is not asked any more'));
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
      const options = { ...this.#address, agent: this.#agent, method, path, headers, ...(signal === undefined ? {} : { signal }) };
      const req = this.#request(options, (res) => {
        const chunks: Buffer[] = [];
        let size = 0;
        res.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BODY) req.destroy(new Error(`answer to ${method} ${path} is larger than ${MAX_BODY} bytes`));
          else chunks.push(chunk);
        });
        res.on('end', () => {
          settle();
          resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks) });
        });
        res.on('error', (error) => fail(error));
      });
      const settle = () => {
        clearTimeout(timer);
        this.#underWay.delete(giveUp);
      };
      const fail = (error: Error) => {
        settle();
        reject(this.#failure(error));
      };
      // One that waits for a connection hears of its end only with that.
      const giveUp = (error: Error) => {
        req.destroy();
        fail(error);
      };
      this.#underWay.add(giveUp);
      const timer = setTimeout(() => req.destroy(new Error(`no answer to ${method} ${path} within ${timeoutMs} ms`)), timeoutMs);
      req.on('error', fail);
      req.end(payload);
    });
  }

  /**
   * An answer without end, on a connection of its own. `line` gets each line as it comes; resolves when the engine ends it, rejects when
   * the connection breaks, is silent to the first byte for 10 s, or `signal` is aborted.
   */
  stream(path: string, opened: () => void, line: (text: string) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const req = this.#request({ ...this.#address, agent: false, method: 'GET', path, signal }, (res) => {
        clearTimeout(timer);
        if (res.statusCode !== 200) {
          req.destroy(new Error(`GET ${path} was answered with status ${res.statusCode}`));
          return;
        }
        opened();
        let rest = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > MAX_BODY) req.destroy(new Error('a line without end'));
          for (const text of lines) if (text.trim() !== '') line(text);
        });
        res.on('end', resolve);
        res.on('error', (error) => reject(this.#failure(error)));
      });
      const timer = setTimeout(() => req.destroy(new Error('no answer within 10000 ms')), 10_000);
      req.on('error', (error) => {
        clearTimeout(timer);
        reject(this.#failure(error));
      });
      req.end();
    });
  }

  /** Gives up what has no answer yet, and asks nothing more. Streams end with their signal. */
  close(): void {
    this.#closed = true;
    for (const giveUp of this.#underWay) giveUp(new Error('it is not waited for any more'));
    this.#agent.destroy();
  }
}
