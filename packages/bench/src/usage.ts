import { readFile } from 'node:fs/promises';
import { pause } from './stats.js';

const TICKS_PER_SECOND = 100;

export interface Usage {
  /** Resident set in MB. */
  readonly memory: number;
  /** Per cent of one core. */
  readonly cpu: number;
}

async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Per cent of one core that a process uses while `work` is done. */
export async function cpuDuring(pid: number, work: () => Promise<unknown>): Promise<number> {
  const [before, began] = [await cpuSeconds(pid), performance.now()];
  await work();
  return (((await cpuSeconds(pid)) - before) / ((performance.now() - began) / 1000)) * 100;
}

/** Memory and CPU of a process while nobody asks it for anything. */
export async function idle(pid: number, seconds: number): Promise<Usage> {
  const cpu = await cpuDuring(pid, () => pause(seconds * 1000));
  const kb = (await readFile(`/proc/${pid}/status`, 'utf8')).match(/VmRSS:\s+(\d+)/)?.[1];
  return { memory: Number(kb) / 1024, cpu };
}
