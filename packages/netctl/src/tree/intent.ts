/** `apply`, `diff` and `export`. */
import type { Flag, Leaf } from '../cli/command.js';

const commands = () => import('../commands/intent.js');
export const fileFlag: Flag = {
  name: 'file',
  short: 'f',
  kind: 'text',
  value: 'file',
  file: true,
  help: 'YAML or JSON; - for standard input',
};
const prune = (help: string): Flag => ({ name: 'prune', kind: 'switch', help });

export const apply: Leaf = {
  kind: 'leaf',
  name: 'apply',
  summary: 'Make the cluster what a file says',
  details:
    'All of it or nothing: everything is checked before the first write, and nobody ever sees half of it. What the file does not name stays as it is, unless --prune is given. Applied again there is nothing to do.',
  args: [],
  flags: [
    fileFlag,
    { name: 'dry-run', kind: 'switch', help: 'show what would be done, in which order, and change nothing' },
    prune('delete what the file does not have; asks first'),
    { name: 'yes', short: 'y', kind: 'switch', help: 'do not ask' },
  ],
  examples: [
    { line: 'apply -f cluster.yaml', what: 'Creates and changes what the file names' },
    {
      line: 'apply -f cluster.yaml --dry-run --prune',
      what: 'Shows what would be created, changed and deleted, in order',
    },
    { line: 'apply -f - --prune --yes', what: 'Takes the file from standard input and deletes without asking' },
  ],
  load: async () => (await commands()).apply,
};

export const diff: Leaf = {
  kind: 'leaf',
  name: 'diff',
  summary: 'Show what apply would change',
  details: 'Ends with 0 when there is nothing to do, with 1 when there is.',
  args: [],
  flags: [fileFlag, prune('count what the file does not have as a difference')],
  examples: [
    { line: 'diff -f cluster.yaml', what: 'One line for each object that would be created (+) or changed (~)' },
    { line: 'diff -f cluster.yaml --prune -o json', what: 'Deletions (-) as well, as JSON' },
  ],
  load: async () => (await commands()).diff,
};

export const exportTree: Leaf = {
  kind: 'leaf',
  name: 'export',
  summary: 'Print what was asked of the cluster as a file for apply',
  details: 'Only what people set, in an order that stays the same; what was given out or worked out is not in it.',
  args: [],
  flags: [],
  examples: [
    { line: 'export > cluster.yaml', what: 'Everything in all tenants, as YAML' },
    { line: 'export -o json', what: 'The same as JSON, which apply takes as well' },
  ],
  load: async () => (await commands()).exportIntent,
};
