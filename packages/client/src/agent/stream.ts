/**
 * The watch stream from whichever netmaster answers: registration, snapshot or resumption, deltas, a watchdog on ticks, fail-over with
 * back-off. A snapshot replaces everything at once, when it is complete; a broken one leaves what there was.
 */
import http from 'node:http';
import https from 'node:https';
import { type HostRegistration, type StreamLine, streamLine } from '@contiv/model';
import type { AskedQuestion } from './answers.js';
import { AgentCalls } from './calls.js';
import { MasterError, MasterPool } from './masters.js';
import { type Change, emptyMirror, type Mirror, removeResource, storeResource } from './mirror.js';

/** Longest line a master may send. */
const MAX_LINE = 1024 * 1024;

export interface StreamOptions {
  readonly pool: MasterPool;
  readonly host: string;
  /** What the master is told of this host, asked for with every connection. */
  readonly registration: () => HostRegistration;
  /** What the agent knows already (from its disk); resumed from its revision when that is above 0. */
  readonly mirror: Mirror;
  /** A stream that is silent for longer is dead (netmaster ticks every 5 s). */
  readonly silenceMs?: number;
  readonly backoffMs?: { readonly base: number; readonly max: number };
}

export interface StreamHandlers {
  /** The whole state was replaced; `mirror` is the new one. */
  readonly snapshot: (mirror: Mirror) => void;
  /** One change was applied to the mirror. */
  readonly change: (change: Change, mirror: Mirror) => void;
  /** The mirror agrees with the master as of its revision. */
  readonly synced: (mirror: Mirror) => void;
  readonly connected: (url: string) => void;
  /** One sentence on why there is no stream; tried again by itself. */
  readonly disconnected: (reason: string) => void;
  /** The master at `url` asks; `session` is aborted when its stream ends. */
  readonly question?: (question: AskedQuestion, url: string, session: AbortSignal) => void;
  /** Nobody waits for the answer any more. */
  readonly withdrawn?: (id: string) => void;
  /** A line that was not understood and skipped. */
  readonly skipped?: (reason: string) => void;
}

class StreamFault extends Error {}
type ChangeLine = Extract<StreamLine, { type: 'put' | 'delete' }>;

export class AgentStream {
  readonly #options: StreamOptions;
  readonly #handlers: StreamHandlers;
  readonly #stopping = new AbortController();
  #mirror: Mirror;
  /** Ask for everything next time: what came last cannot be trusted. */
  #fresh = false;
  #done: Promise<void> | undefined;

  constructor(options: StreamOptions, handlers: StreamHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#mirror = options.mirror;
  }

