import type { Branch } from '../cli/command.js';
import { listFlags, tenantFlag } from './flags.js';

const commands = () => import('../commands/network.js');
const missing = 'Network name required';

export const network: Branch = {
  kind: 'branch',
  name: 'network',
  aliases: ['net'],
  summary: 'Networks: subnets that containers on all hosts share',
  examples: [{ line: 'net create --subnet=10.1.2.0/24 contiv-net', what: 'Makes a VXLAN network for the tenant default' }],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create a network',
      details:
        'The network appears on every host as Docker network, named after it; networks of other tenants than default have the tenant behind a slash (contiv-net/blue).',
      args: [{ name: 'network' }],
      missing,
      flags: [
        tenantFlag(),
        { name: 'nw-type', short: 'n', kind: 'text', value: 'type', default: 'data', choices: ['data', 'infra'], help: 'what it is for' },
        { name: 'encap', short: 'e', kind: 'text', value: 'type', default: 'vxlan', choices: ['vlan', 'vxlan'], help: 'encapsulation' },
        { name: 'pkt-tag', short: 'p', kind: 'number', value: 'number', default: 0, help: 'VLAN id or VNI; 0 takes the lowest free one' },
        { name: 'subnet', short: 's', kind: 'text', value: 'CIDR', help: 'IPv4 subnet, or a range within one (10.1.2.10-10.1.2.99/24)' },
        { name: 'gateway', short: 'g', kind: 'text', value: 'address', help: 'IPv4 gateway; without one Docker adds eth1 for the way out' },
        { name: 'subnetv6', short: 's6', kind: 'text', value: 'CIDR', help: 'IPv6 subnet' },
        { name: 'gatewayv6', short: 'g6', kind: 'text', value: 'address', help: 'IPv6 gateway' },
        { name: 'nw-tag', short: 'tag', kind: 'text', value: 'name', help: 'name of your own for the network, shown by inspect' },
      ],
      examples: [
        { line: 'net create --subnet=10.1.2.0/24 contiv-net', what: 'A VXLAN network of the tenant default; its VNI is chosen' },
        { line: 'net create -t blue --subnet=10.1.2.0/24 contiv-net', what: 'The same name and subnet for the tenant blue' },
        { line: 'net create -p 112 -e vlan -s 10.1.3.0/24 contiv-vlan', what: 'VLAN 112 of the physical network' },
        {
          line: 'net create -s 10.1.4.0/24 -g 10.1.4.1 -s6 2001:db8:4::/64 -g6 2001:db8:4::1 web',
          what: 'IPv4 and IPv6, each with a gateway',
        },
      ],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show a network with its tag, addresses and endpoints',
      args: [{ name: 'network', of: 'network' }],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'net inspect -t blue contiv-net', what: 'Prints what the network holds at the moment' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List networks',
      args: [],
      flags: listFlags,
      examples: [
        { line: 'net ls', what: 'Lists the networks of the tenant default' },
        { line: 'net ls -a -o wide', what: 'Lists those of all tenants with tag, endpoints and Docker name' },
      ],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete a network without endpoints',
      args: [{ name: 'network', of: 'network' }],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'net rm -t blue contiv-net', what: "Deletes blue's contiv-net, here and on every engine" }],
      load: async () => (await commands()).remove,
    },
  ],
};
