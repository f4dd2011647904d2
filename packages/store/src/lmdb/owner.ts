import { readFileSync } from 'node:fs';

/** Who holds a database. LMDB would let several processes in; our watches and leases live in one. */
export interface Owner {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot (proc(5), stat field 22): tells it from a later one with its number. */
  readonly startTime: string;
  readonly bootId: string;
  /** One per opening. */
  readonly token: string;
}

export function thisProcess(token: string): Owner {
  return { pid: process.pid, startTime: startTime(process.pid) ?? '', bootId: bootId(), token };
}

/**
 * Whether the owner runs still. A process of another PID namespace may be unseen; who is displaced notices that at its
 * next write, because every commit checks the token.
 */
export function isAlive(owner: Owner): boolean {
  return owner.bootId === bootId() && startTime(owner.pid) === owner.startTime;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name, in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
