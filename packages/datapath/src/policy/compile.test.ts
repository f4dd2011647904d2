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
import {
  BY_GROUP,
  BY_OWN,
  BY_PEER,
  BY_PORT,
  BY_PROTOCOL,
  type CompiledSet,
  compile,
  PATTERNS,
  type RuleEntry,
  widened,
} from './compile.js';
import { classify, coverRange, type Prefix } from './prefixes.js';
import { openings, randomSet } from './random.js';

const CASES = Number(process.env.CASES ?? 30_000);

/** The tables as the kernel's program reads them. */
class Tables {
  readonly #set: CompiledSet;
  readonly #rules = new Map<string, RuleEntry>();

  constructor(set: CompiledSet) {
    this.#set = set;
    for (const r of set.rules) this.#rules.set([r.way, r.pattern, r.group, r.peer, r.own, r.service].join(' '), r);
  }

  decide({ way, group, peer, own, protocol, port }: Opening): Verdict {
    const { addresses, ports, denies, patterns } = this.#set;
    const classOf = (value: Address, mine: boolean) =>
      longest(
        addresses.filter((a) => a.way === way && a.own === mine),
        widened(value.family, value.value),
        128,
      );
    const [peerClass, ownClass] = [classOf(peer, false), classOf(own, true)];
    const portClass = longest(
      ports.filter((p) => p.way === way),
      BigInt(protocol * 65_536 + port),
      24,
    );
    let best: RuleEntry | undefined;
    for (let pattern = 0; pattern < PATTERNS; pattern++) {
      if ((patterns[way] & (1 << pattern)) === 0) continue;
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
    return best ? { deny: best.deny, rule: best.number } : { deny: denies, rule: 0 };
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

const compiled = (set: PolicySet): CompiledSet => {
  const result = compile(set);
  if (result === 'too large') throw new Error('too large');
  return result;
};

describe('a compiled set', () => {
  test(
    `decides as its rules do (${CASES} cases)`,
    () => {
      let seen = 0;
      let denied = 0;
      for (let seed = 1; seen < CASES; seed++) {
        const set = randomSet(seed);
        const tables = new Tables(compiled(set));
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

  test('does not depend on the order of its rules, and has another number when it decides otherwise', () => {
    const numbers = new Set<number>();
    for (let seed = 1; seed <= 200; seed++) {
      const set = randomSet(seed);
      const { number } = compiled(set);
      numbers.add(number);
      expect(number).toBeLessThan(2 ** 30);
      const tables = new Tables(compiled({ ...set, rules: set.rules.toReversed() }));
      for (const opening of openings(set, seed, 20)) expect(tables.decide(opening)).toEqual(decide(set, opening));
    }
    expect(numbers.size).toBeGreaterThan(190);
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
    expect(set.rules).toHaveLength(10_000);
    expect(set.addresses).toHaveLength(10_000);
    expect(set.ports).toHaveLength(10_000);
    expect(set.patterns).toEqual({ in: 1 << (BY_PEER | BY_PORT), out: 0 });
  });

  test('has one entry for a list of addresses and ports, and one for each group of a list', () => {
    const ports = Array.from({ length: 64 }, (_, i) => ({ first: 1_000 + i * 10, last: 1_000 + i * 10 + (i % 5) }));
    const list = rule(1, {
      groups: Array.from({ length: 64 }, (_, i) => i + 1),
      peers: Array.from({ length: 64 }, (_, i) => v4(0x0a00_0000 + i * 7)),
      services: [6, 17, 132, 136].flatMap((protocol) => ports.map((range) => ({ protocol, ports: range }))),
    });
    expect(compiled({ rules: [list], denies: true }).rules).toHaveLength(64);
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
        const { prefixes, of } = classify(
          ranges.map(([first, last]) => coverRange(BigInt(first), BigInt(last), 8)),
          8,
        );
        const values = Array.from({ length: 256 }, (_, x) => x);
        const numbers = values.map((x) => longest(prefixes, BigInt(x), 8));
        for (const [i, [first, last]] of ranges.entries())
          expect(numbers.map((number) => of[i]?.includes(number))).toEqual(values.map((x) => x >= first && x <= last));
      }),
      { numRuns: 200 },
    );
  });
});
