import type { ChildProcess } from 'node:child_process';
import { ADDRESS, Rig, ROOT } from '../rig/rig.js';
import { eventually, type Result, type RunOptions } from '../rig/run.js';

export const BUNDLE = `${ROOT}build/swarm.cjs`;
/** Refreshes and failure counts short enough for tests. */
export const QUICK = ['--engine-refresh-min-interval', '1s', '--engine-refresh-max-interval', '2s', '--engine-failure-retry', '2'];

/** Discovery of the engines of these hosts. */
export const nodesUrl = (...hosts: readonly string[]): string => `nodes://${hosts.map((host) => `${ADDRESS[host]}:2385`).join(',')}`;

/** Managers of the test's own beside the lab's engines, on the loopback of the namespace the lab was started from. */
export class SwarmRig extends Rig {
  /** What the managers have logged. */
  logs = '';

  manage(port: number, ...args: readonly string[]): ChildProcess {
    return this.#logged(['node', BUNDLE, 'manage', '-H', `127.0.0.1:${port}`, ...args]);
  }

  join(advertise: string, discovery: string): ChildProcess {
    return this.#logged(['node', BUNDLE, 'join', '--heartbeat', '1s', '--ttl', '5s', '--advertise', advertise, discovery]);
  }

  #logged(argv: readonly string[]): ChildProcess {
    const child = this.spawn(argv);
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (this.logs += String(chunk)));
    return child;
  }

  swarm(...args: readonly string[]): Promise<Result> {
    return this.inside(['node', BUNDLE, ...args]);
  }

  /** The docker CLI with this manager for its endpoint. */
  through(endpoint: number | string): Cli {
    return new Cli(this, typeof endpoint === 'number' ? `tcp://127.0.0.1:${endpoint}` : endpoint);
  }
}

/** The docker CLI against one endpoint. */
export class Cli {
  readonly #rig: Rig;
  readonly #endpoint: string;

  constructor(rig: Rig, endpoint: string) {
    this.#rig = rig;
    this.#endpoint = endpoint;
  }

  try(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.#rig.tryDocker(this.#endpoint, args, options);
  }

  async ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, text } = await this.try(args, { timeoutMs: 120_000 });
    if (code !== 0) throw new Error(`docker ${args.join(' ')} (exit code ${code}): ${text.trim()}`);
    return stdout.trim();
  }

  /** What the command says when it is refused; it must be. */
  async refused(...args: readonly string[]): Promise<string> {
    const { code, text } = await this.try(args);
    if (code === 0) throw new Error(`docker ${args.join(' ')} was to fail: ${text}`);
    return text;
  }

  async nodeOf(container: string): Promise<string> {
    return /"Name": "(legacy-swarm-\w+)"/.exec(await this.ok('inspect', container))?.[1] ?? '';
  }

  /** Sleeps for as long as the test may last. */
  sleeper(name: string, ...options: readonly string[]): Promise<string> {
    return this.ok('run', '-d', '--name', name, ...options, 'alpine', 'sleep', '3600');
  }

  healthy(count: number, withinMs = 60_000): Promise<void> {
    return eventually(
      `${count} healthy engines`,
      async () => {
        const { text } = await this.try(['info']);
        if (text.match(/Status: Healthy/g)?.length !== count) throw new Error(text);
      },
      withinMs,
    );
  }

  async removeContainers(): Promise<void> {
    const all = (await this.ok('ps', '-aq')).split('\n').filter((id) => id !== '');
    if (all.length > 0) await this.ok('rm', '-f', ...all);
  }
}
