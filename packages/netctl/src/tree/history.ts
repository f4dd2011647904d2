import type { Leaf } from '../cli/command.js';

export const history: Leaf = {
  kind: 'leaf',
  name: 'history',
  summary: 'Show who changed what, and when',
  details:
    'Oldest first. An object is named by its kind (policy), kind and key (policy/blue:web), key or name; what belongs to it, as the rules of a policy, is shown with it. netmaster keeps 2,000 changes and 90 days; secrets are not among them.',
  args: [],
  rest: { name: 'object' },
  flags: [
    {
      name: 'since',
      kind: 'text',
      value: 'time',
      help: 'only what was changed since: 90s, 5m, 2h, 7d, or a time like 2026-11-26T12:00:00Z',
    },
  ],
  examples: [
    { line: 'history --since 1h', what: 'Everything that was changed in the last hour, from where and with what' },
    { line: 'history blue:web -o json', what: 'What became of the policy, group or network web of the tenant blue' },
  ],
  load: async () => (await import('../commands/history.js')).history,
};
