/** Lists as text, kept until something they show changes; after a change only the changed objects are made anew. */
import type { Entry, EntryOf, Kind } from '../core/records.js';
import type { State } from '../core/state.js';

interface Fragment {
  readonly entry: Entry['record'];
  readonly links: string;
  readonly text: string;
}

export class Listing<K extends Kind> {
  readonly #kind: K;
  readonly #shows: readonly Kind[];
  readonly #present: (state: State, entry: EntryOf<K>) => unknown;
  /** Names what besides its record an object shows, so that an unchanged one is recognised. */
  readonly #links: (state: State, entry: EntryOf<K>) => string;
  #fragments = new Map<string, Fragment>();
  #at = '';
  #text = '[]';

  constructor(
    kind: K,
    shows: readonly Kind[],
    present: (state: State, entry: EntryOf<K>) => unknown,
    links: (state: State, entry: EntryOf<K>) => string,
  ) {
    this.#kind = kind;
    this.#shows = [kind, ...shows];
    this.#present = present;
    this.#links = links;
  }

  /** JSON array, ascending by key. */
  text(state: State): string {
    const at = this.#shows.map((kind) => state.version(kind)).join(':');
    if (at === this.#at) return this.#text;
    const fragments = new Map<string, Fragment>();
    const entries = [...state.all(this.#kind)].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    for (const entry of entries) {
      const links = this.#links(state, entry);
      const known = this.#fragments.get(entry.key);
      const same = known !== undefined && known.entry === entry.record && known.links === links;
      fragments.set(entry.key, same ? known : { entry: entry.record, links, text: JSON.stringify(this.#present(state, entry)) });
    }
    this.#fragments = fragments;
    this.#at = at;
    this.#text = `[${[...fragments.values()].map((f) => f.text).join(',')}]`;
    return this.#text;
  }
}
