import { ipv4FromNumber } from './ipv4.js';

/** An inclusive range of IPv4 addresses as unsigned 32-bit numbers. */
export interface Range4 {
  readonly first: number;
  readonly last: number;
}

export const overlaps4 = (a: Range4, b: Range4): boolean => a.first <= b.last && b.first <= a.last;

/** Joins sorted numbers to inclusive ranges. */
export function toRanges(sorted: Iterable<number>): Range4[] {
  const out: { first: number; last: number }[] = [];
  for (const n of sorted) {
    const tail = out.at(-1);
    if (tail && n === tail.last + 1) tail.last = n;
    else if (!tail || n > tail.last) out.push({ first: n, last: n });
  }
  return out;
}

/** Contiv's range text: `10.1.1.2-10.1.1.4, 10.1.1.6` (spec/contiv §6.1). */
export function formatRanges4(ranges: Iterable<Range4>): string {
  return [...ranges]
    .map((r) => (r.first === r.last ? ipv4FromNumber(r.first) : `${ipv4FromNumber(r.first)}-${ipv4FromNumber(r.last)}`))
    .join(', ');
}

/** The ranges of `whole` that no range of `taken` (sorted, disjoint) covers. */
export function subtract4(whole: Range4, taken: Iterable<Range4>): Range4[] {
  const out: Range4[] = [];
  let next = whole.first;
  for (const t of taken) {
    if (t.last < next) continue;
    if (t.first > whole.last) break;
    if (t.first > next) out.push({ first: next, last: t.first - 1 });
    next = Math.max(next, t.last + 1);
  }
  if (next <= whole.last) out.push({ first: next, last: whole.last });
  return out;
}
