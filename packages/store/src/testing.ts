import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real etcd for tests: on loopback, in a temporary directory, on ports that were free. */
export interface TestEtcd {
  /** For `openStore`, with every member. */
  readonly url: string;
  /** `host:port` of each member. */
  readonly endpoints: readonly string[];
  /** Process of a member, for signals; undefined while it is down. */
  pid(member?: number): number | undefined;
  /** SIGKILL, and wait until it is gone. */
  kill(member?: number): Promise<void>;
  /** Starts a killed member on its data again, and waits until it serves. */
  restart(member?: number): Promise<void>;
  /** SIGSTOP, and wait until every thread stands: connections stay and nobody answers. */
  pause(member?: number): Promise<void>;
  resume(member?: number): void;
  /** Kills all and removes the data. */
  close(): Promise<void>;
}

export interface TestEtcdOptions {
  readonly members?: number;
  /** More flags for every member, such as `--enable-v2`. */
  readonly flags?: readonly string[];
  /** Key prefix in `url`. */
  readonly prefix?: string;
  /** PEM files: clients must then come with a certificate signed by `ca`. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** Needs `etcd` (Debian: etcd-server). */
export async function startEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const count = options.members ?? 1;
  const directory = mkdtempSync(join(tmpdir(), 'contiv-etcd-'));
  const ports = new Set<number>();
  while (ports.size < count * 3) ports.add(await freePort());
  const [...port] = ports;
  const client = (i: number) => `127.0.0.1:${port[i * 3]}`;
  const peer = (i: number) => `http://127.0.0.1:${port[i * 3 + 1]}`;
  // Health is asked for here, so that it needs no certificate.
  const metrics = (i: number) => `http://127.0.0.1:${port[i * 3 + 2]}`;
  const { tls } = options;
  const scheme = tls === undefined ? 'http' : 'https';
  const secure =
    tls === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.ca, '--cert-file', tls.cert, '--key-file', tls.key];
  const indexes = Array.from({ length: count }, (_, i) => i);
  const processes = new Map<number, ChildProcess>();

  const run = (i: number) => {
    const child = spawn(
      'etcd',
      [
        '--name',
        `m${i}`,
        '--data-dir',
        join(directory, `m${i}`),
        '--listen-client-urls',
        `${scheme}://${client(i)}`,
        '--advertise-client-urls',
        `${scheme}://${client(i)}`,
        '--listen-metrics-urls',
        metrics(i),
        '--listen-peer-urls',
        peer(i),
        '--initial-advertise-peer-urls',
        peer(i),
        '--initial-cluster',
        indexes.map((j) => `m${j}=${peer(j)}`).join(','),
        ...secure,
        ...(options.flags ?? []),
      ],
      { stdio: 'ignore' },
    );
    child.on('error', () => undefined);
    processes.set(i, child);
  };
  const kill = async (i: number) => {
    const child = processes.get(i);
    processes.delete(i);
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const close = async () => {
    process.off('exit', killAll);
    await Promise.all(indexes.map(kill));
    rmSync(directory, { recursive: true, force: true });
  };
  const killAll = () => {
    for (const child of processes.values()) child.kill('SIGKILL');
  };
  process.on('exit', killAll);

  for (const i of indexes) run(i);
  try {
    await Promise.all(indexes.map((i) => healthy(metrics(i))));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url: `${tls === undefined ? 'etcd' : 'https'}://${indexes.map(client).join(',')}${options.prefix ?? ''}`,
    endpoints: indexes.map(client),
    pid: (member = 0) => processes.get(member)?.pid,
    kill: (member = 0) => kill(member),
    restart: async (member = 0) => {
      await kill(member);
      run(member);
      await healthy(metrics(member));
    },
    pause: async (member = 0) => {
      const child = processes.get(member);
      child?.kill('SIGSTOP');
      while (child?.pid !== undefined && !(await stands(child.pid))) await new Promise((wake) => setTimeout(wake, 10));
    },
    resume: (member = 0) => void processes.get(member)?.kill('SIGCONT'),
    close,
  };
}

/** Are all threads of the process stopped? On a busy machine that takes its time. */
async function stands(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const states = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'latin1').catch(() => '')));
  return states.every((stat) => stat === '' || /\) [TtZX] /.test(stat));
}

async function healthy(endpoint: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      const response = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(2000) });
      if (response.ok && (await response.text()).includes('"true"')) return;
    } catch {
      // Not up yet.
    }
    if (performance.now() > deadline)
      throw new Error(`etcd at ${endpoint} does not answer within 60 s; is Debian's etcd-server installed?`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A port of 127.0.0.1 for somebody who binds it later: below those that the kernel gives to connections meanwhile. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer().listen({ port, host: '127.0.0.1', exclusive: true });
    const listens = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!listens) continue;
    await new Promise((closed) => server.close(closed));
    return port;
  }
}
