import type { Branch } from '../cli/command.js';
import { allFlag, jsonFlag, tenantFlag } from './flags.js';

const commands = () => import('../commands/global.js');

export const global: Branch = {
  kind: 'branch',
  name: 'global',
  summary: 'Settings of the whole cluster',
  examples: [{ line: 'global info', what: 'Prints the settings' }],
  commands: [
    {
      kind: 'leaf',
      name: 'info',
      summary: 'Show the settings',
      args: [],
      // Tenant and "all" are taken for the sake of old scripts.
      flags: [jsonFlag, { ...tenantFlag('taken, without effect') }, { ...allFlag, help: 'taken, without effect' }],
      examples: [{ line: 'global info', what: 'Prints the settings, one a line' }],
      load: async () => (await commands()).info,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show the settings and the tags in use',
      args: [],
      flags: [],
      examples: [{ line: 'global inspect', what: 'Prints the settings with the VLANs and VNIs in use' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'set',
      summary: 'Change settings; what is not named stays as it is',
      args: [],
      flags: [
        {
          name: 'fabric-mode',
          short: 'f',
          kind: 'text',
          value: 'mode',
          choices: ['default', 'aci', 'aci-opflex'],
          help: 'physical fabric',
        },
        { name: 'vlan-range', short: 'v', kind: 'text', value: 'range', help: 'VLAN ids to choose from (1-4094)' },
        { name: 'vxlan-range', short: 'x', kind: 'text', value: 'range', help: 'VNIs to choose from (1-16777215)' },
        {
          name: 'fwd-mode',
          short: 'b',
          kind: 'text',
          value: 'mode',
          choices: ['bridge', 'routing'],
          help: 'forwarding, while there are no networks',
        },
        { name: 'arp-mode', short: 'a', kind: 'text', value: 'mode', choices: ['proxy', 'flood'], help: 'how addresses are resolved' },
        {
          name: 'private-subnet',
          short: 's',
          kind: 'text',
          value: 'CIDR',
          help: 'subnet of the hosts themselves, a /16, while there are no networks',
        },
      ],
      examples: [
        { line: 'global set --vlan-range 100-199', what: 'Networks without a tag of their own get VLANs 100 to 199' },
        { line: 'global set --fwd-mode bridge', what: 'Hosts bridge instead of routing' },
      ],
      load: async () => (await commands()).set,
    },
  ],
};
