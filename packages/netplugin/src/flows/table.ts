/** Connections that go on, from what the kernel tells and from what its tables show now and then. Pure: time and names are given. */
import { type FlowEvent, nowUnits, type TrackedConnection } from '@contiv/datapath';
import type { FlowPeer, FlowRecord } from '@contiv/model';
import type { FlowNames } from './names.js';

const MS_PER_UNIT = 2 ** 30 / 1e6;
/** What happened within so many units is taken to have happened when it was read. */
const FRESH = 2;

/** Kept for as long as the connection goes on, and changed in place: a sweep of a full table makes nothing anew. */
interface Open {
  /** Copied before it is given away. */
  readonly record: FlowRecord;
  /** Units. */
  readonly started: number;
  /** Units: when it was last known to have traffic. */
  seen: number;
  readAt: number;
  rule: number;
  /** Known from the kernel's table only: its beginning may wait in the ring. */
  readonly adopted: boolean;
}

export interface TableOptions {
  readonly host: string;
  readonly names: Pick<FlowNames, 'tenant' | 'peer' | 'rule'>;
  /** Connections remembered at once; those on top are forgotten and counted. */
  readonly max: number;
  /** The programs' clock; for tests. */
  readonly units?: () => number;
}

const keyOf = ({ domain, protocol, src, dst }: TrackedConnection): string =>
  `${domain} ${protocol} ${src.ip} ${src.port} ${dst.ip} ${dst.port}`;

/** A container's name comes a moment after its start, and may come after its first connections: for so long, in milliseconds, it is looked for. */
const NAMED_WITHIN_MS = 60_000;

/** Units without traffic after which the data path forgets: what was silent for less and is gone made room for another one. */
const patience = (protocol: number, replied: boolean): number => (protocol !== 6 ? 170 : replied ? 21_590 : 50);

export class FlowTable {
  readonly #options: TableOptions;
  readonly #units: () => number;
  readonly #open = new Map<string, Open>();
  readonly #hosts: string[];
  /** Connections that did not fit. */
  left = 0;

  constructor(options: TableOptions) {
    this.#options = options;
    this.#hosts = [options.host];
    this.#units = options.units ?? nowUnits;
  }

  get size(): number {
    return this.#open.size;
  }

  /** How many more fit. */
  get room(): number {
    return this.#options.max - this.#open.size;
  }

