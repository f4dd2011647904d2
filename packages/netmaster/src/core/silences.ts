/**
 * Which hosts have been silent for long. Only this clock's steps are time that passed: the wall clock is asked once for each silence, how old
 * it was when it was first seen here. Then it may be set, or the machine be asleep for days, and no host is lost by that.
 */
import type { State } from './state.js';

interface Silence {
  readonly silentSince: string;
  /** On the steady clock. */
  readonly began: number;
}

export class Silences {
  #seen = new Map<string, Silence>();

  /**
   * Hosts silent for at least `timeoutMs`; to be asked again and again.
   * @param wallMs the time of day. @param steadyMs of a clock that nobody sets.
   */
  lost(state: State, timeoutMs: number, wallMs: number, steadyMs: number): string[] {
    const seen = new Map<string, Silence>();
    for (const { place, record } of state.all('host')) {
      const { silentSince } = record;
      if (silentSince === undefined || state.alive(place.first)) continue;
      const known = this.#seen.get(place.first);
      const silence =
        known?.silentSince === silentSince ? known : { silentSince, began: steadyMs - Math.max(0, wallMs - Date.parse(silentSince)) };
      seen.set(place.first, silence);
    }
    this.#seen = seen;
    return [...seen].filter(([, { began }]) => steadyMs - began >= timeoutMs).map(([host]) => host);
  }
}
