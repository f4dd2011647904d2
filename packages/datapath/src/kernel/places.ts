/** The ports of this host: which interface each of them is, and the number by which the programs know it. */
import type { BpfMap } from '@contiv/syscall';
import { DatapathError } from '../errors.js';
import { MAX_PORTS, portNumber, u32Key } from '../maps/layout.js';
import type { Table } from '../maps/table.js';
import type { PortPlace } from '../maps/tables.js';
import type { Counting } from './counting.js';
import type { PortLinks } from './ports.js';

export class Places {
  readonly #links: PortLinks;
  readonly #counting: Counting;
  readonly #byName = new Map<string, PortPlace>();
  /** Its first entry keeps, whatever becomes of this process, the number given last: the next one is looked for behind it, so that what still comes
   * for a container that is gone meets nobody. */
  readonly #numbers: BpfMap;
  #lastIndex = 0;

  constructor(links: PortLinks, counting: Counting, numbers: BpfMap) {
    this.#links = links;
    this.#counting = counting;
    this.#numbers = numbers;
  }

  /** For tables to be made from. */
  get all(): ReadonlyMap<string, PortPlace> {
    return this.#byName;
  }

  /**
   * Interfaces and numbers of an earlier start. Outside a container goes by its number: with another one its connections would be cut.
   * @param earlier the tables of programs of another version, while they are at work.
   */
  find(ports: Table, earlier: (name: 'ports' | 'schema') => BpfMap | undefined): void {
    const taken = new Set<number>();
    for (const [name, link] of this.#links.list()) {
      const value = ports.get(u32Key(link.index)) ?? earlier('ports')?.get(u32Key(link.index));
      const { index, inHost } = value ? portNumber(value) : { index: 0, inHost: false };
      if (index === 0 || index >= MAX_PORTS || taken.has(index)) continue;
      taken.add(index);
      this.#byName.set(name, { ifindex: link.index, index, inHost });
    }
    const given = (numbers: BpfMap | undefined) => numbers?.get(u32Key(0))?.readUInt32LE(0) ?? 0;
    this.#given(given(this.#numbers) || given(earlier('schema')) || Math.max(0, ...taken));
  }

  get(name: string): PortPlace | undefined {
    return this.#byName.get(name);
  }

  /** Throws when the interface is gone. */
  ifindexOf(name: string): number {
    return this.#present(name).ifindex;
  }

  #present(name: string): PortPlace {
    const place = this.#byName.get(name);
    if (!place) throw new DatapathError(`interface ${name} is gone; restart its container`);
    return place;
  }

  /** Name of the port; of an interface that is none of ours its index. */
  nameAt(ifindex: number): string {
    return [...this.#byName].find(([, place]) => place.ifindex === ifindex)?.[0] ?? String(ifindex);
  }

  nameOfIndex(index: number): string | undefined {
    return [...this.#byName].find(([, place]) => place.index === index)?.[0];
  }

  /** Gives the interface a place; one that it has already stays. Counters of a number that was another port's begin anew. */
  take(name: string, ifindex: number, inHost?: boolean): PortPlace {
    const known = this.#byName.get(name);
    if (known?.ifindex === ifindex) return known;
    const place = { ifindex, index: this.#freeIndex(), ...(inHost === undefined ? {} : { inHost }) };
    this.#counting.reset(place.index);
    this.#byName.set(name, place);
    return place;
  }

  /** With or without a share of its group's bandwidth. */
  limit(name: string, limited: boolean): PortPlace {
    const changed = { ...this.#present(name), limited };
    this.#byName.set(name, changed);
    return changed;
  }

  leave(name: string): PortPlace | undefined {
    const place = this.#byName.get(name);
    this.#byName.delete(name);
    return place;
  }

  #freeIndex(): number {
    const taken = new Set([...this.#byName.values()].map((place) => place.index));
    for (let i = 0; i < MAX_PORTS - 1; i++) {
      const index = ((this.#lastIndex + i) % (MAX_PORTS - 1)) + 1;
      if (taken.has(index)) continue;
      this.#given(index);
      return index;
    }
    throw new DatapathError(`this host has ${MAX_PORTS - 1} containers in networks of ours already, and no more fit`);
  }

  #given(index: number): void {
    this.#lastIndex = index;
    this.#numbers.set(u32Key(0), u32Key(index));
  }
}
