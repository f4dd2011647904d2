import { setTimeout as delay } from 'node:timers/promises';

export interface BackoffOptions {
  /** First upper bound in milliseconds. */
  readonly baseMs: number;
  /** Greatest upper bound in milliseconds. */
  readonly maxMs: number;
}

/**
 * Delay before attempt `attempt` (0, 1, …): a bound that doubles up to `maxMs`, of which between half and all is
 * waited, so that clients that failed together do not return together. `random` is in [0, 1).
 */
export function backoffMs(attempt: number, options: BackoffOptions, random: number = Math.random()): number {
  const bound = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(attempt, 30));
  return bound / 2 + (bound / 2) * random;
}

/** Waits; returns early and quietly when `signal` aborts. Does not keep the process alive by itself if `unref`. */
export async function sleep(ms: number, signal?: AbortSignal, unref = false): Promise<void> {
  try {
    await delay(ms, undefined, { ref: !unref, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
