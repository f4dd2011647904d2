/** Compares what a command has shown with what it has to show. Pure. */
import type { Expectation, Json } from './step.js';

/** Names kept by `<… as NAME>`, used as `@NAME@`. */
export type Kept = ReadonlyMap<string, string>;

export interface Verdict {
  /** Expected lines that were found, for people. */
  readonly met: readonly string[];
  /** The first thing that differs. */
  readonly missed?: string;
  readonly kept: Kept;
}

const KINDS: Readonly<Record<string, string>> = {
  n: String.raw`[\d.]+`,
  ms: String.raw`[\d.]+ ms`,
  id: '[0-9a-zA-Z]{12,64}',
  ip: String.raw`\d+\.\d+\.\d+\.\d+`,
  mac: '(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}',
  host: '[a-z][a-z0-9-]*',
  word: String.raw`\S+`,
};

export class UnknownKind extends Error {
  override readonly name = 'UnknownKind';
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);

/** `@NAME@` by what was kept. */
export const filled = (text: string, kept: Kept): string => text.replace(/@([A-Z]+)@/g, (all, name: string) => kept.get(name) ?? all);

/** An expected line, as what has to match the whole of a line whose blanks were made single. */
export function lineExpression(line: string): RegExp {
  const source = line
    .trim()
    .split(/(\s+|…|<[^<>\s]+(?: as [A-Z]+)?>)/)
    .map((part) => {
      if (part === '…') return '.*';
      if (/^\s+$/.test(part)) return ' ';
      const [, kind, name] = /^<([^<>\s]+)(?: as ([A-Z]+))?>$/.exec(part) ?? [];
      if (kind === undefined) return escaped(part);
      const expression = KINDS[kind];
      if (expression === undefined) throw new UnknownKind(`<${kind}> is none of ${Object.keys(KINDS).join(', ')}`);
      return name === undefined ? expression : `(?<${name}>${expression})`;
    })
    .join('')
    // What stands for anything stands for nothing, too.
    .replaceAll(' .*', '(?: .*)?')
    .replaceAll('.* ', '(?:.* )?');
  return new RegExp(`^${source}$`);
}

const singleBlanks = (line: string): string => line.trim().replaceAll(/\s+/g, ' ');

export function judge(output: string, expected: Expectation, known: Kept): Verdict {
  const kept = new Map(known);
  const met: string[] = [];
  const lines = output.split('\n').map(singleBlanks);
  const find = (text: string, from: number): number => {
    const expression = lineExpression(filled(text, kept));
    const at = lines.findIndex((line, i) => i >= from && expression.test(line));
    if (at < 0) return -1;
    for (const [name, value] of Object.entries(expression.exec(lines[at] ?? '')?.groups ?? {})) kept.set(name, value);
    met.push(filled(text, kept));
    return at;
  };
  let next = 0;
  for (const text of expected.shows ?? []) {
    const at = find(text, next);
    if (at < 0) return { met, missed: filled(text, kept), kept };
    next = at + 1;
  }
  for (const text of expected.rows ?? []) if (find(text, 0) < 0) return { met, missed: filled(text, kept), kept };
  for (const text of expected.never ?? []) {
    const expression = lineExpression(filled(text, kept));
    const found = lines.find((line) => expression.test(line));
    if (found !== undefined) return { met, missed: `no line like ${filled(text, kept)}, but there is ${found}`, kept };
    met.push(`no line like ${filled(text, kept)}`);
  }
  if (expected.json !== undefined) {
    const fault = jsonFault(parsed(output), expected.json, kept, '');
    if (fault !== undefined) return { met, missed: fault, kept };
    met.push(filled(JSON.stringify(expected.json), kept));
  }
  return { met, kept };
}

function parsed(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}

/** Where and how `actual` differs; `undefined` when all that is expected is in it. */
function jsonFault(actual: unknown, expected: Json, kept: Kept, at: string): string | undefined {
  const where = at === '' ? 'the output' : at;
  if (typeof expected === 'string') {
    if (typeof actual === 'string' && lineExpression(filled(expected, kept)).test(singleBlanks(actual))) return undefined;
    return `${where} is ${JSON.stringify(actual)}, not ${JSON.stringify(filled(expected, kept))}`;
  }
  if (isList(expected)) {
    if (!Array.isArray(actual)) return `${where} is no list`;
    if (actual.length !== expected.length) return `${where} has ${actual.length} members, not ${expected.length}`;
    for (const [i, member] of expected.entries()) {
      const fault = jsonFault(actual[i], member, kept, `${at}[${i}]`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) return `${where} is no object`;
    const members = new Map(Object.entries(actual));
    const free = new Set(members.keys());
    for (const [name, member] of Object.entries(expected)) {
      const candidates = name.startsWith('*') ? [...free] : [name];
      const faults = candidates.map((key) => jsonFault(members.get(key), member, kept, `${at}.${key}`));
      const found = faults.indexOf(undefined);
      if (found < 0) return faults.length === 1 ? faults[0] : `${where} has no member like ${JSON.stringify(member)}`;
      free.delete(candidates[found] ?? '');
    }
    return undefined;
  }
  return actual === expected ? undefined : `${where} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
}

const isList = (json: Json): json is readonly Json[] => Array.isArray(json);
