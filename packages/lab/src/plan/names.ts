/** Names and places of everything a lab makes. Derived from the lab's name alone, so that a crashed lab is found again without its state. */
import { join } from 'node:path';
import { LabError } from './options.js';

/** Everything on disk: `labs/NAME` dies with the lab, the caches beside it stay. */
export const HOME = '/var/lib/contiv-lab';
export const IMAGE_CACHE = join(HOME, 'images');
export const MODERN_ROOT = join(HOME, 'engines', 'modern');

/** Cluster part of all host names, as in the Vagrant cluster of Contiv's installer. */
export const CLUSTER = 'legacy-swarm';

export interface LabNames {
  readonly lab: string;
  readonly dir: string;
  readonly stateFile: string;
  readonly lockFile: string;
  /** Namespace of the bridges that join the hosts. */
  readonly fabric: string;
  /** Interface in the namespace `up` ran in; bears the .1 of the underlay. */
  readonly uplink: string;
  /** Parent of all containers' cgroups, from the root of each hierarchy. */
  readonly cgroup: string;
}

/** `lab` comes from CONTIV_LAB; short, because an interface name of at most 15 characters is made of it. */
export function labNames(lab: string): LabNames {
  if (!/^[a-z][a-z0-9-]{0,10}$/.test(lab))
    throw new LabError(`CONTIV_LAB=${lab}: a lab's name is 1 to 11 lower-case letters, digits and hyphens, beginning with a letter`);
  const dir = join(HOME, 'labs', lab);
  return {
    lab,
    dir,
    stateFile: join(dir, 'lab.json'),
    lockFile: join(HOME, `${lab}.lock`),
    fabric: namespaceOf(lab, 'fabric'),
    uplink: lab === DEFAULT_LAB ? 'contiv-lab' : `lab-${lab}`,
    cgroup: `contiv-lab/${lab}`,
  };
}

export const DEFAULT_LAB = 'default';

/** `master`, `worker0`, …: the part of a host's name behind the cluster's. */
export const roleOf = (index: number): string => (index === 0 ? 'master' : `worker${index - 1}`);
export const hostName = (index: number): string => `${CLUSTER}-${roleOf(index)}`;

/** Name under /run/netns; the default lab's hosts are called what they are. */
export const namespaceOf = (lab: string, part: string): string => `${lab === DEFAULT_LAB ? '' : `${lab}-`}${CLUSTER}-${part}`;

/** Whether a namespace under /run/netns was made by this lab. */
export function isOwnNamespace(lab: string, name: string): boolean {
  const prefix = namespaceOf(lab, '');
  return name.startsWith(prefix) && /^(fabric|world|server|router|master|worker\d{1,2})$/.test(name.slice(prefix.length));
}

/** Last argument of a host's first process: by it a host is found and recognised, whatever became of the state file. */
export const initMarker = (lab: string, host: string): string => `contiv-lab:${lab}:${host}`;
export const INIT_MARKER = /^contiv-lab:([a-z][a-z0-9-]*):([a-z0-9-]+)$/;
