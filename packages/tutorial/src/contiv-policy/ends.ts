import { dockerHost, exit, MASTER, ssh } from '../parts.js';
import type { Chapter } from '../step.js';

export const begin: Chapter = {
  title: 'Setup',
  about: 'A cluster of two hosts, as in the first tutorial. All commands are typed on its first host, unless a second terminal is needed.',
  steps: [
    { command: 'make demo-legacy-swarm', shows: ['Please export DOCKER_HOST=tcp://192.168.2.50:2375 in your shell before proceeding'] },
    ssh(MASTER),
    dockerHost,
  ],
};

export const end: Chapter = {
  title: 'Cleanup',
  about: 'What is in use is not removed: containers go first, then groups, policies, networks and tenants.',
  steps: [
    {
      command: 'netctl policy rm -t TestTenant policyAB',
      shows: ['… Policy is being used…'],
    },
    { command: 'docker rm -f AContainer BContainer', rows: ['AContainer', 'BContainer'] },
    { command: 'netctl group rm -t TestTenant epgA' },
    { command: 'netctl group rm -t TestTenant epgB' },
    { command: 'netctl policy rm -t TestTenant policyAB', shows: ['Deleting policy TestTenant:policyAB'] },
    { command: 'netctl net rm -t TestTenant TestNet', shows: ['Deleting network TestTenant:TestNet'] },
    { command: 'netctl policy rm -t TestTenant tenantRules', shows: ['Deleting policy TestTenant:tenantRules'] },
    { command: 'netctl tenant rm TestTenant', shows: ['Deleting tenant TestTenant'] },
    { ...exit, terminal: 'second' },
    exit,
    { command: 'make cluster-destroy', shows: ['… nothing of the lab is left'] },
  ],
};
