/** Whose connections which rules decide, from what the cluster knows. Pure but for what it remembers of its last answer. */
import type { Mirror } from '@contiv/client';
import type { DatapathPolicy } from '@contiv/datapath';
import { type GroupState, itemsOf, meaningOf, type PolicyRule, type PolicySet, type RuleState } from '@contiv/model';
import { vniOf } from './segment.js';

/** Number in the data path of the containers of a network that are in no group: beyond the numbers of groups. */
export const ungrouped = (vni: number): number => (0x8000_0000 | vni) >>> 0;
/** Of a group that is not known here: it has no subject, so it may nothing. */
export const UNKNOWN_GROUP = 0xffff_ffff;

/** A policy's rules as they were last, and what they mean. */
interface Known {
  readonly admin: boolean;
  /** Of all that rules of the tenant can name. */
  readonly names: string;
  readonly states: readonly RuleState[];
  /** How many rules each of them makes. */
  readonly counts: readonly number[];
  readonly rules: readonly PolicyRule[];
}

interface Meaning {
  readonly admin: boolean;
  readonly names: string;
  readonly rules: readonly PolicyRule[];
}

/**
 * Rules and sets that did not change are the same objects as the time before, so that nobody compiles them again.
 */
export class Policies {
  readonly #meanings = new WeakMap<RuleState, Meaning>();
  #policies = new Map<string, Known>();
  #sets = new Map<string, PolicySet>();

  /** Of all groups and networks of the tenants. */
  of(mirror: Mirror, tenants: ReadonlySet<string>): DatapathPolicy {
    const policies = new Map<string, Known>();
    for (const [tenant, byPolicy] of rulesByPolicy(mirror, tenants)) {
      const names = namesOf(mirror, tenant);
      for (const [policy, states] of byPolicy) {
        const key = `${tenant}:${policy}`;
        const admin = mirror.policies.get(key)?.admin ?? false;
        policies.set(key, this.#known(mirror, states, { admin, names }, this.#policies.get(key)));
      }
    }
    this.#policies = policies;
    const sets = new Map<string, PolicySet>();
    const subjects = new Map<number, PolicySet>();
    const subject = (number: number, tenant: string, policies: readonly string[]) => {
      const admin = [...mirror.policies.values()].filter((p) => p.tenant === tenant && p.admin).map((p) => p.policy);
      const names = [...new Set([...admin, ...policies])].sort();
      const key = `${tenant}|${names.join('|')}`;
      let set = sets.get(key);
      if (!set) {
        set = this.#set(mirror, tenant, names, this.#sets.get(key));
        sets.set(key, set);
      }
      subjects.set(number, set);
    };
    for (const group of mirror.groups.values()) if (tenants.has(group.tenant)) subject(group.id, group.tenant, group.policies ?? []);
    for (const network of mirror.networks.values()) if (tenants.has(network.tenant)) subject(ungrouped(vniOf(network)), network.tenant, []);
    this.#sets = sets;
    return { subjects };
  }

  #set(mirror: Mirror, tenant: string, names: readonly string[], last: PolicySet | undefined): PolicySet {
    const rules = NO_RULES.concat(...names.map((name) => this.#policies.get(`${tenant}:${name}`)?.rules ?? NO_RULES));
    const denies = mirror.tenants.get(tenant)?.denies ?? false;
    return last !== undefined && last.denies === denies && areSame(last.rules, rules) ? last : { rules, denies };
  }

  /** Rules come and go one by one: what stays before and behind them is taken over as a whole. */
  #known(mirror: Mirror, states: readonly RuleState[], as: Pick<Known, 'admin' | 'names'>, before: Known | undefined): Known {
    const last = before?.admin === as.admin && before.names === as.names ? before : NOTHING;
    const { head, tail } = commonEnds(last.states, states);
    const fresh = states.slice(head, states.length - tail).map((state) => this.#meaning(mirror, state, as.admin));
    if (fresh.length === 0 && last.states.length === states.length && last !== NOTHING) return last;
    const [first, behind] = [last.counts.slice(0, head), last.counts.slice(last.counts.length - tail)];
    const rules = last.rules.slice(0, sum(first)).concat(
      fresh.flatMap((meaning) => meaning.rules),
      last.rules.slice(last.rules.length - sum(behind)),
    );
    const counts = first.concat(
      fresh.map((meaning) => meaning.rules.length),
      behind,
    );
    return { ...as, states, counts, rules: before && areSame(before.rules, rules) ? before.rules : rules };
  }

  #meaning(mirror: Mirror, rule: RuleState, admin: boolean): Meaning {
    const known = this.#meanings.get(rule);
    // Nothing it names can have become something else.
    if (known && known.admin === admin && rule.group === undefined && rule.network === undefined) return known;
    const group = (name: string) => mirror.groups.get(`${rule.tenant}:${name}`)?.id;
    const subnet6 = (name: string) => {
      const prefix = mirror.networks.get(`${rule.tenant}:${name}`)?.subnet6;
      return prefix && `${prefix.address}/${prefix.length}`;
    };
    const names = [...itemsOf(rule.group).map(group), ...itemsOf(rule.network).map(subnet6)].join('|');
    if (known?.admin === admin && known.names === names) return known;
    const meaning = { admin, names, rules: meaningOf(rule, admin, { group, subnet6 }) };
    this.#meanings.set(rule, meaning);
    return meaning;
  }
}

const areSame = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((item, i) => item === b[i]);
const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);
const NO_RULES: readonly PolicyRule[] = [];
const NOTHING: Known = { admin: false, names: '', states: [], counts: [], rules: [] };

/** How many items two lists have in common at their beginnings, and how many of the others at their ends. */
function commonEnds<T>(a: readonly T[], b: readonly T[]): { readonly head: number; readonly tail: number } {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < shorter - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  return { head, tail };
}

/** All that rules of a tenant can name and that may become something else. */
function namesOf(mirror: Mirror, tenant: string): string {
  const groups = [...mirror.groups.values()].filter((g) => g.tenant === tenant).map((g) => `${g.group} ${g.id}`);
  const networks = [...mirror.networks.values()].filter((n) => n.tenant === tenant);
  const subnets = networks.map(({ network, subnet6 }) => `${network} ${subnet6 ? `${subnet6.address}/${subnet6.length}` : ''}`);
  return `${groups.join('|')}||${subnets.join('|')}`;
}

type RulesByPolicy = ReadonlyMap<string, ReadonlyMap<string, readonly RuleState[]>>;

/** Rules of the tenants, by tenant and policy. */
function rulesByPolicy(mirror: Mirror, tenants: ReadonlySet<string>): RulesByPolicy {
  const found = new Map<string, Map<string, RuleState[]>>();
  for (const tenant of tenants) found.set(tenant, new Map());
  for (const rule of mirror.rules.values()) {
    const policies = found.get(rule.tenant);
    const list = policies?.get(rule.policy);
    if (list) list.push(rule);
    else policies?.set(rule.policy, [rule]);
  }
  return found;
}

/** Number of an endpoint's group for the data path. */
export function groupNumber(groups: ReadonlyMap<string, GroupState>, tenant: string, group: string | undefined, vni: number): number {
  return group === undefined ? ungrouped(vni) : (groups.get(`${tenant}:${group}`)?.id ?? UNKNOWN_GROUP);
}
