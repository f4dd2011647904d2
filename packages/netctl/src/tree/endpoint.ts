import type { Branch } from '../cli/command.js';
import { jsonFlag, listFlags, tenantFlag } from './flags.js';

const commands = () => import('../commands/endpoint.js');

export const endpoint: Branch = {
  kind: 'branch',
  name: 'endpoint',
  aliases: ['ep'],
  summary: 'Endpoints: the interfaces of containers',
  examples: [{ line: 'ep inspect contiv-c1', what: 'Prints where the container contiv-c1 is and which addresses it has' }],
  commands: [
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show an endpoint, found by a part of its id, its container id or its container name',
      args: [{ name: 'endpoint', of: 'endpoint' }],
      missing: 'Endpoint name required',
      flags: [],
      examples: [{ line: 'endpoint inspect contiv-c1', what: 'Prints host, network, addresses and labels' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List endpoints',
      args: [],
      flags: listFlags,
      examples: [{ line: 'ep ls -a', what: 'Lists which container has which address on which host, of all tenants' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'relabel',
      summary: 'Move a running endpoint to another group of its network, at once and with its address',
      args: [
        { name: 'endpoint', of: 'endpoint' },
        { name: 'group', of: 'group' },
      ],
      missing: 'Endpoint and group name required',
      flags: [
        tenantFlag('tenant of the endpoint'),
        {
          name: 'network',
          short: 'n',
          kind: 'text',
          value: 'name',
          help: 'network of the endpoint, where its container has several',
          of: 'network',
        },
        jsonFlag,
      ],
      examples: [
        { line: 'endpoint relabel contiv-c1 web', what: 'From now on the policies of the group web hold for contiv-c1' },
        { line: "endpoint relabel contiv-c1 ''", what: 'Takes contiv-c1 out of its group' },
      ],
      load: async () => (await commands()).relabel,
    },
  ],
};
