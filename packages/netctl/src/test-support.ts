/** A scripted netmaster that writes down what it is asked, and a terminal that keeps what is written. For tests. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Io } from './io.js';
import { run } from './run.js';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly token: string | undefined;
}

export interface Reply {
  readonly status?: number;
  readonly type?: string;
  /** Text as it is, anything else as JSON. */
  readonly body: unknown;
}

export class ScriptedServer {
  readonly asked: Asked[] = [];
  readonly replies = new Map<string, Reply>();
  url = '';
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void readBody(request).then((body) => {
        const method = request.method ?? '';
        const path = request.url ?? '';
        const token = request.headers['x-auth-token'];
        this.asked.push({ method, path, body, token: typeof token === 'string' ? token : undefined });
        const reply = this.replies.get(`${method} ${path}`) ?? (method === 'GET' ? NOT_FOUND : { body: '{}' });
        response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/json' });
        response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
      });
    });
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    this.url = `http://127.0.0.1:${address.port}`;
    return this;
  }

  /** Answers GET of the path with the value. */
  get(path: string, body: unknown): this {
    this.replies.set(`GET ${path}`, { body });
    return this;
  }

  on(request: string, reply: Reply): this {
    this.replies.set(request, reply);
    return this;
  }

  /** Requests that change something. */
  get changes(): Asked[] {
    return this.asked.filter((a) => a.method !== 'GET');
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

const NOT_FOUND: Reply = { status: 404, type: 'text/plain', body: '404 page not found\n' };

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : JSON.parse(text);
}

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly terminal?: boolean;
  /** Standard output is one, too, and is printed anew there. */
  readonly outTerminal?: boolean;
  /** Height of it. */
  readonly rows?: number;
  readonly home?: string;
  /** Files by path, besides those that are there; `-` is standard input. */
  readonly files?: Readonly<Record<string, string>>;
  /** Lines the user types. */
  readonly typed?: readonly string[];
}

/** Runs the command line in this process. */
export async function netctl(
  argv: readonly string[],
  { env = {}, terminal = true, outTerminal = false, rows, home = '/nonexistent', typed = [], files = {} }: Surroundings = {},
): Promise<Outcome> {
  let out = '';
  let err = '';
  const left = [...typed];
  const io: Io = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env: { TERM: 'dumb', ...env },
    errTerminal: terminal,
    outTerminal,
    rows,
    home,
    now: () => new Date('2026-01-02T03:04:05.678Z'),
    read: (path) => (files[path] === undefined ? readFile(path, 'utf8') : Promise.resolve(files[path])),
    ask: (question) => {
      out += question;
      return Promise.resolve(left.shift());
    },
  };
  return { status: await run(argv, io), out, err };
}

/** A tenant, a network and a group as netmaster answers them. */
export const tenantOf = (name: string) => ({ key: name, tenantName: name, 'link-sets': {} });

export const networkOf = (tenant: string, name: string, more: object = {}) => ({
  key: `${tenant}:${name}`,
  tenantName: tenant,
  networkName: name,
  nwType: 'data',
  encap: 'vxlan',
  subnet: '10.1.2.0/24',
  'link-sets': {},
  links: { Tenant: { type: 'tenant', key: tenant } },
  ...more,
});

export const groupOf = (tenant: string, name: string, network: string, more: object = {}) => ({
  key: `${tenant}:${name}`,
  tenantName: tenant,
  groupName: name,
  networkName: network,
  'link-sets': {},
  links: { AppProfile: {}, NetProfile: {}, Network: {}, Tenant: {} },
  ...more,
});
