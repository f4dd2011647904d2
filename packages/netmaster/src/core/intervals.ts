/** Ranges that may not overlap, kept in order, so that "does this one?" is a binary search. */
export interface Interval<N extends number | bigint> {
  readonly first: N;
  readonly last: N;
  readonly owner: string;
}

export class Intervals<N extends number | bigint> {
  readonly #sorted: Interval<N>[] = [];

  get size(): number {
    return this.#sorted.length;
  }

  add(interval: Interval<N>): void {
    this.#sorted.splice(this.#after(interval.first), 0, interval);
  }

  remove(interval: Interval<N>): void {
    let i = this.#after(interval.first) - 1;
    while (i >= 0 && this.#sorted[i]?.first === interval.first && this.#sorted[i]?.owner !== interval.owner) i--;
    if (this.#sorted[i]?.owner === interval.owner) this.#sorted.splice(i, 1);
  }

  /** The lowest interval that shares a number with first…last. INVARIANT: those inside do not overlap each other. */
  overlapping(first: N, last: N): Interval<N> | undefined {
    const i = this.#after(first);
    const below = this.#sorted[i - 1];
    if (below && below.last >= first) return below;
    const above = this.#sorted[i];
    return above && above.first <= last ? above : undefined;
  }

  /** Index of the first interval that begins after `n`. */
  #after(n: N): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#sorted[middle];
      if (at && at.first <= n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
