import { goDuration } from '../duration.js';
import { ApiError } from '../errors.js';
import { isObject } from '../json.js';

/** Filters of list calls: key → values (spec/swarm.md 2.1). Pure. */
export class ListFilters {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /**
   * `{"key":{"value":true}}` or the old `{"key":["value"]}`.
   * @param known keys there are; all by default. One that is misspelt must not select everything, for what is listed is removed next.
   * @throws ApiError
   */
  static parse(text: string | null, known?: ReadonlySet<string>): ListFilters {
    const values = new Map<string, string[]>();
    if (text === null || text.trim() === '') return new ListFilters(values);
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw new ApiError(400, `invalid filter: ${text.slice(0, 200)} is not JSON`);
    }
    if (!isObject(parsed)) throw new ApiError(400, 'invalid filter: an object is expected');
    for (const [key, given] of Object.entries(parsed)) {
      if (known?.has(key) === false)
        throw new ApiError(400, `invalid filter '${key.slice(0, 64)}': it is none of ${[...known].sort().join(', ')}`);
      if (Array.isArray(given)) values.set(key, given.map(String));
      else if (isObject(given))
        values.set(
          key,
          Object.keys(given).filter((value) => given[value] !== false),
        );
      else throw new ApiError(400, `invalid filter: values of '${key}' are neither a list nor an object`);
    }
    return new ListFilters(values);
  }

  get empty(): boolean {
    return this.#values.size === 0;
  }
  has(key: string): boolean {
    return this.get(key).length > 0;
  }
  get(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }
  /** Absent keys pass. */
  exact(key: string, source: string): boolean {
    return !this.has(key) || this.get(key).includes(source);
  }
  /** Equal to a value, or matched by one as a pattern found anywhere; a bad pattern is ignored. */
  match(key: string, source: string): boolean {
    return !this.has(key) || this.get(key).some((value) => value === source || pattern(value)?.test(source) === true);
  }
  /** Equal, or beginning with a value. */
  prefix(key: string, source: string): boolean {
    return !this.has(key) || this.get(key).some((value) => source.startsWith(value));
  }
  /** Every `k` or `k=v` must hold. */
  labels(key: string, labels: Readonly<Record<string, string>>): boolean {
    return this.get(key).every((wanted) => {
      const at = wanted.indexOf('=');
      return at < 0 ? labels[wanted] !== undefined : labels[wanted.slice(0, at)] === wanted.slice(at + 1);
    });
  }
  /** A filter that is true or false; undefined when absent. @throws ApiError */
  bool(key: string): boolean | undefined {
    const [value] = this.get(key);
    if (value === undefined) return undefined;
    if (['true', '1'].includes(value)) return true;
    if (['false', '0'].includes(value)) return false;
    throw new ApiError(400, `Invalid filter: 'type'='${key}'`);
  }
}

/** A filter's moment in milliseconds since 1970: so long ago (`24h`), seconds since 1970, or a date. @throws ApiError */
export function momentOf(text: string, now: number): number {
  const ago = goDuration(text);
  const moment = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : ago === undefined ? Date.parse(text) : now - ago;
  if (Number.isNaN(moment)) throw new ApiError(400, `invalid filter: '${text.slice(0, 64)}' is neither a time nor a duration such as 24h`);
  return moment;
}

/** Patterns that could run for long on a short name are not tried. */
function pattern(value: string): RegExp | undefined {
  if (value.length > 256 || /\([^)]*[+*][^)]*\)[+*{]/.test(value)) return undefined;
  try {
    return new RegExp(value);
  } catch {
    return undefined;
  }
}
