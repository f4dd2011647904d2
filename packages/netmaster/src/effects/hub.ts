/** The agents' streams: every change becomes one line, made once, written to all. */
import type { ServerResponse } from 'node:http';
import { RESOURCE_KINDS, type ResourceKind, type StreamLine } from '@contiv/model';
import type { Logger } from '@contiv/observe';
import { currentEpoch, isOurs } from '../core/epochs.js';
import { globalState, groupState, hostState, netprofileState, networkState, policyState, ruleState, tenantState } from '../core/present.js';
import type { Entry } from '../core/records.js';
import type { State } from '../core/state.js';
import type { Change, Mirror } from './mirror.js';

/** What a stream may have unsent, beyond its snapshot, before it is cut; the agent resumes where it was. */
const MAX_BEHIND = 8 * 1024 * 1024;
const MAX_HISTORY_BYTES = 8 * 1024 * 1024;
const TICK_MS = 3_000;

interface Stream {
  readonly host: string;
  readonly response: ServerResponse;
  readonly limit: number;
  /** Told when the stream has ended. */
  readonly gone: Set<() => void>;
}

interface HistoryLine {
  readonly revision: number;
  readonly bytes: Buffer;
}

const toLine = (line: StreamLine): Buffer => Buffer.from(`${JSON.stringify(line)}\n`);

export class Hub {
  readonly #mirror: Mirror;
  readonly #logger: Logger;
  readonly #streams = new Set<Stream>();
  #pending: Buffer[] = [];
  #flushing: NodeJS.Immediate | undefined;
  #history: HistoryLine[] = [];
  #historyBytes = 0;
  /** Every change after this revision is in the history. */
  #floor = 0;
  #snapshot: { readonly revision: number; readonly bytes: Buffer } | undefined;
  #ticker: NodeJS.Timeout | undefined;
  /** Streams cut because their reader was too slow. */
  cut = 0;

