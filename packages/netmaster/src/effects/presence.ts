/** Which hosts' agents are connected here, told to everybody through keys that hang on this master's lease. */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { backoffMs, type Logger, sleep } from '@contiv/observe';
import type { Lease, LeaseId, Store } from '@contiv/store';
import { markAlive, markSilent } from '../core/hosts.js';
import { answer, Draft, type Plan } from '../core/plan.js';
import { keys, type MasterRecord } from '../core/records.js';
import type { State } from '../core/state.js';
import type { Mirror } from './mirror.js';
import { connectionKey, parseRetransmissions } from './tcp-table.js';
import type { Writer } from './writer.js';

/** Keys of a master that died vanish after this. */
const LEASE_SECONDS = 10;
const WATCH_INTERVAL_MS = 5_000;
/** Retransmissions in a row after which a peer is taken for gone: with Linux's back-off, about 12 s without an acknowledgement. */
const DEAD_RETRANSMISSIONS = 6;

interface Connection {
  /** Its row in the kernel's table. */
  readonly row: string;
  readonly destroy: () => void;
}

export class Presence {
  readonly #store: Store;
  readonly #mirror: Mirror;
  readonly #writer: Writer;
  readonly #logger: Logger;
  readonly #self: MasterRecord;
  readonly #connected = new Map<string, Connection>();
  readonly #stopping = new AbortController();
  #lease: Lease | undefined;
  #task: Promise<void> | undefined;
  #watcher: NodeJS.Timeout | undefined;

  constructor(store: Store, mirror: Mirror, writer: Writer, self: MasterRecord, logger: Logger) {
    this.#store = store;
    this.#mirror = mirror;
    this.#writer = writer;
    this.#self = self;
    this.#logger = logger;
  }

  /** The lease this master's keys hang on, while it holds. */
  get lease(): LeaseId | undefined {
    return this.#lease?.lost.aborted === false ? this.#lease.id : undefined;
  }

  start(): void {
    this.#task = this.#keepLease();
    this.#watcher = setInterval(() => void this.#check(), WATCH_INTERVAL_MS);
    this.#watcher.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#watcher);
    this.#stopping.abort();
    await this.#task;
  }

  /** An agent's stream is open. */
  async connected(host: string, socket: Socket, destroy: () => void): Promise<void> {
    this.#connected.set(host, { row: connectionKey(socket), destroy });
    await this.#say(host);
  }

  /** The stream that was given as `destroy` has ended. */
  async disconnected(host: string, destroy: () => void): Promise<void> {
    if (this.#connected.get(host)?.destroy !== destroy) return;
    this.#connected.delete(host);
    if (this.#stopping.signal.aborted) return;
    await this.#unsay(host);
  }

  async #keepLease(): Promise<void> {
    const { signal } = this.#stopping;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const lease = await this.#store.lease(LEASE_SECONDS);
        this.#lease = lease;
        await this.#writer.submit((state) => announce(state, this.#self, lease.id));
        for (const host of this.#connected.keys()) await this.#say(host);
        attempt = 0;
        await ended(lease.lost, signal);
        if (signal.aborted) await lease.revoke().catch(() => undefined);
        else this.#logger.warn('the store lost sight of this master; announcing it again');
      } catch (error) {
        if (!signal.aborted) this.#logger.debug({ err: error }, 'no lease yet');
      }
      await sleep(backoffMs(attempt, { baseMs: 200, maxMs: 3_000 }), signal);
    }
  }

  #say(host: string): Promise<void> {
    const lease = this.lease;
    // Without a lease nothing can be said; the next lease says it for all.
    if (lease === undefined) return Promise.resolve();
    return this.#quietly(`host ${host} is connected`, (state) => markAlive(state, host, this.#self.id, lease));
  }

  #unsay(host: string): Promise<void> {
    const now = new Date().toISOString();
    return this.#quietly(`host ${host} went silent`, (state) => {
      // It may have come back meanwhile.
      return this.#connected.has(host) ? answer(undefined) : markSilent(state, host, this.#self.id, now);
    });
  }

  async #quietly(what: string, plan: (state: State) => Plan<void>): Promise<void> {
    try {
      await this.#writer.submit(plan);
    } catch (error) {
      this.#logger.warn({ err: error }, `could not note that ${what}`);
    }
  }

  async #check(): Promise<void> {
    await this.#cutDead();
    if (!this.#mirror.healthy || this.lease === undefined) return;
    const { state } = this.#mirror;
    // What could not be said while the store was away is said now.
    for (const host of this.#connected.keys()) if (!state.alive(host)) await this.#say(host);
    const claimed = [...state.all('alive')].filter((e) => e.record.master === this.#self.id).map((e) => e.place.first);
    for (const host of claimed) if (!this.#connected.has(host)) await this.#unsay(host);
  }

  /** TCP itself gives a vanished peer a quarter of an hour; the kernel's own table tells sooner that nothing is acknowledged. */
  async #cutDead(): Promise<void> {
    if (this.#connected.size === 0) return;
    const retransmissions = new Map<string, number>();
    for (const file of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
      // Without such a table (no IPv6, not Linux) TCP's own time-out has to do.
      parseRetransmissions(await readFile(file, 'latin1').catch(() => ''), retransmissions);
    }
    for (const [host, connection] of this.#connected) {
      if ((retransmissions.get(connection.row) ?? 0) < DEAD_RETRANSMISSIONS) continue;
      this.#logger.warn({ host }, 'host acknowledges nothing any more; its stream is closed');
      connection.destroy();
    }
  }
}

function announce(state: State, self: MasterRecord, lease: LeaseId): Plan<void> {
  const draft = new Draft();
  const seen = state.at('master', keys.master(self.id));
  if (seen) draft.replace(seen, self, lease);
  else draft.create('master', keys.master(self.id), self, lease);
  return draft.done(undefined);
}

function ended(a: AbortSignal, b: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (a.aborted || b.aborted) return resolve();
    const done = () => resolve();
    a.addEventListener('abort', done, { once: true });
    b.addEventListener('abort', done, { once: true });
  });
}
