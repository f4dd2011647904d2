/** Whom a staged policy would concern: connections, judged by the rules that act and by the staged ones. Pure. */
import {
  type Address,
  type AffectedConnection,
  type JudgedEnd,
  judgeOpening,
  meaningOf,
  type PolicyRule,
  type PolicySet,
  parseAddressRange,
  type RuleState,
  ruleNumber,
  type Verdict,
} from '@contiv/model';
import { ruleState, ruleStateOf } from '../present.js';
import type { State } from '../state.js';
import { stagedRules } from './staged.js';

/** A connection as it was seen, from whoever opened it to whoever was called. */
export interface SeenConnection {
  readonly tenant: string;
  /** Network of either end that is a container. */
  readonly network: string;
  readonly live: boolean;
  readonly protocol: number;
  readonly from: { readonly ip: string; readonly port: number };
  readonly to: { readonly ip: string; readonly port: number };
}

/** Numbers of containers without a group, which no group has. */
const UNGROUPED = 0x8000_0000;

/** Judges connections of one tenant, as everything is, or with a policy's staged version in place of its rules. */
export class Judge {
  readonly #state: State;
  readonly #tenant: string;
  readonly #staged: string | undefined;
  readonly #sets = new Map<string, PolicySet>();
  readonly #rules = new Map<string, readonly PolicyRule[]>();
  readonly #names = new Map<number, string>();

  /** `staged`: key of the policy whose staged version is looked at. Rules are those of this moment, however long it judges. */
  constructor(state: State, tenant: string, staged?: string) {
    this.#state = state;
    this.#tenant = tenant;
    this.#staged = staged;
    for (const policy of state.entries('policy', state.policiesOfTenant.of(tenant))) this.#rulesOf(policy.record.policyName);
  }

  verdict(seen: SeenConnection): Verdict {
    const port = seen.protocol === 1 || seen.protocol === 58 ? 0 : seen.to.port;
    return judgeOpening(this.#end(seen.network, seen.from.ip), this.#end(seen.network, seen.to.ip), seen.protocol, port);
  }

  /** `policy:rule` */
  ruleName(number: number): string | undefined {
    return this.#names.get(number);
  }

  #end(network: string, ip: string): JudgedEnd {
    const address = addressOf(ip);
    const found = this.endpoint(network, ip);
    // Whoever is no container of ours is in no group and asks nobody.
    if (!found) return { address, group: 0, rules: undefined };
    const group = found.group === undefined ? undefined : this.#state.group(`${this.#tenant}:${found.group}`);
    return { address, group: group?.record.id ?? UNGROUPED, rules: this.#set(group?.record.policies ?? []) };
  }

  /** The container that has the address: in the network, or in another one of the tenant, which networks that are routed reach. */
  endpoint(network: string, ip: string): { readonly group?: string | undefined; readonly containerName?: string | undefined } | undefined {
    for (const key of this.#networks(network)) {
      const id = this.#state.address(key, ip)?.record.endpointId;
      const endpoint = id === undefined ? undefined : this.#state.endpoint(key, id);
      if (endpoint) return endpoint.record;
    }
    return undefined;
  }

  *#networks(first: string): Generator<string> {
    yield `${this.#tenant}:${first}`;
    for (const { place } of this.#state.entries('network', this.#state.networksOfTenant.of(this.#tenant))) yield place.first;
  }

  /** Policies of a group with those of the tenant that come before all. */
  #set(policies: readonly string[]): PolicySet {
    const here = [...this.#state.entries('policy', this.#state.policiesOfTenant.of(this.#tenant))];
    const admin = here.filter((p) => p.record.admin).map((p) => p.record.policyName);
    const names = [...new Set([...admin, ...policies])].toSorted();
    const known = this.#sets.get(names.join(' '));
    if (known) return known;
    const denies = this.#state.tenant(this.#tenant)?.record.posture === 'deny';
    const set = { rules: names.flatMap((name) => this.#rulesOf(name)), denies };
    this.#sets.set(names.join(' '), set);
    return set;
  }

  #rulesOf(policy: string): readonly PolicyRule[] {
    const known = this.#rules.get(policy);
    if (known) return known;
    const key = `${this.#tenant}:${policy}`;
    const state = this.#state;
    const rules: RuleState[] =
      key === this.#staged
        ? [...stagedRules(state, key)].map(([id, record]) => ruleStateOf(`${key}:${id}`, record))
        : [...state.entries('rule', state.rulesOfPolicy.of(key))].map(ruleState);
    for (const rule of rules) this.#names.set(ruleNumber(rule.key), rule.key.slice(this.#tenant.length + 1));
    const meaning = rules.flatMap((rule) =>
      meaningOf(rule, state.policy(key)?.record.admin ?? false, {
        group: (name) => state.group(`${this.#tenant}:${name}`)?.record.id,
        subnet6: (name) => state.network(`${this.#tenant}:${name}`)?.record.ipv6Subnet || undefined,
      }),
    );
    this.#rules.set(policy, meaning);
    return meaning;
  }
}

function addressOf(ip: string): Address {
  const range = parseAddressRange(ip);
  return range ? { family: range.family, value: range.first } : { family: 4, value: 0n };
}

/** Collects those connections whose verdict would be another one, counted by their ends and port. */
export class Effect {
  readonly #now: Judge;
  readonly #then: Judge;
  readonly #verdicts = new Map<string, readonly [now: Verdict, then: Verdict]>();
  readonly #found = new Map<string, AffectedConnection>();
  examined = 0;

  constructor(state: State, key: string) {
    const tenant = key.slice(0, key.indexOf(':'));
    this.#now = new Judge(state, tenant);
    this.#then = new Judge(state, tenant, key);
  }

  add(seen: SeenConnection): void {
    this.examined++;
    const [now, then] = this.#judge(seen);
    if (now.deny === then.deny) return;
    const { protocol, live, from, to } = seen;
    const end = ({ ip, port }: SeenConnection['from']) => {
      const endpoint = this.#now.endpoint(seen.network, ip);
      return {
        ip,
        port,
        ...(endpoint?.containerName === undefined ? {} : { container: endpoint.containerName }),
        ...(endpoint?.group === undefined ? {} : { group: endpoint.group }),
      };
    };
    // Many connections from one container to one port are one line; its own port says nothing then.
    const id = [live, protocol, from.ip, to.ip, to.port].join(' ');
    const known = this.#found.get(id);
    if (known) {
      this.#found.set(id, { ...known, from: { ...known.from, port: 0 }, count: known.count + 1 });
      return;
    }
    const rule = this.#then.ruleName(then.rule);
    this.#found.set(id, {
      effect: then.deny ? 'cut' : 'open',
      live,
      protocol,
      from: end(from),
      to: end(to),
      ...(rule === undefined ? {} : { rule }),
      count: 1,
    });
  }

  /** No rule asks for the caller's port, which is another one each time. */
  #judge(seen: SeenConnection): readonly [now: Verdict, then: Verdict] {
    const ends = [seen.network, seen.protocol, seen.from.ip, seen.to.ip, seen.to.port].join(' ');
    const known = this.#verdicts.get(ends);
    if (known) return known;
    const verdicts = [this.#now.verdict(seen), this.#then.verdict(seen)] as const;
    this.#verdicts.set(ends, verdicts);
    return verdicts;
  }

  get connections(): AffectedConnection[] {
    return [...this.#found.values()];
  }
}
