/** Stations of VLANs that are not ours, as the programs have learned them. */
import { vlanOf } from '@contiv/model';
import type { BpfMap } from '@contiv/syscall';
import type { Station } from '../contract.js';
import { nowUnits } from '../flows/source.js';
import { parseStation } from '../maps/layout.js';

/** One that has been silent for so long is forgotten; as in bridges. */
const AGE_SECONDS = 300;
const SWEEP_SECONDS = 30;
const SECONDS_PER_UNIT = 2 ** 30 / 1e9;

export class Stations {
  readonly #map: BpfMap;
  #sweptAt = 0;

  constructor(map: BpfMap) {
    this.#map = map;
  }

  /** @param nameOf name of an uplink. */
  list(nameOf: (ifindex: number) => string | undefined): Station[] {
    const now = nowUnits();
    return this.#map.entries().map(([key, value]) => {
      const { vni, mac, ip, ifindex, seen } = parseStation(key, value);
      return {
        vlan: vlanOf(vni) ?? 0,
        mac,
        ...(ip === undefined ? {} : { ip }),
        uplink: nameOf(ifindex) ?? String(ifindex),
        silentSeconds: Math.max(0, Math.round((now - seen) * SECONDS_PER_UNIT)),
      };
    });
  }

  /** Forgets the silent ones, when that has not been done for a while. */
  sweep(): void {
    const now = nowUnits();
    if (now < this.#sweptAt + SWEEP_SECONDS / SECONDS_PER_UNIT) return;
    this.#sweptAt = now;
    const oldest = now - AGE_SECONDS / SECONDS_PER_UNIT;
    for (const [key, value] of this.#map.entries()) if (parseStation(key, value).seen < oldest) this.#map.delete(key);
  }
}
