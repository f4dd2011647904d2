/** A planned request: what must still be so, what to write, and what to answer once it is written. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Compare, LeaseId, Op } from '@contiv/store';
import { type Entry, entry, type Kind, placeOf, type RecordOf } from './records.js';

export interface Write {
  readonly key: string;
  /** What the mirror will hold; `undefined` deletes. */
  readonly entry: Entry | undefined;
  readonly lease?: LeaseId;
}

export interface Plan<T> {
  /** Keys the plan rests on, with the revision they were seen at (0: absent). */
  readonly expects: ReadonlyMap<string, number>;
  readonly writes: ReadonlyMap<string, Write>;
  /** Everything under these goes at once, whatever it has become; such a plan is committed alone. */
  readonly cleared: readonly string[];
  readonly reply: T;
}

/** Entries planned but not written carry this revision: newer than anything. */
export const PENDING = Number.MAX_SAFE_INTEGER;

/** Does the entry hold these values already? In whatever order its text has them. */
export const holds = (seen: Entry | undefined, record: object): boolean => seen !== undefined && isDeepStrictEqual(seen.record, record);

/** Collects a plan. Every write states what it expects of its key, so that no write is blind. */
export class Draft {
  readonly #expects = new Map<string, number>();
  readonly #writes = new Map<string, Write>();
  readonly #cleared: string[] = [];

  /** The plan rests on the entry being as it is. */
  unchanged(seen: Entry): void {
    this.#expects.set(seen.key, seen.modRevision);
  }

  /** The plan rests on nothing being there. */
  absent(key: string): void {
    this.#expects.set(key, 0);
  }

  /**
   * Writes the entry again as it is. Its revision then says when something was last added under it, so that whoever
   * decided "nothing is there" or "nothing overlaps" from an older view loses the race.
   */
  touch(seen: Entry): void {
    this.unchanged(seen);
    if (!this.#writes.has(seen.key)) this.#writes.set(seen.key, { key: seen.key, entry: { ...seen, modRevision: PENDING } });
  }

  create<K extends Kind>(kind: K, key: string, record: RecordOf[K], lease?: LeaseId): void {
    this.#expects.set(key, 0);
    this.#put(kind, key, record, PENDING, lease);
  }

  replace<K extends Kind>(seen: Entry & { kind: K }, record: RecordOf[K], lease?: LeaseId): void {
    this.unchanged(seen);
    this.#put(seen.kind, seen.key, record, seen.createRevision, lease);
  }

  remove(seen: Entry): void {
    this.unchanged(seen);
    this.#writes.set(seen.key, { key: seen.key, entry: undefined });
  }

  /** Deletes all keys under the prefix. Something else the plan expects must keep new ones from appearing there. */
  clear(prefix: string): void {
    this.#cleared.push(prefix);
  }

  done<T>(reply: T): Plan<T> {
    return { expects: this.#expects, writes: this.#writes, cleared: this.#cleared, reply };
  }

  #put<K extends Kind>(kind: K, key: string, record: RecordOf[K], createRevision: number, lease: LeaseId | undefined): void {
    const place = placeOf(key);
    if (!place) throw new Error(`${key} is no key of ours`);
    const next = entry(kind, place, key, JSON.stringify(record), record, createRevision, PENDING);
    this.#writes.set(key, lease === undefined ? { key, entry: next } : { key, entry: next, lease });
  }
}

/** A plan that writes nothing. */
export const answer = <T>(reply: T): Plan<T> => new Draft().done(reply);

export const toCompare = ([key, modRevision]: [string, number]): Compare => ({ key, modRevision });

export function toOp(write: Write): Op {
  if (!write.entry) return { delete: write.key };
  const put = { put: write.key, value: write.entry.text };
  return write.lease === undefined ? put : { ...put, lease: write.lease };
}
