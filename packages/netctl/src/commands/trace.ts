import { STAGES, type TraceAnswer, type TracePath, type TraceSide, type TraceStage } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { wrap } from '../output/wrap.js';
import { EXIT } from '../session.js';

export const trace: Run = async (session) => {
  const query = { from: session.arg(0), to: session.arg(1), service: session.arg(2) };
  const tenant = session.flags.text('tenant');
  const network = session.flags.text('network');
  const answer = await (await session.client()).trace({
    ...query,
    ...(tenant === '' ? {} : { tenant }),
    ...(network === '' ? {} : { network }),
  });
  await session.show(answer, () => traceText(answer, session.io.columns ?? 80));
  if (!answer.reachable) session.exit = EXIT.usage;
};

const NAME = Math.max(...STAGES.map((stage) => stage.length));

/** One stage per line, broken only where a sentence is longer than the terminal is wide. */
export function traceText(answer: TraceAnswer, columns: number): string {
  return [...answer.paths.map((path) => pathText(path, columns)), ...answer.notes.map((note) => `${note}\n`)].join('\n');
}

function pathText(path: TracePath, columns: number): string {
  const hosts = Math.max(0, ...path.stages.map(({ host }) => host.length));
  const lines = [...wrap('', `${sideText(path.from)} → ${sideText(path.to)}, ${path.service}`, columns)];
  for (const stage of path.stages) lines.push(...stageLines(stage, hosts, columns));
  for (const { host, entries, command } of path.differences) {
    lines.push(...wrap('  ! ', `the tables of ${host} differ from what is configured${entries.length === 0 ? '' : ':'}`, columns));
    for (const entry of entries) lines.push(...wrap('      ', entry, columns));
    lines.push(...wrap('    mend: ', command, columns));
  }
  for (const { host, reason } of path.unasked) lines.push(...wrap('  ? ', `the tables of ${host} were not asked: ${reason}`, columns));
  lines.push(path.reachable ? 'reachable' : 'NOT reachable');
  return `${lines.join('\n')}\n`;
}

function stageLines(stage: TraceStage, hosts: number, columns: number): string[] {
  const head = `  ${stage.ok ? '✓' : '✗'} ${stage.stage.padEnd(NAME)}  ${stage.host.padEnd(hosts)}  `;
  const indent = ' '.repeat(head.length);
  const lines = wrap(head, stage.says, columns);
  if (stage.liveSays !== undefined) lines.push(...wrap(`${indent}but `, stage.liveSays, columns));
  if (stage.warning !== undefined) lines.push(...wrap(`${indent}! `, stage.warning, columns));
  if (stage.mend !== undefined) lines.push(...wrap(`${indent}mend: `, stage.mend, columns));
  return lines;
}

function sideText({ name, ip, tenant, network, group, host }: TraceSide): string {
  if (host === '') return ip;
  return `${name} ${ip} (${tenant}/${network}${group === '' ? '' : `, group ${group}`}, on ${host})`;
}
