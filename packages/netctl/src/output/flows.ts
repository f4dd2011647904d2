/** Recorded connections as lines for people. Pure. */
import type { FlowPeer, FlowRecord } from '@contiv/model';
import { longest, printable } from './table.js';

const NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6', 132: 'sctp' };

export function serviceText({ protocol, dst }: Pick<FlowRecord, 'protocol' | 'dst'>): string {
  const name = NAMES[protocol] ?? String(protocol);
  return dst.port === 0 || protocol === 1 || protocol === 58 ? name : `${name}/${dst.port}`;
}

/** A container by its name, anything else by its address. */
export const peerText = (peer: FlowPeer): string => peer.container ?? peer.ip;

/** The policy and rule that decided, or whose default. */
export function ruleText(flow: FlowRecord): string {
  if (flow.rule === undefined) return 'default';
  return flow.policy === '' || flow.policy === undefined ? flow.rule : `${flow.policy}:${flow.rule}`;
}

/** `1.2k`, `34M` */
export function amount(value: number): string {
  if (value < 1_000) return String(Math.round(value));
  const power = Math.min(4, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1_000 ** power;
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)}${['', 'k', 'M', 'G', 'T'][power]}`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** `14:03:59`, and `11-26 14:03:59` where days are told. */
function clock(ms: number, days: boolean): string {
  const at = new Date(ms);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  return days ? `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}` : time;
}

const momentOf = (flow: FlowRecord): number => (flow.state === 'open' ? flow.start : flow.time);

/** Is any of them of another day than today? */
export function ofOtherDays(flows: readonly FlowRecord[], now: Date): boolean {
  const [today, tomorrow] = [0, 1].map((days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime());
  return flows.some((flow) => momentOf(flow) < (today ?? 0) || momentOf(flow) >= (tomorrow ?? 0));
}

interface Part {
  readonly head: string;
  readonly width: number;
  readonly cell: (flow: FlowRecord) => string;
}

const time = (days: boolean): Part => ({ head: 'Time', width: days ? 14 : 8, cell: (f) => clock(momentOf(f), days) });
const state: Part = { head: 'State', width: 7, cell: (f) => f.state };
const from = (width: number): Part => ({ head: 'From', width, cell: (f) => peerText(f.src) });
const to = (width: number): Part => ({ head: 'To', width, cell: (f) => peerText(f.dst) });
const service: Part = { head: 'Service', width: 9, cell: serviceText };
const rule = (width: number): Part => ({ head: 'Rule', width, cell: ruleText });

/** The names get what is left of the width. */
function narrow(width: number, days: boolean): Part[] {
  const when = time(days);
  const names = Math.max(30, width - when.width - 7 - 9 - 2 * 5);
  const each = Math.floor(names * 0.36);
  return [when, state, from(each), to(each), service, rule(names - 2 * each)];
}

const all = (days: boolean): Part[] => [
  time(days),
  state,
  { head: 'Tenant', width: 12, cell: (f) => f.tenant },
  from(24),
  { head: 'Group', width: 12, cell: (f) => f.src.group ?? '' },
  to(24),
  { head: 'Group', width: 12, cell: (f) => f.dst.group ?? '' },
  service,
  rule(18),
  { head: 'Hosts', width: 20, cell: (f) => f.hosts.join(',') },
  { head: 'Packets', width: 11, cell: (f) => f.packets.map(amount).join('/') },
  { head: 'Bytes', width: 11, cell: (f) => f.bytes.map(amount).join('/') },
  { head: 'Seconds', width: 7, cell: (f) => String(Math.max(0, Math.round((f.time - f.start) / 1_000))) },
];

/** What there is to print into. */
export interface Room {
  /** Every column was asked for. */
  readonly wide: boolean;
  /** Columns of the terminal; absent where there is none, and nothing is cut. */
  readonly columns?: number | undefined;
  /** Times are told with their days. */
  readonly days?: boolean;
}

interface Layout {
  readonly parts: readonly Part[];
  readonly cut: boolean;
}

const lengthOf = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + part.width, 2 * (parts.length - 1));

/** For lines that come one by one: of those that are still to come nobody knows the longest name. */
function fixedLayout({ wide, columns, days = false }: Room): Layout {
  const every = all(days);
  if (wide || columns === undefined) return { parts: wide ? every : narrow(80, days), cut: false };
  return { parts: lengthOf(every) <= columns ? every : narrow(columns, days), cut: true };
}

/** As wide as what is in it, with as many columns as there is room for; only where there is too little, names are cut. */
function tableLayout(flows: readonly FlowRecord[], { wide, columns, days = false }: Room): Layout {
  const widthOf = (part: Part) =>
    Math.max(
      part.head.length,
      longest(flows, (flow) => Array.from(part.cell(flow)).length),
    );
  const whole = (parts: readonly Part[]): Part[] => parts.map((part) => ({ ...part, width: widthOf(part) }));
  if (wide || columns === undefined) return { parts: whole(wide ? all(days) : narrow(80, days)), cut: false };
  const fitting = [all(days), narrow(columns, days)].map(whole).find((parts) => lengthOf(parts) <= columns);
  return fitting ? { parts: fitting, cut: false } : { parts: narrow(columns, days), cut: true };
}

function line({ parts, cut }: Layout, cell: (part: Part) => string): string {
  const fitted = (part: Part): string => {
    const letters = Array.from(printable(cell(part)));
    const kept = cut && letters.length > part.width ? [...letters.slice(0, part.width - 1), '…'] : letters;
    return kept.join('') + ' '.repeat(Math.max(0, part.width - kept.length));
  };
  return parts.map(fitted).join('  ').trimEnd();
}

const heads = (layout: Layout): string[] => [line(layout, (part) => part.head), line(layout, (part) => '-'.repeat(part.head.length))];

/** A connection that comes after others. */
export const flowText = (flow: FlowRecord, room: Room): string => line(fixedLayout(room), (part) => part.cell(flow));

/** All of them, under their heads; `more`: others come after them. */
export function flowTable(flows: readonly FlowRecord[], room: Room, more = false): string {
  const layout = more ? fixedLayout(room) : tableLayout(flows, room);
  return `${[...heads(layout), ...flows.map((flow) => line(layout, (part) => part.cell(flow)))].join('\n')}\n`;
}
