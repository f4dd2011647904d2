import type { Leaf } from '../cli/command.js';
import { jsonFlag } from './flags.js';

export const trace: Leaf = {
  kind: 'leaf',
  name: 'trace',
  summary: 'Show the way a connection takes, or where it dies and why',
  details:
    'Worked out from what is configured, and tried on the hosts concerned: their own programs run on a synthetic packet, with the tables at work; nothing is sent. Where the two differ, the command that mends it is named. Ends with 0 when the other end is reachable, else with 1.',
  args: [{ name: 'from', of: 'endpoint' }, { name: 'to', of: 'endpoint' }, { name: 'service' }],
  missing: 'Who calls whom, and how, required: netctl trace web db tcp/443',
  flags: [
    {
      name: 'tenant',
      short: 't',
      kind: 'text',
      value: 'name',
      of: 'tenant',
      help: 'tenant of the caller, where its name or address is in several',
    },
    { name: 'network', short: 'n', kind: 'text', value: 'name', of: 'network', help: "network of the caller's end" },
    jsonFlag,
  ],
  examples: [
    { line: 'trace web-1 db-1 tcp/5432', what: 'From one container to another one' },
    { line: 'trace -t blue 10.1.2.3 10.1.2.4 icmp', what: 'By address; tenants may have the same ones' },
    { line: 'trace web-1 db tcp/5432', what: 'To every container of the group or service db' },
    { line: 'trace web-1 192.0.2.10 tcp/443', what: 'Out of the tenant' },
  ],
  load: async () => (await import('../commands/trace.js')).trace,
};

export const doctor: Leaf = {
  kind: 'leaf',
  name: 'doctor',
  summary: 'Look at every host and say what is wrong, and what to do about it',
  details:
    'Versions, clocks, MTUs, ports, sync with netmaster, drift that was repaired, the way between all hosts at full packet size, pools running out, names that are there twice, and whatever agents report. Ends with 0 when nothing is wrong, else with 1.',
  args: [],
  flags: [jsonFlag],
  examples: [{ line: 'doctor', what: 'One page about the whole cluster' }],
  load: async () => (await import('../commands/doctor.js')).doctor,
};
