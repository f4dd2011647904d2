/** The printed reference, `docs/netctl.md`, from the command tree. Pure. */
import { type Branch, leaves, type Node } from './cli/command.js';
import { flagNames, flagNotes, usageOf } from './cli/help.js';
import type { Grammar } from './cli/parse.js';

/** Markdown. */
export function reference({ root, globals }: Grammar): string {
  return `${[
    '# netctl',
    '<!-- Generated from packages/netctl/src/tree. After a change: UPDATE=1 npx vitest run --project unit packages/netctl/src/reference.test.ts -->',
    'The command line client: tenants, networks, groups and settings of a cluster, over the REST API of netmaster. Commands, flags, texts and tables are those of Contiv.',
    fence(usageOf(root, [])),
    '## Commands',
    [...leaves(root)].map(({ leaf, path }) => `- [\`${path.join(' ')}\`](#netctl-${path.join('-')}) – ${leaf.summary}`).join('\n'),
    '## Flags of every command',
    flagTable(globals),
    'They may stand before or after the command. Besides, every command has `--help`, and `netctl --version` prints the version of the program itself.',
    ...NOTES,
    ...root.commands.flatMap((node) => section(node, [node.name])),
  ].join('\n\n')}\n`;
}

const NOTES = [
  '## Writing commands',
  'Flags follow the rules of the original: `-t blue`, `-t=blue`, `--tenant blue` and `--tenant=blue` are the same, and some short names have two or three letters (`-s6`, `-tag`). Flags and arguments may stand in any order, `--` ends the flags, and switches of one letter may be joined (`-aq`).',
  '## Output',
  '| | |\n|---|---|\n| nothing | tables and sentences, as Contiv prints them |\n| `-o wide` | tables with more columns: what became of the objects |\n| `-o json`, `-j` | the objects as netmaster answers them, indented by two spaces; `-j` wins over `-q` |\n| `-o yaml` | the same as YAML |\n| `-q` | names only, one a line |',
  'Lists are sorted by tenant and name, the tenant `default` first. Commands that change something print the object as it now is with `-o json` or `-o yaml`.',
  'Errors go to standard error: `ERRO[0000] message` on a terminal, `time="…" level=error msg="message" hint="…"` elsewhere.',
  '## Exit statuses',
  '| status | meaning |\n|---|---|\n| 0 | done |\n| 1 | the command line is wrong, or the address of netmaster is none; `diff`: there is a difference; `trace`, `doctor`, `selftest`: not reachable, or something is wrong |\n| 2 | `version` got no answer |\n| 3 | netmaster refused, could not be reached, or what was given is not valid |\n| 4 | something could not be read or written |',
  '## Where netctl differs from Contiv',
  '- Unknown flags, commands and help topics end with 1 instead of 0.\n- `global set` changes what is named and nothing else; the private subnet is never reset.\n- Lists are sorted.\n- New: `apply`, `diff`, `doctor`, `export`, `flows`, `get all`, `history`, `selftest`, `top`, `trace`, `host`, `endpoint ls`, `completion`, `-o`, `--no-color`, several netmasters in `--netmaster`, "did you mean".\n- `version` honours `--insecure`.',
] as const;

function section(node: Node, path: readonly string[]): string[] {
  const aliases = node.aliases?.length
    ? [`Also: ${node.aliases.map((alias) => `\`${[...path.slice(0, -1), alias].join(' ')}\``).join(', ')}`]
    : [];
  if (node.kind === 'branch') return [`## netctl ${path.join(' ')}`, `${node.summary}.`, ...aliases, ...children(node, path)];
  return [
    `${path.length > 1 ? '###' : '##'} netctl ${path.join(' ')}`,
    `${node.summary}.${node.details === undefined ? '' : ` ${node.details}`}`,
    fence(usageOf(node, path)),
    ...aliases,
    ...(node.flags.length === 0 ? [] : [flagTable(node.flags)]),
    fence(node.examples.flatMap(({ line, what }) => [`# ${what}`, `netctl ${line}`]).join('\n')),
  ];
}

const fence = (text: string): string => ['```', text, '```'].join('\n');

const children = (branch: Branch, path: readonly string[]): string[] =>
  branch.commands.flatMap((node) => section(node, [...path, node.name]));

const flagTable = (flags: Grammar['globals']): string =>
  ['| flag | |', '|---|---|', ...flags.map((flag) => `| \`${flagNames(flag)}\` | ${flagNotes(flag)} |`)].join('\n');
