import type { Branch } from '../cli/command.js';
import { jsonFlag, quietFlag } from './flags.js';

const commands = () => import('../commands/host.js');
const missing = 'Host name required';

export const host: Branch = {
  kind: 'branch',
  name: 'host',
  summary: 'Hosts: where netplugin runs',
  examples: [{ line: 'host ls', what: 'Lists the hosts and says which are connected' }],
  commands: [
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show a host',
      args: [{ name: 'host', of: 'host' }],
      missing,
      flags: [],
      examples: [{ line: 'host inspect node1', what: 'Prints the addresses, the MTU and the version of node1' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List hosts',
      args: [],
      flags: [jsonFlag, quietFlag],
      examples: [{ line: 'host ls', what: 'Lists the hosts and says which are connected' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'repair',
      summary: "Compare a host's tables with what they should hold, and mend them now",
      details: 'Every agent does so by itself every 30 s; trace and doctor name this command where waiting for it is too long.',
      args: [{ name: 'host', of: 'host' }],
      missing,
      flags: [jsonFlag],
      examples: [{ line: 'host repair node1', what: 'Mends the tables of node1 and prints what differed' }],
      load: async () => (await commands()).repair,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Forget a host that is gone for good, and release what it held',
      args: [{ name: 'host', of: 'host' }],
      missing,
      flags: [],
      examples: [{ line: 'host rm node1', what: 'Releases the addresses and endpoints of node1' }],
      load: async () => (await commands()).remove,
    },
    {
      kind: 'leaf',
      name: 'rules',
      summary: "Show what Contiv added to a host's packet filter",
      args: [{ name: 'host', of: 'host' }],
      missing,
      flags: [jsonFlag],
      examples: [{ line: 'host rules node1', what: 'Prints our nftables tables and iptables rules of node1' }],
      load: async () => (await commands()).rules,
    },
  ],
};
