import { enter, exit, pingOff, pingOn, run, ssh, WORKER } from '../parts.js';
import type { Chapter } from '../step.js';

export const five: Chapter = {
  title: 'Chapter 5: Docker overlay multi-host networking',
  steps: [
    { command: 'sudo service netplugin stop' },
    { ...ssh(WORKER), terminal: 'second' },
    { command: 'sudo service netplugin stop', terminal: 'second' },
    { command: 'docker network create -d=overlay --subnet=30.1.1.0/24 overlay-net', shows: ['<id>'] },
    {
      command: 'docker network inspect overlay-net',
      json: [
        {
          Name: 'overlay-net',
          Id: '<id>',
          Scope: '@OVERLAY@',
          Driver: 'overlay',
          EnableIPv6: false,
          IPAM: { Driver: 'default', Config: [{ Subnet: '30.1.1.0/24' }] },
          Internal: false,
        },
      ],
    },
    run('overlay-c1', '--net=overlay-net'),
    {
      command: "docker inspect --format='{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' overlay-c1",
      shows: ['30.1.1.2'],
    },
    run('overlay-c2', '--net=overlay-net'),
    {
      command: 'docker ps',
      rows: ['<id> alpine "/bin/sh" … Up … <host>/overlay-c2', '<id> alpine "/bin/sh" … Up … <host>/overlay-c1'],
    },
    enter('overlay-c2'),
    pingOn('overlay-c1', '30.1.1.2'),
    pingOff('overlay-c1'),
    exit,
  ],
};
