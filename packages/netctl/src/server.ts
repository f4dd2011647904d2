/** The netmaster that was asked for, connected on first use. */
import { join } from 'node:path';
import type { RestClient } from '@contiv/client';
import type { Values } from './cli/values.js';
import type { Io } from './io.js';
import { DEFAULT_NETMASTER } from './tree/flags.js';

/** Loaded when a command needs it. */
const connection = () => import('./connection.js');

export interface Limits {
  readonly connectTimeoutMs?: number;
  readonly timeoutMs?: number;
}

export class Server {
  /** As given, maybe several with commas between. */
  readonly address: string;
  readonly insecure: boolean;
  readonly tokenFile: string;
  #client: RestClient | undefined;

  constructor(flags: Values, { env, home }: Pick<Io, 'env' | 'home'>) {
    const fromEnv = env.NETMASTER === undefined || env.NETMASTER === '' ? DEFAULT_NETMASTER : env.NETMASTER;
    this.address = flags.has('netmaster') ? flags.text('netmaster') : fromEnv;
    this.insecure = flags.has('insecure') ? flags.on('insecure') : /^(1|t|true)$/i.test(env.INSECURE ?? '');
    this.tokenFile = join(home, '.netctl', 'config.json');
  }

  /** Base addresses; throws `UrlError`. */
  async urls(): Promise<string[]> {
    const { parseUrls } = await connection();
    return parseUrls(this.address);
  }

  /** With the token of the last login, if there was one. */
  async client(limits: Limits = {}): Promise<RestClient> {
    if (this.#client) return this.#client;
    const { readToken } = await import('./token.js');
    const urls = await this.urls();
    const token = await readToken(this.tokenFile, urls);
    this.#client = await this.#connect(urls, token, limits);
    return this.#client;
  }

  /** Without a token. */
  async anonymous(): Promise<RestClient> {
    this.#client ??= await this.#connect(await this.urls(), undefined);
    return this.#client;
  }

  close(): void {
    this.#client?.close();
  }

  async #connect(urls: readonly string[], token: string | undefined, limits: Limits = {}): Promise<RestClient> {
    const { RestClient, VERSION } = await connection();
    return new RestClient({
      urls,
      userAgent: `netctl/${VERSION}`,
      insecure: this.insecure,
      ...limits,
      ...(token === undefined ? {} : { token }),
    });
  }
}
