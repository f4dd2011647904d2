import { enter, exit, MASTER, ssh } from '../parts.js';
import type { Chapter } from '../step.js';
import { B, dropped, INCOMING, reached } from './parts.js';

export const tcp: Chapter = {
  title: 'Chapter 2: TCP, and which rule wins',
  about:
    'Of all rules that match, the one with the highest priority decides. Here TCP from epgA is denied, whatever the port, and one port is allowed with a higher priority. ' +
    'A rule decides about a connection: what answers belongs to it and needs no rule of its own.',
  steps: [
    { command: 'netctl policy rule-add -t TestTenant -d in --protocol tcp --port 0 --from-group epgA --action deny policyAB 2' },
    {
      command:
        'netctl policy rule-add -t TestTenant -d in --protocol tcp --port 8001 --from-group epgA --action allow --priority 10 policyAB 3',
    },
    {
      command: 'netctl policy rule-ls -t TestTenant policyAB',
      shows: INCOMING,
      rows: ['1 1 epgA icmp 0 deny', '2 1 epgA tcp 0 deny', '3 10 epgA tcp 8001 allow'],
    },
    { ...ssh(MASTER), terminal: 'second' },
    { command: 'export DOCKER_HOST=tcp://192.168.2.50:2375', terminal: 'second' },
    { ...enter('BContainer'), terminal: 'second' },
    { command: 'iperf -s -p 8001', terminal: 'second' },
    { command: 'iperf -s -p 8000', terminal: 'second' },
    enter('AContainer'),
    reached(8001),
    dropped(8000),
    exit,
    // Its own group is not meant: B reaches itself, and what it opens to A is no business of a rule on what comes in.
    { ...reached(8000), terminal: 'second' },
    { command: `ping -c 1 ${B}`, terminal: 'second', shows: ['1 packets transmitted, 1 packets received, 0% packet loss'] },
    { ...exit, terminal: 'second' },
  ],
};
