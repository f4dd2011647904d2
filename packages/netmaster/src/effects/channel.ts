/** A bounded queue between who produces and the one who consumes: producers wait while it is full. */
export class Channel<T> {
  readonly #limit: number;
  #items: T[] = [];
  #closed = false;
  #wakeReader: (() => void) | undefined;
  #writers: (() => void)[] = [];

  /** @param limit items after which `push` waits. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves when there is room for more: false when nobody reads any longer. */
  async push(items: readonly T[]): Promise<boolean> {
    if (this.#closed) return false;
    this.#items.push(...items);
    this.#wakeReader?.();
    while (!this.#closed && this.#items.length > this.#limit) await new Promise<void>((resolve) => this.#writers.push(resolve));
    return !this.#closed;
  }

  /** Nothing more is taken; what is queued can still be read. */
  close(): void {
    this.#closed = true;
    this.#wakeReader?.();
    this.#wakeWriters();
  }

  async *read(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const items = this.#items;
      this.#items = [];
      this.#wakeWriters();
      yield* items;
      if (this.#items.length > 0) continue;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
      this.#wakeReader = undefined;
    }
  }

  #wakeWriters(): void {
    for (const wake of this.#writers.splice(0)) wake();
  }
}
