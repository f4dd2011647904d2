/**
 * Which sets of rules are written, and under which numbers. A set that changes is never changed where it decides: it has a second number,
 * whose entries are one change behind. They are brought up to date, whoever refers to the set is switched to them at once, and the entries
 * it had before are the next ones to be behind. So the kernel is written what differs, and decides by old rules or by new ones, never by a mixture.
 */
import type { PolicySet } from '@contiv/model';
import { Compilation } from './compile.js';
import { type Difference, joined, TooLarge } from './entries.js';
import { type Changes, CUT_OFF, changesOf, MAX_SETS, noChanges, SET_TABLES, subjectBytes } from './tables.js';

/** What has been written of a set, as it changes. */
interface Slot {
  denies: boolean;
  /** `undefined`: its rules do not fit. */
  compilation: Compilation | undefined;
  /** Under which its entries decide. */
  number: number;
  /** Entries that would be up to date with this difference. */
  spare: { readonly number: number; readonly behind: Difference } | undefined;
}

/** What brings the tables from the subjects before to those of now. */
export interface Step {
  /** Before any subject refers to it. */
  readonly changes: Changes;
  /** Numbers whose entries go when no subject refers to them any more. */
  readonly dropped: ReadonlySet<number>;
  /** A sentence for each set that does not fit. */
  readonly failed: readonly string[];
}

type Subjects = ReadonlyMap<number, PolicySet>;

export class RuleSets {
  #slots = new Map<PolicySet, Slot>();
  #subjects = new Map<number, Slot>();
  #taken: ReadonlySet<number> = new Set();
  #lastNumber = 0;

  /** Numbers that somebody else has given out before. */
  avoid(numbers: ReadonlySet<number>): void {
    this.#taken = numbers;
  }

  /** Entries that are behind are not known to be so just by what is kept here: they are of no use. */
  forgetSpares(): void {
    for (const slot of this.#slots.values()) slot.spare = undefined;
  }

  /** @param roomy whether the tables have room for entries that are behind. */
  next(subjects: Subjects, roomy: boolean): Step {
    const changes = noChanges();
    const dropped = new Set<number>();
    const failed: string[] = [];
    const slots = new Map<PolicySet, Slot>();
    const inOrder = [...subjects].sort(([a], [b]) => a - b);
    for (const [, set] of inOrder) {
      const slot = this.#slots.get(set);
      if (slot) slots.set(set, slot);
    }
    const claimed = new Set(slots.values());
    for (const [subject, set] of inOrder) {
      if (slots.has(set)) continue;
      // A set that nobody refers to any more has become this one.
      const before = this.#subjects.get(subject);
      const slot = before && !claimed.has(before) ? before : this.#freshSlot();
      claimed.add(slot);
      slots.set(set, slot);
      this.#change(slot, set, changes, dropped);
    }
    for (const [set, slot] of slots)
      if (!slot.compilation)
        failed.push(
          `a policy of ${set.rules.length} rules does not fit: many ports for wide subnets meet many single addresses; its containers are cut off until it has fewer`,
        );
    for (const slot of this.#slots.values()) if (!claimed.has(slot)) drop(slot, dropped);
    if (!roomy) for (const slot of claimed) dropSpare(slot, dropped);
    this.#slots = slots;
    this.#subjects = new Map(
      inOrder.flatMap(([subject, set]) => {
        const slot = slots.get(set);
        return slot ? [[subject, slot]] : [];
      }),
    );
    return { changes, dropped, failed };
  }

  /** `struct subject` of a set; one that is not written yet may nothing. */
  subjectOf(set: PolicySet): Buffer {
    const slot = this.#slots.get(set);
    return slot?.compilation ? subjectBytes(slot.number, slot.compilation.patterns, slot.denies) : CUT_OFF;
  }

  /** All entries that decide. */
  whole(): Changes {
    const all = noChanges();
    for (const slot of new Set(this.#slots.values())) if (slot.compilation) append(all, changesOf(slot.number, slot.compilation.whole()));
    return all;
  }

  /**
   * Takes over what an earlier start has written, where it is just what the sets are now.
   * @param numberOf the set that a subject refers to in the kernel. @param holds whether it has these entries there, and no others.
   */
  adopt(numberOf: (subject: number) => number | undefined, holds: (entries: Changes, number: number) => boolean): void {
    const adopted = new Set<number>();
    for (const [subject, slot] of this.#subjects) {
      const number = numberOf(subject);
      if (!slot.compilation || number === undefined || number === 0 || adopted.has(number)) continue;
      if (!holds(changesOf(number, slot.compilation.whole()), number)) continue;
      adopted.add(number);
      slot.number = number;
    }
  }

  #change(slot: Slot, set: PolicySet, changes: Changes, dropped: Set<number>): void {
    const before = slot.number;
    const fresh = slot.compilation === undefined;
    const asBefore = slot.denies === set.denies;
    slot.denies = set.denies;
    let difference: Difference;
    try {
      slot.compilation ??= new Compilation();
      difference = slot.compilation.update(set.rules);
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      drop(slot, dropped);
      slot.compilation = undefined;
      slot.number = this.#freshNumber();
      return;
    }
    // Other objects that say the same.
    if (!fresh && asBefore && isEmpty(difference)) return;
    const { spare } = slot;
    slot.number = spare?.number ?? (fresh ? before : this.#freshNumber());
    append(changes, changesOf(slot.number, spare ? joined([spare.behind, difference]) : slot.compilation.whole()));
    slot.spare = fresh ? undefined : { number: before, behind: difference };
  }

  #freshSlot(): Slot {
    return { denies: true, compilation: undefined, number: this.#freshNumber(), spare: undefined };
  }

  #freshNumber(): number {
    do this.#lastNumber = (this.#lastNumber % (MAX_SETS - 1)) + 1;
    while (this.#taken.has(this.#lastNumber));
    return this.#lastNumber;
  }
}

function append(to: Changes, more: Changes): void {
  // One by one: a spread of so many arguments does not fit the stack.
  for (const table of SET_TABLES) for (const change of more[table]) to[table].push(change);
}

const isEmpty = ({ rules, addresses, ports }: Difference): boolean => rules.size + addresses.size + ports.size === 0;

function dropSpare(slot: Slot, dropped: Set<number>): void {
  if (slot.spare) dropped.add(slot.spare.number);
  slot.spare = undefined;
}

function drop(slot: Slot, dropped: Set<number>): void {
  dropped.add(slot.number);
  dropSpare(slot, dropped);
}
