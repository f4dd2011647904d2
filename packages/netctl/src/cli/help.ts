/** Help texts, in the blocks Contiv's users know. Pure. */
import { wrap } from '../output/wrap.js';
import type { Argument, Branch, Flag, Leaf, Node } from './command.js';
import { flagsOf, type Grammar } from './parse.js';

export const PROGRAM = 'netctl';

/** The help of a command, ending in a newline. */
export function helpOf(grammar: Grammar, node: Node, path: readonly string[]): string {
  const name = [PROGRAM, ...path].join(' ');
  const aliases = node.aliases?.length ? [block('ALIASES', [node.aliases.join(', ')])] : [];
  const blocks = [
    block('NAME', wrap('', `${name} - ${node.summary}`, WIDTH)),
    ...aliases,
    block('USAGE', [usageOf(node, path)]),
    ...(node.details === undefined ? [] : [block('DESCRIPTION', wrap('', node.details, WIDTH))]),
    ...(node.kind === 'branch' ? [block('COMMANDS', commandLines(node))] : flagBlock('OPTIONS', node)),
    block('GLOBAL OPTIONS', columns([...globalsOf(grammar, node).map(flagLine), ...(path.length === 0 ? ROOT_SWITCHES : [])])),
    block(
      node.examples.length === 1 ? 'EXAMPLE' : 'EXAMPLES',
      node.examples.flatMap((e) => [`${PROGRAM} ${e.line}`, `    ${e.what}`]),
    ),
  ];
  return `${blocks.join('\n\n')}\n`;
}

export function usageOf(node: Node, path: readonly string[]): string {
  const name = [PROGRAM, ...path].join(' ');
  if (node.kind === 'branch')
    return path.length === 0 ? `${name} [global options] command [options] [arguments]` : `${name} command [options] [arguments]`;
  const options = node.flags.length > 0 ? ' [options]' : '';
  return `${name}${options}${node.args.map(argument).join('')}${node.rest ? ` [${node.rest.name}…]` : ''}`;
}

const argument = (arg: Argument): string => ` <${arg.name}>`;

const globalsOf = (grammar: Grammar, node: Node): readonly Flag[] => {
  const own: readonly Flag[] = node.kind === 'leaf' ? node.flags : [];
  return flagsOf(grammar, node).filter((flag) => !own.includes(flag));
};

const flagBlock = (title: string, leaf: Leaf): string[] =>
  leaf.flags.length === 0 ? [] : [block(title, columns(leaf.flags.map(flagLine)))];

const ROOT_SWITCHES: readonly (readonly [string, string])[] = [
  ['--help, -h', 'show help, of a command as well'],
  ['--version, -v', 'print the version'],
];

function commandLines(branch: Branch): string[] {
  const own = branch.commands.map((c): [string, string] => [[c.name, ...(c.aliases ?? [])].join(', '), c.summary]);
  return columns([...own, ['help, h', 'Show the help of a command']]);
}

/** `--tenant, -t value` */
export function flagNames(flag: Flag): string {
  const short = flag.short === undefined ? '' : `, -${flag.short}`;
  return `--${flag.name}${short}${flag.kind === 'switch' ? '' : ` ${flag.value ?? 'value'}`}`;
}

export function flagNotes(flag: Flag): string {
  const notes = [
    flag.choices === undefined ? '' : `one of ${flag.choices.join(', ')}`,
    flag.kind === 'list' ? 'may be repeated' : '',
    flag.default === undefined || flag.default === ''
      ? ''
      : `default ${typeof flag.default === 'string' ? JSON.stringify(flag.default) : flag.default}`,
    flag.env === undefined ? '' : `environment ${flag.env}`,
  ].filter((note) => note !== '');
  return notes.length === 0 ? flag.help : `${flag.help} (${notes.join('; ')})`;
}

const flagLine = (flag: Flag): [string, string] => [flagNames(flag), flagNotes(flag)];

/** So that help fits 80 columns with its indent. */
const WIDTH = 77;

const block = (title: string, lines: readonly string[]): string => [`${title}:`, ...lines.map((line) => `   ${line}`)].join('\n');

/** Two columns; what is too long on the right goes on below itself. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length)) + 2;
  return rows.flatMap(([left, right]) => (right === '' ? [] : wrap(left.padEnd(width), right, WIDTH)));
}
