/** One table of the kernel together with what we last wrote into it. */
import { type BpfMap, isErrno } from '@contiv/syscall';
import type { ApplyMode } from '../contract.js';
import { diffTable } from './diff.js';
import { describe, type Entries, type KeyText, keyBytes, keyText, type TableName } from './tables.js';

/** `after`: none where the entry is gone. */
export type Replaced = (key: Buffer, before: Buffer, after: Buffer | undefined) => void;

export class Table {
  readonly name: TableName;
  readonly #map: BpfMap;
  #known: Entries | undefined;
  readonly #replaced: Replaced | undefined;

  /** @param replaced is told of entries that are removed or become others. */
  constructor(name: TableName, map: BpfMap, replaced?: Replaced) {
    this.name = name;
    this.#map = map;
    this.#replaced = replaced;
  }

  get max(): number {
    return this.#map.shape.maxEntries;
  }

  get(key: Buffer): Buffer | undefined {
    return this.#map.get(key);
  }

  /** Writes unless the kernel is known to hold just that. Answers whether it wrote. */
  set(key: Buffer, value: Buffer): boolean {
    const text = keyText(key);
    if (this.#known?.get(text)?.equals(value)) return false;
    const before = this.#replaced && this.#map.get(key);
    this.#map.set(key, value);
    this.#known?.set(text, value);
    if (before) this.#replaced?.(key, before, value);
    return true;
  }

  delete(key: Buffer): boolean {
    this.#known?.delete(keyText(key));
    const before = this.#replaced && this.#map.get(key);
    const there = this.#map.delete(key);
    if (before) this.#replaced?.(key, before, undefined);
    return there;
  }

  /** Removes an entry of an array. */
  clear(key: Buffer): void {
    this.#known?.delete(keyText(key));
    this.#map.set(key, Buffer.alloc(this.#map.shape.valueSize));
  }

  /** An array's entries cannot be removed: those that are all zero count as absent. */
  read(): Entries {
    const found: Entries = new Map();
    for (const [key, value] of this.#map.entries()) if (!this.#isArray || !isZero(value)) found.set(keyText(key), value);
    return found;
  }

  /** What we last wrote, or else what the kernel has. */
  known(): ReadonlyMap<KeyText, Buffer> {
    this.#known ??= this.read();
    return this.#known;
  }

  /** Just these, of a table that is known to hold what was last written: first what goes. Answers what could not be written. */
  change(changes: readonly (readonly [key: Buffer, value: Buffer | undefined])[]): { written: number; failed: string[] } {
    const put: [KeyText, Buffer][] = [];
    for (const [key, value] of changes) {
      if (value) put.push([keyText(key), value]);
      else this.delete(key);
    }
    const refused = this.#put(put);
    const missing = new Set(refused.map(([key]) => key));
    for (const [key, value] of put) if (!missing.has(key)) this.#known?.set(key, value);
    return { written: changes.length, failed: this.#sentences(refused) };
  }

  /** Compares what was last written with the kernel, and mends it; answers what differed. */
  readBack(): string[] {
    if (this.#isAsKnown()) return [];
    const { repaired, finish } = this.bring(new Map(this.known()));
    finish();
    return repaired;
  }

  /** Nearly always so, and much cheaper to find than what differs. */
  #isAsKnown(): boolean {
    if (!this.#known) return false;
    let same = 0;
    for (const [key, value] of this.#map.walk()) {
      if (this.#isArray && isZero(value)) continue;
      if (!this.#known.get(keyText(key))?.equals(value)) return false;
      same++;
    }
    return same === this.#known.size;
  }

  /** Number of entries we wrote. */
  size(): number {
    return this.#known?.size ?? this.read().size;
  }

  get #isArray(): boolean {
    return this.#map.shape.type === 2;
  }

  /**
   * Compares with the kernel and writes what is missing or different; `finish` removes the rest, and is for later, when nothing refers to
   * it any more. In mode `add`, what is there is right. The kernel can be believed to hold what was last written, without a look.
   */
  bring(
    asked: Entries,
    mode: ApplyMode = 'exact',
    believe = false,
  ): { written: number; changed: boolean; repaired: string[]; failed: string[]; finish: () => number } {
    const kernel = (believe ? this.#known : undefined) ?? this.read();
    const desired: Entries = mode === 'add' ? new Map([...asked, ...kernel]) : asked;
    const { put, remove, drifted } = diffTable(desired, kernel, this.#known);
    const strange = new Set(drifted.map(([key]) => key));
    const refused = this.#put(put);
    const missing = new Set(refused.map(([key]) => key));
    this.#known = new Map([...desired].filter(([key]) => !missing.has(key)));
    const tell = (key: KeyText, after?: Buffer): void => {
      const before = this.#replaced && kernel.get(key);
      if (before) this.#replaced?.(keyBytes(key), before, after);
    };
    for (const [key, value] of put) if (!missing.has(key)) tell(key, value);
    const fresh = put.filter(([key]) => !strange.has(key)).length;
    return {
      written: fresh + remove.filter((key) => !strange.has(key)).length,
      changed: put.length + remove.length > 0,
      repaired: drifted.map(([key, how]) => `${describe(this.name, keyBytes(key))} ${how}`),
      failed: this.#sentences(refused),
      finish: () => {
        for (const key of remove) {
          if (this.#isArray) this.#map.set(keyBytes(key), Buffer.alloc(this.#map.shape.valueSize));
          else this.#map.delete(keyBytes(key));
          tell(key);
        }
        return remove.length;
      },
    };
  }

  #sentences(refused: readonly (readonly [KeyText, why: string])[]): string[] {
    return refused.map(([key, why]) => `${describe(this.name, keyBytes(key))} could not be written: ${why}`);
  }

  /** All at once; one by one when the kernel refuses, so that one bad entry does not keep the others out. */
  #put(entries: readonly (readonly [string, Buffer])[]): [string, string][] {
    if (entries.length === 0) return [];
    try {
      this.#map.setAll(entries.map(([key, value]) => [keyBytes(key), value]));
      return [];
    } catch {
      const failed: [string, string][] = [];
      for (const [key, value] of entries) {
        try {
          this.#map.set(keyBytes(key), value);
        } catch (error) {
          const full = isErrno(error, 'E2BIG', 'ENOSPC');
          failed.push([key, full ? `the table ${this.name} is full (${this.max} entries)` : String(error)]);
        }
      }
      return failed;
    }
  }
}

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);
