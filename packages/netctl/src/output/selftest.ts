/** A run's table and its failures, for people. Pure. */
import type { TraceAnswer } from '@contiv/model';
import { traceText } from '../commands/trace.js';
import { type Result, type Row, rowsOf } from '../selftest/verdict.js';
import { column, table } from './table.js';
import { wrap } from './wrap.js';

export interface Failure {
  readonly result: Result;
  /** netmaster's trace, or why there is none; absent for what no trace explains. */
  readonly trace?: TraceAnswer | string | undefined;
}

export interface Report {
  readonly run: string;
  readonly image: string;
  /** By netmaster's names. */
  readonly hosts: readonly string[];
  readonly containers: number;
  readonly results: readonly Result[];
  readonly failures: readonly Failure[];
  /** Failures beyond those that are shown and traced. */
  readonly more: number;
  /** Hosts or parts that were not tested, as sentences. */
  readonly untested: readonly string[];
  readonly passed: boolean;
}

const count = ({ passed, all }: Row['sameHost']): string => (all === 0 ? '' : `${passed === all ? '' : '✗ '}${passed}/${all}`);
const plural = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;

export function reportText(report: Report, columns: number): string {
  const { results, hosts, failures, untested } = report;
  const rows = table(
    [
      column('Network', ({ check }: Row) => check.network),
      column('Probe', ({ check }: Row) => check.what),
      column('Should be', ({ check }: Row) => (check.answer ? 'answered' : 'silent')),
      column('Same host', ({ sameHost }: Row) => count(sameHost)),
      column('Across', ({ betweenHosts }: Row) => count(betweenHosts)),
    ],
    rowsOf(results),
  );
  const lines = failures.flatMap((failure) => failureLines(failure, columns));
  if (report.more > 0) lines.push(`… and ${report.more} more; -o json has all of them`);
  for (const sentence of untested) lines.push(...wrap('✗ ', `not tested: ${sentence}`, columns));
  const late = results.filter(({ passed, tries }) => passed && tries > 1).length;
  if (late > 0)
    lines.push(...wrap('! ', `${plural(late, 'probe')} passed only when asked again: packets are lost, or hosts are slow`, columns));
  const failed = results.filter(({ passed }) => !passed).length;
  const all = `${plural(results.length, 'probe')} between ${plural(report.containers, 'container')} on ${plural(hosts.length, 'host')}`;
  lines.push(`${all}: ${failed === 0 ? 'all passed' : `${failed} FAILED`}${untested.length === 0 ? '' : ', not everything was tested'}`);
  return `${rows}\n${lines.join('\n')}\n`;
}

/** Engines hand names on only when they were told to. */
const NAMES = 'the engine there asks netplugin for names only when it was started with --dns 169.254.20.10';

function failureLines({ result, trace }: Failure, columns: number): string[] {
  const { probe, fromHost, toHost, seen } = result;
  const wanted = probe.check.answer ? '' : ', where silence was due';
  const said = `${probe.check.network}: ${probe.check.what}: ${probe.from.name} on ${fromHost} → ${probe.to.name} on ${toHost}: ${seen}${wanted}`;
  const lines = wrap('✗ ', said, columns);
  if (typeof trace === 'string') lines.push(...wrap('    ', `no trace: ${trace}`, columns));
  else if (trace !== undefined)
    lines.push(
      ...traceText(trace, columns - 4)
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => `    ${line}`),
    );
  else if (probe.check.answer && probe.sent.kind === 'name') lines.push(...wrap('    → ', NAMES, columns));
  return [...lines, ''];
}
