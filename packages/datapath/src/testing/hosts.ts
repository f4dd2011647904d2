/**
 * Hosts and containers as network namespaces of this machine, the containers' interfaces made by the data path under test. A host also has
 * a mount namespace, and so a BPF file system of its own; every data path runs in a process inside.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rename } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Netlink } from '@contiv/netlink';
import { AF_PACKET, bind, close, isErrno, MSG_DONTWAIT, recv, SOCK_NONBLOCK, SOCK_RAW, sendTo, socket, withNetns } from '@contiv/syscall';
import { build } from 'esbuild';
import type { DatapathPort } from '../contract.js';
import type { Calls, Request, Response } from './worker.js';

const run = promisify(execFile);
/** The worker as one file: a process that starts from it is there in a fifth of the time. It lies where the packages' own binaries are found. */
const WORKER = fileURLToPath(new URL('../../dist/testing/worker.bundle.mjs', import.meta.url));
let bundled: Promise<void> | undefined;
const bundleWorker = (): Promise<void> => {
  bundled ??= (async () => {
    // Workers of another test file may be starting from it: it is replaced at once.
    const outfile = `${WORKER}.${process.pid}`;
    await build({
      entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['source'],
      external: ['koffi'],
      logLevel: 'warning',
    });
    await rename(outfile, WORKER);
  })();
  return bundled;
};
const ETH_P_ALL = 3;

/** `ip -batch`: many changes, one process. */
export const ip = (netns: string, ...lines: readonly string[]): void =>
  void execFileSync('ip', ['-n', netns, '-batch', '-'], { input: `${lines.join('\n')}\n` });

const sysctl = (netns: string, ...settings: readonly (readonly [path: string, value: number])[]): void => {
  const script = settings.map(([path, value]) => `echo ${value} >/proc/sys/net/${path}`).join(' && ');
  execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'sh', '-c', script]);
};

/** A network namespace with a random name. */
export class Namespace {
  readonly name: string;
  readonly path: string;

