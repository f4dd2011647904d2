import { enter, exit, inspection, MASTER, NETWORK_COLUMNS, OWN_NETWORKS, ping3, run, WORKER } from '../parts.js';
import type { Chapter } from '../step.js';

export const two: Chapter = {
  title: 'Chapter 2: Multi-host networking',
  steps: [
    { command: 'netctl net create --subnet=10.1.2.0/24 contiv-net', shows: ['Creating network default:contiv-net'] },
    { command: 'netctl net ls', shows: [...NETWORK_COLUMNS, 'default contiv-net data vxlan 0 10.1.2.0/24'] },
    { command: 'docker network ls', rows: ['NETWORK ID NAME DRIVER SCOPE', '<id> contiv-net netplugin @SCOPE@', ...OWN_NETWORKS] },
    { command: 'docker network inspect contiv-net', json: inspection('default', '1', {}) },
    run('contiv-c1', `--net=contiv-net -e constraint:node==${MASTER}`),
    run('contiv-c2', `--net=contiv-net -e constraint:node==${WORKER}`),
    {
      command: 'docker ps',
      rows: [
        'CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES',
        `<id> alpine "/bin/sh" … Up … ${WORKER}/contiv-c2`,
        `<id> alpine "/bin/sh" … Up … ${MASTER}/contiv-c1`,
        '<id> alpine "/bin/sh" … Up … @NODE@/vanilla-c',
      ],
    },
    enter('contiv-c2'),
    ping3('contiv-c1', '10.1.2.1'),
    exit,
  ],
};
