import { sleep } from './backoff.js';
import type { Logger } from './logger.js';

/** A part of a program. `start` resolves when the part serves; `stop` when it has let go of everything. */
export interface Service {
  readonly name: string;
  start?(): Promise<void> | void;
  stop?(): Promise<void> | void;
}

export interface LifecycleOptions {
  readonly logger: Logger;
  /** Milliseconds all of `stop` may take together; what is not done by then is named in the log and left behind. */
  readonly stopDeadlineMs?: number;
}

/** Starts services in the order they were added and stops those that were started in reverse. A failed start stops the earlier ones. */
export class Lifecycle {
  readonly #services: Service[] = [];
  readonly #started: Service[] = [];
  readonly #logger: Logger;
  readonly #deadlineMs: number;
  readonly #stopping = new AbortController();
  #stopped: Promise<boolean> | undefined;

  constructor(options: LifecycleOptions) {
    this.#logger = options.logger;
    this.#deadlineMs = options.stopDeadlineMs ?? 10_000;
  }

  /** Aborted as soon as `stop` is asked for. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  add(service: Service): this {
    this.#services.push(service);
    return this;
  }

  /** Rejects with the first failure, after the services already started have been stopped. */
  async start(): Promise<void> {
    for (const service of this.#services) {
      if (this.signal.aborted) return;
      try {
        // A service that fails half-way is asked to stop too: it may hold a socket already.
        this.#started.push(service);
        await service.start?.();
        this.#logger.debug({ service: service.name }, 'started');
      } catch (error) {
        await this.stop(`${service.name} failed to start`);
        throw error;
      }
    }
  }

  /** Resolves to true when every service stopped cleanly in time. Later calls get the first call's result. */
  stop(reason: string): Promise<boolean> {
    this.#stopped ??= this.#stopAll(reason);
    return this.#stopped;
  }

  async #stopAll(reason: string): Promise<boolean> {
    this.#logger.debug({ reason }, 'stopping');
    this.#stopping.abort(new Error(reason));
    const deadline = performance.now() + this.#deadlineMs;
    let clean = true;
    for (const service of this.#started.toReversed()) {
      const left = Math.max(0, deadline - performance.now());
      const done = new AbortController();
      try {
        const outcome = await Promise.race([
          Promise.resolve(service.stop?.()).then(() => 'stopped'),
          sleep(left, done.signal).then(() => 'timeout'),
        ]);
        if (outcome === 'timeout') {
          clean = false;
          this.#logger.warn({ service: service.name, deadlineMs: this.#deadlineMs }, 'did not stop in time; left behind');
        }
      } catch (err) {
        clean = false;
        this.#logger.warn({ service: service.name, err }, 'failed to stop');
      } finally {
        done.abort();
      }
    }
    return clean;
  }
}
