/** Ranges as prefixes, and prefixes sorted into classes: what a longest-prefix table needs. Pure but for what it keeps up to date. */

/** Values of `width` bits; `length` of them, from the highest, are fixed. */
export interface Prefix {
  readonly value: bigint;
  readonly length: number;
}

/** The fewest prefixes that cover `first` to `last` and nothing else. */
export function coverRange(first: bigint, last: bigint, width: number): Prefix[] {
  const out: Prefix[] = [];
  let at = first;
  while (at <= last) {
    let bits = 0;
    // As large a block as begins here and ends in time.
    while (bits < width && (at & ((2n << BigInt(bits)) - 1n)) === 0n && at + (2n << BigInt(bits)) - 1n <= last) bits++;
    out.push({ value: at, length: width - bits });
    at += 1n << BigInt(bits);
  }
  return out;
}

/** Holds the values that lie in one of its prefixes. */
export interface Predicate<User> {
  readonly name: string;
  readonly users: ReadonlySet<User>;
  /** Numbers of the classes whose values it holds. */
  readonly classes: ReadonlySet<number>;
}

/** A prefix's class; `undefined`: the prefix is gone. The longest prefix that holds a value says its class; a value in none is in no class. */
export type Classified = readonly [Prefix, number: number | undefined];

/** A class that a predicate holds from now on, or no longer. */
export interface Membership<User> {
  readonly predicate: Predicate<User>;
  readonly number: number;
  readonly holds: boolean;
}

export interface Reclassified<User> {
  readonly prefixes: readonly Classified[];
  readonly memberships: readonly Membership<User>[];
}

interface OwnPredicate<User> {
  readonly name: string;
  readonly id: number;
  readonly hash: number;
  readonly prefixes: readonly Prefix[];
  readonly users: Set<User>;
  readonly classes: Set<number>;
}

interface Class<User> {
  readonly key: string;
  /** In the order of their ids. */
  readonly predicates: readonly OwnPredicate<User>[];
  readonly number: number;
  /** Prefixes in it. */
  size: number;
  announced: boolean;
}

interface Node<User> extends Prefix {
  readonly last: bigint;
  /** Predicates that name just this prefix. */
  readonly own: Set<OwnPredicate<User>>;
  changed: boolean;
  /** Class of the prefix it lies in. */
  above: Class<User> | undefined;
  class: Class<User> | undefined;
}

/**
 * Sorts values by the predicates that hold them: two values are in one class when just the same predicates do. A class keeps its number as
 * long as it lives, and has the same one (collisions aside) wherever its predicates have the same names: few changes of predicates are few
 * changes of prefixes.
 */