  constructor(what: string) {
    this.name = `dp${what}-${randomBytes(3).toString('hex')}`;
    this.path = `/run/netns/${this.name}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    ip(this.name, 'link set lo up');
  }

  async sh(script: string): Promise<string> {
    const { stdout } = await run('nsenter', [`--net=${this.path}`, 'sh', '-c', script], { timeout: 60_000 });
    return stdout;
  }

  /** Answers how many of the requests were answered. Where none should be, `options` say how long to wait. */
  async ping(address: string, options = '-c 1 -W 10'): Promise<number> {
    const out = await this.sh(`ping -n ${options} ${address} 2>&1 || true`);
    return Number(/(\d+) (?:packets )?received/.exec(out)?.[1] ?? 0);
  }

  /** Two hundred echo requests a second until told to stop. */
  pinging(address: string): Pinging {
    const child = spawn('nsenter', [`--net=${this.path}`, 'ping', '-n', '-i', '0.005', address], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    const numbers = () => new Set([...out.matchAll(/bytes from .*icmp_seq=(\d+)/g)].map(([, n]) => Number(n)));
    return {
      answered: async (more) => {
        const enough = numbers().size + more;
        for (let i = 0; i < 1_500 && numbers().size < enough; i++) await new Promise((wake) => setTimeout(wake, 20));
      },
      stop: async () => {
        const gone = once(child, 'close');
        child.kill('SIGINT');
        await gone;
        const answered = numbers();
        return { answered: answered.size, lost: Math.max(0, ...answered) - answered.size };
      },
    };
  }

  remove(): void {
    execFileSync('ip', ['netns', 'del', this.name]);
  }
}

export interface Pinging {
  /** Waits until so many more were answered, half a minute at most. */
  readonly answered: (more: number) => Promise<void>;
  /** Ends it; answers how many were answered and how many were lost before the last answer. */
  readonly stop: () => Promise<{ readonly answered: number; readonly lost: number }>;
}

export interface WorkerOptions {
  readonly object?: string;
  /** Goes before `node`. */
  readonly prefix?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export class WorkerError extends Error {
  override readonly name = 'WorkerError';
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The process with the data path. */
export class Worker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (response: Response) => void>();
  #next = 1;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (response: Response) => {
      this.#waiting.get(response.id)?.(response);
      this.#waiting.delete(response.id);
    });
    child.on('exit', (code) => {
      for (const [id, done] of this.#waiting) done({ id, error: { name: 'exit', message: `worker ended with ${code}` } });
    });
  }

  call<C extends keyof Calls>(call: C, ...args: Parameters<Calls[C]>): Promise<Awaited<ReturnType<Calls[C]>>> {
    const request: Request = { id: this.#next++, call, args };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, (response) => {
        if ('error' in response) reject(new WorkerError(response.error.name, response.error.message));
        else resolve(response.value as Awaited<ReturnType<Calls[C]>>);
      });
      this.#child.send(request);
    });
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

export class Host extends Namespace {
  readonly #holder: ChildProcess;
  readonly #workers: Worker[] = [];

  private constructor(what: string, holder: (path: string) => ChildProcess) {
    super(what);
    this.#holder = holder(this.path);
  }

  static async make(what: string): Promise<Host> {
    const script = 'umount -l /sys/fs/bpf 2>/dev/null; echo ready; exec sleep 3600';
    const host = new Host(what, (path) =>
      spawn('nsenter', [`--net=${path}`, 'unshare', '-m', '--propagation', 'private', 'sh', '-c', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    if (host.#holder.stdout) await once(host.#holder.stdout, 'data');
    await bundleWorker();
    return host;
  }

  /** Runs inside the host's network and mount namespaces. */
  get #enter(): string[] {
    return [`--target=${this.#holder.pid}`, '--net', '--mount'];
  }

  /** With the host's own file systems. */
  async inside(script: string): Promise<string> {
    const { stdout } = await run('nsenter', [...this.#enter, 'sh', '-c', script], { timeout: 60_000 });
    return stdout;
  }

  worker({ object, prefix = [], env = {} }: WorkerOptions = {}): Worker {
    const child = spawn('nsenter', [...this.#enter, ...prefix, process.execPath, WORKER], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, ...(object === undefined ? {} : { CONTIV_BPF_OBJECT: object }), ...env },
    });
    const worker = new Worker(child);
    this.#workers.push(worker);
    return worker;
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    const gone = once(this.#holder, 'exit');
    this.#holder.kill('SIGKILL');
    await gone;
    this.remove();
  }
}

/** A container: a namespace whose `eth0` is the port's other end. */
export class Container extends Namespace {
  readonly port: DatapathPort;
  readonly peer: string;

  constructor(port: DatapathPort) {
    super('c');
    this.port = port;
    this.peer = `${port.name}p`;
    // Answers to groups are how a test sees that they arrive; questions for routers would be counted among its packets.
    sysctl(this.name, ['ipv4/icmp_echo_ignore_broadcasts', 0], ['ipv6/conf/default/router_solicitations', 0]);
  }

  /** As the engine does: moves the interface, names it, gives it its addresses. */
  plug(host: Host): void {
    ip(host.name, `link set ${this.peer} netns ${this.name} name eth0`);
    const { ip: address, ip6 } = this.port;
    const six = ip6 === undefined ? [] : [`address add ${ip6}/64 dev eth0 nodad`];
    ip(this.name, `address add ${address}/24 dev eth0`, ...six, 'link set eth0 up', 'route add 169.254.20.10 dev eth0 scope link');
  }
}

/** Raw frames in and out of an interface. */
export class Wire {
  readonly #fd: number;
  readonly #address: Buffer;
  readonly #buffer = Buffer.alloc(65_536);

  constructor(namespace: Namespace, name = 'eth0') {
    const netlink = Netlink.open(namespace.path);
    const link = netlink.link(name);
    netlink.close();
    if (!link) throw new Error(`${namespace.name} has no ${name}`);
    // struct sockaddr_ll: family, protocol in network order, interface.
    this.#address = Buffer.alloc(20);
    this.#address.writeUInt16LE(AF_PACKET, 0);
    this.#address.writeUInt16BE(ETH_P_ALL, 2);
    this.#address.writeInt32LE(link.index, 4);
    this.#fd = withNetns(namespace.path, () => socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0));
    bind(this.#fd, this.#address);
  }

  send(frame: Uint8Array): void {
    sendTo(this.#fd, frame, this.#address);
  }

  /** Frames that arrived or left since the last call. */
  frames(): Buffer[] {
    const found: Buffer[] = [];
    for (;;) {
      try {
        found.push(Buffer.from(this.#buffer.subarray(0, recv(this.#fd, this.#buffer, MSG_DONTWAIT))));
      } catch (error) {
        if (isErrno(error, 'EAGAIN', 'EWOULDBLOCK')) return found;
        throw error;
      }
    }
  }

  close(): void {
    close(this.#fd);
  }
}

/** Joins two hosts by a veth pair. */
export function join(a: Namespace, b: Namespace, name: string, addresses: readonly (readonly [a: string, b: string])[]): void {
  ip(a.name, `link add ${name} type veth peer name ${name} netns ${b.name}`);
  for (const [namespace, end] of [
    [a, 0],
    [b, 1],
  ] as const) {
    const lines = addresses.map((pair) => `address add ${pair[end]} dev ${name}${pair[end].includes(':') ? ' nodad' : ''}`);
    ip(namespace.name, ...lines, `link set ${name} up`);
  }
}
