import type { FlowQuery } from '@contiv/client';
import { type FlowLine, type FlowRecord, protocolNumber } from '@contiv/model';
import type { Run } from '../cli/command.js';
import type { Values } from '../cli/values.js';
import { jsonLine } from '../output/document.js';
import { flowTable, flowText, ofOtherDays, type Room } from '../output/flows.js';
import { printable } from '../output/table.js';
import { compared, topRows, topTable } from '../output/top.js';
import { CommandError, type Session } from '../session.js';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `5m`, `2h`, `1d` as milliseconds. */
export function duration(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS[unit];
  if (unitMs === undefined) throw new CommandError(`Invalid time ${text} - Enter a number with s, m, h or d, like 5m`);
  return Number(digits) * unitMs;
}

/** Names that the table has besides those of rules. */
const NAMES: ReadonlyMap<string, number> = new Map([
  ['icmp6', 58],
  ['icmpv6', 58],
  ['sctp', 132],
]);

/** `tcp/443`, `tcp`, `icmp`, `132/80`. */
export function service(text: string): { protocol?: number; port?: number } {
  if (text === '') return {};
  const [name = '', digits, ...more] = text.split('/');
  const protocol = NAMES.get(name.toLowerCase()) ?? protocolNumber(name.toLowerCase());
  const port = digits === undefined ? undefined : Number(digits);
  const badPort = digits !== undefined && (!/^\d{1,5}$/.test(digits) || port === 0 || Number(digits) > 65_535);
  if (protocol === undefined || badPort || more.length > 0)
    throw new CommandError(`Invalid service ${text} - Enter a protocol, or a protocol and a port, like tcp/443`);
  return { protocol, ...(port === undefined ? {} : { port }) };
}

function filterOf(flags: Values): FlowQuery {
  const given = (name: 'tenant' | 'from' | 'to') => (flags.text(name) === '' ? {} : { [name]: flags.text(name) });
  return { ...given('tenant'), ...given('from'), ...given('to'), ...service(flags.text('service')) };
}

const MOST = 100_000;

function lastOf(flags: Values): number {
  const last = flags.number('last');
  if (last < 0 || last > MOST) throw new CommandError(`Invalid number ${last} - Enter 0 to ${MOST} for --last`);
  return last;
}

/** Nothing of a tenant that is not there would look as if nobody spoke. Of one that is gone there may be records. */
async function requireTenant(session: Session): Promise<void> {
  const tenant = session.flags.text('tenant');
  if (tenant !== '') await (await session.client()).tenants.get(tenant);
}

/** What is not there, as lines that are said beside the records and not among them. @param isNow it is about what happens now, not about all that was. */
function missingText(line: FlowLine, isNow = false): string {
  if (line.type === 'missing') return `${printable(`host ${line.host}: ${line.reason}; flows of it are missing`)}\n`;
  if (line.type === 'left-out')
    return `${printable(`host ${line.host}: ${line.records} records${isNow ? '' : ' since its agent began'} were left out, more than it records`)}\n`;
  return '';
}

export const flows: Run = async (session) => {
  const { flags, io } = session;
  if (session.format === 'yaml') throw new CommandError('Flows are printed as a table or with -o json');
  const verdict = flags.text('verdict');
  if (verdict !== '' && verdict !== 'allow' && verdict !== 'deny')
    throw new CommandError(`Invalid verdict ${verdict} - Enter allow or deny`);
  const since = flags.text('since');
  const query: FlowQuery = {
    ...filterOf(flags),
    ...(verdict === '' ? {} : { verdict }),
    ...(since === '' ? {} : { since: Math.max(0, io.now().getTime() - duration(since)) }),
    limit: lastOf(flags),
    follow: flags.on('follow'),
  };
  let room: Room = { wide: session.format === 'wide', columns: io.columns };
  const past: FlowRecord[] = [];
  let [isNow, told] = [false, false];
  for await (const line of (await session.client()).flows(query)) {
    if (line.type === 'missing' || line.type === 'left-out') io.err(missingText(line, isNow));
    told ||= line.type === 'flow';
    if (line.type === 'flow' && session.structured) session.line(jsonLine(line.flow));
    else if (line.type === 'flow' && isNow) session.line(flowText(line.flow, room));
    else if (line.type === 'flow') past.push(line.flow);
    else if (line.type === 'now') {
      isNow = true;
      if (!told) await requireTenant(session);
      room = { ...room, days: ofOtherDays(past, io.now()) };
      if (!session.structured) session.print(flowTable(past, room, true));
    }
  }
  if (!told) await requireTenant(session);
  if (!isNow && !session.structured) session.print(flowTable(past, { ...room, days: ofOtherDays(past, io.now()) }));
};

async function present(session: Session, query: FlowQuery): Promise<{ readonly flows: FlowRecord[]; readonly missing: string }> {
  const found: FlowRecord[] = [];
  let missing = '';
  for await (const line of (await session.client()).flows(query)) {
    if (line.type === 'flow') found.push(line.flow);
    missing += missingText(line);
  }
  return { flows: found, missing };
}

export const top: Run = async (session) => {
  const { flags, io } = session;
  const by = flags.text('by');
  if (by !== 'connection' && by !== 'container' && by !== 'group')
    throw new CommandError(`Invalid value ${by} - Enter connection, container or group`);
  const seconds = flags.number('interval');
  if (seconds < 1 || seconds > 3_600) throw new CommandError('Invalid interval - Enter 1 to 3600 seconds');
  const last = lastOf(flags);
  const query: FlowQuery = { ...filterOf(flags), verdict: 'allow', live: true, limit: 0 };
  const refreshes = io.outTerminal === true && !session.structured;
  const isWide = () => session.format === 'wide' || (io.columns ?? 80) >= 160;
  // What is busiest stays in sight: heads, what is missing and the cursor take their lines.
  const fitting = (missing: string) =>
    refreshes && io.rows !== undefined ? Math.min(last, Math.max(1, io.rows - 2 - missing.split('\n').length)) : last;
  let seen = await present(session, query);
  let { flows: before } = seen;
  if (before.length === 0) await requireTenant(session);
  io.err(seen.missing);
  for (;;) {
    await new Promise((wake) => setTimeout(wake, seconds * 1_000));
    const now = await present(session, query);
    before = compared(before, seen.flows, now.flows);
    const rows = topRows(before, now.flows, by, fitting(now.missing));
    const text = () => topTable(rows, by, isWide() ? undefined : io.columns);
    // On the same page: what was said before it is wiped away.
    if (refreshes) session.print(`\u001b[H\u001b[2J${text()}${now.missing}`);
    else {
      if (now.missing !== seen.missing) io.err(now.missing);
      return session.show({ seconds, by, rows }, text);
    }
    seen = now;
  }
};
