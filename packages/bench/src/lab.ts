import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');

/** Hosts the benchmark uses, in the lab's own order. */
export const MASTER = 'legacy-swarm-master';
export const WORKER = 'legacy-swarm-worker0';
export const ADDRESS: Readonly<Record<string, string>> = { [MASTER]: '192.168.2.50', [WORKER]: '192.168.2.51' };
export const NETMASTER = 'http://192.168.2.50:9999';

export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Runs a program, bounded in time; answers its standard output. */
export function run(file: string, args: readonly string[], timeoutMs = 60_000): Promise<string> {
  return new Promise((done, fail) => {
    execFile(file, [...args], { timeout: timeoutMs, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error) fail(new CommandError(`${file} ${args.join(' ')}: ${stderr.trim() || error.message}`));
      else done(stdout);
    });
  });
}

export const lab = (...args: string[]): Promise<string> => run(`${ROOT}/bin/lab`, args, 600_000);
export const onHost = (host: string, ...command: string[]): Promise<string> => lab('exec', host, '--', ...command);
export const docker = (host: string, ...args: string[]): Promise<string> =>
  run('docker', ['-H', `tcp://${ADDRESS[host] ?? host}:2385`, ...args], 120_000);
export const netctl = (...args: string[]): Promise<string> => run(`${ROOT}/bin/netctl`, ['--netmaster', NETMASTER, ...args]);
export const repository = ROOT;

/** Address of a container on a Docker network. */
export async function addressOf(host: string, container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return (await docker(host, 'inspect', '--format', format, container)).trim();
}

/** Starts a container of the bench image that sleeps; replaces one of the same name. */
export async function sleeper(host: string, name: string, network: string): Promise<void> {
  await docker(host, 'rm', '-f', name).catch(() => undefined);
  await docker(host, 'run', '-d', '--name', name, '--net', network, 'bench', 'sleep', '86400');
}

/** Keeps trying until `probe` answers without an error. */
export async function eventually<T>(what: string, probe: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`${what}: not within ${timeoutMs / 1000} s: ${reason}`, { cause: error });
      }
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
}
