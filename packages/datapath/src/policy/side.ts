/** The rules of a set for one way, compiled: see compile.ts. Pure but for what it keeps up to date. */
import { type AddressRange, outranks, type PolicyRule, type PolicyService, type Way } from '@contiv/model';
import {
  BY_GROUP,
  BY_OWN,
  BY_PEER,
  BY_PORT,
  BY_PROTOCOL,
  type Difference,
  MAX_ENTRIES,
  PATTERNS,
  type PrefixKey,
  type RuleKey,
  type RuleValue,
  TooLarge,
} from './entries.js';
import { Classifier, coverRange, type Membership, nameOf, type Predicate, type Reclassified } from './prefixes.js';

type Rules = Predicate<PolicyRule>;

/** A rule with its predicates. */
interface Parts {
  readonly rule: PolicyRule;
  readonly peer: Rules | undefined;
  readonly own: Rules | undefined;
  /** All ports it names are one predicate, as all its addresses are: a long list takes no more entries than a range. */
  readonly ports: Rules | undefined;
  /** Protocols it names without ports. */
  readonly protocols: readonly number[];
}

/** An entry of the table of rules: those that speak of just this, and the one of them that decides. */
interface Cell {
  readonly key: RuleKey;
  readonly rules: PolicyRule[];
  best: PolicyRule | undefined;
}

export class Side {
  readonly #way: Way;
  readonly #peers = new Classifier<PolicyRule>(128);
  readonly #owns = new Classifier<PolicyRule>(128);
  readonly #ports = new Classifier<PolicyRule>(24);
  readonly #parts = new Map<PolicyRule, Parts>();
  readonly #cells = new Map<string, Cell>();
  readonly #cellsOfPattern = Array.from({ length: PATTERNS }, () => 0);
  /** Cells that were touched, with the rule that decided before. */
  #touched = new Map<string, { readonly key: RuleKey; readonly before: PolicyRule | undefined }>();

  constructor(way: Way) {
    this.#way = way;
  }

  get size(): number {
    return this.#cells.size + this.#peers.size + this.#owns.size + this.#ports.size;
  }

  get patterns(): number {
    return this.#cellsOfPattern.reduce((bits, count, pattern) => (count > 0 ? bits | (1 << pattern) : bits), 0);
  }