  constructor(mirror: Mirror, logger: Logger) {
    this.#mirror = mirror;
    this.#logger = logger;
    mirror.onChange((changes, revision, relisted) => this.#changed(changes, revision, relisted));
  }

  get size(): number {
    return this.#streams.size;
  }

  hosts(): string[] {
    return [...this.#streams].map((s) => s.host);
  }

  start(): void {
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#ticker.unref();
  }

  stop(): void {
    clearInterval(this.#ticker);
    clearImmediate(this.#flushing);
    for (const stream of this.#streams) stream.response.end();
    this.#streams.clear();
  }

  /** Sends snapshot or missed changes, then everything to come. Answers what ends the stream's membership. */
  open(host: string, response: ServerResponse, since: number | undefined, epoch: string | undefined): () => void {
    this.#flush();
    for (const older of this.#streams) {
      // One agent per host: the older connection is a corpse that TCP has not noticed yet.
      if (older.host === host) {
        this.#streams.delete(older);
        older.response.destroy();
      }
    }
    const revision = this.#mirror.revision;
    const resumable = since !== undefined && since >= this.#floor && since <= revision && isOurs(this.#mirror.state, epoch, since);
    const first = resumable ? this.#missed(since, revision) : this.#wholeState(revision);
    const stream: Stream = { host, response, limit: MAX_BEHIND + first.length, gone: new Set() };
    this.#streams.add(stream);
    response.write(first);
    return () => {
      this.#streams.delete(stream);
      for (const told of stream.gone) told();
    };
  }

  /** One line to one host's agent; `gone` is called should its stream end. Answers what forgets `gone`; nothing for a host that is not here. */
  tell(host: string, line: StreamLine, gone: () => void): (() => void) | undefined {
    const stream = [...this.#streams].find((s) => s.host === host);
    if (!stream) return undefined;
    this.#flush();
    this.#write(stream, toLine(line));
    stream.gone.add(gone);
    return () => stream.gone.delete(gone);
  }

  #missed(since: number, revision: number): Buffer {
    const lines = this.#history.filter((line) => line.revision > since).map((line) => line.bytes);
    return Buffer.concat([...lines, this.#mark('synced', revision)]);
  }

  #wholeState(revision: number): Buffer {
    if (this.#snapshot?.revision !== revision) {
      const { state } = this.#mirror;
      const lines = [toLine({ type: 'snapshot', rev: revision })];
      for (const kind of RESOURCE_KINDS) {
        for (const entry of state.all(kind)) {
          const line = putLine(state, entry, revision);
          if (line) lines.push(toLine(line));
        }
      }
      lines.push(this.#mark('synced', revision));
      this.#snapshot = { revision, bytes: Buffer.concat(lines) };
    }
    return this.#snapshot.bytes;
  }

  #changed(changes: readonly Change[], revision: number, relisted: boolean): void {
    if (this.#floor === 0) {
      // The first list is everybody's snapshot.
      this.#floor = revision;
      return;
    }
    const told = new Set<string>();
    const lines: { readonly revision: number; readonly line: ChangeLine }[] = [];
    for (const change of changes) {
      // A host's registration and its presence are two records and one resource.
      const host = hostOf(change);
      if (host !== undefined) {
        const once = `${change.revision} ${host}`;
        if (told.has(once)) continue;
        told.add(once);
      }
      const line = changeLine(this.#mirror.state, change);
      if (line) lines.push({ revision: change.revision, line });
    }
    for (const [i, { revision: own, line }] of lines.entries()) {
      const bytes = toLine(lines[i + 1]?.revision === own ? { ...line, more: true } : line);
      this.#pending.push(bytes);
      this.#history.push({ revision: own, bytes });
      this.#historyBytes += bytes.length;
    }
    this.#trim();
    if (relisted) {
      this.#floor = revision;
      this.#history = [];
      this.#historyBytes = 0;
    }
    if (this.#snapshot && this.#snapshot.revision !== revision) this.#snapshot = undefined;
    if (this.#pending.length > 0 && this.#streams.size > 0) this.#flushing ??= setImmediate(() => this.#flush());
    else if (this.#streams.size === 0) this.#pending = [];
  }

  #trim(): void {
    let dropped = 0;
    while (this.#historyBytes > MAX_HISTORY_BYTES) {
      const oldest = this.#history[dropped];
      if (!oldest) break;
      this.#historyBytes -= oldest.bytes.length;
      this.#floor = oldest.revision;
      dropped++;
    }
    if (dropped > 0) this.#history = this.#history.slice(dropped);
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    if (this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#broadcast(bytes);
  }

  #tick(): void {
    if (this.#streams.size === 0) return;
    this.#flush();
    // Also when the store is away: the master is there, what it says of the state is merely old.
    this.#broadcast(this.#mark('tick', this.#mirror.revision));
  }

  #mark(type: 'synced' | 'tick', rev: number): Buffer {
    const epoch = currentEpoch(this.#mirror.state);
    return toLine({ type, rev, ...(epoch === undefined ? {} : { epoch }) });
  }

  #broadcast(bytes: Buffer): void {
    for (const stream of this.#streams) this.#write(stream, bytes);
  }

  #write(stream: Stream, bytes: Buffer): void {
    if (stream.response.writableLength + bytes.length > stream.limit) {
      this.cut++;
      this.#logger.warn({ host: stream.host }, 'agent reads too slowly; its stream is cut, it will resume');
      this.#streams.delete(stream);
      stream.response.destroy();
    } else stream.response.write(bytes);
  }
}

function resourceOf(state: State, entry: Entry): { kind: ResourceKind; key: string; value: unknown } | undefined {
  switch (entry.kind) {
    case 'global':
      return { kind: 'global', key: 'global', value: globalState(entry) };
    case 'host':
      return { kind: 'host', key: entry.place.first, value: hostState(state, entry) };
    case 'network':
      return { kind: 'network', key: entry.place.first, value: networkState(state, entry) };
    case 'group':
      return { kind: 'group', key: entry.place.first, value: groupState(entry) };
    case 'endpoint':
      return { kind: 'endpoint', key: entry.record.key, value: entry.record };
    case 'alive': {
      const host = state.host(entry.place.first);
      return host && resourceOf(state, host);
    }
    case 'tenant':
      return { kind: 'tenant', key: entry.place.first, value: tenantState(entry) };
    case 'policy':
      return { kind: 'policy', key: entry.place.first, value: policyState(entry) };
    case 'rule':
      return { kind: 'rule', key: entry.place.first, value: ruleState(entry) };
    case 'netprofile':
      return { kind: 'netprofile', key: entry.place.first, value: netprofileState(entry) };
    case 'appProfile':
    case 'extContracts':
    case 'service':
    case 'bgp':
    case 'aciGw':
    case 'staged':
    case 'stagedRule':
    case 'history':
    case 'address':
    case 'counter':
    case 'background':
    case 'epochs':
    case 'master':
      return undefined;
  }
}

type ChangeLine = Extract<StreamLine, { type: 'put' | 'delete' }>;

function putLine(state: State, entry: Entry, revision: number): ChangeLine | undefined {
  const resource = resourceOf(state, entry);
  return resource && { type: 'put', rev: revision, ...resource };
}

function hostOf({ before, after }: Change): string | undefined {
  const entry = after ?? before;
  return entry?.kind === 'alive' || entry?.kind === 'host' ? entry.place.first : undefined;
}

function changeLine(state: State, change: Change): ChangeLine | undefined {
  const { before, after, revision } = change;
  if (after) return putLine(state, after, revision);
  if (!before) return undefined;
  // A host whose agent went silent is still a host.
  if (before.kind === 'alive') return putLine(state, before, revision);
  const resource = resourceOf(state, before);
  return resource && { type: 'delete', rev: revision, kind: resource.kind, key: resource.key };
}
