/** What is busiest, from the counters of two moments. Pure. */
import type { FlowRecord } from '@contiv/model';
import { amount, peerText, serviceText } from './flows.js';
import { column, table } from './table.js';

export type TopBy = 'connection' | 'container' | 'group';

export interface TopRow {
  readonly tenant: string;
  readonly from: string;
  readonly to: string;
  readonly service: string;
  readonly connections: number;
  /** In both directions. */
  readonly bitsPerSecond: number;
  readonly packetsPerSecond: number;
}

const connectionOf = ({ tenant, protocol, src, dst }: FlowRecord): string =>
  `${tenant} ${protocol} ${src.ip} ${src.port} ${dst.ip} ${dst.port}`;
const sum = ([a, b]: readonly [number, number]): number => a + b;

/**
 * What the counters of `now` are to be compared with, which were compared with `before` when they stood as in `last`. A busy host reads its
 * counters less often than it is asked: until it has read them anew they are compared with the same as the last time.
 */
export function compared(before: readonly FlowRecord[], last: readonly FlowRecord[], now: readonly FlowRecord[]): FlowRecord[] {
  const [earlier, latest] = [before, last].map((flows) => new Map(flows.map((flow) => [`${connectionOf(flow)} ${flow.start}`, flow])));
  return now.flatMap((flow) => {
    const key = `${connectionOf(flow)} ${flow.start}`;
    const known = latest?.get(key);
    return (known?.time === flow.time ? earlier?.get(key) : known) ?? [];
  });
}

interface Row extends TopRow {
  readonly key: string;
}

/** The busiest `limit`. A connection that began in between counts from its beginning. */
export function topRows(before: readonly FlowRecord[], after: readonly FlowRecord[], by: TopBy, limit: number): TopRow[] {
  const earlier = new Map(before.map((flow) => [connectionOf(flow), flow]));
  const rows = new Map<string, Row>();
  for (const flow of after) {
    const old = earlier.get(connectionOf(flow));
    const same = old !== undefined && old.start === flow.start ? old : undefined;
    const seconds = Math.max(0.5, (flow.time - (same?.time ?? flow.start)) / 1_000);
    const bytes = Math.max(0, sum(flow.bytes) - (same ? sum(same.bytes) : 0));
    const packets = Math.max(0, sum(flow.packets) - (same ? sum(same.packets) : 0));
    // Counters that were not read anew say nothing about this moment.
    if (same && same.time === flow.time) continue;
    const row = rowOf(flow, by, (bytes * 8) / seconds, packets / seconds);
    const other = rows.get(row.key);
    rows.set(row.key, other ? added(other, row) : row);
  }
  return [...rows.values()]
    .sort((a, b) => b.bitsPerSecond - a.bitsPerSecond || b.packetsPerSecond - a.packetsPerSecond || (a.key < b.key ? -1 : 1))
    .slice(0, limit)
    .map(({ key: _key, ...row }) => row);
}

function rowOf(flow: FlowRecord, by: TopBy, bits: number, packets: number): Row {
  const { tenant, src, dst } = flow;
  const group = (peer: FlowRecord['src']) => peer.group ?? peer.network ?? 'outside';
  const figures = { tenant, connections: 1, bitsPerSecond: Math.round(bits), packetsPerSecond: Math.round(packets) };
  if (by === 'connection')
    return { key: connectionOf(flow), ...figures, from: peerText(src), to: peerText(dst), service: serviceText(flow) };
  const [from, to] = by === 'container' ? [peerText(src), peerText(dst)] : [group(src), group(dst)];
  return { key: `${tenant} ${from} ${to}`, ...figures, from, to, service: '' };
}

const added = (a: Row, b: Row): Row => ({
  ...a,
  connections: a.connections + b.connections,
  bitsPerSecond: a.bitsPerSecond + b.bitsPerSecond,
  packetsPerSecond: a.packetsPerSecond + b.packetsPerSecond,
});

const clip = (text: string, width: number): string =>
  Array.from(text).length <= width
    ? text
    : `${Array.from(text)
        .slice(0, width - 1)
        .join('')}…`;

/** @param width of the terminal; nothing is cut when absent. */
export function topTable(rows: readonly TopRow[], by: TopBy, width?: number): string {
  const name = width === undefined ? Number.POSITIVE_INFINITY : Math.max(10, Math.floor((width - 46) / 2));
  const tenant = width === undefined ? Number.POSITIVE_INFINITY : 10;
  const columns = [
    column('Bit/s', (r: TopRow) => amount(r.bitsPerSecond)),
    column('Packets/s', (r: TopRow) => amount(r.packetsPerSecond)),
    column('Tenant', (r: TopRow) => clip(r.tenant, tenant)),
    column('From', (r: TopRow) => clip(r.from, name)),
    column('To', (r: TopRow) => clip(r.to, name)),
    by === 'connection' ? column('Service', (r: TopRow) => r.service) : column('Conns', (r: TopRow) => amount(r.connections)),
  ];
  return table(columns, rows);
}