  /** Rules of the other way are nothing to it. @throws TooLarge */
  update(gone: readonly PolicyRule[], come: readonly PolicyRule[]): Difference {
    this.#touched = new Map();
    const old = gone.flatMap((rule) => this.#parts.get(rule) ?? []);
    for (const parts of old) for (const key of this.#expand(parts)) this.#leave(key, parts.rule);
    // Held before others are released: what both name stays as it is.
    const fresh = come.filter((rule) => rule.way === this.#way).map((rule) => this.#partsOf(rule));
    for (const parts of old) this.#release(parts);
    // Rules that stay meet one kind of classes after the other, so that each step sees what the ones before it have brought.
    const settled = [this.#peers, this.#owns, this.#ports].map((classifier) => {
      const result = classifier.settle();
      for (const membership of result.memberships) this.#follow(membership);
      return result;
    });
    for (const parts of fresh) {
      this.#parts.set(parts.rule, parts);
      for (const key of this.#expand(parts)) this.#enter(key, parts.rule);
    }
    const [peers, owns, ports] = settled;
    return {
      rules: this.#changes(),
      addresses: new Map([...this.#prefixes(peers, false), ...this.#prefixes(owns, true)]),
      ports: this.#prefixes(ports, false),
    };
  }

  whole(): Difference {
    const all = (classifier: Classifier<PolicyRule>) => ({ prefixes: [...classifier.prefixes()], memberships: [] });
    return {
      rules: new Map([...this.#cells].map(([name, { key, best }]) => [`${this.#way} ${name}`, [key, best]])),
      addresses: new Map([...this.#prefixes(all(this.#peers), false), ...this.#prefixes(all(this.#owns), true)]),
      ports: this.#prefixes(all(this.#ports), false),
    };
  }

  #partsOf(rule: PolicyRule): Parts {
    const ported = (rule.services ?? []).filter(({ ports }) => ports);
    return {
      rule,
      peer: rule.peers && this.#peers.hold(addressesText(rule.peers), () => covered(rule.peers ?? []), rule),
      own: rule.own && this.#owns.hold(addressesText(rule.own), () => covered(rule.own ?? []), rule),
      ports: ported.length === 0 ? undefined : this.#ports.hold(portsText(ported), () => coveredPorts(ported), rule),
      protocols: (rule.services ?? []).filter(({ ports }) => !ports).map(({ protocol }) => protocol),
    };
  }

  #release({ rule, peer, own, ports }: Parts): void {
    this.#parts.delete(rule);
    if (peer) this.#peers.release(peer.name, rule);
    if (own) this.#owns.release(own.name, rule);
    if (ports) this.#ports.release(ports.name, rule);
  }

  /** A predicate has one class more or less; its rules the entries that go with it. */
  #follow({ predicate, number, holds }: Membership<PolicyRule>): void {
    for (const rule of predicate.users) {
      // One that has just come is entered as a whole, later.
      const parts = this.#parts.get(rule);
      if (!parts) continue;
      for (const key of this.#expand(parts, { predicate, number }))
        if (holds) this.#enter(key, rule);
        else this.#leave(key, rule);
    }
  }

  /** One key for each class the rule's predicates have. @param only those of one class of one of them. */
  *#expand(
    { rule, peer, own, ports, protocols }: Parts,
    only?: { readonly predicate: Rules; readonly number: number },
  ): Generator<RuleKey> {
    const classesOf = (predicate: Rules): Iterable<number> => (only?.predicate === predicate ? [only.number] : predicate.classes);
    const levels: (readonly [level: number, service: number])[] = rule.services ? [] : [[0, 0]];
    if (only === undefined || only.predicate !== ports) for (const protocol of protocols) levels.push([BY_PROTOCOL, protocol]);
    if (ports) for (const number of classesOf(ports)) levels.push([BY_PORT, number]);
    const fixed = (rule.groups ? BY_GROUP : 0) | (peer ? BY_PEER : 0) | (own ? BY_OWN : 0);
    for (const group of rule.groups ?? [0])
      for (const theirs of peer ? classesOf(peer) : [0])
        for (const mine of own ? classesOf(own) : [0])
          for (const [level, service] of levels) yield { way: this.#way, pattern: fixed | level, group, peer: theirs, own: mine, service };
  }

  #enter(key: RuleKey, rule: PolicyRule): void {
    const name = cellName(key);
    let cell = this.#cells.get(name);
    this.#touch(name, key, cell);
    if (!cell) {
      if (this.#cells.size >= MAX_ENTRIES) throw new TooLarge();
      cell = { key, rules: [], best: undefined };
      this.#cells.set(name, cell);
      this.#count(key.pattern, 1);
    }
    cell.rules.push(rule);
    if (!cell.best || outranks(rule, cell.best)) cell.best = rule;
  }

  #leave(key: RuleKey, rule: PolicyRule): void {
    const name = cellName(key);
    const cell = this.#cells.get(name);
    if (!cell) return;
    this.#touch(name, key, cell);
    cell.rules.splice(cell.rules.indexOf(rule), 1);
    if (cell.rules.length === 0) {
      this.#cells.delete(name);
      this.#count(key.pattern, -1);
    } else if (cell.best === rule) cell.best = cell.rules.reduce((best, other) => (outranks(other, best) ? other : best));
  }

  #touch(name: string, key: RuleKey, cell: Cell | undefined): void {
    if (!this.#touched.has(name)) this.#touched.set(name, { key, before: cell?.best });
  }

  #count(pattern: number, by: number): void {
    this.#cellsOfPattern[pattern] = (this.#cellsOfPattern[pattern] ?? 0) + by;
  }

  #changes(): Difference['rules'] {
    const changes = new Map<string, readonly [RuleKey, RuleValue | undefined]>();
    for (const [name, { key, before }] of this.#touched) {
      const best = this.#cells.get(name)?.best;
      if (!isSame(before, best)) changes.set(`${this.#way} ${name}`, [key, best]);
    }
    return changes;
  }

  #prefixes(found: Reclassified<PolicyRule> | undefined, own: boolean): Map<string, readonly [PrefixKey, number | undefined]> {
    return new Map(
      found?.prefixes.map(([prefix, number]) => [
        `${this.#way} ${own ? 'own' : 'peer'} ${nameOf(prefix)}`,
        [{ way: this.#way, own, value: prefix.value, length: prefix.length }, number],
      ]),
    );
  }
}

const cellName = ({ pattern, group, peer, own, service }: RuleKey): string => `${pattern} ${group} ${peer} ${own} ${service}`;

const isSame = (a: RuleValue | undefined, b: RuleValue | undefined): boolean =>
  a === b || (a?.rank === b?.rank && a?.deny === b?.deny && (a?.log ?? false) === (b?.log ?? false) && a?.number === b?.number);

const V4 = 0xffff_0000_0000n;
const LAST_V4 = V4 + 0xffff_ffffn;
/** An address among those of 128 bits (RFC 4291 §2.5.5.2). */
export const widened = (family: 4 | 6, value: bigint): bigint => (family === 4 ? V4 | value : value);

const addressesText = (ranges: readonly AddressRange[]): string =>
  ranges.map(({ family, first, last }) => `${widened(family, first)}-${widened(family, last)}`).join(' ');

const covered = (ranges: readonly AddressRange[]) =>
  ranges.flatMap(({ family, first, last }) => {
    // What is said of most of IPv6 is not said of IPv4's addresses, which lie in its midst.
    if (family === 4 || first > LAST_V4 || last < V4) return coverRange(widened(family, first), widened(family, last), 128);
    return [...coverRange(first, V4 - 1n, 128), ...coverRange(LAST_V4 + 1n, last, 128)];
  });

const portsText = (services: readonly PolicyService[]): string =>
  services.map(({ protocol, ports }) => `${protocol}/${ports?.first}-${ports?.last}`).join(' ');

const coveredPorts = (services: readonly PolicyService[]) =>
  services.flatMap(({ protocol, ports }) =>
    ports ? coverRange(BigInt(protocol * 65_536 + ports.first), BigInt(protocol * 65_536 + ports.last), 24) : [],
  );
