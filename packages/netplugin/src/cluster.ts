/** The cluster as this agent knows it: the stream's mirror, kept on disk, with people waiting for what is on its way. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AgentStream,
  type AnswerDesk,
  type Change,
  emptyMirror,
  type MasterPool,
  type Mirror,
  parseMirror,
  serialiseMirror,
} from '@contiv/client';
import type { HostRegistration, NetworkState } from '@contiv/model';
import type { Logger } from '@contiv/observe';
import { writeAtomically } from './state/table.js';

export interface ClusterListener {
  /** Everything may have changed. */
  readonly replaced?: () => void;
  readonly changed?: (change: Change) => void;
  /** The mirror agrees with a master. */
  readonly synced?: () => void;
}

export interface ClusterOptions {
  readonly host: string;
  readonly pool: MasterPool;
  readonly registration: () => HostRegistration;
  readonly stateDir: string;
  readonly log: Logger;
  /** Who answers netmaster's questions. */
  readonly desk?: AnswerDesk;
}

/** The snapshot on disk is replaced when no change has come for so long, or when the first one is so old: large ones take a while to write. */
const SAVE_QUIET_MS = 1_500;
const SAVE_LATEST_MS = 10_000;
/** A disk that did not take it is tried again after this. */
const SAVE_AGAIN_MS = 2_000;

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #file: string;
  readonly #listeners: ClusterListener[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #stream: AgentStream;
  #mirror: Mirror;
  #complete: boolean;
  #master: string | undefined;
  #synced = false;
  #confirmed = false;
  #lastFault = '';
  #faultSince = Date.now();
  #saveTimer: NodeJS.Timeout | undefined;
  #unsavedSince = 0;
  #unsaved = '';
  #skipped = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#file = join(options.stateDir, 'snapshot.json');
    const stored = readMirror(this.#file);
    this.#mirror = stored ?? emptyMirror();
    this.#complete = stored !== undefined;
    this.#stream = new AgentStream(
      { pool: options.pool, host: options.host, registration: options.registration, mirror: this.#mirror },
      {
        connected: (url) => {
          this.#master = url;
          options.log.info({ master: url }, 'connected to netmaster');
        },
        disconnected: (reason) => {
          if (this.#master !== undefined || this.#lastFault === '')
            options.log.warn({ reason }, 'no stream from netmaster; going on with what is known');
          if (this.#master !== undefined || this.#lastFault === '') this.#faultSince = Date.now();
          this.#master = undefined;
          this.#synced = false;
          this.#lastFault = reason;
        },
        snapshot: (mirror) => {
          this.#mirror = mirror;
          this.#complete = true;
          for (const listener of this.#listeners) listener.replaced?.();
        },
        change: (change) => {
          for (const listener of this.#listeners) listener.changed?.(change);
          this.#wake();
          this.#saveSoon();
        },
        synced: () => {
          this.#synced = true;
          this.#confirmed = true;
          this.#lastFault = '';
          this.#wake();
          for (const listener of this.#listeners) listener.synced?.();
          this.#saveSoon();
        },
        question: (question, url, session) => options.desk?.take(question, url, session),
        withdrawn: (id) => options.desk?.withdraw(id),
        skipped: (reason) => {
          this.#skipped++;
          options.log.warn({ reason }, 'skipped a line of the stream');
        },
      },
    );
  }

  listen(listener: ClusterListener): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#stream.start();
  }

  async stop(): Promise<void> {
    await this.#stream.stop();
    if (this.#saveTimer) this.#save();
  }

  get mirror(): Mirror {
    return this.#mirror;
  }

  /** Is there a whole snapshot, be it an old one from disk? Without one nothing may be removed. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Has the mirror agreed with a master since this start? Until then it is from disk, and the kernel may know better. */
  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** Does the mirror follow a master at present? */
  get synced(): boolean {
    return this.#synced;
  }

  get master(): string | undefined {
    return this.#master;
  }

  /** Why there is no stream, empty while there is one. */
  get fault(): string {
    return this.#synced ? '' : this.#lastFault;
  }

  get faultSince(): number {
    return this.#faultSince;
  }

  /** Why the snapshot cannot be kept on disk, empty while it can. */
  get unsaved(): string {
    return this.#unsaved;
  }

  get skippedLines(): number {
    return this.#skipped;
  }

  /** The network, as soon as the stream has brought it; `undefined` when it does not come in time. */
  async network(key: string, timeoutMs: number): Promise<NetworkState | undefined> {
    await this.until(() => this.#mirror.networks.has(key), this.#synced ? timeoutMs : 0);
    return this.#mirror.networks.get(key);
  }

  /** Resolves when `ready()` is true or the time is over; looked at after every change. */
  async until(ready: () => boolean, timeoutMs: number): Promise<boolean> {
    if (ready()) return true;
    if (timeoutMs <= 0) return false;
    return new Promise((resolve) => {
      const look = () => {
        if (ready()) finish(true);
      };
      const finish = (result: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(result);
      };
      const timer = setTimeout(() => finish(ready()), timeoutMs);
      this.#waiting.add(look);
    });
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  #saveSoon(): void {
    const now = performance.now();
    if (this.#saveTimer === undefined) this.#unsavedSince = now;
    clearTimeout(this.#saveTimer);
    const inMs = Math.min(SAVE_QUIET_MS, this.#unsavedSince + SAVE_LATEST_MS - now);
    this.#saveTimer = setTimeout(() => this.#save(), inMs);
  }

  #save(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    if (!this.#complete) return;
    try {
      writeAtomically(this.#file, serialiseMirror(this.#mirror));
      this.#unsaved = '';
    } catch (err) {
      if (this.#unsaved === '')
        this.#options.log.error(
          { err, file: this.#file },
          'cannot keep the snapshot on disk; a restart without netmaster would not find it',
        );
      this.#unsaved = err instanceof Error ? err.message : String(err);
      this.#saveTimer = setTimeout(() => this.#save(), SAVE_AGAIN_MS).unref();
    }
  }
}

function readMirror(file: string): Mirror | undefined {
  try {
    return parseMirror(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
