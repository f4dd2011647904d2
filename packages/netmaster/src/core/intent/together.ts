/** Several plans as one: each is made on a state that holds what the ones before it write. Pure in effect: `undo` restores the state. */
import type { Plan, Write } from '../plan.js';
import { type Entry, keys } from '../records.js';
import type { State } from '../state.js';

export class Together {
  readonly #state: State;
  readonly #expects = new Map<string, number>();
  readonly #writes = new Map<string, Write>();
  readonly #undo: [string, Entry | undefined][] = [];

  constructor(state: State) {
    this.#state = state;
  }

  add(plan: Plan<unknown>): void {
    for (const [key, revision] of plan.expects) {
      // What was written here was looked at when it was written.
      if (!this.#writes.has(key) && !this.#expects.has(key)) this.#expects.set(key, revision);
    }
    for (const write of plan.writes.values()) this.#write(write);
    // The plan's expectations keep others from adding to what is cleared, so what is seen is all there is.
    for (const prefix of plan.cleared) for (const key of this.#under(prefix)) this.#clear(key);
  }

  plan<T>(reply: T): Plan<T> {
    return { expects: this.#expects, writes: this.#writes, cleared: [], reply };
  }

  /** The state as it was before the first plan. */
  undo(): void {
    for (const [key, before] of this.#undo.toReversed()) this.#state.set(key, before);
    this.#undo.length = 0;
  }

  #write(write: Write): void {
    this.#undo.push([write.key, this.#state.set(write.key, write.entry)]);
    this.#writes.set(write.key, write);
  }

  #clear(key: string): void {
    if (this.#writes.get(key)?.entry === undefined && this.#writes.has(key)) return;
    this.#write({ key, entry: undefined });
  }

  /** Found by whose it is: to look through everything for each of many networks would hold netmaster up for minutes. */
  #under(prefix: string): string[] {
    const state = this.#state;
    const owner = prefix.slice(prefix.lastIndexOf('/', prefix.length - 2) + 1, -1);
    switch (prefix) {
      case keys.rule(`${owner}:`):
        return [...state.rulesOfPolicy.of(owner)];
      case keys.stagedRule(`${owner}:`):
        return [...state.stagedRulesOfPolicy.of(owner)];
      case keys.endpoint(owner, ''):
        return [...state.endpointsOfNetwork.of(owner)];
      case keys.address(owner, ''): {
        const { v4, v6 } = state.usage(owner);
        return [...v4.values(), ...v6.values()].map(({ key }) => key);
      }
      default:
        throw new Error(`nothing is known to go with ${prefix}`);
    }
  }
}

/** The plan with everything it clears named key by key. */
export function spelledOut<T>(state: State, plan: Plan<T>): Plan<T> {
  const together = new Together(state);
  try {
    together.add(plan);
    return together.plan(plan.reply);
  } finally {
    together.undo();
  }
}
