/**
 * Records on disk: NDJSON in segments, the oldest of which goes when all of them together have reached their bound. A line that a crash cut
 * short is skipped when it is read.
 */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FlowRecord, flowRecord } from '@contiv/model';

const SEGMENTS = 16;
const MIN_SEGMENT = 16 * 1024;
/** A segment is read as a whole. */
const MAX_SEGMENT = 16 * 1024 * 1024;
/** Lines that are parsed before others get their turn. */
const AT_ONCE = 500;
const NEWLINE = 10;
/** Characters that wait to be written: many connections may end in the same moment. */
const MOST_PENDING = 256 * 1024;

export class FlowLog {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  #file: { readonly number: number; readonly fd: number; size: number } | undefined;
  #pending: string[] = [];
  #pendingSize = 0;
  /** Records that could not be written. */
  lost = 0;
  /** Why the last ones could not be written; empty when they could. */
  fault = '';

  /** @param maxBytes what all segments may take together. */
  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
    this.#maxBytes = maxBytes;
    this.#segmentBytes = Math.min(MAX_SEGMENT, Math.max(MIN_SEGMENT, Math.floor(maxBytes / SEGMENTS)));
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  append(record: FlowRecord): void {
    const line = `${JSON.stringify(record)}\n`;
    this.#pending.push(line);
    this.#pendingSize += line.length;
    if (this.#pendingSize >= MOST_PENDING) this.flush();
  }

  /** Writes what was appended. A full disk loses records, and nothing else. */
  flush(): void {
    if (this.#pending.length === 0) return;
    let rest: Buffer = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    this.#pendingSize = 0;
    try {
      const file = this.#current(rest.length);
      // A disk that is nearly full takes a part.
      while (rest.length > 0) {
        const written = writeSync(file.fd, rest);
        file.size += written;
        rest = rest.subarray(written);
      }
      this.fault = '';
    } catch (error) {
      this.fault = error instanceof Error ? error.message : String(error);
      this.lost += rest.reduce((lines, byte) => (byte === NEWLINE ? lines + 1 : lines), 0);
      this.close();
    }
  }

  /** Bytes on disk. */
  size(): number {
    return this.#numbers().reduce((sum, number) => sum + sizeOf(this.#path(number)), 0);
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file) closeSync(file.fd);
  }

  /**
   * The last that were written first, in groups; not those from before `since`. Clocks are set, and some records are told late: only after a
   * segment that has none of that time it is not looked further.
   *
   * @param unreadable told of segments that the disk does not give back.
   */
  async *backwards(since = 0, unreadable?: (reason: string) => void): AsyncGenerator<FlowRecord[], void, undefined> {
    this.flush();
    for (const number of this.#numbers().toReversed()) {
      const lines = (await readSegment(this.#path(number), unreadable)).split('\n');
      let found = since === 0;
      for (let end = lines.length; end > 0; end -= AT_ONCE) {
        const records = lines
          .slice(Math.max(0, end - AT_ONCE), end)
          .reverse()
          .flatMap((line) => parse(line))
          .filter(({ time }) => time >= since);
        found ||= records.length > 0;
        yield records;
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if (!found && lines.length > 1) return;
    }
  }

  #current(coming: number): { readonly fd: number; size: number } {
    // Somebody may have made room by hand.
    if (this.#file && fstatSync(this.#file.fd).nlink === 0) this.close();
    if (this.#file && this.#file.size > 0 && this.#file.size + coming > this.#segmentBytes) this.close();
    if (!this.#file) {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      const numbers = this.#numbers();
      const last = numbers.at(-1) ?? 0;
      const number = numbers.length > 0 && sizeOf(this.#path(last)) + coming <= this.#segmentBytes ? last : last + 1;
      this.#makeRoom(Math.max(coming, this.#segmentBytes), number);
      const fd = openSync(this.#path(number), 'a', 0o600);
      this.#file = { number, fd, size: fstatSync(fd).size };
      // A line that a crash left unfinished must not swallow the next one.
      if (this.#file.size > 0) this.#file.size += writeSync(fd, '\n');
    }
    return this.#file;
  }

  /** The segment that is written may grow by so much; the oldest of the others go. */
  #makeRoom(growth: number, current: number): void {
    const others = this.#numbers().filter((number) => number !== current);
    let total = growth + others.reduce((sum, number) => sum + sizeOf(this.#path(number)), 0);
    for (const number of others) {
      if (total <= this.#maxBytes) return;
      total -= sizeOf(this.#path(number));
      rmSync(this.#path(number), { force: true });
    }
  }

  #numbers(): number[] {
    return (existsSync(this.#dir) ? readdirSync(this.#dir) : [])
      .flatMap((name) => /^flows-(\d{10})\.ndjson$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#dir, `flows-${String(number).padStart(10, '0')}.ndjson`);
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Empty when it is not there: it may have made room meanwhile. */
async function readSegment(path: string, unreadable?: (reason: string) => void): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (!reason.startsWith('ENOENT')) unreadable?.(`records in ${path} cannot be read: ${reason}`);
    return '';
  }
}

function parse(line: string): FlowRecord[] {
  if (line === '') return [];
  try {
    const parsed = flowRecord.safeParse(JSON.parse(line));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return [];
  }
}
