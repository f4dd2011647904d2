import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, repository } from './lab.js';

/** A netmaster of the benchmark's own, on loopback. */
export interface Master {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts `bin/netmaster` on a store; `lmdb` means a new directory that goes with it. */
export async function startMaster(store: 'lmdb' | `etcd://${string}`, port: number): Promise<Master> {
  const dir = await mkdtemp(join(tmpdir(), 'contiv-bench-'));
  const url = `http://127.0.0.1:${port}`;
  const flags = ['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', '--log-level', 'ERROR'];
  const child: ChildProcess = spawn(
    process.execPath,
    [
      `${repository}/build/netmaster.cjs`,
      ...flags,
      '--external-address',
      `127.0.0.1:${port}`,
      '--store',
      store === 'lmdb' ? `lmdb://${dir}` : store,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const client = new Client(url);
  await eventually('netmaster of the benchmark', () => client.get('/api/v1/globals/global/'));
  client.close();
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      await gone;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Small keep-alive HTTP client; an answer other than 2xx is an error. */
export class Client {
  readonly #agent: http.Agent;
  readonly #base: string;

  constructor(base: string, sockets = 64) {
    this.#base = base;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: sockets });
  }

  get = (path: string): Promise<string> => this.#send('GET', path);
  post = (path: string, body: unknown): Promise<string> => this.#send('POST', path, JSON.stringify(body));
  delete = (path: string): Promise<string> => this.#send('DELETE', path);
  close = (): void => this.#agent.destroy();

  #send(method: string, path: string, body?: string): Promise<string> {
    return new Promise((done, fail) => {
      const request = http.request(
        this.#base + path,
        {
          method,
          agent: this.#agent,
          headers: body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            if (response.statusCode !== undefined && response.statusCode < 300) done(text);
            else fail(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`));
          });
        },
      );
      request.on('error', fail);
      request.end(body);
    });
  }
}

/** Runs `count` jobs, `width` at a time; answers jobs per second. */
export async function rate(count: number, width: number, job: (i: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < count) await job(next++);
    }),
  );
  return count / ((performance.now() - start) / 1000);
}
