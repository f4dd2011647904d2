/** Nothing is deleted that a group, or something else that would be left half, refers to; the refusal says who. */
import { Refusal } from '@contiv/model';
import type { State } from './state.js';

/** How many names an error lists. */
const MOST = 10;

/** Throws when there are groups under these store keys: they have the thing attached. */
export function refuseUsed(state: State, groups: ReadonlySet<string>, message: string): void {
  const names = [...state.entries('group', groups)].map((g) => g.record.groupName);
  if (names.length > 0)
    throw new Refusal('in-use', message, `detach it first from ${names.length === 1 ? 'group' : 'groups'} ${listed(names)}`);
}

/** Names in order; of many the first ones. */
export function listed(names: readonly string[]): string {
  const sorted = names.toSorted(compare);
  return sorted.length > MOST ? `${sorted.slice(0, MOST).join(', ')} and ${sorted.length - MOST} more` : sorted.join(', ');
}

const compare = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });
