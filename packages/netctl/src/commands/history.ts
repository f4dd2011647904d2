/** Who changed what, and when. */
import type { HistoryEntry, ObjectChange } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { changeLines } from '../output/changes.js';
import { column, table } from '../output/table.js';
import { CommandError } from '../session.js';

interface Row {
  readonly entry: HistoryEntry;
  readonly change: ObjectChange;
}

const columns = [
  column('Time', ({ entry }: Row) => entry.time.replace('T', ' ').replace(/\.\d+Z$/, 'Z')),
  column('From', ({ entry }: Row) => entry.from),
  column('With', ({ entry }: Row) => `${entry.client}${entry.source === undefined ? '' : ` (${entry.source})`}`),
  column('Change', ({ change }: Row) => changeLines([change]).trimEnd()),
];

export const history: Run = async (session) => {
  const since = sinceOf(session.flags.text('since'), session.io.now());
  const entries = await (await session.client()).history(since, session.args);
  const rows = entries.flatMap((entry) => entry.changes.map((change) => ({ entry, change })));
  await session.show(entries, () => table(columns, rows));
};

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Dates are taken as ISO 8601 has them and no other way: `Date.parse` makes one of a lone number, too. */
const DATE = /^\d{4}-\d{2}-\d{2}/;

/** `90s`, `5m`, `2h`, `7d` before now, or a time. */
function sinceOf(text: string, now: Date): Date | undefined {
  if (text === '') return undefined;
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const date = DATE.test(text) ? Date.parse(text) : Number.NaN;
  const time = count === '' ? date : Math.max(0, now.getTime() - Number(count) * (UNITS[unit] ?? 0));
  if (Number.isNaN(time))
    throw new CommandError(`"${text}" is no time`, { hint: 'give 90s, 5m, 2h or 7d, or a time like 2026-11-26T12:00:00Z' });
  return new Date(time);
}
