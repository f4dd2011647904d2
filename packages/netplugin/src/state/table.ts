/**
 * Records on disk, one file each, replaced atomically: what is read after a kill is either the old record or the new one.
 * A file that is not understood is moved aside (`NAME.bad`) and reported, so that one bad record never stops the agent.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const envelope = z.object({ key: z.string(), value: z.unknown() });

export class Table<S extends z.ZodType> {
  readonly #dir: string;
  readonly #schema: S;
  readonly #rows = new Map<string, z.output<S>>();
  readonly #bad: (sentence: string) => void;

  /** Creates the directory (mode 0700) and reads what is in it. */
  constructor(dir: string, schema: S, bad: (sentence: string) => void) {
    this.#dir = dir;
    this.#schema = schema;
    this.#bad = bad;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(dir)) {
      if (name.endsWith('.tmp')) rmSync(join(dir, name), { force: true });
      if (!name.endsWith('.json')) continue;
      const row = this.#read(join(dir, name));
      if (row) this.#rows.set(row.key, row.value);
      else {
        renameSync(join(dir, name), join(dir, `${name}.bad`));
        bad(`${join(dir, name)} is not understood and was moved to ${name}.bad`);
      }
    }
  }

  #read(path: string): { key: string; value: z.output<S> } | undefined {
    try {
      const { key, value } = envelope.parse(JSON.parse(readFileSync(path, 'utf8')));
      return { key, value: this.#schema.parse(value) };
    } catch {
      return undefined;
    }
  }

  /** Keys come from outside (ids, pool texts): the file is named by their hash. */
  #path(key: string): string {
    return join(this.#dir, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
  }

  get(key: string): z.output<S> | undefined {
    return this.#rows.get(key);
  }

  /** Throws one sentence when the disk does not take it; nothing has changed then. */
  set(key: string, value: z.output<S>): void {
    writeAtomically(this.#path(key), JSON.stringify({ key, value }));
    this.#rows.set(key, value);
  }

  /**
   * The same for what no full disk may hinder: what is on its way out, and what can be found out again. What the disk does not take is reported
   * and holds for this process; after a crash the record is what it was before, and the comparison with engine and netmaster mends it.
   */
  setAnyway(key: string, value: z.output<S>): void {
    try {
      this.set(key, value);
    } catch (error) {
      this.#bad(error instanceof Error ? error.message : String(error));
      this.#rows.set(key, value);
    }
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) rmSync(this.#path(key), { force: true });
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** A copy: the table may be changed while it is walked through. */
  entries(): [string, z.output<S>][] {
    return [...this.#rows.entries()];
  }

  /** A copy, as `entries`. */
  values(): z.output<S>[] {
    return [...this.#rows.values()];
  }
}

/** Replaces a file as a whole, mode 0600. Throws one sentence when that cannot be done; the file is what it was then. */
export function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new Error(
      `${path} cannot be written: ${error instanceof Error ? error.message : String(error)}; make room on its disk, or mend it, and try again`,
    );
  }
}
