/** A lab of the test's own in a network namespace of its own: real hosts, real engines, nothing shared with a lab that is up elsewhere. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  commandIn,
  type HostProcesses,
  hostProcesses,
  type Lab,
  LabError,
  type LabStatus,
  labNames,
  MODERN_ROOT,
  requireLab,
} from '@contiv/lab';
import { type Result, type RunOptions, run, succeed } from './run.js';

export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
export const MASTER = 'legacy-swarm-master';
export const WORKER = 'legacy-swarm-worker0';
export const WORKER1 = 'legacy-swarm-worker1';
export const ADDRESS: Readonly<Record<string, string>> = {
  [MASTER]: '192.168.2.50',
  [WORKER]: '192.168.2.51',
  [WORKER1]: '192.168.2.52',
};
export const NETMASTER = `http://${ADDRESS[MASTER]}:9999`;

/** Engines the hosts tests run on: all of them, or those of `E2E_ENGINES` (comma-separated). */
export const ENGINES = (process.env.E2E_ENGINES ?? 'system,modern').split(',');

/** The CLI speaks plainly whatever the caller's environment says. */
const QUIET = { DOCKER_CLI_HINTS: 'false', DOCKER_BUILDKIT: '0', NO_COLOR: '1' };

export class Rig {
  readonly name: string;
  readonly #children: ChildProcess[] = [];

  /** @param name 1 to 11 lower-case letters, digits and hyphens; one rig of a name at a time. */
  constructor(name: string) {
    this.name = name;
  }

