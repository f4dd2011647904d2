import { readFile } from 'node:fs/promises';

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

/** Memory and CPU of a process while nobody asks it for anything. */
export async function idle(pid: number, seconds: number): Promise<Usage> {
  const before = await cpuSeconds(pid);
  await new Promise((wake) => setTimeout(wake, seconds * 1000));
  const cpu = ((await cpuSeconds(pid)) - before) / seconds;
  const kb = (await readFile(`/proc/${pid}/status`, 'utf8')).match(/VmRSS:\s+(\d+)/)?.[1];
  return { memory: Number(kb) / 1024, cpu: cpu * 100 };
}
