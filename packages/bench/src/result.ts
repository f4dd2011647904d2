/** One line of the benchmark table. */
export interface Result {
  readonly suite: string;
  readonly what: string;
  /** Name → median (or the named percentile), in `unit`. */
  readonly figures: Readonly<Record<string, number>>;
  readonly unit: string;
  /** The figure that the target speaks of, e.g. a ratio. */
  readonly value: number;
  readonly valueName: string;
  readonly target: Target;
}

export interface Target {
  readonly op: '<=' | '>=';
  readonly limit: number;
  readonly unit?: string;
}

export const met = (result: Result): boolean =>
  result.target.op === '<=' ? result.value <= result.target.limit : result.value >= result.target.limit;

/** At most four significant digits, without exponent. */
export function figure(n: number): string {
  if (!Number.isFinite(n)) return '–';
  if (Math.abs(n) >= 1000) return Math.round(n).toLocaleString('en-US');
  return String(Number(n.toPrecision(3)));
}

/** The table of `docs/benchmarks.md`. */
export function toMarkdown(results: readonly Result[]): string {
  const rows = results.map((r) => {
    const figures = Object.entries(r.figures)
      .map(([name, n]) => `${name} ${figure(n)}`)
      .join(' · ');
    const unit = r.target.unit === undefined ? '' : ` ${r.target.unit}`;
    return `| ${r.what} | ${figures} ${r.unit} | ${r.valueName} ${figure(r.value)}${unit} | ${r.target.op === '<=' ? '≤' : '≥'} ${figure(r.target.limit)}${unit} | ${met(r) ? 'met' : '**missed**'} |`;
  });
  return ['| what | medians | compared | target | |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}
