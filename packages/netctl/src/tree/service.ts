import type { Branch } from '../cli/command.js';
import { listFlags, tenantFlag } from './flags.js';

const commands = () => import('../commands/service.js');
const service = { name: 'service', of: 'service' } as const;

export const serviceTree: Branch = {
  kind: 'branch',
  name: 'service',
  summary: 'Services: one address in front of several containers',
  examples: [
    { line: 'service create -s contiv-net -l app=web -p 80:8080:TCP web', what: 'Port 80 of the service is port 8080 of its containers' },
  ],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create a service, or change one',
      details: 'Services are stored and shown with the containers that would provide them; this version does not serve their address.',
      args: [{ name: 'service' }],
      missing: 'Service name required',
      flags: [
        tenantFlag(),
        { name: 'network', short: 's', kind: 'text', value: 'name', of: 'network', help: 'network the address is taken from' },
        { name: 'selector', short: 'l', kind: 'list', value: 'label=value', help: 'label of the containers that provide it' },
        {
          name: 'port',
          short: 'p',
          kind: 'list',
          value: 'ports',
          help: 'port of the service, port of the containers, protocol (80:8080:TCP)',
        },
        { name: 'preferred-ip', short: 'ip', kind: 'text', value: 'address', help: 'address the service would like to have' },
      ],
      examples: [
        { line: 'service create -s contiv-net -l app=web -l tier=1 -p 80:8080:TCP web', what: 'Containers with both labels provide it' },
      ],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show a service with its providers',
      args: [service],
      missing: 'Service group name required',
      flags: [tenantFlag()],
      examples: [{ line: 'service inspect web', what: 'Prints the service web' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List services',
      args: [],
      flags: listFlags,
      examples: [{ line: 'service ls -a', what: 'Lists the services of all tenants' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete a service',
      args: [service],
      missing: 'Service name required',
      flags: [tenantFlag()],
      examples: [{ line: 'service rm web', what: 'Deletes the service web' }],
      load: async () => (await commands()).remove,
    },
  ],
};
