/** Tables as Contiv prints them (spec/contiv §3.1): left aligned, no borders, columns as wide as their longest cell and two spaces. Pure. */

export interface Column<T> {
  readonly head: string;
  /** What underlines the head; Contiv's own do not always have its length. */
  readonly dashes: string;
  readonly cell: (row: T) => string;
}

/** The table with head and dashes, ending in a newline. The last cell of a line is not padded. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const cells = [
    columns.map((c) => c.head),
    columns.map((c) => c.dashes),
    ...rows.map((row) => columns.map((c) => printable(c.cell(row)))),
  ];
  const widths = columns.map((_, i) => longest(cells, (line) => length(line[i] ?? '')) + 2);
  const last = columns.length - 1;
  return cells.map((line) => `${line.map((cell, i) => (i === last ? cell : pad(cell, widths[i] ?? 0))).join('')}\n`).join('');
}

/** A column whose head is underlined in its own length. */
export const column = <T>(head: string, cell: (row: T) => string): Column<T> => ({ head, dashes: '-'.repeat(head.length), cell });

/** The greatest of them, 0 of none. There may be more than arguments of a call. */
export function longest<T>(items: readonly T[], of: (item: T) => number): number {
  let most = 0;
  for (const item of items) most = Math.max(most, of(item));
  return most;
}

const length = (text: string): number => Array.from(text).length;
const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - length(text)));

/** Nothing that comes over the network may steer the terminal: control characters (C0, DEL, C1) become question marks. */
export function printable(text: string): string {
  return Array.from(text, (c) => (isControl(c) ? '?' : c)).join('');
}

export function isControl(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}