export class Classifier<User> {
  readonly #width: number;
  readonly #predicates = new Map<string, OwnPredicate<User>>();
  readonly #nodes = new Map<string, Node<User>>();
  readonly #classes = new Map<string, Class<User>>();
  readonly #numbers = new Set<number>();
  /** Prefixes are nested or apart: sorted like this, those a prefix lies in are the ones that are still open. */
  #sorted: Node<User>[] = [];
  #fresh: Node<User>[] = [];
  /** Prefixes that predicates have come to or gone from since the last `settle`. */
  #touched = new Set<Node<User>>();
  #lastId = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** Prefixes and their classes as of the last `settle`. */
  *prefixes(): Generator<readonly [Prefix, number: number]> {
    for (const node of this.#sorted) if (node.class) yield [node, node.class.number];
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** The predicate of that name, from now on in use; it has no classes before `settle`. @param prefixes asked for when it is new. */
  hold(name: string, prefixes: () => readonly Prefix[], user: User): Predicate<User> {
    let predicate = this.#predicates.get(name);
    if (!predicate) {
      predicate = { name, id: ++this.#lastId, hash: hashOf(name), prefixes: prefixes(), users: new Set(), classes: new Set() };
      this.#predicates.set(name, predicate);
      for (const prefix of predicate.prefixes) this.#nodeOf(prefix).own.add(predicate);
    }
    predicate.users.add(user);
    return predicate;
  }

  release(name: string, user: User): void {
    const predicate = this.#predicates.get(name);
    predicate?.users.delete(user);
    if (!predicate || predicate.users.size > 0) return;
    this.#predicates.delete(name);
    for (const prefix of predicate.prefixes) this.#nodeOf(prefix).own.delete(predicate);
  }

  /** Brings the classes up to date; answers what has changed since the last time. */
  settle(): Reclassified<User> {
    const prefixes: Classified[] = [];
    const memberships: Membership<User>[] = [];
    if (this.#touched.size === 0) return { prefixes, memberships };
    const touched = new Set<Class<User>>();
    const gone = [...this.#touched].filter((node) => node.own.size === 0);
    this.#touched = new Set();
    for (const node of gone) {
      this.#nodes.delete(nameOf(node));
      if (!node.class) continue;
      prefixes.push([node, undefined]);
      touched.add(node.class);
      node.class.size--;
    }
    const isUsed = (node: Node<User>) => node.own.size > 0;
    if (gone.length > 0) this.#sorted = this.#sorted.filter(isUsed);
    insert(this.#sorted, this.#fresh.filter(isUsed));
    this.#fresh = [];
    const open: Node<User>[] = [];
    for (const node of this.#sorted) {
      while ((open.at(-1)?.last ?? node.value) < node.value) open.pop();
      const above = open.at(-1)?.class;
      open.push(node);
      if (!node.changed && node.above === above) continue;
      node.changed = false;
      node.above = above;
      const before = node.class;
      node.class = this.#classOf(above, node.own);
      if (node.class === before) continue;
      if (before) before.size--;
      node.class.size++;
      for (const each of before ? [before, node.class] : [node.class]) touched.add(each);
      prefixes.push([node, node.class.number]);
    }
    for (const each of touched) {
      const { key, predicates, number, size, announced } = each;
      if (size > 0 === announced) continue;
      each.announced = size > 0;
      if (size === 0) this.#classes.delete(key);
      if (size === 0) this.#numbers.delete(number);
      for (const predicate of predicates) {
        predicate.classes[size > 0 ? 'add' : 'delete'](number);
        memberships.push({ predicate, number, holds: size > 0 });
      }
    }
    return { prefixes, memberships };
  }

  #nodeOf({ value, length }: Prefix): Node<User> {
    const name = nameOf({ value, length });
    let node = this.#nodes.get(name);
    if (!node) {
      const last = value + (1n << BigInt(this.#width - length)) - 1n;
      node = { value, length, last, own: new Set(), changed: true, above: undefined, class: undefined };
      this.#nodes.set(name, node);
      this.#fresh.push(node);
    }
    node.changed = true;
    this.#touched.add(node);
    return node;
  }

  #classOf(above: Class<User> | undefined, own: ReadonlySet<OwnPredicate<User>>): Class<User> {
    const predicates = [...new Set([...(above?.predicates ?? []), ...own])].sort((a, b) => a.id - b.id);
    const key = predicates.map(({ id }) => id).join(' ');
    let found = this.#classes.get(key);
    if (!found) {
      let number = Math.imul(
        predicates.reduce((sum, { hash }) => sum + hash, 0),
        0x9e37_79b1,
      );
      do number = (number + 1) >>> 0;
      while (number === 0 || this.#numbers.has(number));
      this.#numbers.add(number);
      found = { key, predicates, number, size: 0, announced: false };
      this.#classes.set(key, found);
    }
    return found;
  }
}

export const nameOf = ({ value, length }: Prefix): string => `${value.toString(16)}/${length}`;

const FEW = 64;

const outerFirst = (a: Prefix, b: Prefix): number => (a.value < b.value ? -1 : a.value > b.value ? 1 : a.length - b.length);

/** Into a sorted list; a few are put into their places, for comparing all of them takes longer. */
function insert<P extends Prefix>(sorted: P[], more: readonly P[]): void {
  if (more.length > FEW) {
    for (const each of more) sorted.push(each);
    sorted.sort(outerFirst);
    return;
  }
  for (const each of more) {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = sorted[middle];
      if (at && outerFirst(at, each) < 0) low = middle + 1;
      else high = middle;
    }
    sorted.splice(low, 0, each);
  }
}

/** FNV-1a */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193) >>> 0;
  return hash;
}
