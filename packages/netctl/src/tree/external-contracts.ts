import type { Branch } from '../cli/command.js';
import { listFlags, tenantFlag } from './flags.js';

const commands = () => import('../commands/external-contracts.js');
const missing = 'Contracts group name required';

export const externalContracts: Branch = {
  kind: 'branch',
  name: 'external-contracts',
  summary: 'External contracts: what groups provide to or consume from an ACI fabric',
  examples: [{ line: 'external-contracts create -c -a uni/tn-common/brc-default ext', what: 'Contracts that groups consume' }],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create a group of external contracts',
      args: [{ name: 'name' }],
      missing,
      flags: [
        tenantFlag(),
        { name: 'consumed', short: 'c', kind: 'switch', help: 'the groups consume them' },
        { name: 'provided', short: 'p', kind: 'switch', help: 'the groups provide them' },
        { name: 'contract', short: 'a', kind: 'list', value: 'DN', help: 'distinguished name of a contract' },
      ],
      examples: [{ line: 'external-contracts create -p -a uni/tn-common/brc-default ext', what: 'Contracts that groups provide' }],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List groups of external contracts',
      args: [],
      flags: listFlags,
      examples: [{ line: 'external-contracts ls -a', what: 'Lists those of all tenants' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete a group of external contracts that no endpoint group has',
      args: [{ name: 'name', of: 'external-contracts' }],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'external-contracts rm ext', what: 'Deletes the contracts ext' }],
      load: async () => (await commands()).remove,
    },
  ],
};
