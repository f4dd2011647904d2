import type { DoctorAnswer, DoctorFinding } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, column, table } from '../output/table.js';
import { wrap } from '../output/wrap.js';
import { EXIT } from '../session.js';

export const doctor: Run = async (session) => {
  const answer = await (await session.client()).doctor();
  await session.show(answer, (wide) => doctorText(answer, wide ? Number.POSITIVE_INFINITY : (session.io.columns ?? 80)));
  if (!answer.healthy) session.exit = EXIT.usage;
};

type Row = DoctorAnswer['hosts'][number];

const MARK = { error: '✗', warning: '!', note: '-' } as const;
const clock = (ms: number | undefined): string =>
  ms === undefined ? '' : ms === 0 ? 'right' : `${ms > 0 ? '+' : ''}${(ms / 1_000).toFixed(1)} s`;

const COLUMNS: readonly Column<Row>[] = [
  column('Host', (h) => h.host),
  column('State', (h) => h.state),
  column('Version', (h) => h.version),
  column('Kernel', (h) => h.kernel),
  column('MTU', (h) => String(h.mtu)),
  column('Clock', (h) => clock(h.clockMs)),
  column('Behind', (h) => (h.behind === undefined ? '' : String(h.behind))),
  column('Peers', (h) => (h.peers === undefined ? '' : `${h.peers.good}/${h.peers.all}`)),
];
/** Left out in turn where the terminal is narrow; what is wrong with them is a finding besides. */
const SPARED = ['Kernel', 'Version', 'MTU'] as const;

/** The table that fits, with as many columns as can be. */
function hostTable(hosts: readonly Row[], columns: number): string {
  let shown = COLUMNS;
  let text = table(shown, hosts);
  for (const head of SPARED) {
    if (text.split('\n').every((line) => line.length <= columns)) break;
    shown = shown.filter((c) => c.head !== head);
    text = table(shown, hosts);
  }
  return text;
}

/** @param columns of the terminal; without an end for everything. */
export function doctorText(answer: DoctorAnswer, columns: number): string {
  const rows = hostTable(answer.hosts, columns);
  const lines = answer.findings.flatMap((finding) => findingLines(finding, columns));
  return `${rows}${lines.length === 0 ? '' : '\n'}${lines.map((line) => `${line}\n`).join('')}${countText(answer.findings)}\n`;
}

function findingLines({ severity, thing, reason, way }: DoctorFinding, columns: number): string[] {
  return [...wrap(`${MARK[severity]} `, `${thing}: ${reason}`, columns), ...wrap('    → ', way, columns)];
}

function countText(findings: readonly DoctorFinding[]): string {
  const count = (severity: DoctorFinding['severity'], word: string) => {
    const n = findings.filter((f) => f.severity === severity).length;
    return n === 0 ? [] : [`${n} ${word}${n === 1 ? '' : 's'}`];
  };
  const wrong = [...count('error', 'error'), ...count('warning', 'warning')];
  return wrong.length === 0 ? 'Nothing is wrong' : wrong.join(', ');
}
