/**
 * A change of more than one transaction takes (etcd: 128 keys, 1.5 MiB), made whole or not at all:
 *
 * 1. `bigChange` is put: from now on no other write of a master passes, for each compares that the key is absent.
 * 2. All writes are put below `journal/`; until here anybody may remove both keys, and nothing has happened.
 * 3. `bigChange` is marked decided: the change is made. Masters hold back what they see from here on.
 * 4. The writes are carried out, in transactions that compare the mark.
 * 5. `bigChange` and the journal are removed: masters and agents see the whole change at once.
 *
 * Whoever finds a decided change of a master that is gone carries it out from the journal; repeating a step does no harm.
 */
import { Refusal } from '@contiv/model';
import type { Compare, KeyValue, Op, Store } from '@contiv/store';
import { z } from 'zod';
import { keys } from '../core/records.js';

const mark = z.object({ id: z.string(), owner: z.string(), decided: z.boolean() });
const part = z.array(z.tuple([z.string(), z.string().nullable()]));

/** Operations of one transaction. */
const SLICE = 120;
/** Characters of one part of the journal, and of one slice; a value has at most 1 MiB, a transaction 1.4 million bytes, a character up to four. */
const PART_CHARS = 240_000;

/** The mark as the store has it. */
export interface Mark {
  readonly id: string;
  /** Id of the master that makes it. */
  readonly owner: string;
  readonly decided: boolean;
  readonly revision: number;
}

export function readMark(kv: Pick<KeyValue, 'value' | 'modRevision'>): Mark {
  const parsed = mark.safeParse(JSON.parse(kv.value));
  if (!parsed.success) throw new Error(`the store's record ${keys.bigChange} is malformed; delete it`);
  return { ...parsed.data, revision: kv.modRevision };
}

/** Every write of a master rests on this. */
export const NOBODY: Compare = { key: keys.bigChange, exists: false };

const text = (id: string, owner: string, decided: boolean): string => JSON.stringify({ id, owner, decided });

/** Step 1. The mark, or `undefined` when another change is under way. */
export async function begin(store: Store, id: string, owner: string): Promise<Mark | undefined> {
  const { succeeded, revision } = await store.txn([NOBODY], [{ put: keys.bigChange, value: text(id, owner, false) }]);
  return succeeded ? { id, owner, decided: false, revision } : undefined;
}

/** Step 1 taken back. */
export async function abandon(store: Store, { id, revision }: Pick<Mark, 'id' | 'revision'>): Promise<void> {
  await store.txn([{ key: keys.bigChange, modRevision: revision }], [{ delete: keys.bigChange }, { deletePrefix: keys.journal(id, '') }]);
}

export interface BigWrite {
  readonly key: string;
  /** `undefined` deletes. */
  readonly value: string | undefined;
}

/** Steps 2 and 3. Answers the decided mark. @throws Refusal when somebody has taken the beginning back. */
export async function decide(store: Store, { id, owner, revision: begun }: Mark, writes: readonly BigWrite[]): Promise<Mark> {
  const guard: Compare = { key: keys.bigChange, modRevision: begun };
  const lost = () => new Refusal('unavailable', 'the change took too long and was taken back; nothing was changed, ask again');
  let parts = 0;
  for (const piece of pieces(writes, Number.MAX_SAFE_INTEGER)) {
    const value = JSON.stringify(piece.map((w) => [w.key, w.value ?? null]));
    const { succeeded } = await store.txn([guard], [{ put: keys.journal(id, parts), value }]);
    if (!succeeded) throw lost();
    parts++;
  }
  const { succeeded, revision } = await store.txn([guard], [{ put: keys.bigChange, value: text(id, owner, true) }]);
  if (!succeeded) throw lost();
  return { id, owner, decided: true, revision };
}

/** Steps 4 and 5. Answers the revision at which the change can be seen, or `undefined` when somebody else finished it. */
export async function carryOut(store: Store, decided: Mark, writes: readonly BigWrite[]): Promise<number | undefined> {
  const guard: Compare = { key: keys.bigChange, modRevision: decided.revision };
  for (const slice of pieces(writes, SLICE)) {
    const ops = slice.map(({ key, value }): Op => (value === undefined ? { delete: key } : { put: key, value }));
    if (!(await store.txn([guard], ops)).succeeded) return undefined;
  }
  const { succeeded, revision } = await store.txn([guard], [{ delete: keys.bigChange }, { deletePrefix: keys.journal(decided.id, '') }]);
  return succeeded ? revision : undefined;
}

/** What a decided change writes, for whoever has to finish it. */
export async function readJournal(store: Store, decided: Mark): Promise<BigWrite[]> {
  const { kvs } = await store.range(keys.journal(decided.id, ''));
  return kvs.flatMap((kv) => part.parse(JSON.parse(kv.value)).map(([key, value]) => ({ key, value: value ?? undefined })));
}

/** In order, each of at most so many writes and of a bounded size. */
function* pieces(writes: readonly BigWrite[], most: number): Generator<BigWrite[]> {
  let piece: BigWrite[] = [];
  let size = 0;
  for (const write of writes) {
    const own = write.key.length + (write.value?.length ?? 0);
    if (piece.length > 0 && (piece.length >= most || size + own > PART_CHARS)) {
      yield piece;
      piece = [];
      size = 0;
    }
    piece.push(write);
    size += own;
  }
  if (piece.length > 0) yield piece;
}
