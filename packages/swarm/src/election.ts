import type { Lease, Store } from '@contiv/store';
import type { ManageOptions } from './cli/manage-options.js';
import { LEADER_KEY, openDiscoveryStore, pause } from './discovery/watch.js';
import { messageOf } from './errors.js';
import type { Log } from './log.js';

/**
 * Who is primary, by a key under a lease in etcd. A manager leads only while its lease can be proved alive: `lost` fires before the
 * store's own deadline, so at no moment do two believe they lead. The key's creation revision is the fencing token.
 */
export class Election {
  readonly #options: ManageOptions;
  readonly #advertise: string;
  readonly #ttlSeconds: number;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #callbacks: (() => void)[] = [];
  #lease: Lease | undefined;
  #running: Promise<void> | undefined;
  /** Address of the primary, as the store says; empty when none is known. */
  leader = '';
  /** Grows with each change of primary. */
  fencingToken = 0;

  constructor(options: ManageOptions, replication: { advertise: string; ttlSeconds: number }, log: Log, signal: AbortSignal) {
    this.#options = options;
    this.#advertise = replication.advertise;
    this.#ttlSeconds = replication.ttlSeconds;
    this.#log = log;
    this.#signal = signal;
  }

  get leading(): boolean {
    return this.#lease !== undefined && !this.#lease.lost.aborted;
  }
  get advertise(): string {
    return this.#advertise;
  }
  onLeading(callback: () => void): void {
    this.#callbacks.push(callback);
  }
  start(): void {
    this.#running = this.#run();
  }
  /** Gives the leadership back at once, so that the next one need not wait for the lease to end. */
  async stop(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { discovery, discoveryOptions } = this.#options;
    if (discovery.scheme !== 'etcd') return;
    while (!this.#signal.aborted) {
      let store: Store | undefined;
      try {
        const { 'kv.path': _members, ...access } = discoveryOptions;
        store = await openDiscoveryStore(discovery, access);
        await this.#campaign(store);
      } catch (error) {
        if (!this.#signal.aborted) this.#log.error(`Leader election: ${messageOf(error)}`);
      } finally {
        await this.#resign();
        await store?.close().catch(() => {});
      }
      if (!this.#signal.aborted) await pause(1000, this.#signal);
    }
  }

  async #campaign(store: Store): Promise<void> {
    for (;;) {
      if (this.#signal.aborted) return;
      const lease = await store.lease(this.#ttlSeconds);
      const { succeeded } = await store.txn(
        [{ key: LEADER_KEY, exists: false }],
        [{ put: LEADER_KEY, value: this.#advertise, lease: lease.id }],
      );
      const held = await store.get(LEADER_KEY);
      this.leader = held?.value ?? '';
      if (succeeded && held?.lease === lease.id) {
        this.#lease = lease;
        this.fencingToken = held.createRevision;
        this.#log.info('Leader Election: Cluster leadership acquired');
        for (const callback of this.#callbacks) callback();
        await new Promise<void>((resolve) => {
          for (const signal of [lease.lost, this.#signal]) {
            if (signal.aborted) resolve();
            signal.addEventListener('abort', () => resolve(), { once: true });
          }
        });
        this.#log.info('Leader Election: Cluster leadership lost');
        await this.#resign();
        continue;
      }
      await lease.revoke().catch(() => {});
      if (held !== undefined) await this.#untilFree(store, held.modRevision);
    }
  }

  async #untilFree(store: Store, revision: number): Promise<void> {
    this.#log.info(`New leader elected: ${this.leader}`);
    for await (const batch of store.watch(LEADER_KEY, revision + 1, this.#signal)) {
      for (const event of batch.events) {
        if (event.type === 'delete') {
          this.leader = '';
          return;
        }
        this.leader = event.kv.value;
      }
    }
  }

  async #resign(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    this.leader = '';
    await lease.revoke().catch(() => {});
  }
}
