import { SWARM_ID } from '../scheduler/labels.js';
import type { ContainerView } from '../scheduler/types.js';
import type { Container } from './view.js';

/**
 * The containers of one engine as last seen, found by id and by name without a search. Answers of the engine may overtake each
 * other: each carries the number drawn when it was asked for, and an older one never replaces a newer one.
 */
export class ContainerCache {
  readonly #containers = new Map<string, Container>();
  /** By short id, name with its slash, and swarm id long and short. */
  readonly #index = new Map<string, Container>();
  /** Number of the answer that last spoke of a container. */
  readonly #spoken = new Map<string, number>();
  #views: readonly ContainerView[] | undefined;
  #clock = 0;

  /** Grows with every change. */
  revision = 0;

  get size(): number {
    return this.#containers.size;
  }
  values(): IterableIterator<Container> {
    return this.#containers.values();
  }
  get(id: string): Container | undefined {
    return this.#containers.get(id);
  }
  /** By full or short id. */
  identified(reference: string): Container | undefined {
    return this.#containers.get(reference) ?? this.#index.get(`id ${reference}`);
  }
  /** By the cluster's own id, full or short. */
  labelled(reference: string): Container | undefined {
    return this.#index.get(`swarm ${reference}`);
  }
  /** @param name with the leading slash. */
  named(name: string): Container | undefined {
    return this.#index.get(name);
  }
  get views(): readonly ContainerView[] {
    this.#views ??= [...this.#containers.values()].map((container) => container.view);
    return this.#views;
  }

  /** To be drawn before the engine is asked. */
  draw(): number {
    return ++this.#clock;
  }
  put(container: Container, asked: number): void {
    if ((this.#spoken.get(container.id) ?? 0) > asked) return;
    this.#remove(container.id);
    this.#spoken.set(container.id, asked);
    this.#containers.set(container.id, container);
    this.revision++;
    for (const key of keysOf(container)) this.#index.set(key, container);
  }
  forget(id: string, asked = this.draw()): void {
    if ((this.#spoken.get(id) ?? 0) > asked) return;
    this.#remove(id);
    this.#spoken.set(id, asked);
  }
  /** A complete list was answered: whatever it does not hold is gone. */
  keepOnly(present: ReadonlySet<string>, asked: number): void {
    for (const [id, spoken] of this.#spoken) {
      if (present.has(id) || spoken > asked) continue;
      this.#remove(id);
      this.#spoken.delete(id);
    }
  }

  #remove(id: string): void {
    const known = this.#containers.get(id);
    this.#views = undefined;
    if (known === undefined) return;
    this.#containers.delete(id);
    this.revision++;
    for (const key of keysOf(known)) if (this.#index.get(key) === known) this.#index.delete(key);
  }
}

function keysOf({ id, view }: Container): string[] {
  const swarmId = view.labels[SWARM_ID] ?? '';
  return [`id ${id.slice(0, 12)}`, ...view.names, ...(swarmId === '' ? [] : [`swarm ${swarmId}`, `swarm ${swarmId.slice(0, 12)}`])];
}
