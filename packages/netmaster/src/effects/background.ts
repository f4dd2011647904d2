/** Work that one master does for all: first settings, hosts that never came back, addresses nobody holds. */

import { randomBytes } from 'node:crypto';
import type { Logger } from '@contiv/observe';
import { beginEpoch } from '../core/epochs.js';
import { bootstrap } from '../core/global.js';
import { forgetHistory } from '../core/history.js';
import { holdingsOf, noteSilent, releaseLost } from '../core/hosts.js';
import { answer, Draft, type Plan } from '../core/plan.js';
import { type EntryOf, type GlobalRecord, keys, type MasterRecord } from '../core/records.js';
import { Silences } from '../core/silences.js';
import type { State } from '../core/state.js';
import type { Mirror } from './mirror.js';
import { inPieces } from './pieces.js';
import type { Presence } from './presence.js';
import type { Writer } from './writer.js';

const ROUND_MS = 2_000;
/** After a change of the worker, agents of a master that died get this long to come back before their silence is noted. */
const GRACE_MS = 15_000;
const SWEEP_MS = 60_000;

export interface BackgroundOptions {
  readonly boot: GlobalRecord;
  readonly hostTimeoutMs: number;
  readonly self: MasterRecord;
}

export class Background {
  readonly #mirror: Mirror;
  readonly #writer: Writer;
  readonly #presence: Presence;
  readonly #options: BackgroundOptions;
  readonly #logger: Logger;
  readonly #epoch = randomBytes(8).toString('hex');
  readonly #silences = new Silences();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #bootstrapped = false;
  #workerSince: number | undefined;
  #swept = Number.NEGATIVE_INFINITY;

  constructor(mirror: Mirror, writer: Writer, presence: Presence, options: BackgroundOptions, logger: Logger) {
    this.#mirror = mirror;
    this.#writer = writer;
    this.#presence = presence;
    this.#options = options;
    this.#logger = logger;
  }

  /** Are the first settings in the store, so that objects can be made, and this start's epoch, so that agents can be served? */
  get bootstrapped(): boolean {
    return this.#bootstrapped;
  }

  start(): void {
    this.#timer = setInterval(() => this.#kick(), Math.min(ROUND_MS, this.#options.hostTimeoutMs));
    this.#timer.unref();
    this.#kick();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }

  #kick(): void {
    this.#round ??= this.#work()
      .catch((error: unknown) => this.#logger.debug({ err: error }, 'background round failed; next one in 2 s'))
      .finally(() => {
        this.#round = undefined;
      });
  }

  async #work(): Promise<void> {
    if (!this.#bootstrapped) {
      await this.#writer.submit((state) => bootstrap(state, this.#options.boot));
      await this.#writer.submit((state) => beginEpoch(state, this.#epoch, this.#mirror.revision));
      this.#bootstrapped = true;
    }
    if (!this.#mirror.healthy || !(await this.#isWorker())) return;
    const { state } = this.#mirror;
    const now = Date.now();
    if (performance.now() - (this.#workerSince ?? 0) < Math.min(GRACE_MS, this.#options.hostTimeoutMs)) return;
    for (const { place, record } of state.all('host')) {
      if (record.silentSince === undefined && !state.alive(place.first))
        await this.#writer.submit((s) => noteSilent(s, place.first, new Date(now).toISOString()));
    }
    for (const host of this.#silences.lost(state, this.#options.hostTimeoutMs, now, performance.now())) await this.#release(host);
    if (performance.now() - this.#swept > SWEEP_MS) {
      this.#swept = performance.now();
      await this.#sweep();
      while (forgetHistory(state, Date.now())) await this.#writer.submit((s) => forgetHistory(s, Date.now()) ?? answer(0));
    }
  }

  async #isWorker(): Promise<boolean> {
    const lease = this.#presence.lease;
    const { self } = this.#options;
    const worker = this.#mirror.state.background?.record.id;
    if (worker !== self.id) this.#workerSince = undefined;
    if (lease === undefined || (worker !== undefined && worker !== self.id)) return false;
    if (worker === undefined) {
      await this.#writer.submit((state) => {
        if (state.background) return answer(undefined);
        const draft = new Draft();
        draft.create('background', keys.background, self, lease);
        return draft.done(undefined);
      });
    }
    this.#workerSince ??= performance.now();
    return this.#mirror.state.background?.record.id === self.id;
  }

  async #release(host: string): Promise<void> {
    const holdings = holdingsOf(this.#mirror.state, host);
    if (holdings.endpoints.length + holdings.addresses.length === 0) return;
    for (const piece of inPieces(holdings)) await this.#writer.submit((state) => releaseLost(state, host, piece));
    this.#logger.warn(
      { host, endpoints: holdings.endpoints.length, addresses: holdings.addresses.length },
      'host did not come back within --host-timeout; what it held is released',
    );
  }

  /** Addresses whose network or endpoint is gone. None should be: every deletion takes its addresses along. */
  async #sweep(): Promise<void> {
    for (const { key } of orphans(this.#mirror.state)) {
      await this.#writer.submit((state): Plan<void> => {
        const held = state.at('address', key);
        if (!held || !isOrphan(state, held)) return answer(undefined);
        const draft = new Draft();
        draft.remove(held);
        return draft.done(undefined);
      });
      this.#logger.warn({ key }, 'an address nobody held was released');
    }
  }
}

const isOrphan = (state: State, held: EntryOf<'address'>): boolean =>
  !state.network(held.place.first) || (held.record.endpointId !== undefined && !state.endpoint(held.place.first, held.record.endpointId));

const orphans = (state: State): EntryOf<'address'>[] => [...state.all('address')].filter((held) => isOrphan(state, held));