  /** What goes on. */
  *records(): Generator<FlowRecord> {
    for (const { record } of this.#open.values()) yield copy(record);
  }

  /** Answers what there is to record: connections that were denied or have ended, and those that began as `open`. */
  tell({ kind, connection }: FlowEvent, now: number): FlowRecord[] {
    const key = keyOf(connection);
    const held = this.#open.get(key);
    if (held) this.#open.delete(key);
    if (kind !== 'opened') {
      const record = this.#record(connection, kind === 'denied' ? 'denied' : endOf(connection), now, held?.record);
      return [{ ...record, time: Math.max(record.start, this.#toldOf(kind, connection, now)) }];
    }
    const record = this.#record(connection, 'open', now);
    this.#keep(key, record, connection, now, false);
    // The same ends begin anew: whatever was there is over.
    if (held && !(held.adopted && held.started === connection.started)) return [{ ...held.record, state: 'closed', time: now }, record];
    return [record];
  }

  /** When it happened: an agent that was away reads of it later. One that is cut was last seen when it was allowed, and a container's departure is no packet. */
  #toldOf(kind: FlowEvent['kind'], { started, seen, end }: TrackedConnection, now: number): number {
    return (kind === 'denied' ? seen === started : end !== undefined) ? this.#timeOf(seen, now) : now;
  }

  /** What the programs' clock showed so long ago that it matters, by the clock of the host. */
  #timeOf(units: number, now: number): number {
    const age = (this.#units() - units) >>> 0;
    return age <= FRESH || age > 0x8000_0000 ? now : Math.round(now - age * MS_PER_UNIT);
  }

  /**
   * Takes over how a connection stands in the kernel's table as of `readAt`; one that an earlier agent was told of is adopted. Answers the
   * end of one whose end did not fit into the ring.
   */
  see(connection: TrackedConnection, readAt: number): FlowRecord | undefined {
    if (!connection.told || connection.denied) return undefined;
    const key = keyOf(connection);
    const held = this.#open.get(key);
    if (connection.end !== undefined) {
      if (!held || held.readAt > readAt) return undefined;
      this.#open.delete(key);
      return this.#record(connection, endOf(connection), readAt, held.record);
    }
    if (held) this.#update(held, connection, readAt);
    // What does not fit was counted when it was told.
    else if (this.room > 0) this.#keep(key, this.#record(connection, 'open', readAt), connection, readAt, true);
    return undefined;
  }

  /** The ends of those that were not seen in the kernel's table when all of it was read, beginning at `readAt`. */
  *missing(readAt: number): Generator<FlowRecord, void, undefined> {
    const units = this.#units();
    for (const [key, { record, seen, readAt: known }] of this.#open) {
      if (known >= readAt) continue;
      this.#open.delete(key);
      const silent = (units - seen) >>> 0;
      const state = silent >= patience(record.protocol, record.packets[1] > 0) ? 'expired' : 'lost';
      yield { ...record, state, time: readAt };
    }
  }

  /** The clock was set back, to `now`: whatever is known was read before that. */
  setBack(now: number): void {
    for (const held of this.#open.values()) held.readAt = Math.min(held.readAt, now - 1);
  }

  #keep(key: string, record: FlowRecord, { started, seen, rule }: TrackedConnection, readAt: number, adopted: boolean): void {
    if (this.room <= 0) this.left++;
    else this.#open.set(key, { record: copy(record), started, seen, readAt, rule, adopted });
  }

  #update(held: Open, connection: TrackedConnection, readAt: number): void {
    const { record } = held;
    held.seen = connection.seen;
    held.readAt = readAt;
    for (const side of [0, 1] as const) {
      record.packets[side] = connection.packets[side];
      record.bytes[side] = connection.bytes[side];
    }
    record.time = readAt;
    if (readAt - record.start < NAMED_WITHIN_MS) {
      record.src = this.#peer(connection, 'src', record);
      record.dst = this.#peer(connection, 'dst', record);
    }
    if (held.rule === connection.rule) return;
    // New rules have judged it.
    held.rule = connection.rule;
    const { policy, rule, way, logged } = this.#record(connection, 'open', readAt, record);
    Object.assign(record, { policy, rule, way, logged });
  }

  /** What an end was called at the beginning, unless more is known by now. */
  #peer(connection: TrackedConnection, end: 'src' | 'dst', known: FlowRecord | undefined): FlowPeer {
    const before = known?.[end];
    if (before?.container !== undefined) return before;
    const { ip, port } = connection[end];
    const now = this.#options.names.peer(connection.domain, ip, port);
    return before && now.network === undefined ? before : now;
  }

  /** `known`: the record so far, whose names and beginning stay. */
  #record(connection: TrackedConnection, state: FlowRecord['state'], now: number, known?: FlowRecord): FlowRecord {
    const { names } = this.#options;
    const { domain, protocol, denied, way, logged, packets, bytes } = connection;
    const rule = names.rule(connection.rule);
    return {
      hosts: this.#hosts,
      tenant: known?.tenant || names.tenant(domain),
      state,
      verdict: denied ? 'deny' : 'allow',
      start: known?.start ?? this.#timeOf(connection.started, now),
      time: now,
      protocol,
      src: this.#peer(connection, 'src', known),
      dst: this.#peer(connection, 'dst', known),
      ...(rule === undefined ? {} : rule),
      way,
      ...(logged ? { logged } : {}),
      packets: [...packets],
      bytes: [...bytes],
    };
  }
}

const copy = (record: FlowRecord): FlowRecord => ({ ...record, packets: [...record.packets], bytes: [...record.bytes] });
const endOf = ({ end }: TrackedConnection): FlowRecord['state'] => (end === 'rst' ? 'reset' : 'closed');
