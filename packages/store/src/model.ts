import fc from 'fast-check';
import { expect } from 'vitest';
import { type Compare, type Op, type Store, type StoreEvent, StoreRequestError } from './store.js';

const NAMES = ['a', 'a/1', 'a/2', 'ab', 'b', 'b/1', 'ü'];
const VALUES = ['', 'x', 'y'];

const name = fc.constantFrom(...NAMES);
const value = fc.constantFrom(...VALUES);
type Condition =
  | { kind: 'mod'; name: string; age: number }
  | { kind: 'exists'; name: string; exists: boolean }
  | { kind: 'value'; name: string; value: string };
const condition: fc.Arbitrary<Condition> = fc.oneof(
  // Age 0 is the key's present revision, 1 the one before, 2 absence.
  fc.record({ kind: fc.constant('mod' as const), name, age: fc.nat(2) }),
  fc.record({ kind: fc.constant('exists' as const), name, exists: fc.boolean() }),
  fc.record({ kind: fc.constant('value' as const), name, value }),
);
type Action = { kind: 'put'; name: string; value: string } | { kind: 'delete'; name: string } | { kind: 'deletePrefix'; name: string };
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), name, value }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deletePrefix' as const), name }) },
);
const actions = fc.array(action, { maxLength: 4 });
export interface Step {
  readonly compare: readonly Condition[];
  readonly success: readonly Action[];
  readonly failure: readonly Action[];
}
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ compare: fc.array(condition, { maxLength: 3 }), success: actions, failure: actions }),
  { minLength: 1, maxLength: 20 },
);

interface Entry {
  readonly value: string;
  readonly created: number;
  readonly modified: number;
}

/** Runs the sequence on the store and on a map that says what must come of it; compares results, state and the watched history. */
export async function runAgainstModel(store: Store, root: string, sequence: readonly Step[]): Promise<void> {
  const model = new Map<string, Entry>();
  const history: string[] = [];
  const start = (await store.range(root)).revision;
  let revision: number = start;
  for (const step of sequence) {
    const compare = step.compare.map((c) => toCompare(root, model, c));
    const [success, failure] = [step.success, step.failure].map((list) => list.map((a) => toOp(root, a)));
    if (overlaps(step.success) || overlaps(step.failure)) {
      await expect(store.txn(compare, success ?? [], failure)).rejects.toThrow(StoreRequestError);
      continue;
    }
    const succeeds = compare.every((c) => holds(model, c));
    const events = applyTo(model, revision + 1, root, succeeds ? step.success : step.failure);
    if (events.length > 0) revision++;
    history.push(...events);
    expect(await store.txn(compare, success ?? [], failure)).toEqual({ succeeded: succeeds, revision });
  }
  const expected = [...model].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const { kvs } = await store.range(root);
  expect(kvs.map((kv) => [kv.key, { value: kv.value, created: kv.createRevision, modified: kv.modRevision }])).toEqual(expected);
  expect(await watched(store, root, start + 1, history.length)).toEqual(history);
}

async function watched(store: Store, root: string, from: number, count: number): Promise<string[]> {
  const lines: string[] = [];
  if (count === 0) return lines;
  for await (const batch of store.watch(root, from, AbortSignal.timeout(10_000))) {
    lines.push(...batch.events.map(describeEvent));
    if (lines.length >= count) break;
  }
  return lines;
}

function describeEvent(event: StoreEvent): string {
  const previous = event.previous === undefined ? 'nothing' : `${event.previous.value}@${event.previous.modRevision}`;
  if (event.type === 'delete') return `${event.revision} delete ${event.key} was ${previous}`;
  return `${event.kv.modRevision} put ${event.kv.key}=${event.kv.value} from ${event.kv.createRevision} was ${previous}`;
}

function toCompare(root: string, model: ReadonlyMap<string, Entry>, c: Condition): Compare {
  const key = root + c.name;
  if (c.kind === 'exists') return { key, exists: c.exists };
  if (c.kind === 'value') return { key, value: c.value };
  const modified = model.get(key)?.modified ?? 0;
  return { key, modRevision: c.age === 2 ? 0 : Math.max(0, modified - c.age) };
}

function toOp(root: string, a: Action): Op {
  const key = root + a.name;
  if (a.kind === 'put') return { put: key, value: a.value };
  return a.kind === 'delete' ? { delete: key } : { deletePrefix: key };
}

function holds(model: ReadonlyMap<string, Entry>, c: Compare): boolean {
  const entry = model.get(c.key);
  if ('exists' in c) return model.has(c.key) === c.exists;
  if ('value' in c) return entry?.value === c.value;
  return (entry?.modified ?? 0) === c.modRevision;
}

/** Two operations of a list that touch one key, as far as their names tell. */
function overlaps(list: readonly Action[]): boolean {
  return list.some((a, i) =>
    list.some((b, j) => {
      if (i === j) return false;
      if (a.kind === 'deletePrefix') return b.name.startsWith(a.name);
      return b.kind !== 'deletePrefix' && a.name === b.name;
    }),
  );
}

function applyTo(model: Map<string, Entry>, revision: number, root: string, list: readonly Action[]): string[] {
  const lines: string[] = [];
  const was = (key: string) => {
    const entry = model.get(key);
    return entry === undefined ? 'nothing' : `${entry.value}@${entry.modified}`;
  };
  const drop = (key: string) => {
    if (!model.has(key)) return;
    lines.push(`${revision} delete ${key} was ${was(key)}`);
    model.delete(key);
  };
  for (const a of list) {
    const key = root + a.name;
    if (a.kind === 'put') {
      const created = model.get(key)?.created ?? revision;
      lines.push(`${revision} put ${key}=${a.value} from ${created} was ${was(key)}`);
      model.set(key, { value: a.value, created, modified: revision });
    } else if (a.kind === 'delete') drop(key);
    else {
      const keys = [...model.keys()].filter((k) => k.startsWith(key));
      for (const k of keys.sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)))) drop(k);
    }
  }
  return lines;
}
