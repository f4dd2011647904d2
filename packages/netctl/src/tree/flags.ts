/** Flags that several commands share (spec/contiv §3.1). */
import type { Flag } from '../cli/command.js';

export const DEFAULT_NETMASTER = 'http://netmaster:9999';

export const globalFlags: readonly Flag[] = [
  {
    name: 'netmaster',
    kind: 'text',
    value: 'URL',
    default: DEFAULT_NETMASTER,
    env: 'NETMASTER',
    help: 'netmaster or auth_proxy to talk to; several, comma separated, are tried in turn',
  },
  { name: 'insecure', kind: 'switch', env: 'INSECURE', help: 'take any TLS certificate' },
  { name: 'output', short: 'o', kind: 'text', value: 'format', choices: ['json', 'yaml', 'wide'], help: 'print as' },
  { name: 'no-color', kind: 'switch', env: 'NO_COLOR', help: 'no colours' },
];

export const tenantFlag = (help = 'tenant it belongs to'): Flag => ({
  name: 'tenant',
  short: 't',
  kind: 'text',
  value: 'name',
  default: 'default',
  help,
  of: 'tenant',
});

export const allFlag: Flag = { name: 'all', short: 'a', kind: 'switch', help: 'of all tenants' };
export const jsonFlag: Flag = { name: 'json', short: 'j', kind: 'switch', help: 'print as JSON, the same as -o json' };
export const quietFlag: Flag = { name: 'quiet', short: 'q', kind: 'switch', help: 'print names only' };
/** Of lists that belong to a tenant. */
export const listFlags: readonly Flag[] = [tenantFlag('tenant whose objects are listed'), allFlag, jsonFlag, quietFlag];
