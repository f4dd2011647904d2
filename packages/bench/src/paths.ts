/** Ways between two ends that are compared. */
import { docker, onHost } from './lab.js';
import { SERVERS, type Shell } from './probes.js';
import { interleave } from './stats.js';

export interface Path {
  readonly from: Shell;
  readonly to: string;
}

/**
 * A round is split into as many shorter ones, for more to compare, where it takes little time to begin one. Where the scheduler puts the ends of a
 * stream and what copies for them changes a figure by a third from one to the next: many short ones say more than few long ones.
 */
export const SHORT = { trip: 3, stream: 5 } as const;

export const inContainer =
  (host: string, name: string): Shell =>
  (...command) =>
    docker(host, 'exec', name, ...command);

/** Starts what `probes.ts` speaks with. */
export async function serve(host: string, name: string): Promise<void> {
  for (const server of Object.values(SERVERS)) await docker(host, 'exec', '-d', name, ...server);
}

/** The same in the host's own network. What runs already goes on: its port is taken. */
export async function serveHost(host: string): Promise<void> {
  for (const server of Object.values(SERVERS)) await onHost(host, 'sh', '-c', `setsid ${server.join(' ')} </dev/null >/dev/null 2>&1 &`);
  await new Promise((wake) => setTimeout(wake, 1_000));
}

/** All paths, measured interleaved, after a round that is not counted: neighbours are asked for, caches are warm. */
export async function compare<K extends string>(
  rounds: number,
  paths: Readonly<Record<K, Path>>,
  probe: (path: Path) => Promise<number>,
): Promise<Record<K, number[]>> {
  const names = Object.keys(paths) as K[];
  const candidates = Object.fromEntries(names.map((name) => [name, () => probe(paths[name])])) as Record<K, () => Promise<number>>;
  await interleave(1, candidates);
  return interleave(rounds, candidates);
}
