import type { Branch, Flag } from '../cli/command.js';
import { allFlag, jsonFlag, listFlags, quietFlag, tenantFlag } from './flags.js';

const commands = () => import('../commands/app-profile.js');
const missing = 'Profile name required';
const profile = { name: 'name', of: 'app-profile' } as const;
const groups: Flag = {
  name: 'group',
  short: 'g',
  kind: 'text',
  value: 'names',
  of: 'group',
  several: true,
  help: 'groups that belong to it, comma separated',
};

export const appProfile: Branch = {
  kind: 'branch',
  name: 'app-profile',
  summary: 'Application profiles: groups that make up one application',
  examples: [{ line: 'app-profile create -g web,db shop', what: 'The application shop is made of the groups web and db' }],
  commands: [
    {
      kind: 'leaf',
      name: 'create',
      summary: 'Create an application profile',
      args: [{ name: 'name' }],
      missing,
      flags: [tenantFlag(), groups],
      examples: [{ line: 'app-profile create -g web,db shop', what: 'The application shop is made of the groups web and db' }],
      load: async () => (await commands()).create,
    },
    {
      kind: 'leaf',
      name: 'group-ls',
      aliases: ['group-list'],
      summary: 'List the groups of an application profile',
      args: [profile],
      missing,
      // "All" is taken for the sake of old scripts.
      flags: [tenantFlag(), { ...allFlag, help: 'taken, without effect' }, jsonFlag, quietFlag],
      examples: [{ line: 'app-profile group-ls shop', what: 'Lists the groups of shop' }],
      load: async () => (await commands()).groupList,
    },
    {
      kind: 'leaf',
      name: 'ls',
      aliases: ['list'],
      summary: 'List application profiles',
      args: [],
      flags: listFlags,
      examples: [{ line: 'app-profile ls -a', what: 'Lists the application profiles of all tenants' }],
      load: async () => (await commands()).list,
    },
    {
      kind: 'leaf',
      name: 'rm',
      aliases: ['delete'],
      summary: 'Delete an application profile; its groups stay',
      args: [profile],
      missing,
      flags: [tenantFlag()],
      examples: [{ line: 'app-profile rm shop', what: 'Deletes the application profile shop' }],
      load: async () => (await commands()).remove,
    },
    {
      kind: 'leaf',
      name: 'update',
      summary: 'Replace the groups of an application profile',
      args: [profile],
      missing,
      flags: [tenantFlag(), groups],
      examples: [{ line: 'app-profile update -g web,db,cache shop', what: 'The group cache joins' }],
      load: async () => (await commands()).update,
    },
  ],
};
