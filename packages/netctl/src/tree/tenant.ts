import type { Branch } from '../cli/command.js';
import { jsonFlag, quietFlag } from './flags.js';

const commands = () => import('../commands/tenant.js');
const missing = 'Tenant name required';

export const tenant: Branch = {
  kind: 'branch',
  name: 'tenant',
  summary: 'Tenants: names, addresses and policies of their own',
  examples: [{ line: 'tenant create blue', what: 'Makes the tenant blue' }],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create a tenant, or change the posture of one',
      args: [{ name: 'tenant' }],
      missing,
      flags: [
        {
          name: 'posture',
          kind: 'text',
          value: 'what',
          choices: ['allow', 'deny'],
          help: 'what becomes of connections that no rule matches',
        },
      ],
      examples: [
        { line: 'tenant create blue', what: 'Makes the tenant blue' },
        { line: 'tenant create --posture=deny blue', what: 'Only what a rule allows may connect; also for a tenant that exists' },
      ],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show a tenant with its networks, groups and endpoints',
      args: [{ name: 'tenant', of: 'tenant' }],
      missing,
      flags: [],
      examples: [{ line: 'tenant inspect blue', what: 'Prints the tenant blue and what is in it' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List tenants',
      args: [],
      flags: [quietFlag, jsonFlag],
      examples: [
        { line: 'tenant ls', what: 'Lists the tenants' },
        { line: 'tenant ls -o wide', what: 'Lists them with the number of networks, groups and endpoints in each' },
      ],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete an empty tenant',
      args: [{ name: 'tenant', of: 'tenant' }],
      missing,
      flags: [],
      examples: [{ line: 'tenant rm blue', what: 'Deletes the tenant blue, which has no networks and groups left' }],
      load: async () => (await commands()).remove,
    },
  ],
};
