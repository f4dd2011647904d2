/** Ranges as prefixes, and prefixes sorted into classes: what a longest-prefix table needs. Pure. */

/** Values of `width` bits; `length` of them, from the highest, are fixed. */
export interface Prefix {
  readonly value: bigint;
  readonly length: number;
}

/** The fewest prefixes that cover `first` to `last` and nothing else. */
export function coverRange(first: bigint, last: bigint, width: number): Prefix[] {
  const out: Prefix[] = [];
  let at = first;
  while (at <= last) {
    let bits = 0;
    // As large a block as begins here and ends in time.
    while (bits < width && (at & ((2n << BigInt(bits)) - 1n)) === 0n && at + (2n << BigInt(bits)) - 1n <= last) bits++;
    out.push({ value: at, length: width - bits });
    at += 1n << BigInt(bits);
  }
  return out;
}

export interface Classes {
  /** The longest of these that holds a value says the value's class; a value in none of them is in no class. */
  readonly prefixes: readonly (Prefix & { readonly number: number })[];
  /** For each predicate the classes whose values it holds. */
  readonly of: readonly (readonly number[])[];
}

/** Sorts values by the predicates that hold them: two values are in one class when just the same predicates do. */
export function classify(predicates: readonly (readonly Prefix[])[], width: number): Classes {
  const holders = new Map<string, Prefix & { readonly predicates: Set<number> }>();
  for (const [predicate, prefixes] of predicates.entries()) {
    for (const { value, length } of prefixes) {
      const key = `${value}/${length}`;
      const known = holders.get(key) ?? { value, length, predicates: new Set<number>() };
      holders.set(key, known);
      known.predicates.add(predicate);
    }
  }
  // Prefixes are nested or apart: sorted like this, those a prefix lies in are the ones that are still open.
  const sorted = [...holders.values()].sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.length - b.length));
  const open: { readonly last: bigint; readonly predicates: ReadonlySet<number> }[] = [];
  const numbers = new Map<string, number>();
  const of: number[][] = predicates.map(() => []);
  const out: (Prefix & { number: number })[] = [];
  for (const { value, length, predicates: own } of sorted) {
    while ((open.at(-1)?.last ?? value) < value) open.pop();
    const all = new Set([...(open.at(-1)?.predicates ?? []), ...own]);
    open.push({ last: value + (1n << BigInt(width - length)) - 1n, predicates: all });
    const name = [...all].sort((a, b) => a - b).join(' ');
    let number = numbers.get(name);
    if (number === undefined) {
      number = numbers.size + 1;
      numbers.set(name, number);
      for (const predicate of all) of[predicate]?.push(number);
    }
    out.push({ value, length, number });
  }
  return { prefixes: out, of };
}
