/** The ports of this host: which interface each of them is, and the number by which the programs know it. */
import { DatapathError } from '../errors.js';
import { MAX_PORTS, parsePort, u32Key } from '../maps/layout.js';
import type { Table } from '../maps/table.js';
import type { PortPlace } from '../maps/tables.js';
import type { Counting } from './counting.js';
import type { PortLinks } from './ports.js';

export class Places {
  readonly #links: PortLinks;
  readonly #counting: Counting;
  readonly #byName = new Map<string, PortPlace>();
  /** Number given last: the next one is looked for behind it, so that what still comes for a container that is gone meets nobody. */
  #lastIndex = 0;

  constructor(links: PortLinks, counting: Counting) {
    this.#links = links;
    this.#counting = counting;
  }

  /** For tables to be made from. */
  get all(): ReadonlyMap<string, PortPlace> {
    return this.#byName;
  }

  /** Interfaces and numbers of an earlier start. */
  find(ports: Table): void {
    for (const [name, link] of this.#links.list()) {
      const value = ports.get(u32Key(link.index));
      if (!value) continue;
      const { index, inHost = false } = parsePort(value);
      this.#byName.set(name, { ifindex: link.index, index, inHost });
    }
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
      this.#lastIndex = index;
      return index;
    }
    throw new DatapathError(`this host has ${MAX_PORTS - 1} containers in networks of ours already, and no more fit`);
  }
}
