/** Starts and stops the services of the host this process runs in: `service NAME start|stop|restart|kill|status`. */
import { spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { serves } from './effects/probe.js';
import { dateOf, kill, startTime, until } from './effects/processes.js';
import { LabError } from './plan/options.js';
import { SERVICE_ALIASES, type Service, serviceSchema } from './plan/services.js';
import { type UnitFacts, unitStatus } from './plan/unit-status.js';

export const ACTIONS = ['start', 'stop', 'restart', 'kill', 'status'] as const;
export type Action = (typeof ACTIONS)[number];

const pidSchema = z.object({ pid: z.int().positive(), startTime: z.number() });

export class ServiceControl {
  readonly #dir: string;
  /** `dir`: the host's directory (`HostPlan.dir`). */
  constructor(dir: string) {
    this.#dir = dir;
  }

  async names(): Promise<string[]> {
    const files = await readdir(join(this.#dir, 'services')).catch(() => []);
    return files.filter((f) => f.endsWith('.json')).map((f) => f.slice(0, -5));
  }

  async load(name: string): Promise<Service> {
    const known = await this.names();
    const found = known.find((k) => k === (SERVICE_ALIASES[name] ?? name));
    if (found === undefined) throw new LabError(`${name}: unrecognized service; this host has ${known.join(', ') || 'none'}`);
    return serviceSchema.parse(JSON.parse(await readFile(join(this.#dir, 'services', `${found}.json`), 'utf8')));
  }

  /** What the pid file says: the process number inside the host, and when that process began. */
  async recorded(name: string): Promise<{ pid: number; startTime: number } | undefined> {
    const text = await readFile(this.#pidFile(name), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : pidSchema.safeParse(JSON.parse(text)).data;
  }

  /** Process number as this process sees it, when the service runs. */
  async pid(name: string): Promise<number | undefined> {
    const recorded = await this.recorded(name);
    return recorded && (await startTime(recorded.pid)) === recorded.startTime ? recorded.pid : undefined;
  }

  /** Starts it unless it runs, and waits until it serves. */
  async start(service: Service): Promise<'started' | 'running'> {
    if ((await this.pid(service.name)) !== undefined) return 'running';
    await mkdir(join(this.#dir, 'log'), { recursive: true });
    const log = await open(this.logFile(service.name), 'a');
    const from = (await log.stat()).size;
    await log.write(`--- ${new Date().toISOString()} ${service.argv.join(' ')}\n`);
    const [file = '', ...args] = service.argv;
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      cwd: '/',
      env: { ...process.env, ...service.env },
    });
    const spawned = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(new LabError(`${service.name} does not start: ${error.message}`)));
    });
    try {
      await spawned;
    } finally {
      await log.close();
    }
    const pid = child.pid ?? 0;
    let ended: string | undefined;
    child.once('exit', (code, signal) => {
      ended = signal === null ? `exit code ${code}` : signal;
    });
    // At once: others look at it meanwhile.
    await writeFile(`${this.#pidFile(service.name)}.new`, JSON.stringify({ pid, startTime: (await startTime(pid)) ?? 0 }));
    await rename(`${this.#pidFile(service.name)}.new`, this.#pidFile(service.name));
    child.unref();
    const ready = await until(async () => ended !== undefined || (await serves(service.ready)), service.startTimeout * 1000, 50);
    if (ready && ended === undefined) return 'started';
    const said = (await readFile(this.logFile(service.name))).subarray(from).toString('utf8').trim().split('\n').slice(-5).join('\n');
    const why = ended === undefined ? `does not serve within ${service.startTimeout} s` : `ended at once (${ended})`;
    throw new LabError(`${service.name} ${why}; its log, ${this.logFile(service.name)}, ends with:\n${said}`);
  }

  /** Politely, then by force; `kill` is the force alone, as of a crash. */
  async stop(service: Service, how: 'stop' | 'kill' = 'stop'): Promise<'stopped' | 'not running'> {
    const pid = await this.pid(service.name);
    if (pid !== undefined) {
      const gone = async () => (await this.pid(service.name)) === undefined;
      kill(pid, how === 'kill' ? 'SIGKILL' : 'SIGTERM');
      if (!(await until(gone, service.stopTimeout * 1000, 20))) {
        kill(pid, 'SIGKILL');
        if (!(await until(gone, 10_000, 20))) throw new LabError(`${service.name} (process ${pid}) does not end, not even by SIGKILL`);
      }
    }
    await rm(this.#pidFile(service.name), { force: true });
    return pid === undefined ? 'not running' : 'stopped';
  }

  serves(service: Service): Promise<boolean> {
    return serves(service.ready);
  }

  /** What `status` tells. */
  async facts(service: Service): Promise<UnitFacts> {
    const { name, ready } = service;
    const recorded = await this.recorded(name);
    const pid = await this.pid(name);
    const log = (await readFile(this.logFile(name), 'utf8').catch(() => ''))
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('--- '));
    return {
      name,
      file: join(this.#dir, 'services', `${name}.json`),
      // Whoever stops it takes the pid file away.
      state: pid !== undefined ? 'running' : recorded ? 'failed' : 'stopped',
      ...(pid === undefined || !recorded ? {} : { pid, since: await dateOf(recorded.startTime) }),
      serving: pid !== undefined && (await serves(ready)),
      serves: ready.kind === 'http' ? ready.url : ready.kind === 'socket' ? ready.path : '-',
      cgroup: (await readFile(`/proc/${pid ?? 'self'}/cgroup`, 'utf8').catch(() => '')).trim().split('\n').at(-1)?.split(':')[2] ?? '/',
      argv: service.argv,
      log: log.slice(-10),
    };
  }

  logFile(name: string): string {
    return join(this.#dir, 'log', `${name}.log`);
  }

  #pidFile(name: string): string {
    return join(this.#dir, 'run', `${name}.json`);
  }
}

/** The command line inside a host; answers the exit code (3 for a stopped service, as LSB says). */
export async function hostService(dir: string, name: string, action: Action): Promise<number> {
  const control = new ServiceControl(dir);
  const service = await control.load(name);
  switch (action) {
    case 'start':
      process.stdout.write(`${service.name}: ${await control.start(service)}\n`);
      return 0;
    case 'stop':
    case 'kill':
      process.stdout.write(`${service.name}: ${await control.stop(service, action)}\n`);
      return 0;
    case 'restart':
      await control.stop(service);
      process.stdout.write(`${service.name}: re${await control.start(service)}\n`);
      return 0;
    case 'status': {
      const unit = await control.facts(service);
      process.stdout.write(unitStatus(unit, new Date(), process.stdout.columns));
      return unit.state === 'running' ? 0 : 3;
    }
  }
}
