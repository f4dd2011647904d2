import type { Branch } from '../cli/command.js';
import { jsonFlag } from './flags.js';

const commands = () => import('../commands/aci-gw.js');

export const aciGw: Branch = {
  kind: 'branch',
  name: 'aci-gw',
  summary: 'Settings of the gateway to an ACI fabric',
  examples: [{ line: 'aci-gw info', what: 'Shows the settings' }],
  commands: [
    {
      kind: 'leaf',
      name: 'info',
      summary: 'Show the settings',
      args: [],
      flags: [jsonFlag],
      examples: [{ line: 'aci-gw info', what: 'Shows bindings, domain and switches' }],
      load: async () => (await commands()).info,
    },
    {
      kind: 'leaf',
      name: 'inspect',
      summary: 'Show the settings with what uses them',
      args: [],
      flags: [],
      examples: [{ line: 'aci-gw inspect', what: 'Prints the settings as JSON' }],
      load: async () => (await commands()).inspect,
    },
    {
      kind: 'leaf',
      name: 'set',
      summary: 'Replace the settings',
      details: 'The settings are stored and shown; this version speaks to no ACI fabric.',
      args: [],
      flags: [
        {
          name: 'path-bindings',
          short: 'p',
          kind: 'text',
          value: 'list',
          help: 'ports of the fabric, comma separated',
        },
        { name: 'node-bindings', short: 'n', kind: 'text', value: 'list', help: 'nodes of the fabric, comma separated' },
        { name: 'phys-dom', short: 'd', kind: 'text', value: 'name', help: 'physical domain' },
        {
          name: 'enforce-policies',
          short: 'e',
          kind: 'text',
          value: 'yes or no',
          default: 'yes',
          choices: ['yes', 'no'],
          help: 'does the fabric enforce policies',
        },
        {
          name: 'include-common-tenant',
          short: 'i',
          kind: 'text',
          value: 'yes or no',
          default: 'no',
          choices: ['yes', 'no'],
          help: 'contracts of the tenant common as well',
        },
      ],
      examples: [{ line: 'aci-gw set -d allvlans -p topology/pod-1/paths-101/pathep-[eth1/1]', what: 'One port of the fabric' }],
      load: async () => (await commands()).set,
    },
  ],
};
