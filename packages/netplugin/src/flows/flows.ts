/**
 * What this host's data path tells of connections: read by a timer, named, kept, counted, and told to whoever asks. What happens beyond the
 * limits is counted and not recorded, so neither a flood nor a busy host costs more than a bounded part of a core.
 */
import type { FlowSource } from '@contiv/datapath';
import { type FlowChunk, type FlowQuestion, type FlowRecord, flowMatches } from '@contiv/model';
import type { Logger, Metrics } from '@contiv/observe';
import type { FlowLog } from './log.js';
import type { FlowNames } from './names.js';
import { FlowTable } from './table.js';

const POLL_MS = 200;
/** Events taken in one go; the rest waits in the ring. */
const MOST_AT_ONCE = 4_000;
/** The kernel's tables are read so often, and never so often that it takes more than a twentieth of the time. */
const SWEEP_MS = 10_000;
const SWEEP_SHARE = 20;
/** An answer about this moment may be so old. */
const LIVE_AGE_MS = 900;
/** What the kernel tells in a second, nearly. */
const LIMITS = { opened: 4_000, denied: 1_000, logged: 2_000, deniedEach: 100 };
/** Connections remembered at once, at half a kilobyte each. */
const MAX_OPEN = 16_384;
const MAX_WAITING = 4_096;
/** Records of one piece: some 40 KiB, or three times as much where names are long. */
const CHUNK = 64;
/** Series of the metrics; what comes on top is counted as `other`. */
const MAX_SERIES = 512;
/** Lines of rules that log, per second. */
const MAX_LOG_LINES = 200;

export interface FlowsOptions {
  readonly source: FlowSource;
  readonly names: FlowNames;
  readonly host: string;
  /** Without one nothing is recorded at all. */
  readonly log: FlowLog | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Follower {
  readonly take: (record: FlowRecord) => void;
}

export class Flows {
  readonly #options: FlowsOptions;
  readonly #table: FlowTable;
  readonly #followers = new Set<Follower>();
  readonly #count: (record: FlowRecord) => void;
  readonly #leftAtStart: number;
  #timer: NodeJS.Timeout | undefined;
  #sweptAt = 0;
  #workedAt = 0;
  #sweepMs = 0;
  #logWindow = { second: 0, lines: 0 };
  #unreadable = false;
  #unwritable = false;

