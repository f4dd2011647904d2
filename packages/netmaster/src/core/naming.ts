/**
 * Who names what: nothing is deleted that something else refers to. A rule without its peers would be about nobody, silently, so groups and
 * networks are there as long as rules name them.
 */
import { Refusal } from '@contiv/model';
import type { EntryOf } from './records.js';
import type { State } from './state.js';

/** How many rules an error tells. */
const TOLD = 3;
/** How many names an error lists. */
const MOST = 10;

interface Naming {
  readonly policy: string;
  readonly ruleId: string;
  readonly staged: boolean;
}

/** Throws when a rule, acting or staged, names the group or network of that key. */
export function refuseNamed(state: State, what: 'group' | 'network', key: string): void {
  const [rules, staged] =
    what === 'group' ? [state.rulesOfPeer, state.stagedRulesOfPeer] : [state.rulesOfPeerNetwork, state.stagedRulesOfPeerNetwork];
  const naming = [
    ...[...state.entries('rule', rules.of(key))].map((entry) => namingOf(entry, false)),
    ...[...state.entries('stagedRule', staged.of(key))].map((entry) => namingOf(entry, true)),
  ].toSorted((a, b) => Number(a.staged) - Number(b.staged) || compare(a.policy, b.policy) || compare(a.ruleId, b.ruleId));
  const [first] = naming;
  if (!first) return;
  const [tenant, name] = [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)];
  const told = naming.slice(0, TOLD).map((rule) => `${rule.staged ? 'staged rule' : 'rule'} ${rule.ruleId} of policy ${rule.policy}`);
  const more = naming.length > TOLD ? [`${naming.length - TOLD} more`] : [];
  const list = [...told, ...more];
  const names = list.length > 1 ? `${list.slice(0, -1).join(', ')} and ${list.at(-1)} name it` : `${list[0]} names it`;
  throw new Refusal(
    'in-use',
    `cannot delete ${what} ${name} of tenant ${tenant}: ${names}`,
    `${naming.length > 1 ? 'remove them first, beginning with' : 'remove it first:'} ${removal(tenant, first)}`,
  );
}

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

const namingOf = ({ record }: EntryOf<'rule'> | EntryOf<'stagedRule'>, staged: boolean): Naming => ({
  policy: record.policyName,
  ruleId: record.ruleId,
  staged,
});

const removal = (tenant: string, { policy, ruleId, staged }: Naming): string =>
  staged ? `netctl policy discard -t ${tenant} ${policy}` : `netctl policy rule-rm -t ${tenant} ${policy} ${ruleId}`;

const compare = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });
