/** What may come next on a command line that is being typed. Pure. */
import { child, type Flag, type Node, type ObjectKind } from './command.js';
import { flagsOf, type Grammar, namesOf } from './parse.js';
import { type Value, Values } from './values.js';

/** A word that fits, and what it means. */
export type Candidate = readonly [word: string, meaning: string];

export interface Wanted {
  readonly candidates: readonly Candidate[];
  /** Names of these are wanted as well; netmaster knows them. */
  readonly of?: ObjectKind;
  /** Files are wanted; the shell knows them. */
  readonly file: boolean;
  /** Stands before every name: `--tenant=`, `--from-group=app,`. */
  readonly prefix: string;
  /** What is typed of the word so far, prefix included. */
  readonly typed: string;
  /** What the words before say: tenant, netmaster. */
  readonly values: Values;
}

/** `words`: those after the program's name, the last one being typed (empty after a space). */
export function wanted(grammar: Grammar, words: readonly string[]): Wanted {
  const typed = words.at(-1) ?? '';
  const { node, pending, args, values, given, ended } = walk(grammar, words.slice(0, -1));
  const answer = (candidates: readonly Candidate[], { of, file }: Pick<Flag, 'of' | 'file'> = {}, prefix = ''): Wanted => ({
    candidates: candidates.filter(([word]) => word.startsWith(typed)),
    ...(of === undefined ? {} : { of }),
    file: file === true,
    prefix,
    typed,
    values,
  });
  if (pending !== undefined) return answer(choicesOf(pending), pending, listed(pending, typed));
  const flags = flagsOf(grammar, node);
  if (!ended && typed.startsWith('-')) {
    const equals = typed.indexOf('=');
    if (equals < 0) return answer(flagCandidates(flags, given));
    const name = typed.slice(0, equals).replace(/^--?/, '');
    const flag = flags.find((f) => namesOf(f).includes(name));
    const prefix = typed.slice(0, equals + 1);
    if (flag === undefined) return answer([]);
    return answer(
      choicesOf(flag).map(([word, meaning]) => [`${prefix}${word}`, meaning]),
      flag,
      `${prefix}${listed(flag, typed.slice(prefix.length))}`,
    );
  }
  if (node.kind === 'branch') return answer(commandCandidates(node));
  const argument = node.args[args];
  if (argument === undefined) return answer(ended ? [] : flagCandidates(flags, given));
  return answer(choicesOf(argument), argument);
}

/** The names of a list that are typed already. */
const listed = ({ several }: Flag, typed: string): string => (several ? typed.slice(0, typed.lastIndexOf(',') + 1) : '');

interface Walked {
  readonly node: Node;
  /** A flag that waits for its value. */
  readonly pending: Flag | undefined;
  readonly args: number;
  readonly values: Values;
  readonly given: ReadonlyMap<string, Value>;
  readonly ended: boolean;
}

/** As far as the words make sense; faults are passed over, for the line is not finished. */
function walk(grammar: Grammar, words: readonly string[]): Walked {
  const given = new Map<string, Value>();
  let node: Node = grammar.root;
  let pending: Flag | undefined;
  let args = 0;
  let ended = false;
  for (const word of words) {
    if (pending !== undefined) {
      given.set(pending.name, word);
      pending = undefined;
    } else if (!ended && word === '--') ended = true;
    else if (!ended && word.length > 1 && word.startsWith('-')) {
      const [name = '', value] = word.replace(/^--?/, '').split(/=(.*)/s);
      const flag = flagsOf(grammar, node).find((f) => namesOf(f).includes(name));
      if (flag === undefined) continue;
      if (flag.kind === 'switch') given.set(flag.name, true);
      else if (value === undefined) pending = flag;
      else given.set(flag.name, value);
    } else if (node.kind === 'leaf') args++;
    else if (word !== 'help' && word !== 'h') node = child(node, word) ?? node;
  }
  return { node, pending, args, values: new Values(flagsOf(grammar, node), given), given, ended };
}

const choicesOf = ({ choices = [] }: { choices?: readonly string[] }): Candidate[] => choices.map((word) => [word, '']);

const commandCandidates = (node: Extract<Node, { kind: 'branch' }>): Candidate[] =>
  node.commands.map((command) => [command.name, command.summary]);

function flagCandidates(flags: readonly Flag[], given: ReadonlyMap<string, Value>): Candidate[] {
  const left = flags.filter((flag) => flag.kind === 'list' || !given.has(flag.name));
  return [...left.map((flag): Candidate => [`--${flag.name}`, flag.help]), ['--help', 'show help']];
}
