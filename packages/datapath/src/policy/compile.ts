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
  #rules: ReadonlySet<PolicyRule> = new Set();

  /**
   * The rules from now on; those that stay are known by their identity. Answers what differs from before.
   * @throws TooLarge; it is of no use after that.
   */
  update(rules: readonly PolicyRule[]): Difference {
    const next = new Set(rules);
    const gone = [...this.#rules].filter((rule) => !next.has(rule));
    const come = [...next].filter((rule) => !this.#rules.has(rule));
    this.#rules = next;
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
