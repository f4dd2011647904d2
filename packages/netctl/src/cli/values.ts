import type { Flag } from './command.js';

export type Value = string | number | boolean | readonly string[];

/** The values of a command's flags: what was given, else the default. */
export class Values {
  readonly #given: ReadonlyMap<string, Value>;
  readonly #flags: ReadonlyMap<string, Flag>;

  constructor(flags: readonly Flag[], given: ReadonlyMap<string, Value>) {
    this.#flags = new Map(flags.map((flag) => [flag.name, flag]));
    this.#given = given;
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** Does the command take the flag? */
  knows(name: string): boolean {
    return this.#flags.has(name);
  }

  /** Empty when there is neither value nor default. */
  text(name: string): string {
    const value = this.#value(name, 'text');
    return typeof value === 'string' ? value : '';
  }

  number(name: string): number {
    const value = this.#value(name, 'number');
    return typeof value === 'number' ? value : 0;
  }

  list(name: string): readonly string[] {
    const value = this.#value(name, 'list');
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Is the switch there, and on? A command without it has it off. */
  on(name: string): boolean {
    return this.#flags.has(name) && this.#value(name, 'switch') === true;
  }

  #value(name: string, kind: Flag['kind']): Value | undefined {
    const flag = this.#flags.get(name);
    if (flag?.kind !== kind) throw new Error(`the command has no ${kind} flag --${name}`);
    return this.#given.get(name) ?? flag.default;
  }
}
