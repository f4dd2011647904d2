/**
 * What netmaster has yet to be told. Tasks are made from records on disk (`deleting`, `releasing`), so they survive the agent;
 * each is tried until netmaster has answered, whatever it answered.
 */
import { MasterError } from '@contiv/client';
import { backoffMs, type Logger } from '@contiv/observe';

const RETRY = { baseMs: 200, maxMs: 10_000 };
/** Calls under way at the same time. */
const PARALLEL = 8;

interface Task {
  readonly key: string;
  run: () => Promise<void>;
  running: boolean;
  /** Asked for while it ran: what was under way may have been too early for it. */
  again: (() => Promise<void>) | undefined;
  /** Codes after which there is nothing more to do. Others than these and transient ones end the task with a log line. */
  readonly retryOn: (error: MasterError) => boolean;
  attempt: number;
  readonly waiting: (() => void)[];
}

export class Outbox {
  readonly #tasks = new Map<string, Task>();
  readonly #ready: Task[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #log: Logger;
  #running = 0;
  #stopped = false;
  #lastFault = '';

  constructor(log: Logger) {
    this.#log = log;
  }

  get pending(): number {
    return this.#tasks.size;
  }

  get lastFault(): string {
    return this.#tasks.size === 0 ? '' : this.#lastFault;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const task of this.#tasks.values()) for (const wake of task.waiting) wake();
  }

  /**
   * Adds a task unless one of that key is waiting; beside one that runs it is run after it. Resolves when all is done or after `waitMs`,
   * whichever comes first: the caller's own work never depends on netmaster.
   */
  async add(key: string, run: () => Promise<void>, waitMs = 0, retryOn: (error: MasterError) => boolean = () => false): Promise<void> {
    let task = this.#tasks.get(key);
    if (!task) {
      task = { key, run, running: false, again: undefined, retryOn, attempt: 0, waiting: [] };
      this.#tasks.set(key, task);
      this.#ready.push(task);
      this.#pump();
    } else if (task.running) task.again = run;
    if (waitMs <= 0) return;
    const { waiting } = task;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #pump(): void {
    while (!this.#stopped && this.#running < PARALLEL) {
      const task = this.#ready.shift();
      if (!task) return;
      this.#running++;
      void this.#try(task).finally(() => {
        this.#running--;
        this.#pump();
      });
    }
  }

  async #try(task: Task): Promise<void> {
    task.running = true;
    try {
      await task.run();
    } catch (error) {
      this.#lastFault = error instanceof Error ? error.message : String(error);
      if (error instanceof MasterError && !error.transient && !task.retryOn(error)) {
        this.#log.warn({ task: task.key, reason: error.message }, 'netmaster refused; left as it is');
      } else {
        if (this.#stopped) return;
        if (task.attempt === 0)
          this.#log.info({ task: task.key, reason: this.#lastFault }, 'netmaster could not be told yet; kept for later');
        const timer = setTimeout(
          () => {
            this.#timers.delete(timer);
            this.#ready.push(task);
            this.#pump();
          },
          backoffMs(task.attempt++, RETRY),
        );
        this.#timers.add(timer);
        return;
      }
    } finally {
      task.running = false;
    }
    if (task.again) {
      task.run = task.again;
      task.again = undefined;
      this.#ready.push(task);
      return;
    }
    this.#tasks.delete(task.key);
    for (const wake of task.waiting) wake();
  }
}
