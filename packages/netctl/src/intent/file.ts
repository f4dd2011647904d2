/** The intent as people write it: YAML (of which JSON is a part), held to its shape, with the place of every fault. Pure. */
import { type CheckedIntent, intentSchema, objectsOf } from '@contiv/model';
import { type Document, isAlias, isMap, isNode, isScalar, LineCounter, parseAllDocuments, visit } from 'yaml';
import type { z } from 'zod';
import { CommandError, EXIT } from '../session.js';

type Path = readonly PropertyKey[];

/** A text that was read and is right, and where in it everything stands. */
export interface ReadFile<T> {
  readonly value: T;
  /** `FILE:LINE:COLUMN` of what the path leads to, or of the nearest thing above it. */
  readonly place: (path: Path) => string;
}

/** Faults shown at once. */
const MOST = 10;
/** Uses of aliases: more than any file needs, and too few for a small one to become all of the memory. */
const MOST_ALIASES = 100_000;

/** @throws CommandError with `FILE:LINE:COLUMN: what is wrong`, a line for each fault. */
export function readDocument<S extends z.ZodType>(schema: S, text: string, name: string): ReadFile<z.output<S>> {
  const lines = new LineCounter();
  if (text.includes('\0')) throw wrong([`${name}: this is no text; save it as UTF-8`]);
  // `<<: *anchor` is YAML 1.1, and what people know from compose files.
  const documents = [...parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false, merge: true })];
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const [document, second] = documents.filter(({ contents, errors }) => !isNothing(contents) || errors.length > 0);
  if (!document) throw wrong([`${name}: the file is empty`]);
  const faults = documents.flatMap((d) => d.errors.map((e) => `${at(e.pos[0])}: ${e.message.split('\n')[0]}`));
  if (faults.length > 0) throw wrong(faults);
  if (second) throw wrong([`${at(second.range[0])}: a second document begins here; put everything into one`]);
  const place = (path: Path): string => at(offsetOf(document, path));
  const lost = aliasesOfNothing(document).map(([offset, anchor]) => `${at(offset)}: no anchor ${anchor} stands above this`);
  if (lost.length > 0) throw wrong(lost);
  const parsed = schema.safeParse(readValue(document, name));
  if (parsed.success) return { value: parsed.data, place };
  throw wrong(parsed.error.issues.flatMap((issue) => sentences(issue).map(([path, said]) => `${place(path)}: ${said}`)));
}

/** Nothing between two `---`, or comments only. */
const isNothing = (contents: unknown): boolean => contents === null || (isScalar(contents) && contents.value === null);

/** Where they stand, and what they name. In one walk: to resolve each alone takes as many. */
function aliasesOfNothing(document: Document.Parsed): [offset: number, anchor: string][] {
  const anchors = new Set<string>();
  const found: [number, string][] = [];
  visit(document, {
    Node: (_key, node) => {
      if (!isAlias(node)) {
        if (node.anchor !== undefined) anchors.add(node.anchor);
      } else if (!anchors.has(node.source)) found.push([node.range?.[0] ?? 0, node.source]);
    },
  });
  return found;
}

function readValue(document: Document.Parsed, name: string): unknown {
  try {
    return withoutNulls(document.toJS({ maxAliasCount: MOST_ALIASES }));
  } catch (error) {
    // More aliases than any file needs, or more calls within each other than there is room for.
    const said = error instanceof RangeError ? 'an anchor holds itself' : error instanceof Error ? error.message : String(error);
    throw wrong([`${name}: ${said}`]);
  }
}

/** The intent of a file, with the place of each object. */
export function readIntent(text: string, name: string): { readonly intent: CheckedIntent; readonly places: ReadonlyMap<string, string> } {
  const { value: intent, place } = readDocument(intentSchema, text, name);
  let places: Map<string, string> | undefined;
  return {
    intent,
    // Only looked at when something is refused.
    get places() {
      places ??= new Map([...objectsOf(intent)].map(({ kind, key, path }) => [`${kind} ${key}`, place(path)]));
      return places;
    },
  };
}

function wrong(faults: readonly string[]): CommandError {
  const more = faults.length > MOST ? [`and ${faults.length - MOST} more`] : [];
  return new CommandError(faults[0] ?? 'the file is not right', {
    exit: EXIT.api,
    hint: [...faults.slice(1, MOST), ...more].join('\n'),
  });
}

/** zod's, where the shape has no sentence. */
const OWN_WORDS = /^Invalid input: expected (\w+), received (\w+)$/;
const KINDS: Readonly<Record<string, string>> = {
  object: 'a mapping (name: value)',
  array: 'a list',
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  null: 'empty',
};

/** `networks item 2`, `global`. */
function nameOf(path: Path): string {
  const [above, last] = [path.at(-2), path.at(-1)];
  if (last === undefined) return 'the document';
  return typeof last === 'number' ? `${above === undefined ? '' : `${String(above)} `}item ${last + 1}` : String(last);
}

/** What zod says, each with the path it is about. */
function sentences(issue: z.core.$ZodIssue): [Path, string][] {
  const path = issue.path;
  const where = path.filter((step) => typeof step !== 'number').join('.');
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => [[...path, key], `${where === '' ? 'the document' : where} has no member ${key}`]);
  const [, expected = '', received = ''] = OWN_WORDS.exec(issue.message) ?? [];
  const message =
    expected === '' ? issue.message : `${nameOf(path)} must be ${KINDS[expected] ?? expected}, and is ${KINDS[received] ?? received}`;
  return [[path, message.split('\n').join('; ')]];
}

/** An empty member (`rules:` with nothing after it) counts as absent. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, v]) => (v === null ? [] : [[key, withoutNulls(v)]])));
}

/** Where the path's last step that is there begins. */
function offsetOf(document: Document.Parsed, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const above: unknown = length === 0 ? undefined : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const holder = length === 1 ? document.contents : above;
    if (isMap(holder)) {
      const pair = holder.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
    }
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}
