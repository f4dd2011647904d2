/** Median of the samples; `NaN` when there are none. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 50);
}

/** Percentile by linear interpolation between closest ranks (`p` 0–100). */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const at = ((sorted.length - 1) * p) / 100;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}

/** Medians of all. */
export const medians = <K extends string>(samples: Readonly<Record<K, readonly number[]>>): Record<K, number> =>
  Object.fromEntries((Object.keys(samples) as K[]).map((name) => [name, median(samples[name])])) as Record<K, number>;

/**
 * Median of what is worked out of each round's figures. Those of one round were taken within seconds, on a machine in one state; medians of
 * the paths may come from different states, and what is worked out of them (above all a difference over a difference) from none that ever was.
 */
export function perRound<K extends string>(
  samples: Readonly<Record<K, readonly number[]>>,
  value: (round: Readonly<Record<K, number>>) => number,
): number {
  const names = Object.keys(samples) as K[];
  const rounds = Math.min(...names.map((name) => samples[name].length));
  const at = (round: number) => Object.fromEntries(names.map((name) => [name, samples[name][round]])) as Record<K, number>;
  return median(Array.from({ length: rounds }, (_, round) => value(at(round))));
}

/**
 * Runs every candidate once per round. Every other round goes backwards, and each pair of rounds begins one further on, so that neither
 * drift of the machine nor what ran just before favours one of them.
 */
export async function interleave<K extends string>(
  rounds: number,
  candidates: Readonly<Record<K, () => Promise<number>>>,
): Promise<Record<K, number[]>> {
  const names = Object.keys(candidates) as K[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const [i] of names.entries()) {
      const place = round % 2 === 0 ? i : names.length - 1 - i;
      const name = names[(place + (round >> 1)) % names.length];
      if (name !== undefined) samples[name].push(await candidates[name]());
    }
  }
  return samples;
}

export const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms));
