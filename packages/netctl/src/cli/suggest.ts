/** Near misses: which of the known words was meant. Pure. */

/** Edits between two words, a swap of neighbours counted as one (optimal string alignment). */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row[j] = best;
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? a.length;
}

const LONGEST = 64;

/** A word cut short is nearly it; one with something behind it less so. */
function likeness(asked: string, other: string): number {
  if (asked.length < 2 || other.length < 2) return Number.POSITIVE_INFINITY;
  if (other.startsWith(asked)) return 0.5;
  return asked.startsWith(other) ? 1.5 : Number.POSITIVE_INFINITY;
}

/** At most three of the known words, nearest first: those a slip of the fingers away, or one the beginning of the other. */
export function nearest(word: string, known: Iterable<string>): string[] {
  if (word === '' || word.length > LONGEST) return [];
  const asked = word.toLowerCase();
  const limit = asked.length <= 3 ? 1 : asked.length <= 7 ? 2 : 3;
  const scored: { word: string; score: number }[] = [];
  for (const candidate of new Set(known)) {
    if (candidate === word || candidate.length > LONGEST) continue;
    const other = candidate.toLowerCase();
    const score = Math.min(distance(asked, other), likeness(asked, other));
    if (score <= Math.max(limit, 1.5) && score < other.length) scored.push({ word: candidate, score });
  }
  return scored
    .toSorted((a, b) => a.score - b.score || (a.word < b.word ? -1 : 1))
    .slice(0, 3)
    .map((s) => s.word);
}

/** `Did you mean "a"?`, `Did you mean "a" or "b"?`; empty when nothing is near. */
export function didYouMean(words: readonly string[]): string {
  if (words.length === 0) return '';
  const quoted = words.map((word) => `"${word}"`);
  const last = quoted.pop() ?? '';
  return `Did you mean ${quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`}?`;
}
