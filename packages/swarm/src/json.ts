import { randomBytes } from 'node:crypto';

/**
 * JSON that keeps integers of 64 bits. Event times (`timeNano`) and some limits exceed 2^53, which `JSON.parse` would round; such
 * integers become `LongInteger`s and are printed as numbers again. Key order and unknown keys are kept.
 */
export class LongInteger {
  readonly text: string;
  /** @param text decimal digits, with a minus sign or without. */
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
  /** Read by `printJson` alone. */
  toJSON(): string {
    printing = true;
    return MARK + this.text;
  }
}

/** Stands before a long integer's digits inside `parseJson` and `printJson`, never outside, so no one else can write it. */
const MARK = `${randomBytes(16).toString('hex')}:`;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g');
/** Whole strings and whole numbers, so that no part of either is taken for something else. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Digits of an id stand among letters or behind a quote; this is quick and wrong only now and then. */
const MAYBE_LONG = /[:,[\s-]\d{16}/;
const LONG_INTEGER = /^-?\d{16,}$/;
let printing = false;

export type Json = Record<string, unknown>;

/** @throws SyntaxError */
export function parseJson(text: string): unknown {
  if (!MAYBE_LONG.test(text)) return JSON.parse(text);
  let found = false;
  const marked = text.replace(TOKEN, (token) => {
    if (!LONG_INTEGER.test(token)) return token;
    found = true;
    return `"${MARK}${token}"`;
  });
  return found ? JSON.parse(marked, unmark) : JSON.parse(text);
}

function unmark(_key: string, value: unknown): unknown {
  return typeof value === 'string' && value.startsWith(MARK) ? new LongInteger(value.slice(MARK.length)) : value;
}

export function printJson(value: unknown): string {
  printing = false;
  const text = JSON.stringify(value);
  return printing ? text.replace(MARKED, '$1') : text;
}

/** The decimal text of an integer from `parseJson`, of any length. */
export function integerText(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return value instanceof LongInteger ? value.text : undefined;
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LongInteger);
}

/** The object under `key`, or an empty one that is not attached. */
export function objectAt(value: unknown, key: string): Json {
  const found = isObject(value) ? value[key] : undefined;
  return isObject(found) ? found : {};
}

export function stringAt(value: unknown, key: string): string {
  const found = isObject(value) ? value[key] : undefined;
  return typeof found === 'string' ? found : '';
}

export function numberAt(value: unknown, key: string): number {
  const found = isObject(value) ? value[key] : undefined;
  if (typeof found === 'number') return found;
  const text = integerText(found);
  return text === undefined ? 0 : Number(text);
}

export function stringsAt(value: unknown, key: string): string[] {
  const found = isObject(value) ? value[key] : undefined;
  return Array.isArray(found) ? found.filter((item) => typeof item === 'string') : [];
}

/** A map of strings; other values are left out. */
export function stringMapAt(value: unknown, key: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(objectAt(value, key)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
