/** What is compiled decides as the rules themselves do, on all kinds of rules and packets; `CASES=1000000` for the long run. */
import {
  type Address,
  type AddressRange,
  decide,
  type Opening,
  outranks,
  type PolicyRule,
  type PolicySet,
  type Verdict,
} from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Compilation, compile } from './compile.js';
import {
  BY_GROUP,
  BY_OWN,
  BY_PEER,
  BY_PORT,
  BY_PROTOCOL,
  joined,
  PATTERNS,
  type PrefixKey,
  type RuleKey,
  type RuleValue,
} from './entries.js';
import { Classifier, coverRange, type Prefix } from './prefixes.js';
import { openings, randomOf, randomSet } from './random.js';
import { widened } from './side.js';

const CASES = Number(process.env.CASES ?? 30_000);

type Numbered = PrefixKey & { readonly number: number };
const numbered = (entries: Iterable<readonly [PrefixKey, number | undefined]>): Numbered[] =>
  [...entries].map(([key, number = 0]) => ({ ...key, number }));

/** The tables as the kernel's program reads them. */
class Tables {
  readonly #patterns: Readonly<Record<'in' | 'out', number>>;
  readonly #denies: boolean;
  readonly #addresses: readonly Numbered[];
  readonly #ports: readonly Numbered[];
  readonly #rules = new Map<string, RuleKey & RuleValue>();

  constructor(compilation: Compilation, denies: boolean) {
    const { rules, addresses, ports } = compilation.whole();
    for (const [key, value] of rules.values()) {
      if (!value) throw new Error('an entry without a rule');
      const { way, pattern, group, peer, own, service } = key;
      this.#rules.set([way, pattern, group, peer, own, service].join(' '), { ...key, ...value });
    }
    this.#patterns = compilation.patterns;
    this.#denies = denies;
    this.#addresses = numbered(addresses.values());
    this.#ports = numbered(ports.values());
  }

