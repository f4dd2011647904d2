/** Which addresses of one network are in use, and which is the lowest free one. */
import type { EntryOf } from './records.js';

/** Finds the lowest free number of a range without scanning the taken ones each time. */
class Lowest<N extends number | bigint> {
  readonly #hints = new Map<string, N>();

  forget(): void {
    this.#hints.clear();
  }

  freed(n: N): void {
    for (const [range, hint] of this.#hints) if (n < hint) this.#hints.set(range, n);
  }

  /** First of `first`, `first + step`, … up to `last` for which `taken` is false. INVARIANT: everything below a hint is taken. */
  find(first: N, last: N, next: (n: N) => N, taken: (n: N) => boolean): N | undefined {
    const range = `${first}-${last}`;
    let n = this.#hints.get(range) ?? first;
    if (n < first) n = first;
    while (n <= last && taken(n)) n = next(n);
    this.#hints.set(range, n);
    return n <= last ? n : undefined;
  }
}

export class Usage {
  readonly v4 = new Map<number, EntryOf<'address'>>();
  readonly v6 = new Map<bigint, EntryOf<'address'>>();
  readonly #low4 = new Lowest<number>();
  readonly #low6 = new Lowest<bigint>();

  set4(value: number, entry: EntryOf<'address'> | undefined): void {
    if (entry) this.v4.set(value, entry);
    else {
      this.v4.delete(value);
      this.#low4.freed(value);
    }
  }

  set6(value: bigint, entry: EntryOf<'address'> | undefined): void {
    if (entry) this.v6.set(value, entry);
    else {
      this.v6.delete(value);
      this.#low6.freed(value);
    }
  }

  /** What is off limits besides taken addresses (gateway, pools) has changed: start over. */
  forgetHints(): void {
    this.#low4.forget();
    this.#low6.forget();
  }

  lowest4(first: number, last: number, barred: (n: number) => boolean): number | undefined {
    return this.#low4.find(
      first,
      last,
      (n) => n + 1,
      (n) => this.v4.has(n) || barred(n),
    );
  }

  /** From the top down: for networks whose low addresses another IPAM hands out. */
  highest4(first: number, last: number, barred: (n: number) => boolean): number | undefined {
    for (let n = last; n >= first; n--) if (!this.v4.has(n) && !barred(n)) return n;
    return undefined;
  }

  lowest6(first: bigint, last: bigint, barred: (n: bigint) => boolean): bigint | undefined {
    return this.#low6.find(
      first,
      last,
      (n) => n + 1n,
      (n) => this.v6.has(n) || barred(n),
    );
  }

  highest6(first: bigint, last: bigint, barred: (n: bigint) => boolean): bigint | undefined {
    for (let n = last; n >= first; n--) if (!this.v6.has(n) && !barred(n)) return n;
    return undefined;
  }

  get empty(): boolean {
    return this.v4.size === 0 && this.v6.size === 0;
  }
}
