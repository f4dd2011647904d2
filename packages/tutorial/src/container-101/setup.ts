import { dockerHost, exit, MASTER, ssh, WORKER } from '../parts.js';
import type { Chapter, Step } from '../step.js';

const service = (name: string): Step => ({
  command: `sudo service ${name} status`,
  shows: [`● ${name}.service…`, 'Active: active (running) since … ago', `Main PID: <n> (${name})`, 'CGroup: …', `└─<n> …${name}…`],
});

export const setup: Chapter = {
  title: 'Setup',
  steps: [
    {
      command: 'make demo-legacy-swarm',
      shows: [
        'Installation is complete',
        'Please export DOCKER_HOST=tcp://192.168.2.50:2375 in your shell before proceeding',
        'netctl global set --fwd-mode routing',
        'For example, netctl net create -t default --subnet=20.1.1.0/24 default-net',
      ],
    },
    {
      command: 'vagrant status',
      shows: [`${MASTER} 192.168.2.50 … serving <n>`, `${WORKER} 192.168.2.51 … serving <n>`],
      never: ['… stopped …'],
    },
    ssh(MASTER),
    { command: 'sudo usermod -aG docker $USER', shows: ['CONTAINER ID …'] },
    exit,
    ssh(WORKER),
    { command: 'sudo usermod -aG docker $USER', shows: ['CONTAINER ID …'] },
    exit,
    ssh(MASTER),
    dockerHost,
    {
      command: 'docker info',
      shows: [
        'Containers: <n>',
        'Images: <n>',
        'Server Version: swarm/<word>',
        'Role: primary',
        'Strategy: spread',
        'Filters: health, port, containerslots, dependency, affinity, constraint…',
        'Nodes: 2',
        `${MASTER}: 192.168.2.50:2385`,
        '└ Status: Healthy',
        '└ Labels: kernelversion=<word>, operatingsystem=…',
        `${WORKER}: 192.168.2.51:2385`,
        '└ Status: Healthy',
        'Name: legacy-swarm-master',
      ],
    },
    {
      command: 'etcdctl cluster-health',
      shows: ['member <id> is healthy: got healthy result from http://192.168.2.50:2379', 'cluster is healthy'],
    },
    service('netmaster'),
    service('netplugin'),
    {
      command: 'netctl version',
      shows: [
        'Client Version:',
        'Version: <word>',
        'GitCommit: <word>',
        'BuildTime: <word>',
        'Server Version:',
        'Version: <word>',
        'GitCommit: <word>',
        'BuildTime: <word>',
      ],
    },
    { command: 'ifconfig docker0', shows: ['docker0: flags=<word> mtu 1500', 'inet 172.17.0.1 netmask 255.255.0.0 …', 'ether <mac> …'] },
    {
      command: 'ifconfig eth1',
      shows: ['eth1: flags=<word> mtu 1500', 'inet 192.168.2.50 netmask 255.255.255.0 broadcast 192.168.2.255', 'ether <mac> …'],
    },
    {
      command: 'ifconfig eth0',
      shows: ['eth0: flags=<word> mtu 1500', 'inet 10.0.2.15 netmask 255.255.255.0 broadcast …', 'ether <mac> …'],
    },
  ],
};
