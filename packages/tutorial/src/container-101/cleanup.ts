import { exit } from '../parts.js';
import type { Chapter } from '../step.js';

export const cleanup: Chapter = {
  title: 'Cleanup',
  steps: [
    { ...exit, terminal: 'second' },
    exit,
    { command: 'make cluster-destroy', shows: ['… nothing of the lab is left'] },
    { command: 'make vagrant-clean', shows: ['… there was no lab'] },
  ],
};
