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

export const selftest: Leaf = {
  kind: 'leaf',
  name: 'selftest',
  summary: 'Try who reaches whom, with throw-away containers on every host',
  details:
    'In two tenants of its own with the same addresses, four containers a host: ping, packets as large as the network takes, names, IPv6, a port that a policy allows and one it denies, and that the tenants do not reach each other. Every failure is traced. All of it is removed at the end, whatever the end is; --clean removes what a run left that was killed. The addresses are 198.18.0.0/15 and 2001:2:0:18::/64. Ends with 0 when every host was tested and every probe passed, else with 1.',
  args: [],
  flags: [
    {
      name: 'docker',
      kind: 'text',
      value: 'URL',
      env: 'DOCKER_HOST',
      help: 'a swarm in front of all engines, or the engines themselves, comma separated; with TLS as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH say',
    },
    { name: 'image', kind: 'text', value: 'name', default: 'alpine', help: 'image of the containers, there already on every host' },
    { name: 'vlan', kind: 'number', value: 'tag', help: 'try that VLAN as well, which nobody uses; a second VXLAN without' },
    { name: 'no-ipv6', kind: 'switch', help: 'leave IPv6 out, for hosts that have none' },
    { name: 'clean', kind: 'switch', help: 'only remove what earlier runs left; ends those that go on' },
    jsonFlag,
  ],
  examples: [
    { line: 'selftest --docker tcp://192.168.2.50:2375', what: 'All hosts, by the swarm in front of them' },
    { line: 'selftest --docker tcp://192.168.2.50:2385,tcp://192.168.2.51:2385 --vlan 112', what: 'Two engines, and a VLAN' },
    { line: 'selftest --clean', what: 'Removes what is left of a run that was killed; engines of DOCKER_HOST' },
  ],
  load: async () => (await import('../commands/selftest.js')).selftest,
};
