import type { Branch } from '../cli/command.js';
import { listFlags, tenantFlag } from './flags.js';

const commands = () => import('../commands/group.js');
const missing = 'EndpointGroup name required';

export const group: Branch = {
  kind: 'branch',
  name: 'group',
  summary: 'Endpoint groups: containers of one network that are treated alike',
  examples: [{ line: 'group create contiv-net web', what: 'Makes the group web on contiv-net' }],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create a group on a network, or replace the policies and profiles of one',
      details:
        'On a group that exists, the lists given here replace the ones it has; a list that is left out becomes empty. Network and address pool stay as they were made.',
      args: [{ name: 'network', of: 'network' }, { name: 'group' }],
      missing: 'Network and group name required',
      flags: [
        tenantFlag(),
        {
          name: 'policy',
          short: 'p',
          kind: 'list',
          value: 'name',
          help: 'policy that applies to the group',
          of: 'policy',
        },
        { name: 'networkprofile', short: 'n', kind: 'text', value: 'name', help: 'network profile: bandwidth and DSCP', of: 'netprofile' },
        {
          name: 'external-contract',
          short: 'e',
          kind: 'list',
          value: 'name',
          help: 'group of external contracts',
          of: 'external-contracts',
        },
        { name: 'ip-pool', short: 'r', kind: 'text', value: 'range', help: "the group's own addresses (10.1.2.20-10.1.2.29)" },
        { name: 'epg-tag', short: 'tag', kind: 'text', value: 'name', help: 'name of your own for the group, shown by inspect' },
      ],
      examples: [
        { line: 'group create contiv-net web', what: 'Makes the group web on contiv-net; Docker sees a network of that name' },
        { line: 'group create -t blue -r 10.1.2.20-10.1.2.29 contiv-net db', what: 'Its containers get addresses from the pool only' },
      ],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show a group with its addresses and endpoints',
      args: [{ name: 'group', of: 'group' }],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'group inspect web', what: 'Prints what the group holds at the moment' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List groups',
      args: [],
      flags: listFlags,
      examples: [{ line: 'group ls -t blue', what: 'Lists the groups of the tenant blue' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete a group without endpoints',
      args: [{ name: 'group', of: 'group' }],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'group rm web', what: 'Deletes the group web' }],
      load: async () => (await commands()).remove,
    },
  ],
};
