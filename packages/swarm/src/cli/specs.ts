import { FILTERS } from '../scheduler/filters.js';
import type { FlagSpec } from './flags.js';

export const GLOBAL: readonly FlagSpec[] = [
  { names: ['debug'], kind: 'bool', value: false, env: 'DEBUG', usage: 'debug mode' },
  { names: ['log-level', 'l'], kind: 'text', value: 'info', usage: 'log level: debug, info, warn, error, fatal, panic' },
  { names: ['experimental'], kind: 'bool', value: false, usage: 'say so in info and version' },
  { names: ['help', 'h'], kind: 'bool', usage: 'show help' },
  { names: ['version', 'v'], kind: 'bool', usage: 'print the version' },
];

const HELP: FlagSpec = { names: ['help', 'h'], kind: 'bool', usage: 'show help' };
const DISCOVERY_OPT: FlagSpec = { names: ['discovery-opt'], kind: 'list', usage: 'discovery options, key=value' };
const ADVERTISE: FlagSpec = {
  names: ['advertise', 'addr'],
  kind: 'text',
  env: 'SWARM_ADVERTISE',
  usage: 'address others reach this one at, host:port',
};
const HEARTBEAT: FlagSpec = { names: ['heartbeat'], kind: 'text', value: '60s', usage: 'period between each heartbeat' };

const TLS: readonly FlagSpec[] = [
  { names: ['tls'], kind: 'bool', value: false, usage: 'use TLS; implied by --tlsverify' },
  { names: ['tlsverify'], kind: 'bool', value: false, usage: 'use TLS and verify the other side' },
  { names: ['tlscacert'], kind: 'text', usage: 'trust only certificates of this CA' },
  { names: ['tlscert'], kind: 'text', usage: 'path to the certificate' },
  { names: ['tlskey'], kind: 'text', usage: 'path to the key' },
];

export const MANAGE: readonly FlagSpec[] = [
  { names: ['strategy'], kind: 'text', value: 'spread', usage: 'placement strategy: spread, binpack, random' },
  { names: ['filter', 'f'], kind: 'list', value: FILTERS.map((filter) => filter.name), usage: 'filters to use, in this order' },
  { names: ['host', 'H'], kind: 'list', value: ['tcp://127.0.0.1:2375'], env: 'SWARM_HOST', usage: 'ip:port or unix socket to listen on' },
  { names: ['replication'], kind: 'bool', value: false, usage: 'replicate the manager' },
  { names: ['replication-ttl'], kind: 'text', value: '20s', usage: 'time a leader may be silent' },
  ADVERTISE,
  ...TLS,
  { names: ['engine-refresh-min-interval'], kind: 'text', value: '30s', usage: 'least time between refreshes' },
  { names: ['engine-refresh-max-interval'], kind: 'text', value: '60s', usage: 'greatest time between refreshes' },
  { names: ['engine-failure-retry'], kind: 'text', value: '3', usage: 'failures in a row that make an engine unhealthy' },
  { names: ['engine-refresh-retry'], kind: 'text', value: '3', usage: 'deprecated; use --engine-failure-retry' },
  HEARTBEAT,
  { names: ['api-enable-cors', 'cors'], kind: 'bool', value: false, usage: 'send CORS headers' },
  { names: ['cluster-driver', 'c'], kind: 'text', value: 'swarm', usage: 'cluster driver: swarm' },
  DISCOVERY_OPT,
  { names: ['cluster-opt'], kind: 'list', usage: 'swarm.overcommit=0.05, swarm.createretry=0, swarm.shareddrivers=netplugin' },
  { names: ['refresh-on-node-filter'], kind: 'bool', value: false, usage: 'refresh engines named by a node filter before listing' },
  { names: ['container-name-refresh-filter'], kind: 'text', usage: 'refresh all engines when a name filter has this value' },
  HELP,
];

export const JOIN: readonly FlagSpec[] = [
  ADVERTISE,
  HEARTBEAT,
  { names: ['ttl'], kind: 'text', value: '180s', usage: 'time after which a silent engine is forgotten' },
  { names: ['delay'], kind: 'text', value: '0s', usage: 'random delay before the first registration' },
  DISCOVERY_OPT,
  HELP,
];

export const LIST: readonly FlagSpec[] = [
  { names: ['timeout'], kind: 'text', value: '10s', usage: 'time to wait for the first answer' },
  { names: ['health'], kind: 'bool', value: false, usage: 'ask a manager for the state of its engines' },
  { names: ['host', 'H'], kind: 'text', value: 'tcp://127.0.0.1:2375', env: 'DOCKER_HOST', usage: 'the manager, with --health' },
  ...TLS,
  DISCOVERY_OPT,
  HELP,
];

export const NODE: readonly FlagSpec[] = [
  { names: ['host', 'H'], kind: 'text', value: 'tcp://127.0.0.1:2375', env: 'DOCKER_HOST', usage: 'the manager' },
  ...TLS,
  HELP,
];
