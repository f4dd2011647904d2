/** Rows of a table as `docker … ls` or `netctl … ls` print one: cells are two or more spaces apart. */
export function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s{2,}/));
}

/** The widest line, in columns; what a person's terminal must offer. */
export const width = (text: string): number => Math.max(...text.split('\n').map((line) => line.trimEnd().length));
