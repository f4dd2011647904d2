/** Connections that go on, from what the kernel tells and from what its tables show now and then. Pure: time and names are given. */
import { type FlowEvent, nowUnits, type TrackedConnection } from '@contiv/datapath';
import type { FlowRecord } from '@contiv/model';
import type { FlowNames } from './names.js';

const MS_PER_UNIT = 2 ** 30 / 1e6;
/** What started within so many units is taken to have started when it was read. */
const FRESH = 2;

interface Open {
  readonly record: FlowRecord;
  /** Units: when it was last known to have traffic. */
  readonly seen: number;
  readonly readAt: number;
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

/** Units without traffic after which the data path forgets: what was silent for less and is gone made room for another one. */
const patience = (protocol: number, replied: boolean): number => (protocol !== 6 ? 170 : replied ? 21_590 : 50);

export class FlowTable {
  readonly #options: TableOptions;
  readonly #units: () => number;
  readonly #open = new Map<string, Open>();
  /** Connections that did not fit. */
  left = 0;

  constructor(options: TableOptions) {
    this.#options = options;
    this.#units = options.units ?? nowUnits;
  }

  get size(): number {
    return this.#open.size;
  }

  /** How many more fit. */
  get room(): number {
    return this.#options.max - this.#open.size;
  }

  holds(connection: TrackedConnection): boolean {
    return this.#open.has(keyOf(connection));
  }

  /** What goes on. */
  *records(): Generator<FlowRecord> {
    for (const { record } of this.#open.values()) yield record;
  }

  /** Answers what there is to record: connections that were denied or have ended, and those that began as `open`. */
  tell({ kind, connection }: FlowEvent, now: number): FlowRecord[] {
    const key = keyOf(connection);
    const told: FlowRecord[] = [];
    const held = this.#open.get(key);
    if (held) this.#open.delete(key);
    if (kind === 'denied') return [this.#record(connection, 'denied', now)];
    if (kind === 'ended') {
      const names = held?.record;
      return [this.#record(connection, connection.end === 'rst' ? 'reset' : 'closed', now, names)];
    }
    // The same ends begin anew: whatever was there is over.
    if (held) told.push({ ...held.record, state: 'closed', time: now });
    const record = this.#record(connection, 'open', now);
    told.push(record);
    this.#keep(key, record, connection.seen, now);
    return told;
  }

  /**
   * Compares with the kernel's tables as they were read at `readAt`. Counters are taken over, connections that an earlier agent was told of
   * are adopted, and the end of those that are gone is answered.
   */
  reconcile(table: readonly TrackedConnection[], readAt: number): FlowRecord[] {
    const present = new Set<string>();
    const ended: FlowRecord[] = [];
    for (const connection of table) {
      if (!connection.told || connection.denied) continue;
      const key = keyOf(connection);
      const held = this.#open.get(key);
      if (connection.end !== undefined) {
        // Its end may not have fitted into the ring.
        if (!held || held.readAt > readAt) continue;
        this.#open.delete(key);
        ended.push(this.#record(connection, connection.end === 'rst' ? 'reset' : 'closed', readAt, held.record));
        continue;
      }
      present.add(key);
      this.#keep(key, this.#record(connection, 'open', readAt, held?.record), connection.seen, readAt);
    }
    const units = this.#units();
    for (const [key, { record, seen, readAt: known }] of this.#open) {
      if (present.has(key) || known > readAt) continue;
      this.#open.delete(key);
      const silent = (units - seen) >>> 0;
      const state = silent >= patience(record.protocol, record.packets[1] > 0) ? 'expired' : 'lost';
      ended.push({ ...record, state, time: readAt });
    }
    return ended;
  }

  #keep(key: string, record: FlowRecord, seen: number, readAt: number): void {
    if (this.#open.size >= this.#options.max && !this.#open.has(key)) this.left++;
    else this.#open.set(key, { record, seen, readAt });
  }

  /** `known`: the record so far, whose names and beginning stay. */
  #record(connection: TrackedConnection, state: FlowRecord['state'], now: number, known?: FlowRecord): FlowRecord {
    const { host, names } = this.#options;
    const { domain, protocol, src, dst, denied, way, logged, packets, bytes } = connection;
    const age = (this.#units() - connection.started) >>> 0;
    const rule = names.rule(connection.rule);
    return {
      hosts: [host],
      tenant: known?.tenant ?? names.tenant(domain),
      state,
      verdict: denied ? 'deny' : 'allow',
      start: known?.start ?? (age <= FRESH || age > 0x8000_0000 ? now : Math.round(now - age * MS_PER_UNIT)),
      time: now,
      protocol,
      src: known?.src ?? names.peer(domain, src.ip, src.port),
      dst: known?.dst ?? names.peer(domain, dst.ip, dst.port),
      ...(rule === undefined ? {} : rule),
      way,
      ...(logged ? { logged } : {}),
      packets: [...packets],
      bytes: [...bytes],
    };
  }
}
