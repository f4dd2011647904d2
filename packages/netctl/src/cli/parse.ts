/**
 * The command line, by the rules of Go's flag package that Contiv's users know: `-x`, `--x`, `-x=v` and `-x v` are the same for short and
 * long names, a value may begin with a dash, `--` ends the flags. Unlike there, flags and arguments may stand in any order, global flags may
 * follow the command, and switches of one letter may be joined (`-aq`). Pure.
 */
import { type Branch, child, type Flag, type Leaf, type Node } from './command.js';
import { didYouMean, nearest } from './suggest.js';
import { type Value, Values } from './values.js';

export type Parsed =
  | {
      readonly kind: 'run';
      readonly path: readonly string[];
      readonly leaf: Leaf;
      readonly args: readonly string[];
      readonly values: Values;
    }
  | { readonly kind: 'help'; readonly path: readonly string[]; readonly node: Node }
  | { readonly kind: 'version' }
  /** `Incorrect Usage.` */
  | { readonly kind: 'wrong'; readonly path: readonly string[]; readonly node: Node; readonly message: string; readonly hint: string }
  /** No such command. */
  | { readonly kind: 'unknown'; readonly path: readonly string[]; readonly node: Branch; readonly word: string; readonly hint: string };

export interface Grammar {
  readonly root: Branch;
  /** Taken before and after the command, where the command has none of that name. */
  readonly globals: readonly Flag[];
}

const HELP: ReadonlySet<string> = new Set(['-h', '-help', '--h', '--help']);
const VERSION: ReadonlySet<string> = new Set(['-v', '-version', '--v', '--version']);

/** `argv` without program and script. */
export function parse(grammar: Grammar, argv: readonly string[]): Parsed {
  const words = [...argv];
  const given = new Map<string, Value>();
  const args: string[] = [];
  let node: Node = grammar.root;
  let path: string[] = [];
  let ended = false;

  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (!ended && word === '--') {
      ended = true;
      continue;
    }
    if (!ended && HELP.has(word)) return { kind: 'help', path, node };
    if (!ended && word.length > 1 && word.startsWith('-')) {
      if (node === grammar.root && VERSION.has(word)) return { kind: 'version' };
      const fault = takeFlag(flagsOf(grammar, node), word, words, given);
      if (fault !== undefined) return { kind: 'wrong', path, node, ...fault };
      continue;
    }
    if (node.kind === 'leaf') {
      args.push(word);
      continue;
    }
    if (word === 'help' || word === 'h') return helpFor(node, path, words);
    const next = child(node, word);
    if (next === undefined) return unknown(node, path, word);
    node = next;
    path = [...path, next.name];
  }
  if (node.kind === 'branch') return { kind: 'help', path, node };
  return { kind: 'run', path, leaf: node, args, values: new Values(flagsOf(grammar, node), given) };
}

/** A node's own flags, and the global ones it does not hide; a global flag whose short name is taken keeps its long one. */
export function flagsOf(grammar: Grammar, node: Node): readonly Flag[] {
  const own = node.kind === 'leaf' ? node.flags : [];
  const taken = new Set(own.flatMap(namesOf));
  const globals = grammar.globals.filter((flag) => !taken.has(flag.name));
  return [...own, ...globals.map(({ short, ...flag }) => (short === undefined || taken.has(short) ? flag : { ...flag, short }))];
}

export const namesOf = (flag: Flag): string[] => [flag.name, ...(flag.short === undefined ? [] : [flag.short])];

interface Fault {
  readonly message: string;
  readonly hint: string;
}

/** Reads one flag and its value; the value may be the next word. */
function takeFlag(flags: readonly Flag[], word: string, rest: string[], given: Map<string, Value>): Fault | undefined {
  const bare = word.replace(/^--?/, '');
  const equals = bare.indexOf('=');
  const name = equals < 0 ? bare : bare.slice(0, equals);
  const attached = equals < 0 ? undefined : bare.slice(equals + 1);
  const shown = equals < 0 ? word : word.slice(0, word.indexOf('='));
  const flag = flags.find((f) => namesOf(f).includes(name));
  if (flag === undefined) {
    const joined = attached === undefined && !word.startsWith('--') ? joinedSwitches(flags, bare) : undefined;
    if (joined === undefined) return { message: `flag provided but not defined: ${shown}`, hint: didYouMean(nearFlags(name, flags)) };
    for (const each of joined) given.set(each.name, true);
    return undefined;
  }
  if (flag.kind === 'switch') {
    const on = attached === undefined ? true : bool(attached);
    if (on === undefined) return { message: `invalid value "${attached}" for flag ${shown}`, hint: 'give true or false, or nothing' };
    given.set(flag.name, on);
    return undefined;
  }
  const text = attached ?? rest.shift();
  if (text === undefined) return { message: `flag needs an argument: ${shown}`, hint: '' };
  const value = readValue(flag, text, given.get(flag.name));
  if (value === undefined) return { message: `invalid value "${text}" for flag ${shown}`, hint: `give ${expected(flag)}` };
  given.set(flag.name, value);
  return undefined;
}

const bool = (text: string): boolean | undefined => (/^(1|t|true)$/i.test(text) ? true : /^(0|f|false)$/i.test(text) ? false : undefined);

function readValue(flag: Flag, text: string, before: Value | undefined): Value | undefined {
  if (flag.kind === 'number') {
    const number = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(number) ? number : undefined;
  }
  if (flag.kind === 'list') return [...(Array.isArray(before) ? before.map(String) : []), text];
  return text;
}

const expected = (flag: Flag): string => (flag.kind === 'number' ? 'a whole number' : 'a value');

/** `-aq` as `-a -q`. */
function joinedSwitches(flags: readonly Flag[], letters: string): Flag[] | undefined {
  const found = Array.from(letters).map((letter) => flags.find((f) => f.kind === 'switch' && f.short === letter));
  const switches = found.filter((f) => f !== undefined);
  return switches.length > 1 && switches.length === found.length ? switches : undefined;
}

const nearFlags = (name: string, flags: readonly Flag[]): string[] =>
  nearest(
    name,
    flags.map((f) => f.name),
  ).map((near) => `--${near}`);

function helpFor(from: Branch, at: readonly string[], words: readonly string[]): Parsed {
  let node: Node = from;
  let path = [...at];
  for (const word of words) {
    if (word.startsWith('-')) continue;
    if (node.kind === 'leaf') break;
    const next = child(node, word);
    if (next === undefined) return unknown(node, path, word);
    node = next;
    path = [...path, next.name];
  }
  return { kind: 'help', path, node };
}

function unknown(node: Branch, path: readonly string[], word: string): Parsed {
  const known = node.commands.flatMap((c) => [c.name, ...(c.aliases ?? [])]);
  return { kind: 'unknown', path, node, word, hint: didYouMean(nearest(word, known)) };
}
