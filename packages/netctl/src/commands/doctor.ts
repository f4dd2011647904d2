import type { DoctorAnswer, DoctorFinding } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { column, table } from '../output/table.js';
import { wrap } from '../output/wrap.js';
import { EXIT } from '../session.js';

export const doctor: Run = async (session) => {
  const answer = await (await session.client()).doctor();
  await session.show(answer, () => doctorText(answer, session.io.columns ?? 80));
  if (!answer.healthy) session.exit = EXIT.usage;
};

type Row = DoctorAnswer['hosts'][number];

const MARK = { error: '✗', warning: '!', note: '-' } as const;
const clock = (ms: number | undefined): string =>
  ms === undefined ? '' : ms === 0 ? 'right' : `${ms > 0 ? '+' : ''}${(ms / 1_000).toFixed(1)} s`;

export function doctorText(answer: DoctorAnswer, columns: number): string {
  const rows = table(
    [
      column('Host', (h: Row) => h.host),
      column('State', (h: Row) => h.state),
      column('Version', (h: Row) => h.version),
      column('Kernel', (h: Row) => h.kernel),
      column('MTU', (h: Row) => String(h.mtu)),
      column('Clock', (h: Row) => clock(h.clockMs)),
      column('Behind', (h: Row) => (h.behind === undefined ? '' : String(h.behind))),
      column('Peers', (h: Row) => (h.peers === undefined ? '' : `${h.peers.good}/${h.peers.all}`)),
    ],
    answer.hosts,
  );
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
