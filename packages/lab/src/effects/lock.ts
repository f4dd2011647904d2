/** One command at a time changes a lab. The lock is a process's: whoever dies gives it back. */
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { HOME, type LabNames } from '../plan/names.js';
import { LabError } from '../plan/options.js';
import { startTime } from './processes.js';

export async function withLock<T>(names: LabNames, work: () => Promise<T>): Promise<T> {
  await mkdir(HOME, { recursive: true });
  const mine = `${names.lockFile}.${process.pid}`;
  await writeFile(mine, `${process.pid} ${await startTime(process.pid)}\n`);
  try {
    await take(mine, names.lockFile);
  } finally {
    await unlink(mine);
  }
  try {
    return await work();
  } finally {
    await unlink(names.lockFile).catch(() => undefined);
  }
}

async function take(mine: string, lock: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    try {
      await link(mine, lock);
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const [pid, since] = (await readFile(lock, 'utf8').catch(() => '')).trim().split(' ').map(Number);
    if (pid !== undefined && pid > 0 && (await startTime(pid)) !== since) await unlink(lock).catch(() => undefined);
    else if (attempt === 10) process.stderr.write(`lab: waiting for another lab command (process ${pid})\n`);
    if (attempt > 0) await new Promise((wake) => setTimeout(wake, 500));
  }
  throw new LabError(`another lab command has held ${lock} for 5 minutes; wait for it or end it`);
}
