import { enter, exit, inspection, NETWORK_COLUMNS, ping3, run } from '../parts.js';
import type { Chapter, Json } from '../step.js';

const blue = (n: number): Json => ({
  Name: `contiv-blue-c${n}`,
  EndpointID: '<id>',
  MacAddress: `02:02:0a:01:02:0${n}`,
  IPv4Address: `10.1.2.${n}/24`,
  IPv6Address: '',
});

export const three: Chapter = {
  title: 'Chapter 3: Using multiple tenants with arbitrary IPs in the networks',
  steps: [
    { command: 'export DOCKER_HOST="tcp://192.168.2.50:2375"' },
    { command: 'netctl tenant create blue', shows: ['Creating tenant: blue'] },
    { command: 'netctl tenant ls', shows: ['Name', '------', 'default', 'blue'] },
    { command: 'netctl net create -t blue --subnet=10.1.2.0/24 contiv-net', shows: ['Creating network blue:contiv-net'] },
    { command: 'netctl net ls -t blue', shows: [...NETWORK_COLUMNS, 'blue contiv-net data vxlan 0 10.1.2.0/24'] },
    ...[1, 2, 3].map((n) => run(`contiv-blue-c${n}`, '--net="contiv-net/blue"')),
    {
      command: 'docker ps',
      rows: [3, 2, 1].map((n) => `<id> alpine "/bin/sh" … Up … <host>/contiv-blue-c${n}`),
    },
    {
      command: 'docker network inspect contiv-net/blue',
      json: inspection('blue', '2', { '*1': blue(1), '*2': blue(2), '*3': blue(3) }),
    },
    enter('contiv-blue-c3'),
    ping3('contiv-blue-c1', '10.1.2.1'),
    ping3('contiv-blue-c2', '10.1.2.2'),
    exit,
  ],
};
