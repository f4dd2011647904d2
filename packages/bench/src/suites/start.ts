import { docker, MASTER, sleeper } from '../lab.js';
import { BRIDGE, ensureNetworks, OURS, OURS_OUT, OVERLAY } from '../networks.js';
import type { Result } from '../result.js';
import { interleave, median } from '../stats.js';

/** Milliseconds until all have ended. Engines of 20.10 with a cluster store fail now and then with many starts at once; such a batch is measured again. */
async function timed(count: number, network: string, attempts = 3): Promise<number> {
  const start = performance.now();
  const runs = Array.from({ length: count }, () => docker(MASTER, 'run', '--rm', '--net', network, 'alpine', 'true'));
  const failed = (await Promise.allSettled(runs)).find((run) => run.status === 'rejected');
  if (!failed) return performance.now() - start;
  if (attempts === 1) throw failed.reason;
  return timed(count, network, attempts - 1);
}

/**
 * What a network adds to `docker run --rm … true`, one at a time and sixteen at once, beside a container that is there already (the first
 * one of an overlay costs twice as much). Docker gives the overlay, and a network of ours without a gateway, a second interface on
 * docker_gwbridge as the way out; a network of ours with a gateway leads out itself.
 */
export async function startSuite(rounds: number): Promise<Result[]> {
  await ensureNetworks();
  for (const network of [BRIDGE, OVERLAY, OURS, OURS_OUT]) await sleeper(MASTER, `${network}-start`, network);
  const results: Result[] = [];
  for (const [count, repeats] of [
    [1, rounds * 3],
    [16, rounds],
  ] as const) {
    const samples = await interleave(repeats, {
      none: () => timed(count, 'none'),
      bridge: () => timed(count, BRIDGE),
      overlay: () => timed(count, OVERLAY),
      ours: () => timed(count, OURS_OUT),
      second: () => timed(count, OURS),
    });
    const none = median(samples.none);
    const added = (path: keyof typeof samples): number => median(samples[path]) - none;
    const what = `\`docker run\` less \`--net none\` (${Math.round(none)} ms), ${count} at once`;
    const bench = { suite: 'start', unit: 'ms', valueName: 'ours ÷ overlay', target: { op: '<=', limit: 0.8 } } as const;
    const beside = { bridge: added('bridge'), overlay: added('overlay') };
    for (const [path, how] of [
      ['ours', 'network with a gateway'],
      ['second', 'network without one, so with a second interface'],
    ] as const) {
      const figures = { ...beside, ours: added(path) };
      results.push({ ...bench, what: `${what}, ${how}`, figures, value: figures.ours / figures.overlay });
    }
  }
  return results;
}
