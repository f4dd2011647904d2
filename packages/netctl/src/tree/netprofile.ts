import type { Branch } from '../cli/command.js';
import { listFlags, tenantFlag } from './flags.js';

const commands = () => import('../commands/netprofile.js');
const missing = 'Net profile name required';
const profile = { name: 'name', of: 'netprofile' } as const;

export const netprofile: Branch = {
  kind: 'branch',
  name: 'netprofile',
  summary: 'Network profiles: bandwidth and DSCP of groups',
  examples: [{ line: 'netprofile create -b 10Mbps gold', what: 'Makes the profile gold' }],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create a network profile, or change one',
      details: 'The containers of a group share its bandwidth on each host, in either direction; what they send is marked with its DSCP.',
      args: [{ name: 'name' }],
      missing,
      flags: [
        tenantFlag(),
        { name: 'bandwidth', short: 'b', kind: 'text', value: 'rate', help: 'most bits per second (10Mbps, 1g)' },
        { name: 'dscp', short: 'd', kind: 'number', value: 'number', default: 0, help: 'IP DSCP, 1 to 63; 0 changes nothing' },
        { name: 'burst', short: 's', kind: 'number', value: 'kilobytes', default: 0, help: 'how much may go at once' },
      ],
      examples: [{ line: 'netprofile create -b 10Mbps -s 80 -d 46 gold', what: 'At most 10 Mbit/s, bursts of 80 kB, marked as expedited' }],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show a network profile',
      args: [profile],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'netprofile inspect gold', what: 'Prints the profile gold with its groups' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List network profiles',
      args: [],
      flags: listFlags,
      examples: [{ line: 'netprofile ls -a', what: 'Lists the profiles of all tenants' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete a network profile that no group has',
      args: [profile],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'netprofile rm gold', what: 'Deletes the profile gold' }],
      load: async () => (await commands()).remove,
    },
  ],
};
