/** The history: each request that changes what people asked for writes down what it changes, in the transaction that changes it. Pure. */
import { changedFields, type HistoryEntry, type ObjectChange } from '@contiv/model';
import { asked, askedRule, isAsked, keyOf } from './intent/asked.js';
import { Draft, PENDING, type Plan, type Write } from './plan.js';
import { type Entry, type EntryOf, entry, type Kind, keys, placeOf } from './records.js';
import type { State } from './state.js';

/** On whose behalf something is written. */
export interface Cause {
  readonly from: string;
  readonly client: string;
  readonly source?: string;
  readonly at: Date;
  /** One of its own for each request, in the order in which a master got them. */
  readonly id: string;
}

/** Changes of one entry; with more than this, members of what is created or deleted are left out. */
const PER_ENTRY = 200;
/** Characters of one entry's changes: a value of the store has at most 1 MiB. */
const CHARACTERS = 128 * 1024;
/** The oldest entries beyond these bounds are forgotten. */
export const HISTORY_BOUNDS = { entries: 2_000, characters: 8 * 1024 * 1024, days: 90 };
const FORGOTTEN_AT_ONCE = 100;

/** The plan, with its entries. What changes nothing people set is not written down. */
export function audited<T>(state: State, plan: Plan<T>, cause: Cause): Plan<T> {
  const changes = changesOf(state, plan);
  if (changes.length === 0) return plan;
  const brief = changes.length > PER_ENTRY;
  const shown = brief ? changes.map((c) => (c.action === 'update' ? c : { ...c, fields: [] })) : changes;
  const [expects, writes] = [new Map(plan.expects), new Map(plan.writes)];
  for (const [i, part] of parts(shown).entries()) {
    const { at, id, ...who } = cause;
    const record: HistoryEntry = {
      time: at.toISOString(),
      from: who.from,
      client: who.client,
      ...(who.source === undefined ? {} : { source: who.source }),
      changes: part,
    };
    const key = keys.history(`${String(at.getTime()).padStart(14, '0')}-${id}-${String(i).padStart(5, '0')}`);
    const place = placeOf(key);
    if (!place) throw new Error(`${key} is no key of ours`);
    expects.set(key, 0);
    writes.set(key, { key, entry: entry('history', place, key, JSON.stringify(record), record, PENDING, PENDING) });
  }
  return { ...plan, expects, writes };
}

/** In order, each of a bounded number and size. */
function parts(changes: readonly ObjectChange[]): ObjectChange[][] {
  const all: ObjectChange[][] = [];
  let part: ObjectChange[] = [];
  let size = 0;
  for (const change of changes) {
    const own = JSON.stringify(change).length;
    if (part.length === 0 || part.length === PER_ENTRY || size + own > CHARACTERS) {
      part = [];
      size = 0;
      all.push(part);
    }
    part.push(change);
    size += own;
  }
  return all;
}

function changesOf(state: State, plan: Plan<unknown>): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const write of plan.writes.values()) {
    const change = changeOf(state, write);
    if (change) changes.push(change);
  }
  for (const prefix of plan.cleared)
    for (const rule of state.all('rule')) if (rule.key.startsWith(prefix)) changes.push(told('delete', rule, rule, undefined));
  return changes;
}

function changeOf(state: State, { key, entry: after }: Write): ObjectChange | undefined {
  const kind = placeOf(key)?.kind;
  const before = kind && state.at(kind, key);
  const some = after ?? before;
  if (!some || before?.text === after?.text) return undefined;
  return told(before ? (after ? 'update' : 'delete') : 'create', some, before, after);
}

function told(action: ObjectChange['action'], some: Entry, before: Entry | undefined, after: Entry | undefined): ObjectChange | undefined;
function told(action: 'delete', some: EntryOf<'rule'>, before: Entry, after: undefined): ObjectChange;
function told(action: ObjectChange['action'], some: Entry, before: Entry | undefined, after: Entry | undefined): ObjectChange | undefined {
  if (some.kind === 'staged') return { action, kind: 'staged', key: keyOf(some), fields: [] };
  if (some.kind === 'stagedRule')
    return { action, kind: 'stagedRule', key: keyOf(some), fields: changedFields(stagedFields(before), stagedFields(after)) };
  if (!isAsked(some)) return undefined;
  const fields = changedFields(before && isAsked(before) ? asked(before) : undefined, after && isAsked(after) ? asked(after) : undefined);
  return fields.length === 0 ? undefined : { action, kind: some.kind, key: keyOf(some), fields };
}

const stagedFields = (staged: Entry | undefined): object | undefined =>
  staged?.kind === 'stagedRule' ? (staged.record.rule ? askedRule(staged.record.rule) : { deleted: true }) : undefined;

/** Oldest first; those that match one of the objects: `KIND`, `KIND/KEY`, a key, or the last part of one. */
export function readHistory(state: State, since: Date | undefined, objects: readonly string[]): HistoryEntry[] {
  const entries = [...state.all('history')].toSorted(byKey).map((e) => e.record);
  const late = since === undefined ? entries : entries.filter((e) => Date.parse(e.time) >= since.getTime());
  if (objects.length === 0) return late;
  const meant = (change: ObjectChange) => objects.some((object) => matches(change, object));
  return late.map((e) => ({ ...e, changes: e.changes.filter(meant) })).filter((e) => e.changes.length > 0);
}

/** What belongs to an object (the rules of a policy, everything of a tenant) is meant with it. */
function matches({ kind, key }: ObjectChange, object: string): boolean {
  const slash = object.indexOf('/');
  const [wantedKind, wanted] = slash < 0 ? ['', object] : [object.slice(0, slash), object.slice(slash + 1)];
  if (wantedKind !== '') return (kind === wantedKind && (wanted === '' || key === wanted)) || belongs({ kind, key }, wantedKind, wanted);
  return (
    kind === wanted ||
    key === wanted ||
    key.startsWith(`${wanted}:`) ||
    key.split(':').slice(1).join(':') === wanted ||
    key.split(':').includes(wanted)
  );
}

/** Everything of a tenant, and the rules of a policy with what is staged of it. */
function belongs({ kind, key }: Pick<ObjectChange, 'kind' | 'key'>, above: string, name: string): boolean {
  if (name === '') return false;
  if (above === 'policy') return kind === 'staged' ? key === name : ['rule', 'stagedRule'].includes(kind) && key.startsWith(`${name}:`);
  return above === 'tenant' && key.startsWith(`${name}:`);
}

/** Deletes the oldest entries beyond the bounds, some at a time; `undefined` when there are none. */
export function forgetHistory(state: State, now: number, bounds = HISTORY_BOUNDS): Plan<number> | undefined {
  const entries = [...state.all('history')].toSorted(byKey);
  let characters = entries.reduce((sum, e) => sum + e.text.length, 0);
  let left = entries.length;
  const draft = new Draft();
  let forgotten = 0;
  for (const e of entries) {
    const old = now - Date.parse(e.record.time) > bounds.days * 86_400_000;
    if ((!old && left <= bounds.entries && characters <= bounds.characters) || forgotten === FORGOTTEN_AT_ONCE) break;
    draft.remove(e);
    characters -= e.text.length;
    left--;
    forgotten++;
  }
  return forgotten === 0 ? undefined : draft.done(forgotten);
}

const byKey = <K extends Kind>(a: EntryOf<K>, b: EntryOf<K>): number => (a.key < b.key ? -1 : 1);
