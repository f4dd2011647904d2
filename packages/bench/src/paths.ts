/** Ways between two ends that are compared. */
import { docker } from './lab.js';
import type { Shell } from './probes.js';
import { interleave, medians } from './stats.js';

export interface Path {
  readonly from: Shell;
  readonly to: string;
}

export const inContainer =
  (host: string, name: string): Shell =>
  (...command) =>
    docker(host, 'exec', name, ...command);

/** Starts what `probes.ts` speaks with. */
export async function serve(host: string, name: string): Promise<void> {
  await docker(host, 'exec', '-d', name, 'iperf3', '-s');
  await docker(host, 'exec', '-d', name, 'sockperf', 'server', '--tcp', '-p', '11111');
}

/** Medians of all paths, measured interleaved. */
export async function compare<K extends string>(
  rounds: number,
  paths: Readonly<Record<K, Path>>,
  probe: (path: Path) => Promise<number>,
): Promise<Record<K, number>> {
  const names = Object.keys(paths) as K[];
  const candidates = Object.fromEntries(names.map((name) => [name, () => probe(paths[name])])) as Record<K, () => Promise<number>>;
  return medians(await interleave(rounds, candidates));
}
