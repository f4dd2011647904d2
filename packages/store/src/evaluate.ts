import type { Revision } from '@contiv/model';
import { compareKeys } from './order.js';
import { type Compare, type KeyValue, type LeaseId, type Op, type StoreEvent, StoreRequestError } from './store.js';

/** What a transaction may look at: the present state, with the writes of earlier transactions of the same commit. */
export interface View {
  get(key: string): KeyValue | undefined;
  keysWithPrefix(prefix: string): readonly string[];
  hasLease(id: LeaseId): boolean;
}

export interface Outcome {
  readonly succeeded: boolean;
  /** Empty when nothing changed; then the transaction takes no revision. */
  readonly events: readonly StoreEvent[];
}

/** The semantics of `Store.txn`, without effects. `revision` is the one its writes would carry. */
export function evaluate(
  view: View,
  revision: Revision,
  compare: readonly Compare[],
  success: readonly Op[],
  failure: readonly Op[],
): Outcome {
  const succeeded = compare.every((condition) => holds(view.get(condition.key), condition));
  const events: StoreEvent[] = [];
  for (const op of succeeded ? success : failure) {
    if ('put' in op) events.push(put(view, revision, op));
    else if ('delete' in op) events.push(...remove(view, revision, [op.delete]));
    else events.push(...remove(view, revision, [...view.keysWithPrefix(op.deletePrefix)].sort(compareKeys)));
  }
  return { succeeded, events };
}

function holds(kv: KeyValue | undefined, condition: Compare): boolean {
  if ('modRevision' in condition) return (kv?.modRevision ?? 0) === condition.modRevision;
  if ('exists' in condition) return (kv !== undefined) === condition.exists;
  return kv?.value === condition.value;
}

function put(view: View, revision: Revision, op: Extract<Op, { put: string }>): StoreEvent {
  if (op.lease !== undefined && !view.hasLease(op.lease)) throw leaseUnknown(op.lease);
  const previous = view.get(op.put);
  return {
    type: 'put',
    kv: {
      key: op.put,
      value: op.value,
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      ...(op.lease === undefined ? {} : { lease: op.lease }),
    },
    ...(previous === undefined ? {} : { previous }),
  };
}

function remove(view: View, revision: Revision, keys: readonly string[]): StoreEvent[] {
  return keys.flatMap((key) => {
    const previous = view.get(key);
    return previous === undefined ? [] : [{ type: 'delete' as const, key, revision, previous }];
  });
}

export const eventKey = (event: StoreEvent): string => (event.type === 'put' ? event.kv.key : event.key);

export const leaseUnknown = (id: LeaseId) => new StoreRequestError(`lease ${id} does not exist or has expired; take a new one`);
