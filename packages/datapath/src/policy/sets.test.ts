/** Steps from policies to policies, on tables like the kernel's. */
import { type PolicyRule, type PolicySet, parseAddressRange } from '@contiv/model';
import { describe, expect, test } from 'vitest';
import { Compilation } from './compile.js';
import { randomOf, randomSet } from './random.js';
import { RuleSets } from './sets.js';
import { CUT_OFF, changesOf, SET_TABLES, setOfKey } from './tables.js';

type Subjects = ReadonlyMap<number, PolicySet>;

/** The tables, and what refers to them. */
class Kernel {
  readonly sets = new RuleSets();
  readonly entries = new Map<string, string>();
  #subjects = new Map<number, Buffer>();

  /** Numbers that decide at present. */
  get deciding(): Set<number> {
    return new Set([...this.#subjects.values()].map((bytes) => bytes.readUInt32LE(0)));
  }

  /** Answers how many entries were written, by number. */
  step(subjects: Subjects, roomy = true): { readonly touched: ReadonlyMap<number, number>; readonly failed: readonly string[] } {
    const { changes, dropped, failed } = this.sets.next(subjects, roomy);
    const touched = new Map<number, number>();
    for (const table of SET_TABLES) {
      for (const [key, value] of changes[table]) {
        const set = setOfKey(table, key);
        touched.set(set, (touched.get(set) ?? 0) + 1);
        const name = `${table} ${key.toString('hex')}`;
        if (value) this.entries.set(name, value.toString('hex'));
        else this.entries.delete(name);
      }
    }
    // Nobody meets rules that are being changed.
    for (const set of touched.keys()) expect(this.deciding).not.toContain(set);
    this.#subjects = new Map([...subjects].map(([number, set]) => [number, this.sets.subjectOf(set)]));
    for (const name of this.entries.keys()) if (dropped.has(numberOf(name))) this.entries.delete(name);
    return { touched, failed };
  }

  /** What decides for the set. */
  of(set: PolicySet): Map<string, string> {
    const number = this.sets.subjectOf(set).readUInt32LE(0);
    return new Map([...this.entries].filter(([name]) => numberOf(name) === number));
  }

  expected(set: PolicySet): Map<string, string> {
    const compilation = new Compilation();
    const changes = changesOf(this.sets.subjectOf(set).readUInt32LE(0), compilation.update(set.rules));
    return new Map(
      SET_TABLES.flatMap((table) =>
        changes[table].map(([key, value]) => [`${table} ${key.toString('hex')}`, value?.toString('hex') ?? '']),
      ),
    );
  }
}

function numberOf(name: string): number {
  const [table = '', hex = ''] = name.split(' ');
  const known = SET_TABLES.find((t) => t === table);
  if (!known) throw new Error(table);
  return setOfKey(known, Buffer.from(hex, 'hex'));
}

describe('sets of rules', () => {
  test('are written beside what decides, and are whole when they are switched to', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = randomOf(seed);
      const kernel = new Kernel();
      let subjects: Subjects = new Map();
      for (let step = 0; step < 8; step++) {
        const next = new Map<number, PolicySet>();
        const changed = new Map<PolicySet, PolicySet>();
        for (const [number, set] of subjects) {
          if (random(8) === 0) continue;
          // Subjects of one set stay together, mostly.
          const other = changed.get(set) ?? (random(3) === 0 ? set : varied(set, seed * 100 + step * 10 + number, random));
          changed.set(set, other);
          next.set(number, random(10) === 0 ? varied(set, seed + number, random) : other);
        }
        for (let i = random(3); i > 0; i--) next.set(1 + random(6), randomSet(seed * 1_000 + step * 10 + i));
        subjects = next;
        kernel.step(subjects, random(4) > 0);
        for (const set of subjects.values()) expect(kernel.of(set)).toEqual(kernel.expected(set));
      }
      kernel.step(new Map());
      expect(kernel.entries.size).toBe(0);
    }
  });

  const rule = (number: number, address: string): PolicyRule => {
    const range = parseAddressRange(address);
    if (!range) throw new Error(address);
    const services = [{ protocol: 6, ports: { first: 80, last: 80 } }];
    return { way: 'in', rank: 1, deny: true, number, groups: undefined, peers: [range], own: undefined, services };
  };

  test('of which one rule changes are written once as a whole, and by differences from then on', () => {
    const kernel = new Kernel();
    let rules = Array.from({ length: 1_000 }, (_, i) => rule(i + 1, `10.0.${i >> 8}.${i & 255}`));
    const counts: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { touched } = kernel.step(new Map([[7, { rules, denies: false }]]));
      counts.push([...touched.values()].reduce((sum, n) => sum + n, 0));
      rules = [...rules, rule(2_000 + i, `10.1.0.${i}`)];
    }
    // A rule and its address each; twice, for the entries that are written have missed the change before.
    expect(counts).toEqual([2_001, 2_003, 4, 4, 4]);
    const again = { rules: rules.slice(0, -1).map((r) => ({ ...r })), denies: false };
    expect([...kernel.step(new Map([[7, again]])).touched.values()]).toEqual([]);
    expect(kernel.of(again)).toEqual(kernel.expected(again));
  });

  test('that do not fit cut off whom they apply to, and say so, until they do', () => {
    const apart = Array.from({ length: 1_000 }, (_, i) => ({ ...rule(i + 1, `10.${i % 250}.${i >> 8}.1`), services: undefined }));
    const whole = Array.from({ length: 1_000 }, (_, i) => ({
      ...rule(5_000 + i, '10.0.0.0/8'),
      services: [{ protocol: 6, ports: { first: i, last: i } }],
    }));
    const huge = { rules: [...apart, ...whole], denies: false };
    const small = { rules: apart, denies: false };
    const kernel = new Kernel();
    kernel.step(new Map([[1, small]]));
    expect(kernel.step(new Map([[1, huge]])).failed).toEqual([expect.stringMatching(/^a policy of 2000 rules does not fit: .*cut off/)]);
    expect(kernel.sets.subjectOf(huge)).toEqual(CUT_OFF);
    expect(kernel.entries.size).toBe(0);
    kernel.step(new Map([[1, small]]));
    expect(kernel.of(small)).toEqual(kernel.expected(small));
  });

  test('that an earlier start has written are taken over when they are just the same', () => {
    const [one, other] = [randomSet(1), randomSet(2)];
    const before = new Kernel();
    before.step(new Map([[1, randomSet(3)]]));
    before.step(new Map([[1, one]]));
    const number = before.sets.subjectOf(one).readUInt32LE(0);
    const sets = new RuleSets();
    sets.avoid(new Set([number]));
    sets.next(
      new Map([
        [1, one],
        [2, other],
      ]),
      false,
    );
    const held = before.of(one);
    sets.adopt(
      (subject) => (subject === 1 ? number : undefined),
      (changes) => {
        const asked = SET_TABLES.flatMap((table) => changes[table].map(([key, value]) => [`${table} ${key.toString('hex')}`, value]));
        return asked.length === held.size && asked.every(([name, value]) => held.get(String(name)) === (value as Buffer).toString('hex'));
      },
    );
    expect(sets.subjectOf(one).readUInt32LE(0)).toBe(number);
    expect(sets.subjectOf(other).readUInt32LE(0)).not.toBe(number);
  });
});

/** Some of its rules and some others. */
function varied(set: PolicySet, seed: number, random: (below: number) => number): PolicySet {
  return { rules: [...set.rules.filter(() => random(4) > 0), ...randomSet(seed).rules.slice(0, 3)], denies: random(5) === 0 };
}
