/** Processes as the kernel knows them: found by what they are, not by numbers written down earlier. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { INIT_MARKER } from '../plan/names.js';

/** Ticks since boot at which a process began: with the number it names a process for good. `undefined` when there is none (or a zombie). */
export async function startTime(pid: number): Promise<number | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** Ticks of the kernel's clock per second as user space sees it, on every architecture we run on. */
const TICKS_PER_SECOND = 100;

/** The moment that lies so many ticks behind the boot. */
export async function dateOf(ticks: number): Promise<Date> {
  const booted = Number(/^btime (\d+)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1] ?? 0);
  return new Date((booted + ticks / TICKS_PER_SECOND) * 1000);
}

async function pids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

export interface HostInit {
  readonly pid: number;
  readonly lab: string;
  readonly host: string;
}

/** First processes of all hosts of all labs on this machine. */
export async function findInits(): Promise<HostInit[]> {
  const found = await Promise.all(
    (await pids()).map(async (pid): Promise<HostInit[]> => {
      const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').filter((arg) => arg !== '');
      const marker = argv[0]?.endsWith('tini') === true ? INIT_MARKER.exec(argv.at(-1) ?? '') : null;
      const [, lab, host] = marker ?? [];
      if (lab === undefined || host === undefined || (await startTime(pid)) === undefined) return [];
      return [{ pid, lab, host }];
    }),
  );
  return found.flat();
}

/** Process numbers as a host sees them → as this process sees them, for one pid namespace. */
export async function pidsInside(initPid: number): Promise<ReadonlyMap<number, number>> {
  const namespace = await readlink(`/proc/${initPid}/ns/pid`).catch(() => undefined);
  const map = new Map<number, number>();
  if (namespace === undefined) return map;
  await Promise.all(
    (await pids()).map(async (pid) => {
      if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => undefined)) !== namespace) return;
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const inner = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/).at(-1);
      if (inner !== undefined) map.set(Number(inner), pid);
    }),
  );
  return map;
}

/** Asks until `done` says yes; answers whether it did in time. */
export async function until(done: () => Promise<boolean>, timeoutMs: number, stepMs = 50): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await done()) return true;
    if (performance.now() > deadline) return false;
    await new Promise((wake) => setTimeout(wake, stepMs));
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}
