/** Records of several hosts as one list: of a connection between two hosts each has its own. Pure. */
import type { FlowRecord } from '@contiv/model';

/** Clocks of two hosts, and of their kernels, may differ by this much, in milliseconds. */
const APART_MS = 5_000;

export const connectionOf = ({ tenant, protocol, src, dst }: FlowRecord): string =>
  `${tenant} ${protocol} ${src.ip} ${src.port} ${dst.ip} ${dst.port}`;

/** Will another host have a record of it, too? What is denied where it begins does not get to the other end. */
export const hasTwin = ({ hosts, verdict, src, dst }: FlowRecord): boolean =>
  verdict === 'allow' && hosts.length === 1 && src.host !== undefined && dst.host !== undefined && src.host !== dst.host;

const goesOn = (record: FlowRecord): boolean => record.state === 'open';

/** Are these the records of two hosts of one connection? */
export function areTwins(a: FlowRecord, b: FlowRecord): boolean {
  return (
    a.hosts.length === 1 &&
    b.hosts.length === 1 &&
    a.hosts[0] !== b.hosts[0] &&
    a.verdict === b.verdict &&
    goesOn(a) === goesOn(b) &&
    Math.abs(a.start - b.start) <= APART_MS &&
    connectionOf(a) === connectionOf(b)
  );
}

/** Of twins one record, told from the caller's side. Each host counts what got to it: the larger figure was sent. */
export function merge(a: FlowRecord, b: FlowRecord): FlowRecord {
  const [caller, called] = b.hosts[0] === b.src.host ? [b, a] : [a, b];
  const most = (x: readonly [number, number], y: readonly [number, number]): [number, number] => [
    Math.max(x[0], y[0]),
    Math.max(x[1], y[1]),
  ];
  const vague = caller.state === 'expired' || caller.state === 'lost';
  return {
    ...caller,
    hosts: [...caller.hosts, ...called.hosts],
    state: vague ? called.state : caller.state,
    time: Math.max(a.time, b.time),
    ...(caller.logged || called.logged ? { logged: true } : {}),
    packets: most(a.packets, b.packets),
    bytes: most(a.bytes, b.bytes),
  };
}

/** Twins made one. Of ends that meet again and again, as of those that are denied all day, only what began at about the same time is compared. */
function merged(records: readonly FlowRecord[]): FlowRecord[] {
  const all: { record: FlowRecord }[] = [];
  const singles = new Map<string, { record: FlowRecord }[]>();
  for (const record of records) {
    const slot = Math.floor(record.start / APART_MS);
    const key = connectionOf(record);
    const near = [slot - 1, slot, slot + 1].flatMap((s) => singles.get(`${key} ${s}`) ?? []);
    const twin = near.find((other) => areTwins(other.record, record));
    if (twin) {
      twin.record = merge(twin.record, record);
      continue;
    }
    const single = { record };
    all.push(single);
    const here = singles.get(`${key} ${slot}`);
    if (here) here.push(single);
    else singles.set(`${key} ${slot}`, [single]);
  }
  return all.map(({ record }) => record);
}

/** What hosts tell, up to a bound. */
export class Gathered {
  readonly records: FlowRecord[] = [];
  readonly #max: number;
  readonly #cut = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Is the host the next one of whose records not all fit? Of each it is told once. */
  add(host: string, records: readonly FlowRecord[]): boolean {
    const room = this.#max - this.records.length;
    for (const record of records.slice(0, room)) this.records.push(record);
    if (records.length <= room || this.#cut.has(host)) return false;
    this.#cut.add(host);
    return true;
  }
}

/** Everything hosts have recorded, twins made one, by time: the newest `limit` of those that are over, and all that go on. */
export function mergeAll(records: readonly FlowRecord[], limit: number): FlowRecord[] {
  const all = merged(records);
  const over = all.filter((record) => !goesOn(record)).sort((a, b) => a.time - b.time);
  const open = all.filter(goesOn).sort((a, b) => a.start - b.start);
  return [...(limit > 0 ? over.slice(-limit) : []), ...open];
}

/** Twins of a stream: the first one waits a little for the second. */
export class TwinWait {
  readonly #waitMs: number;
  readonly #waiting = new Map<string, { readonly record: FlowRecord; readonly until: number }[]>();
  #size = 0;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** What can be told now. */
  take(record: FlowRecord, now: number): FlowRecord[] {
    if (!hasTwin(record)) return [record];
    const key = connectionOf(record);
    const waiting = this.#waiting.get(key) ?? [];
    const at = waiting.findIndex((other) => areTwins(other.record, record));
    const other = waiting[at];
    if (other) {
      waiting.splice(at, 1);
      this.#size--;
      if (waiting.length === 0) this.#waiting.delete(key);
      return [merge(other.record, record)];
    }
    waiting.push({ record, until: now + this.#waitMs });
    this.#size++;
    this.#waiting.set(key, waiting);
    return [];
  }

  get size(): number {
    return this.#size;
  }

  /** Those that have waited long enough. */
  due(now: number): FlowRecord[] {
    const told: FlowRecord[] = [];
    for (const [key, waiting] of this.#waiting) {
      const rest = waiting.filter((one) => one.until > now);
      if (rest.length === waiting.length) continue;
      told.push(...waiting.filter((one) => one.until <= now).map((one) => one.record));
      this.#size -= waiting.length - rest.length;
      if (rest.length > 0) this.#waiting.set(key, rest);
      else this.#waiting.delete(key);
    }
    return told;
  }
}
