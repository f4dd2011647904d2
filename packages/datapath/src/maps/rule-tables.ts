/** The kernel's tables of compiled rules, brought from one policy to the next one in three steps: what is new, the switch, what is over. */
import type { PolicySet } from '@contiv/model';
import type { ApplyMode } from '../contract.js';
import { RuleSets } from '../policy/sets.js';
import { type Changes, SET_TABLES, type SetTable, setOfKey } from '../policy/tables.js';
import { u32Key } from './layout.js';
import type { Table } from './table.js';
import { type Entries, keyBytes, keyText } from './tables.js';

export interface Written {
  readonly written: number;
  readonly repaired: readonly string[];
  /** Sentences about what could not be written, or does not fit. */
  readonly failed: readonly string[];
  /** All that subjects refer to from now on is there. */
  readonly whole: boolean;
}

export class RuleTables {
  readonly #tables: Readonly<Record<SetTable, Table>>;
  readonly #subjects: Table;
  readonly #sets = new RuleSets();
  /** The tables hold the sets as they are kept here, and nothing else: the next step may be a difference. */
  #settled = false;
  #seen = false;
  /** What is left to be done; answers what was repaired. */
  #leave: () => readonly string[] = () => [];

  constructor(tables: Readonly<Record<SetTable, Table>>, subjects: Table) {
    this.#tables = tables;
    this.#subjects = subjects;
  }

  /** `struct subject` of a set; before the set is written, that of somebody who may nothing. */
  subjectOf = (set: PolicySet): Buffer => this.#sets.subjectOf(set);

  /** What the tables should hold, as they were last written. */
  known(): Readonly<Record<SetTable, ReadonlyMap<string, Buffer>>> {
    const { rules, rule_addresses, rule_ports } = this.#tables;
    return { rules: rules.known(), rule_addresses: rule_addresses.known(), rule_ports: rule_ports.known() };
  }

  /** Writes beside what decides; nothing refers to it yet. */
  write(subjects: ReadonlyMap<number, PolicySet>, mode: ApplyMode, believe: boolean): Written {
    const byDifference = this.#settled && mode === 'exact';
    this.#settled = false;
    return byDifference ? this.#writeDifference(subjects, believe) : this.#writeAll(subjects, mode, believe);
  }

  /**
   * After the subjects: removes what they referred to before, and compares with the kernel what was not compared yet.
   * @param switched all of them refer to what was written.
   */
  finish(mode: ApplyMode, switched: boolean): readonly string[] {
    if (!switched) return [];
    this.#settled = mode === 'exact';
    return this.#leave();
  }

  #writeDifference(subjects: ReadonlyMap<number, PolicySet>, believe: boolean): Written {
    // A set needs room for another one beside it, whatever is kept of those of before.
    const roomy = SET_TABLES.every((name) => this.#tables[name].size() <= this.#tables[name].max / 2);
    const { changes, dropped, failed } = this.#sets.next(subjects, roomy);
    const results = SET_TABLES.map((name) => this.#tables[name].change(changes[name]));
    const refused = results.flatMap((result) => result.failed);
    this.#leave = () => {
      for (const name of SET_TABLES) this.#forget(name, dropped);
      return believe ? [] : SET_TABLES.flatMap((name) => this.#tables[name].readBack());
    };
    return {
      written: results.reduce((sum, { written }) => sum + written, 0),
      repaired: [],
      failed: [...failed, ...refused],
      whole: refused.length === 0,
    };
  }

  #writeAll(subjects: ReadonlyMap<number, PolicySet>, mode: ApplyMode, believe: boolean): Written {
    const first = !this.#seen;
    const counts = first ? this.#countHeld() : undefined;
    if (counts) this.#sets.avoid(new Set(SET_TABLES.flatMap((name) => [...counts[name].keys()])));
    this.#sets.forgetSpares();
    const { failed } = this.#sets.next(subjects, false);
    if (counts)
      this.#sets.adopt(
        (subject) => this.#subjects.get(u32Key(subject))?.readUInt32LE(0),
        (entries, number) => this.#holds(entries, number, counts),
      );
    this.#seen = true;
    const whole = this.#sets.whole();
    const results = SET_TABLES.map((name) => {
      const entries: Entries = new Map();
      for (const [key, value] of whole[name]) if (value) entries.set(keyText(key), value);
      return this.#tables[name].bring(entries, mode, believe);
    });
    const refused = results.flatMap((result) => result.failed);
    this.#leave = () => {
      for (const { finish } of results) finish();
      return [];
    };
    return {
      written: results.reduce((sum, { written }) => sum + written, 0),
      repaired: results.flatMap(({ repaired }) => repaired),
      failed: [...failed, ...refused],
      whole: refused.length === 0,
    };
  }

  /** Entries of each set that an earlier start has left. */
  #countHeld(): Record<SetTable, Map<number, number>> {
    const counts = { rules: new Map<number, number>(), rule_addresses: new Map<number, number>(), rule_ports: new Map<number, number>() };
    for (const name of SET_TABLES) {
      for (const key of this.#tables[name].known().keys()) {
        const set = setOfKey(name, keyBytes(key));
        counts[name].set(set, (counts[name].get(set) ?? 0) + 1);
      }
    }
    return counts;
  }

  #holds(entries: Changes, number: number, counts: Readonly<Record<SetTable, ReadonlyMap<number, number>>>): boolean {
    return SET_TABLES.every((name) => {
      const known = this.#tables[name].known();
      const all = entries[name];
      return (counts[name].get(number) ?? 0) === all.length && all.every(([key, value]) => value && known.get(keyText(key))?.equals(value));
    });
  }

  #forget(name: SetTable, sets: ReadonlySet<number>): void {
    if (sets.size === 0) return;
    const table = this.#tables[name];
    for (const key of [...table.known().keys()].map(keyBytes)) if (sets.has(setOfKey(name, key))) table.delete(key);
  }
}
