/** A host's life: made, entered, lost. */
import { spawn } from 'node:child_process';
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hostPath, initScript, logDir, type PlannedFile, runDir } from '../plan/files.js';
import type { HostPlan } from '../plan/hosts.js';
import { isOwnNamespace } from '../plan/names.js';
import { LabError } from '../plan/options.js';
import { CommandError, type RunOptions, run } from './exec.js';
import { findInits, kill, startTime, until } from './processes.js';

/** Until a host's first process runs, on a machine under load. */
const STARTS_MS = 60_000;

/** Replaces the contents, not the file: bind mounts keep seeing it. */
export async function writeFiles(files: readonly PlannedFile[]): Promise<void> {
  for (const { path, text, mode } of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { mode });
  }
}

export const namespaceExists = (name: string): Promise<boolean> =>
  stat(join('/run/netns', name)).then(
    () => true,
    () => false,
  );

export async function ownNamespaces(lab: string): Promise<string[]> {
  return (await readdir('/run/netns').catch(() => [])).filter((name) => isOwnNamespace(lab, name));
}

export async function addNamespace(name: string): Promise<boolean> {
  if (await namespaceExists(name)) return false;
  await run(['ip', 'netns', 'add', name]);
  return true;
}

/** Runs `ip -batch` lines in a namespace, or here. */
export async function ipBatch(lines: readonly string[], namespace?: string): Promise<void> {
  const ip = namespace === undefined ? ['ip'] : ['ip', '-n', namespace];
  await run([...ip, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** Sets what exists; a kernel without a feature lacks its switch. */
export async function setSysctls(namespace: string, settings: readonly (readonly [string, string])[]): Promise<void> {
  const script = settings.map(([key, value]) => {
    const file = `/proc/sys/${key.replaceAll('.', '/')}`;
    return `[ ! -e ${file} ] || echo ${value} >${file}`;
  });
  await run(['nsenter', `--net=/run/netns/${namespace}`, 'sh', '-c', script.join('\n')]);
}

export async function initOf(lab: string, host: string): Promise<number | undefined> {
  return (await findInits()).find((init) => init.lab === lab && init.host === host)?.pid;
}

/** Starts a host's first process in namespaces of its own; answers its process number. Its network namespace exists and is cabled. */
export async function startInit(lab: string, host: HostPlan): Promise<number> {
  await mkdir(logDir(host), { recursive: true });
  await rm(runDir(host), { recursive: true, force: true });
  await mkdir(runDir(host), { recursive: true });
  const log = await open(join(logDir(host), 'init.log'), 'w');
  const argv = [`--net=/run/netns/${host.namespace}`].concat(
    ['unshare', '--mount', '--uts', '--pid', '--fork', '--mount-proc', '--propagation', 'private'],
    ['sh', initScript(host)],
  );
  const child = spawn('nsenter', argv, { detached: true, stdio: ['ignore', log.fd, log.fd], cwd: '/' });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let failed = false;
  void ended.then(() => {
    failed = true;
  });
  child.unref();
  await log.close();
  let pid: number | undefined;
  const look = async (): Promise<boolean> => {
    pid = await initOf(lab, host.name);
    return failed || pid !== undefined;
  };
  const ready = await until(look, STARTS_MS, 20);
  if (pid !== undefined) return pid;
  const said = (await readFile(join(logDir(host), 'init.log'), 'utf8').catch(() => '')).trim();
  throw new LabError(
    `host ${host.name} does not start${ready ? '' : ` within ${STARTS_MS / 1000} s`}: ${said || 'its first process ended'}`,
  );
}

/** Command that runs inside a host. */
export function enter(initPid: number, host: HostPlan, argv: readonly string[]): string[] {
  const env = [
    'env',
    '-i',
    `PATH=${hostPath(host)}`,
    'HOME=/root',
    `TERM=${process.env.TERM ?? 'dumb'}`,
    'LANG=C.UTF-8',
    `HOSTNAME=${host.name}`,
  ];
  return ['nsenter', '-t', String(initPid), '-m', '-u', '-n', '-p', '-r', '-w', ...env, ...argv];
}

export const runInside = (initPid: number, host: HostPlan, argv: readonly string[], options?: RunOptions): Promise<string> =>
  run(enter(initPid, host, argv), options);

/** Power loss: every process of the host ends at once with its first one, and its kernel objects with its namespaces. */
export async function killInit(pid: number): Promise<void> {
  kill(pid, 'SIGKILL');
  // The first process of a pid namespace is gone only when all others are.
  if (!(await until(async () => (await startTime(pid)) === undefined, 20_000, 20)))
    throw new LabError(`process ${pid}, a host's first, does not end; something in it hangs in the kernel: see ps -o wchan`);
}

export async function removeNamespace(name: string): Promise<void> {
  try {
    await run(['ip', 'netns', 'del', name]);
  } catch (error) {
    if (!(error instanceof CommandError) || (await namespaceExists(name))) throw error;
  }
}
