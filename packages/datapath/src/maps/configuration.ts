/** The one entry of the table `config`: what every program has to know. */
import type { BpfMap } from '@contiv/syscall';
import { configBytes, configEnforces, configEpoch, configUplink, keepUplink, parseOutside, u32Key } from './layout.js';

type ConfigValue = Parameters<typeof configBytes>[0];
/** What the rest of the data path says of itself. */
export type Facts = Omit<ConfigValue, 'epoch' | 'policies'>;

export class Configuration {
  readonly #map: BpfMap;
  readonly #facts: () => Facts;
  readonly #knowsUplinks: boolean;
  /** As an earlier start left it. */
  readonly earlier: { readonly uplink: number | undefined; readonly outside: ConfigValue['outside'] };
  /** An earlier start has left a configuration that is in use. */
  readonly inherited: boolean;
  #epoch: number;
  /** Do policies decide? */
  enforces: boolean;

  /** @param knowsUplinks who was not told of uplinks leaves them as they are. */
  constructor(map: BpfMap, knowsUplinks: boolean, facts: () => Facts) {
    this.#map = map;
    this.#facts = facts;
    this.#knowsUplinks = knowsUplinks;
    const held = map.get(u32Key(0));
    this.#epoch = held ? configEpoch(held) : 0;
    this.enforces = held !== undefined && configEnforces(held);
    this.inherited = held?.some((byte) => byte !== 0) === true;
    this.earlier = { uplink: held && configUplink(held), outside: held && parseOutside(held) };
  }

  /** Answers whether it had to be written. */
  write(): boolean {
    const key = u32Key(0);
    const value = configBytes({ ...this.#facts(), epoch: this.#epoch, policies: this.enforces ? 1 : 0 });
    const held = this.#map.get(key);
    if (!this.#knowsUplinks && held) keepUplink(held, value);
    if (held?.equals(value)) return false;
    this.#map.set(key, value);
    return true;
  }

  /** Every verdict is found again with the next packet of its connection. */
  nextEpoch(): void {
    this.#epoch = (this.#epoch + 1) >>> 0;
    this.write();
  }
}