  get mirror(): Mirror {
    return this.#mirror;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { base, max } = this.#options.backoffMs ?? { base: 100, max: 1_000 };
    const { signal } = this.#stopping;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const url = this.#options.pool.preferred;
      try {
        await this.#session(url, () => {
          attempt = 0;
        });
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        this.#handlers.disconnected(`stream from ${url} broke: ${reason}`);
      }
      this.#options.pool.passOver(url);
      const bound = Math.min(max, base * 2 ** Math.min(attempt, 20));
      await sleep(bound / 2 + (bound / 2) * Math.random(), signal);
    }
  }

  /** One connection, from registration to its end. */
  async #session(url: string, healthy: () => void): Promise<void> {
    // A pool of one: registration and stream go to the same master.
    const own = new MasterPool([url]);
    const abandon = () => own.close();
    this.#stopping.signal.addEventListener('abort', abandon, { once: true });
    try {
      const calls = new AgentCalls(own, 3_000);
      this.#refuseOther(url, (await calls.version()).Version);
      await calls.register(this.#options.host, this.#options.registration());
    } catch (error) {
      if (error instanceof MasterError && error.code !== 'unreachable') throw new StreamFault(`registration was refused: ${error.message}`);
      throw error;
    } finally {
      this.#stopping.signal.removeEventListener('abort', abandon);
      own.close();
    }
    const { revision, epoch } = this.#mirror;
    const since = this.#fresh || revision === 0 || epoch === undefined ? '' : `&since=${revision}&epoch=${encodeURIComponent(epoch)}`;
    const session = new AbortController();
    const opened = () => {
      healthy();
      this.#handlers.connected(url);
    };
    try {
      const path = `/agent/v1/stream?host=${encodeURIComponent(this.#options.host)}${since}`;
      await this.#read(`${url}${path}`, opened, this.#reader(url, session.signal));
    } finally {
      session.abort();
    }
  }

  /** Programs of one major version understand each other; builds without a number (`devbuild`) are taken at their word. */
  #refuseOther(url: string, theirs: string): void {
    const own = this.#options.registration().version;
    const major = (version: string) => /^v?(\d+)\./.exec(version)?.[1];
    if (major(theirs) === undefined || major(own) === undefined || major(theirs) === major(own)) return;
    throw new StreamFault(`netmaster at ${url} is of version ${theirs} and this agent of ${own}; install the same major version on both`);
  }

  #read(url: string, opened: () => void, reader: (text: string) => void): Promise<void> {
    const silence = this.#options.silenceMs ?? 15_000;
    return new Promise((resolve, reject) => {
      const client = url.startsWith('https:') ? https : http;
      const req = client.get(url, { agent: false, signal: this.#stopping.signal, headers: { accept: 'application/x-ndjson' } });
      let timer: NodeJS.Timeout | undefined;
      const watchdog = () => {
        clearTimeout(timer);
        timer = setTimeout(() => req.destroy(new StreamFault(`nothing came for ${silence / 1000} s`)), silence);
      };
      const end = (error?: Error) => {
        clearTimeout(timer);
        if (error) reject(error);
        else resolve();
      };
      watchdog();
      req.on('error', end);
      req.on('response', (res) => {
        if (res.statusCode !== 200) {
          req.destroy(new StreamFault(`it was answered with status ${res.statusCode}`));
          return;
        }
        opened();
        const lines = new LineReader(reader);
        res.on('error', end);
        res.on('end', () => end(new StreamFault('netmaster ended it')));
        res.on('data', (chunk: Buffer) => {
          watchdog();
          try {
            lines.feed(chunk);
          } catch (error) {
            this.#fresh = true;
            req.destroy(error instanceof Error ? error : new StreamFault(String(error)));
          }
        });
      });
    });
  }

  /** Handles the lines of one connection. */
  #reader(url: string, session: AbortSignal): (text: string) => void {
    /** Collects a snapshot until it is complete. */
    let incoming: Mirror | undefined;
    /** Lines of a transaction whose last one has not come yet: nobody sees half of it. */
    let begun: ChangeLine[] = [];
    return (text) => {
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        throw new StreamFault('a line is not JSON');
      }
      const parsed = streamLine.safeParse(json);
      if (!parsed.success) {
        // A newer master may send kinds we do not know; without them we are no worse off than before.
        this.#handlers.skipped?.(`a line of the stream is not understood: ${text.slice(0, 120)}`);
        return;
      }
      const line = parsed.data;
      switch (line.type) {
        case 'snapshot':
          incoming = emptyMirror();
          return;
        case 'tick':
          if (!incoming && line.epoch !== undefined) this.#mirror.epoch = line.epoch;
          return;
        case 'question':
          this.#handlers.question?.(line, url, session);
          return;
        case 'withdraw':
          this.#handlers.withdrawn?.(line.id);
          return;
        case 'synced':
          if (incoming) {
            this.#mirror = incoming;
            incoming = undefined;
            this.#mirror.revision = line.rev;
            this.#fresh = false;
            this.#handlers.snapshot(this.#mirror);
          }
          this.#mirror.revision = line.rev;
          this.#mirror.epoch = line.epoch;
          this.#handlers.synced(this.#mirror);
          return;
        case 'put':
        case 'delete': {
          begun.push(line);
          if (line.more) return;
          const whole = begun;
          begun = [];
          for (const each of whole) this.#store(incoming ?? this.#mirror, each, incoming === undefined);
        }
      }
    };
  }

  #store(target: Mirror, line: ChangeLine, live: boolean): void {
    const change =
      line.type === 'put' ? storeResource(target, line.kind, line.key, line.value) : removeResource(target, line.kind, line.key);
    if (live && line.rev > target.revision) target.revision = line.rev;
    if (typeof change === 'string') this.#handlers.skipped?.(change);
    else if (live) this.#handlers.change(change, target);
  }
}

/** Cuts a byte stream into lines of text. */
class LineReader {
  #rest: Buffer[] = [];
  #size = 0;
  readonly #line: (text: string) => void;

  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  feed(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#rest.push(chunk.subarray(start, end));
      const text = Buffer.concat(this.#rest).toString('utf8');
      this.#rest = [];
      this.#size = 0;
      start = end + 1;
      if (text.trim() !== '') this.#line(text);
    }
    if (start < chunk.length) {
      this.#rest.push(chunk.subarray(start));
      this.#size += chunk.length - start;
      if (this.#size > MAX_LINE) throw new StreamFault(`a line is longer than ${MAX_LINE} bytes`);
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
