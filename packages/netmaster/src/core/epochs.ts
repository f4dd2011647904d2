/**
 * Which history a revision belongs to. A store restored from an older copy gives out the same revisions again for other writes, so a
 * revision alone does not tell an agent's place. Every start of a master begins an epoch: a random id, kept in the store with the last
 * revision before it. A copy knows nothing of the epochs that came after it was made, and begins one of its own before agents are served.
 */
import { Draft, type Plan } from './plan.js';
import { keys } from './records.js';
import type { State } from './state.js';

/** Epochs remembered; who was away for more starts of masters gets a snapshot. */
const REMEMBERED = 16;

/** @param revision of the store, at which the epochs before this one end. */
export function beginEpoch(state: State, id: string, revision: number): Plan<void> {
  const draft = new Draft();
  const held = state.epochs;
  if (held?.record.epochs.some((epoch) => epoch.id === id)) return draft.done(undefined);
  const epochs = [...(held?.record.epochs ?? []), { id, after: revision }].slice(-REMEMBERED);
  if (held) draft.replace(held, { epochs });
  else draft.create('epochs', keys.epochs, { epochs });
  return draft.done(undefined);
}

/** Id of the present epoch. */
export const currentEpoch = (state: State): string | undefined => state.epochs?.record.epochs.at(-1)?.id;

/** Was the revision told in that epoch of this very history? Rather no than wrongly yes. */
export function isOurs(state: State, epoch: string | undefined, revision: number): boolean {
  const epochs = state.epochs?.record.epochs ?? [];
  const at = epochs.findIndex(({ id }) => id === epoch);
  const next = epochs[at + 1];
  return at >= 0 && (next === undefined || revision <= next.after);
}
