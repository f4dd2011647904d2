/**
 * A set of rules as tables whose look-up takes the same steps however many rules there are.
 *
 * Addresses and ports become classes (which predicates of the set hold them), found by one longest-prefix look-up each. A rule names some of
 * {group, peer's class, own class, service} and leaves the others open: its pattern. The rules of one pattern are one hash table, so a
 * decision is one look-up for each pattern the set uses, 24 at most, and the highest rank of what was found.
 *
 * What is compiled is kept, and changed rules change only the entries that depend on them. Pure but for that.
 */
import type { PolicyRule, PolicySet, Way } from '@contiv/model';
import { type Difference, joined, MAX_ENTRIES, TooLarge } from './entries.js';
import { Side } from './side.js';

export class Compilation {
  readonly #sides = [new Side('in'), new Side('out')];
  #rules: readonly PolicyRule[] = [];

  /**
   * The rules from now on, each once; those that stay are known by their identity. Answers what differs from before.
   * @throws TooLarge; it is of no use after that.
   */
  update(rules: readonly PolicyRule[]): Difference {
    const { gone, come } = exchanged(this.#rules, rules);
    this.#rules = rules;
    const difference = joined(this.#sides.map((side) => side.update(gone, come)));
    if (this.#sides.reduce((sum, side) => sum + side.size, 0) > MAX_ENTRIES) throw new TooLarge();
    return difference;
  }

  /** All of it, as the difference from nothing. */
  whole(): Difference {
    return joined(this.#sides.map((side) => side.whole()));
  }

  /** The patterns in use: bit n stands for pattern n. */
  get patterns(): Readonly<Record<Way, number>> {
    const [into, out] = this.#sides.map((side) => side.patterns);
    return { in: into ?? 0, out: out ?? 0 };
  }
}

/** What is only in one of two lists. Few of many change at a time, and what stays before and behind them is not worth a look-up each. */
export function exchanged<T>(before: readonly T[], after: readonly T[]): { readonly gone: readonly T[]; readonly come: readonly T[] } {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const old = before.slice(head, before.length - tail);
  const fresh = after.slice(head, after.length - tail);
  const [had, has] = [new Set(old), new Set(fresh)];
  return { gone: old.filter((item) => !has.has(item)), come: fresh.filter((item) => !had.has(item)) };
}

/** A set compiled for the first time. */
export function compile(set: PolicySet): Compilation | 'too large' {
  const compilation = new Compilation();
  try {
    compilation.update(set.rules);
  } catch (error) {
    if (error instanceof TooLarge) return 'too large';
    throw error;
  }
  return compilation;
}
