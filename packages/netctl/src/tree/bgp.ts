import type { Branch } from '../cli/command.js';
import { jsonFlag, quietFlag } from './flags.js';

const commands = () => import('../commands/bgp.js');
const missing = 'Host name required';
const host = { name: 'hostname', of: 'host' } as const;

export const bgp: Branch = {
  kind: 'branch',
  name: 'bgp',
  summary: 'BGP: the router each host speaks to',
  examples: [
    { line: 'bgp create node1 --router-ip=50.1.1.1/24 --as=65002 --neighbor-as=65001 --neighbor=50.1.1.2', what: 'The peer of node1' },
  ],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Set the BGP peer of a host, or replace it',
      details: 'The settings are stored and shown; this version does not speak BGP by them.',
      args: [host],
      missing,
      flags: [
        { name: 'router-ip', kind: 'text', value: 'CIDR', help: 'address of the host towards the router (50.1.1.1/24)' },
        { name: 'as', kind: 'text', value: 'number', help: 'autonomous system of the host' },
        { name: 'neighbor-as', kind: 'text', value: 'number', help: 'autonomous system of the router' },
        { name: 'neighbor', kind: 'text', value: 'address', help: 'address of the router' },
      ],
      examples: [
        { line: 'bgp create node1 --router-ip=50.1.1.1/24 --as=65002 --neighbor-as=65001 --neighbor=50.1.1.2', what: 'The peer of node1' },
      ],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show the BGP settings of a host',
      args: [host],
      missing,
      flags: [],
      examples: [{ line: 'bgp inspect node1', what: 'Prints the settings of node1' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List the BGP settings of all hosts',
      args: [],
      flags: [jsonFlag, quietFlag],
      examples: [{ line: 'bgp ls', what: 'Lists hosts, their routers and autonomous systems' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete the BGP settings of a host',
      args: [host],
      missing,
      flags: [],
      examples: [{ line: 'bgp rm node1', what: 'Leaves node1 without a peer' }],
      load: async () => (await commands()).remove,
    },
  ],
};
