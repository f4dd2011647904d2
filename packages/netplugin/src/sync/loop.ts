/** A task that runs when asked, at least every so often, never twice at once, and again with back-off when it failed. */
import { type BackoffOptions, backoffMs } from '@contiv/observe';

export interface LoopOptions {
  readonly every: number;
  readonly retry: BackoffOptions;
  readonly failed?: (error: unknown) => void;
}

export class Loop {
  /** Resolves to false when it has to be tried again soon. What is long ends in the middle when the signal comes: the loop is stopped. */
  readonly #task: (signal: AbortSignal) => Promise<boolean>;
  readonly #options: LoopOptions;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #again: number | undefined;
  #attempt = 0;
  readonly #stopping = new AbortController();

  constructor(task: (signal: AbortSignal) => Promise<boolean>, options: LoopOptions) {
    this.#task = task;
    this.#options = options;
  }

  /** Runs within `ms`. */
  soon(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#running) {
      this.#again = Math.min(this.#again ?? Number.POSITIVE_INFINITY, ms);
      return;
    }
    const at = performance.now() + ms;
    if (at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => this.#start(), ms);
  }

  #start(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#running = this.#once().finally(() => {
      this.#running = undefined;
    });
    void this.#running.then(() => {
      const again = this.#again;
      this.#again = undefined;
      if (again !== undefined) this.soon(again);
      this.soon(this.#attempt === 0 ? this.#options.every : backoffMs(this.#attempt - 1, this.#options.retry));
    });
  }

  async #once(): Promise<void> {
    try {
      if (await this.#task(this.#stopping.signal)) this.#attempt = 0;
      else this.#attempt++;
    } catch (error) {
      if (this.#attempt === 0) this.#options.failed?.(error);
      this.#attempt++;
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }
}