  get #netns(): string {
    return `e2e-${this.name}`;
  }

  async up(...options: readonly string[]): Promise<void> {
    // What an interrupted run has left would be taken for ours.
    await this.down();
    await succeed('ip netns add', run('ip', ['netns', 'add', this.#netns]));
    await succeed('ip link', this.inside(['ip', 'link', 'set', 'lo', 'up']));
    await this.lab('up', ...options);
  }

  async down(): Promise<void> {
    for (const child of this.#children.splice(0)) child.kill('SIGKILL');
    await this.tryLab('down', '--quiet');
    await run('ip', ['netns', 'del', this.#netns]);
  }

  /** In the namespace the lab was started from, which reaches the hosts' addresses. */
  inside(argv: readonly string[], options?: RunOptions): Promise<Result> {
    return run('nsenter', [`--net=/run/netns/${this.#netns}`, ...argv], options);
  }

  readonly labProgram = `${ROOT}bin/lab`;

  tryLab(...args: readonly string[]): Promise<Result> {
    return this.tryLabWith({}, ...args);
  }

  tryLabWith(options: RunOptions, ...args: readonly string[]): Promise<Result> {
    return this.inside([this.labProgram, ...args], {
      timeoutMs: 180_000,
      ...options,
      env: { CONTIV_LAB: this.name, ...QUIET, ...options.env },
    });
  }

  lab(...args: readonly string[]): Promise<string> {
    return succeed(`lab ${args.join(' ')}`, this.tryLab(...args));
  }

  async status(): Promise<LabStatus> {
    return JSON.parse(await this.lab('status', '--json')) as LabStatus;
  }

  /** A command in a host, or in a station. */
  async tryOn(host: string, ...argv: readonly string[]): Promise<Result> {
    try {
      const [file = '', ...args] = await this.entering(host, ...argv);
      return await run(file, args, { timeoutMs: 180_000 });
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      return { code: 1, stdout: '', stderr: error.message, text: error.message };
    }
  }

  /** What `bin/lab exec` would run, without the program that finds it out: tests do this thousands of times. */
  entering(host: string, ...argv: readonly string[]): Promise<string[]> {
    return commandIn(labNames(this.name), host, argv);
  }

  on(host: string, ...argv: readonly string[]): Promise<string> {
    return succeed(`${host}: ${argv.join(' ')}`, this.tryOn(host, ...argv));
  }

  /** A container's first process, as its host numbers it: `nsenter -t PID -n` there enters the container's network. */
  pidOf(host: string, container: string): Promise<string> {
    return this.docker(host, 'inspect', '--format', '{{.State.Pid}}', container);
  }

  /** What `DOCKER_HOST` has to be for a host's engine. */
  engine(host: string): string {
    return `tcp://${ADDRESS[host]}:2385`;
  }

  /** Where a host's agent answers. */
  agent(host: string): string {
    return `http://${ADDRESS[host]}:9090`;
  }

  /** `start`, `stop`, `restart`, `kill` (a crash) or `status` of one service of a host. */
  service(host: string, name: string, action: 'start' | 'stop' | 'restart' | 'kill' | 'status'): Promise<string> {
    return this.on(host, 'service', name, action);
  }

  /** Gives a service other environment variables from its next start on. */
  async setEnvironment(host: string, name: string, env: Readonly<Record<string, string>>): Promise<void> {
    const file = await this.serviceFile(host, name);
    const service = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...service, env }));
  }

  /** The same for its command line. */
  async setArguments(host: string, name: string, change: (argv: readonly string[]) => readonly string[]): Promise<void> {
    const file = await this.serviceFile(host, name);
    const service = JSON.parse(await readFile(file, 'utf8')) as { readonly argv: readonly string[] };
    await writeFile(file, JSON.stringify({ ...service, argv: change(service.argv) }));
  }

  /** Where the lab keeps how a service is run. */
  async serviceFile(host: string, name: string): Promise<string> {
    return join(await this.dir(host), 'services', `${name}.json`);
  }

  /** What a host has on its disk: a directory for each program, `netplugin`, `netmaster`, `etcd`, `docker`. */
  async dir(host: string): Promise<string> {
    return (await this.#processes(host)).dir;
  }

  /** Process number of a service on this machine. */
  async pid(host: string, name: string): Promise<number> {
    const pid = (await this.#processes(host)).services.get(name);
    if (pid === undefined) throw new Error(`${name} does not run on ${host}`);
    return pid;
  }

  /** A path inside a host, as this process reaches it. */
  async path(host: string, inside: string): Promise<string> {
    return `/proc/${(await this.#processes(host)).init}/root${inside}`;
  }

  #processes(host: string): Promise<HostProcesses> {
    return hostProcesses(labNames(this.name), host);
  }

  /** What the lab was asked to be, hosts that are lost included. */
  plan(): Promise<Lab> {
    return requireLab(labNames(this.name));
  }

  /** What an API of the lab answers to GET. */
  async get(url: string): Promise<unknown> {
    return JSON.parse(await succeed(`GET ${url}`, this.inside(['curl', '-sSf', '--max-time', '10', url])));
  }

  /** The machine's docker CLI against a host's engine, or against any other endpoint (`tcp://…`). */
  tryDocker(host: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const endpoint = host.includes('://') ? host : this.engine(host);
    return this.inside(['docker', ...args], { ...options, env: { ...QUIET, DOCKER_HOST: endpoint, ...options.env } });
  }

  docker(host: string, ...args: readonly string[]): Promise<string> {
    return succeed(`${host}: docker ${args.join(' ')}`, this.tryDocker(host, args, { timeoutMs: 120_000 }));
  }

  /** `docker compose` of the modern engine's root, against any host's engine. */
  compose(host: string, ...args: readonly string[]): Promise<string> {
    const loader =
      'exec "$0"/lib64/ld-linux-*.so.* --library-path "$0/usr/lib/$(uname -m)-linux-gnu" "$0/usr/libexec/docker/cli-plugins/docker-compose" "$@"';
    const argv = ['sh', '-c', loader, MODERN_ROOT, ...args];
    return succeed(
      `compose ${args.join(' ')}`,
      this.inside(argv, { env: { ...QUIET, DOCKER_HOST: this.engine(host) }, timeoutMs: 120_000 }),
    );
  }

  tryNetctl(...args: readonly string[]): Promise<Result> {
    return this.inside([`${ROOT}bin/netctl`, '--netmaster', NETMASTER, ...args], { env: QUIET });
  }

  netctl(...args: readonly string[]): Promise<string> {
    return succeed(`netctl ${args.join(' ')}`, this.tryNetctl(...args));
  }

  /** A program that runs beside the test, in the lab's outer namespace; ended with the rig at the latest. */
  spawn(argv: readonly string[], input: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
    const child = spawn('nsenter', [`--net=/run/netns/${this.#netns}`, ...argv], {
      stdio: [input, 'pipe', 'pipe'],
      env: { ...process.env, CONTIV_LAB: this.name, ...QUIET },
    });
    this.#children.push(child);
    return child;
  }
}
