import type { Flag, Leaf } from '../cli/command.js';
import { jsonFlag } from './flags.js';

const commands = () => import('../commands/flows.js');

const peer = (name: string, who: string): Flag => ({
  name,
  kind: 'text',
  value: 'who',
  help: `of this ${who}: container, group, network, host, address or CIDR`,
});
const filters: readonly Flag[] = [
  { name: 'tenant', short: 't', kind: 'text', value: 'name', help: 'of this tenant only', of: 'tenant' },
  peer('from', 'caller'),
  peer('to', 'called one'),
  { name: 'service', short: 'l', kind: 'text', value: 'service', help: 'protocol and port that is called: tcp/443, udp/53, icmp, tcp' },
];

export const flows: Leaf = {
  kind: 'leaf',
  name: 'flows',
  summary: 'Show who talks to whom, who is denied, and by which rule',
  details:
    'Connections of all hosts, with names; what both hosts of a connection recorded is one line. Hosts keep as much of the past as they are given room for (netplugin --flow-log-size), and record a bounded number of connections a second: what is left out is said.',
  args: [],
  flags: [
    { name: 'follow', short: 'f', kind: 'switch', help: 'go on with what happens from now on' },
    ...filters,
    { name: 'verdict', kind: 'text', value: 'what', choices: ['allow', 'deny'], help: 'only those that were allowed, or denied' },
    { name: 'since', kind: 'text', value: 'time', help: 'how far back: 90s, 5m, 2h, 1d' },
    {
      name: 'last',
      short: 'n',
      kind: 'number',
      value: 'number',
      default: 100,
      help: 'so many that are over; those that go on come besides',
    },
    jsonFlag,
  ],
  examples: [
    { line: 'flows --verdict deny --since 5m', what: 'Who was denied in the last five minutes, by which policy and rule' },
    { line: 'flows -f --from web --to db', what: 'Connections from the group web to db, as they happen' },
    { line: 'flows --since 1h -n 10000 -o json > flows.ndjson', what: 'The last hour, one JSON object per line' },
  ],
  load: async () => (await commands()).flows,
};

export const top: Leaf = {
  kind: 'leaf',
  name: 'top',
  summary: 'Show what is busiest at the moment',
  details: 'Refreshes on a terminal until Ctrl-C; elsewhere, and with -o json, it prints once.',
  args: [],
  flags: [
    ...filters,
    {
      name: 'by',
      kind: 'text',
      value: 'what',
      default: 'connection',
      choices: ['connection', 'container', 'group'],
      help: 'what is added up',
    },
    { name: 'interval', kind: 'number', value: 'seconds', default: 2, help: 'time over which is measured' },
    { name: 'last', short: 'n', kind: 'number', value: 'number', default: 20, help: 'lines' },
    jsonFlag,
  ],
  examples: [
    { line: 'top', what: 'The busiest connections, refreshed every two seconds' },
    { line: 'top --by group -o json', what: 'Traffic between groups over two seconds, as JSON' },
  ],
  load: async () => (await commands()).top,
};