  constructor(options: FlowsOptions) {
    this.#options = options;
    this.#table = new FlowTable({ host: options.host, names: options.names, max: MAX_OPEN });
    this.#count = counting(options.metrics);
    this.#leftAtStart = this.#kernelLeft();
    options.metrics.gauge({
      name: 'flows_open',
      help: 'Connections that go on, as far as they are recorded',
      collect: (g) => g.set(this.#table.size),
    });
    options.metrics.gauge({
      name: 'flow_records_left_out',
      help: 'Connections beyond what is recorded, since the agent began',
      collect: (g) => g.set(this.leftOut),
    });
  }

  /** Records that were not made since the agent began. */
  get leftOut(): number {
    return this.#kernelLeft() - this.#leftAtStart + this.#table.left + (this.#options.log?.lost ?? 0);
  }

  /** Why what ends cannot be written, empty while it can. */
  get fault(): string {
    return this.#options.log?.fault ?? '';
  }

  start(): void {
    const on = this.#options.log !== undefined;
    this.#options.source.limit(on ? LIMITS : undefined);
    if (on) this.#timer = setInterval(() => this.#work(), POLL_MS);
  }

  /** The kernel goes on telling: the next agent reads what fits into the ring. */
  stop(): void {
    clearInterval(this.#timer);
    this.#options.log?.flush();
    this.#options.log?.close();
  }

  /** What was recorded and what goes on; or what happens from now on, as the question wants it. */
  async *answer(question: FlowQuestion, signal: AbortSignal): AsyncGenerator<FlowChunk, void, undefined> {
    if (!this.#options.log) throw new Error('recording of flows is switched off there (--flow-log-size 0)');
    const waiting: FlowRecord[] = [];
    let wake: (() => void) | undefined;
    let missed = 0;
    const follower: Follower = {
      take: (record) => {
        if (!flowMatches(question.filter, record)) return;
        if (waiting.length < MAX_WAITING) waiting.push(record);
        else missed++;
        wake?.();
      },
    };
    this.#work();
    const stop = () => wake?.();
    signal.addEventListener('abort', stop, { once: true });
    try {
      let left = this.leftOut;
      if (!question.follow) {
        const { past, fault } = question.live ? { past: [], fault: '' } : await this.#past(question);
        yield* chunks([...past, ...this.#present(question)], left);
        if (fault !== '') throw new Error(fault);
        return;
      }
      this.#followers.add(follower);
      while (!signal.aborted) {
        if (waiting.length === 0)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        const leftOut = this.leftOut - left + missed;
        left = this.leftOut;
        missed = 0;
        if (waiting.length > 0) yield* chunks(waiting.splice(0), leftOut);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#followers.delete(follower);
    }
  }

  /** The newest of the past in their order, and what could not be read of it. */
  async #past({ filter, limit }: FlowQuestion): Promise<{ readonly past: FlowRecord[]; readonly fault: string }> {
    const past: FlowRecord[] = [];
    let fault = '';
    const unreadable = (reason: string) => {
      fault ||= reason;
    };
    for await (const group of this.#options.log?.backwards(filter.since, unreadable) ?? []) {
      for (const record of group) if (past.length < limit && flowMatches(filter, record)) past.push(record);
      if (past.length >= limit) break;
    }
    return { past: past.reverse(), fault };
  }

  #present({ filter, live }: FlowQuestion): FlowRecord[] {
    if (live && Date.now() - this.#sweptAt > Math.max(LIVE_AGE_MS, this.#sweepMs * SWEEP_SHARE)) this.#sweep();
    return [...this.#table.records()].filter((record) => flowMatches({ ...filter, since: undefined }, record));
  }

  #work(): void {
    const now = Date.now();
    if (now < this.#workedAt) {
      this.#table.setBack(now);
      this.#sweptAt = 0;
    }
    this.#workedAt = now;
    try {
      this.#read();
      if (Date.now() - this.#sweptAt >= Math.max(SWEEP_MS, this.#sweepMs * SWEEP_SHARE)) this.#sweep();
      this.#unreadable = false;
    } catch (err) {
      if (!this.#unreadable) this.#options.logger.error({ err }, 'the records of the data path cannot be read; tried again');
      this.#unreadable = true;
    }
    this.#options.log?.flush();
    const { fault } = this;
    if (fault !== '' && !this.#unwritable)
      this.#options.logger.error({ reason: fault }, 'records of connections cannot be written and are lost until they can');
    this.#unwritable = fault !== '';
  }

  #read(): void {
    const now = Date.now();
    this.#options.source.read((event) => {
      for (const record of this.#table.tell(event, now)) this.#publish(record);
    }, MOST_AT_ONCE);
  }

  #sweep(): void {
    const began = performance.now();
    const readAt = Date.now();
    for (const connection of this.#options.source.connections()) {
      const ended = this.#table.see(connection, readAt);
      if (ended) this.#publish(ended);
    }
    // What ended before the table was read is in the ring by now.
    this.#read();
    for (const record of this.#table.missing(readAt)) this.#publish(record);
    this.#sweptAt = Date.now();
    this.#sweepMs = performance.now() - began;
  }

  #publish(record: FlowRecord): void {
    if (record.state === 'open') {
      this.#count(record);
    } else {
      this.#options.log?.append(record);
      if (record.verdict === 'deny') this.#count(record);
    }
    if (record.logged && this.#mayLog())
      this.#options.logger.info(
        { flow: record },
        `rule ${record.policy}:${record.rule} ${record.verdict === 'deny' ? 'denied' : 'allowed'} a connection`,
      );
    for (const { take } of this.#followers) take(record);
  }

  #mayLog(): boolean {
    const second = Math.floor(Date.now() / 1_000);
    if (this.#logWindow.second !== second) this.#logWindow = { second, lines: 0 };
    return this.#logWindow.lines++ < MAX_LOG_LINES;
  }

  #kernelLeft(): number {
    const { opened, denied, logged, room } = this.#options.source.leftOut();
    return opened + denied + logged + room;
  }
}

function* chunks(records: readonly FlowRecord[], leftOut: number): Generator<FlowChunk> {
  yield { records: records.slice(0, CHUNK), leftOut };
  for (let at = CHUNK; at < records.length; at += CHUNK) yield { records: records.slice(at, at + CHUNK), leftOut: 0 };
}

/** Counts by tenant, group that was called, and verdict. */
function counting(metrics: Metrics): (record: FlowRecord) => void {
  const counter = metrics.counter({
    name: 'flows_total',
    help: 'Connections recorded, by tenant, the group that was called (or its network) and verdict',
    labels: ['tenant', 'group', 'verdict'],
  });
  const known = new Set<string>();
  return ({ tenant, dst, verdict }) => {
    const group = dst.group ?? dst.network ?? 'outside';
    const series = `${tenant}|${group}|${verdict}`;
    if (known.size < MAX_SERIES) known.add(series);
    if (known.has(series)) counter.inc({ tenant, group, verdict });
    else counter.inc({ tenant: 'other', group: 'other', verdict });
  };
}
