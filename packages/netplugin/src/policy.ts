/** Whose connections which rules decide, from what the cluster knows. Pure but for what it remembers of its last answer. */
import type { Mirror } from '@contiv/client';
import type { DatapathPolicy } from '@contiv/datapath';
import { type GroupState, itemsOf, meaningOf, type PolicyRule, type PolicySet, type RuleState } from '@contiv/model';
import { vniOf } from './segment.js';

/** Number in the data path of the containers of a network that are in no group: beyond the numbers of groups. */
export const ungrouped = (vni: number): number => (0x8000_0000 | vni) >>> 0;
/** Of a group that is not known here: it has no subject, so it may nothing. */
export const UNKNOWN_GROUP = 0xffff_ffff;

/**
 * Rules and sets that did not change are the same objects as the time before, so that nobody compiles them again.
 */
export class Policies {
  #rules = new WeakMap<RuleState, { readonly admin: boolean; readonly names: string; readonly rules: readonly PolicyRule[] }>();
  #sets = new Map<string, PolicySet>();

  /** Of all groups and networks of the tenants. */
  of(mirror: Mirror, tenants: ReadonlySet<string>): DatapathPolicy {
    const byPolicy = rulesByPolicy(mirror, tenants);
    const sets = new Map<string, PolicySet>();
    const subjects = new Map<number, PolicySet>();
    const subject = (number: number, tenant: string, policies: readonly string[]) => {
      const admin = [...mirror.policies.values()].filter((p) => p.tenant === tenant && p.admin).map((p) => p.policy);
      const names = [...new Set([...admin, ...policies])].sort();
      const key = `${tenant}|${names.join('|')}`;
      let set = sets.get(key);
      if (!set) {
        set = this.#set(mirror, tenant, names, byPolicy, this.#sets.get(key));
        sets.set(key, set);
      }
      subjects.set(number, set);
    };
    for (const group of mirror.groups.values()) if (tenants.has(group.tenant)) subject(group.id, group.tenant, group.policies ?? []);
    for (const network of mirror.networks.values()) if (tenants.has(network.tenant)) subject(ungrouped(vniOf(network)), network.tenant, []);
    this.#sets = sets;
    return { subjects };
  }

  #set(mirror: Mirror, tenant: string, policies: readonly string[], byPolicy: RulesByPolicy, last: PolicySet | undefined): PolicySet {
    const rules: PolicyRule[] = [];
    for (const policy of policies) {
      const admin = mirror.policies.get(`${tenant}:${policy}`)?.admin ?? false;
      for (const rule of byPolicy.get(tenant)?.get(policy) ?? []) rules.push(...this.#meaning(mirror, rule, admin));
    }
    const denies = mirror.tenants.get(tenant)?.denies ?? false;
    const same = last !== undefined && last.denies === denies && last.rules.length === rules.length;
    return same && last.rules.every((rule, i) => rule === rules[i]) ? last : { rules, denies };
  }

  #meaning(mirror: Mirror, rule: RuleState, admin: boolean): readonly PolicyRule[] {
    const known = this.#rules.get(rule);
    // Nothing it names can have become something else.
    if (known && known.admin === admin && rule.group === undefined && rule.network === undefined) return known.rules;
    const group = (name: string) => mirror.groups.get(`${rule.tenant}:${name}`)?.id;
    const subnet6 = (name: string) => {
      const prefix = mirror.networks.get(`${rule.tenant}:${name}`)?.subnet6;
      return prefix && `${prefix.address}/${prefix.length}`;
    };
    const names = [...itemsOf(rule.group).map(group), ...itemsOf(rule.network).map(subnet6)].join('|');
    if (known?.admin === admin && known.names === names) return known.rules;
    const rules = meaningOf(rule, admin, { group, subnet6 });
    this.#rules.set(rule, { admin, names, rules });
    return rules;
  }
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
