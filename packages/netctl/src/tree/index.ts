/** Every command (spec/contiv §3.3), as data; code is loaded by the command that runs. */
import type { Branch } from '../cli/command.js';
import type { Grammar } from '../cli/parse.js';
import { aciGw } from './aci-gw.js';
import { appProfile } from './app-profile.js';
import { bgp } from './bgp.js';
import { doctor, selftest, trace } from './diagnosis.js';
import { endpoint } from './endpoint.js';
import { externalContracts } from './external-contracts.js';
import { globalFlags } from './flags.js';
import { flows, top } from './flows.js';
import { global } from './global.js';
import { group } from './group.js';
import { history } from './history.js';
import { host } from './host.js';
import { apply, diff, exportTree } from './intent.js';
import { netprofile } from './netprofile.js';
import { network } from './network.js';
import { policy } from './policy.js';
import { serviceTree } from './service.js';
import { tenant } from './tenant.js';

const root: Branch = {
  kind: 'branch',
  name: 'netctl',
  summary: 'A command line client for Contiv netplugin',
  examples: [
    { line: 'net create --subnet=10.1.2.0/24 contiv-net', what: 'Makes a network' },
    { line: '--netmaster http://192.168.2.50:9999 net ls -a', what: 'Lists the networks of all tenants at that netmaster' },
    { line: 'get all', what: 'Shows everything there is' },
  ],
  commands: [
    aciGw,
    appProfile,
    apply,
    bgp,
    {
      kind: 'leaf',
      name: 'completion',
      summary: 'Print the completion script of a shell',
      details: 'Names of tenants, networks, groups, endpoints and hosts are completed as well; netmaster is asked for them while you type.',
      args: [{ name: 'shell', choices: ['bash', 'zsh', 'fish'] }],
      missing: 'Shell name required: bash, zsh or fish',
      flags: [],
      examples: [
        { line: 'completion bash > /etc/bash_completion.d/netctl', what: 'Completion for every user of bash' },
        { line: 'completion zsh > /usr/local/share/zsh/site-functions/_netctl', what: 'Completion for zsh' },
        { line: 'completion fish > ~/.config/fish/completions/netctl.fish', what: 'Completion for fish' },
      ],
      load: async () => (await import('../commands/completion.js')).completion,
    },
    diff,
    doctor,
    endpoint,
    exportTree,
    externalContracts,
    flows,
    {
      kind: 'branch',
      name: 'get',
      summary: 'Overviews',
      examples: [{ line: 'get all', what: 'Shows everything there is' }],
      commands: [
        {
          kind: 'leaf',
          name: 'all',
          summary: 'Show everything in all tenants',
          args: [],
          flags: [],
          examples: [
            { line: 'get all', what: 'Settings, tenants, networks, groups, endpoints and hosts' },
            { line: 'get all -o yaml', what: 'The same, to keep or to compare' },
          ],
          load: async () => (await import('../commands/get-all.js')).getAll,
        },
      ],
    },
    global,
    group,
    history,
    host,
    {
      kind: 'leaf',
      name: 'login',
      summary: 'Log in at an auth_proxy',
      details: 'Asks for name and password and keeps the token in ~/.netctl/config.json; delete that file to log out.',
      args: [],
      flags: [],
      examples: [{ line: '--netmaster https://192.168.2.50:10000 login', what: 'Logs in at the auth_proxy of that host' }],
      load: async () => (await import('../commands/login.js')).login,
    },
    netprofile,
    network,
    policy,
    selftest,
    serviceTree,
    tenant,
    top,
    trace,
    {
      kind: 'leaf',
      name: 'version',
      summary: 'Print the versions of netctl and netmaster',
      args: [],
      flags: [],
      examples: [{ line: 'version', what: 'Prints both versions' }],
      load: async () => (await import('../commands/version.js')).version,
    },
  ],
};

export const grammar: Grammar = { root, globals: globalFlags };
