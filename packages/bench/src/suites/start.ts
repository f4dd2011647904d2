import { docker, MASTER } from '../lab.js';
import { BRIDGE, ensureNetworks, OURS, OVERLAY } from '../networks.js';
import type { Result } from '../result.js';
import { interleave, median } from '../stats.js';

const NETWORKS = { none: 'none', bridge: BRIDGE, overlay: OVERLAY, ours: OURS } as const;

/** Milliseconds until all have ended. Engines of 20.10 with a cluster store fail now and then with many starts at once; such a batch is measured again. */
async function timed(count: number, network: string, attempts = 3): Promise<number> {
  const start = performance.now();
  const runs = Array.from({ length: count }, () => docker(MASTER, 'run', '--rm', '--net', network, 'alpine', 'true'));
  const failed = (await Promise.allSettled(runs)).find((run) => run.status === 'rejected');
  if (!failed) return performance.now() - start;
  if (attempts === 1) throw failed.reason;
  return timed(count, network, attempts - 1);
}

/** What a network adds to `docker run --rm … true`, one at a time and sixteen at once. */
export async function startSuite(rounds: number): Promise<Result[]> {
  await ensureNetworks();
  const results: Result[] = [];
  for (const [count, repeats] of [
    [1, rounds * 3],
    [16, rounds],
  ] as const) {
    const samples = await interleave(repeats, {
      none: () => timed(count, NETWORKS.none),
      bridge: () => timed(count, NETWORKS.bridge),
      overlay: () => timed(count, NETWORKS.overlay),
      ours: () => timed(count, NETWORKS.ours),
    });
    const none = median(samples.none);
    const figures = { bridge: median(samples.bridge) - none, overlay: median(samples.overlay) - none, ours: median(samples.ours) - none };
    results.push({
      suite: 'start',
      what: `\`docker run\` less \`--net none\` (${Math.round(none)} ms), ${count} at once`,
      figures,
      unit: 'ms',
      value: figures.ours / figures.overlay,
      valueName: 'ours ÷ overlay',
      target: { op: '<=', limit: 0.8 },
    });
  }
  return results;
}
