/** How long containers of VLANs are cut off when the uplink in use loses its cable. */
import { lab, MASTER } from './lab.js';
import type { Path } from './paths.js';
import { lostPings } from './probes.js';
import { pause } from './stats.js';

/** As `bin/lab up --vlan-uplinks eth2,eth3` has them. */
const UPLINKS = ['eth2', 'eth3'] as const;
const INTERVAL_MS = 5;
const PINGS = 500;

/** Milliseconds without an answer for each cut. @param path between containers of a VLAN on two hosts; the cables are its first host's. */
export async function failOver(path: Path, cuts: number): Promise<{ readonly cut: number[]; readonly back: number[] }> {
  const during = async (state: 'up' | 'down', device: string): Promise<number> => {
    const pings = lostPings(path.from, path.to, PINGS, INTERVAL_MS);
    const change = pause(400).then(() => lab('link', MASTER, state, '--device', device));
    const [lost] = await Promise.all([pings, change]);
    return lost * INTERVAL_MS;
  };
  const gaps = { cut: [] as number[], back: [] as number[] };
  for (let i = 0; i < cuts; i++) {
    // The one that takes over carries them from then on, so each is cut in turn.
    const device = UPLINKS[i % UPLINKS.length] ?? UPLINKS[0];
    try {
      gaps.cut.push(await during('down', device));
    } finally {
      gaps.back.push(await during('up', device));
    }
  }
  return gaps;
}