  decide({ way, group, peer, own, protocol, port }: Opening): Verdict {
    const classOf = (value: Address, mine: boolean) =>
      longest(
        this.#addresses.filter((a) => a.way === way && a.own === mine),
        widened(value.family, value.value),
        128,
      );
    const [peerClass, ownClass] = [classOf(peer, false), classOf(own, true)];
    const portClass = longest(
      this.#ports.filter((p) => p.way === way),
      BigInt(protocol * 65_536 + port),
      24,
    );
    let best: (RuleKey & RuleValue) | undefined;
    for (let pattern = 0; pattern < PATTERNS; pattern++) {
      if ((this.#patterns[way] & (1 << pattern)) === 0) continue;
      const key = [
        way,
        pattern,
        pattern & BY_GROUP ? group : 0,
        pattern & BY_PEER ? peerClass : 0,
        pattern & BY_OWN ? ownClass : 0,
        pattern & BY_PORT ? portClass : pattern & BY_PROTOCOL ? protocol : 0,
      ];
      const found = this.#rules.get(key.join(' '));
      if (found && (!best || outranks(found, best))) best = found;
    }
    return best ? { deny: best.deny, rule: best.number } : { deny: this.#denies, rule: 0 };
  }
}

function longest(prefixes: readonly (Prefix & { number: number })[], value: bigint, width: number): number {
  let best: (Prefix & { number: number }) | undefined;
  for (const p of prefixes) {
    const shift = BigInt(width - p.length);
    if (value >> shift === p.value >> shift && p.length > (best?.length ?? -1)) best = p;
  }
  return best?.number ?? 0;
}

const compiled = (set: PolicySet): Compilation => {
  const result = compile(set);
  if (result === 'too large') throw new Error('too large');
  return result;
};

/** All entries under their names. */
const sorted = (compilation: Compilation): [string, unknown][] =>
  Object.values(compilation.whole())
    .flatMap((table: ReadonlyMap<string, readonly [object, unknown]>) =>
      [...table].map(([name, [, value]]): [string, unknown] => [name, entryOf(value)]),
    )
    .sort(([a], [b]) => (a < b ? -1 : 1));
const entryOf = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  return ['rank', 'deny', 'number'].map((name): unknown => Reflect.get(value, name));
};

describe('a compiled set', () => {
  test(
    `decides as its rules do (${CASES} cases)`,
    () => {
      let seen = 0;
      let denied = 0;
      for (let seed = 1; seen < CASES; seed++) {
        const set = randomSet(seed);
        const tables = new Tables(compiled(set), set.denies);
        for (const opening of openings(set, seed, 100)) {
          const expected = decide(set, opening);
          const got = tables.decide(opening);
          if (got.deny !== expected.deny || got.rule !== expected.rule)
            expect({ seed, opening, got }).toEqual({ seed, opening, got: expected });
          seen++;
          if (got.deny) denied++;
        }
      }
      // The cases are worth something only when both answers are common.
      expect(denied / seen).toBeGreaterThan(0.2);
      expect(denied / seen).toBeLessThan(0.8);
    },
    Math.max(60_000, CASES),
  );

  test('does not depend on the order of its rules', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const set = randomSet(seed);
      const turned = compiled({ ...set, rules: set.rules.toReversed() });
      const tables = new Tables(turned, set.denies);
      for (const opening of openings(set, seed, 20)) expect(tables.decide(opening)).toEqual(decide(set, opening));
      expect(sorted(turned)).toEqual(sorted(compiled(set)));
    }
  });

  test('is the same whichever changes it came about by, and its differences are those of its entries', () => {
    for (let seed = 1; seed <= 80; seed++) {
      const random = randomOf(seed);
      const compilation = new Compilation();
      let rules: readonly PolicyRule[] = [];
      let differences = joined([]);
      for (let step = 0; step < 8; step++) {
        const pool = randomSet(seed * 100 + step).rules.slice(0, 1 + random(8));
        rules = [...rules.filter(() => random(4) > 0), ...pool];
        differences = joined([differences, compilation.update(rules)]);
        const set = { rules, denies: false };
        const tables = new Tables(compilation, false);
        for (const opening of openings(set, seed + step, 8)) expect(tables.decide(opening)).toEqual(decide(set, opening));
        expect(sorted(compilation)).toEqual(sorted(compiled(set)));
        const left = Object.values(differences).flatMap((table: ReadonlyMap<string, readonly [object, unknown]>) =>
          [...table].filter(([, [, value]]) => value !== undefined).map(([name]) => name),
        );
        expect(left.sort()).toEqual(sorted(compilation).map(([name]) => name));
      }
    }
  });

  test('changes few entries when one of ten thousand rules does', () => {
    const rules = Array.from({ length: 10_000 }, (_, i) =>
      rule(i + 1, { peers: [v4(0x0a00_0000 + i * 256, 0x0a00_0000 + i * 256 + 255)] }),
    );
    const compilation = compiled({ rules, denies: false });
    const more = compilation.update([...rules, rule(20_000, { peers: [v4(0x0a00_0007)] })]);
    // A class of its own, of which two rules speak and the one around it decides.
    expect([more.rules.size, more.addresses.size, more.ports.size]).toEqual([1, 1, 0]);
    const less = compilation.update(rules);
    expect([...less.rules.values(), ...less.addresses.values()].map(([, value]) => value)).toEqual([undefined, undefined]);
  });

  const rule = (number: number, fields: Partial<PolicyRule> = {}): PolicyRule => ({
    way: 'in',
    rank: 1,
    deny: false,
    number,
    groups: undefined,
    peers: undefined,
    own: undefined,
    services: undefined,
    ...fields,
  });
  const v4 = (first: number, last = first): AddressRange => ({ family: 4, first: BigInt(first), last: BigInt(last) });

  test('of ten thousand rules has about as many entries, and as few patterns as the rules have kinds', () => {
    const rules = Array.from({ length: 10_000 }, (_, i) =>
      rule(i + 1, {
        deny: i % 2 === 0,
        peers: [v4(0x0a00_0000 + i * 256, 0x0a00_0000 + i * 256 + 255)],
        services: [{ protocol: 6, ports: { first: 1000 + i, last: 1000 + i } }],
      }),
    );
    const set = compiled({ rules, denies: false });
    const whole = set.whole();
    expect([whole.rules.size, whole.addresses.size, whole.ports.size]).toEqual([10_000, 10_000, 10_000]);
    expect(set.patterns).toEqual({ in: 1 << (BY_PEER | BY_PORT), out: 0 });
  });

  test('has one entry for a list of addresses and ports, and one for each group of a list', () => {
    const ports = Array.from({ length: 64 }, (_, i) => ({ first: 1_000 + i * 10, last: 1_000 + i * 10 + (i % 5) }));
    const list = rule(1, {
      groups: Array.from({ length: 64 }, (_, i) => i + 1),
      peers: Array.from({ length: 64 }, (_, i) => v4(0x0a00_0000 + i * 7)),
      services: [6, 17, 132, 136].flatMap((protocol) => ports.map((range) => ({ protocol, ports: range }))),
    });
    expect(compiled({ rules: [list], denies: true }).whole().rules.size).toBe(64);
  });

  test('that would not fit says so instead of growing', () => {
    // Every address of a large prefix apart, and many ports for the prefix as a whole.
    const apart = Array.from({ length: 1_000 }, (_, i) => rule(i + 1, { peers: [v4(0x0a00_0000 + i * 7)] }));
    const whole = Array.from({ length: 1_000 }, (_, i) =>
      rule(5_000 + i, { peers: [v4(0x0a00_0000, 0x0aff_ffff)], services: [{ protocol: 6, ports: { first: i, last: i } }] }),
    );
    expect(compile({ rules: [...apart, ...whole], denies: false })).toBe('too large');
  });
});

describe('prefixes', () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const holds = ({ value, length }: Prefix, x: number) => BigInt(x) >> BigInt(8 - length) === value >> BigInt(8 - length);

  test('cover a range, nothing else, once each, and are few', () => {
    fc.assert(
      fc.property(range, ([first, last]) => {
        const prefixes = coverRange(BigInt(first), BigInt(last), 8);
        const values = Array.from({ length: 256 }, (_, x) => x);
        expect(values.map((x) => prefixes.filter((p) => holds(p, x)).length)).toEqual(values.map((x) => (x >= first && x <= last ? 1 : 0)));
        expect(prefixes.length).toBeLessThanOrEqual(14);
      }),
      { numRuns: 300 },
    );
  });

  test('in classes tell which ranges a value is in', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
        const classifier = new Classifier<number>(8);
        const predicates = ranges.map(([first, last], i) =>
          classifier.hold(`${first}-${last}`, () => coverRange(BigInt(first), BigInt(last), 8), i),
        );
        classifier.settle();
        const prefixes = [...classifier.prefixes()].map(([prefix, number]) => ({ ...prefix, number }));
        const values = Array.from({ length: 256 }, (_, x) => x);
        const numbers = values.map((x) => longest(prefixes, BigInt(x), 8));
        for (const [i, [first, last]] of ranges.entries())
          expect(numbers.map((number) => predicates[i]?.classes.has(number))).toEqual(values.map((x) => x >= first && x <= last));
      }),
      { numRuns: 200 },
    );
  });
});
