import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { ServerTls } from '../api/server.js';
import { type DiscoveryUrl, isHostPort, parseDiscovery } from '../discovery/entries.js';
import { goDuration } from '../duration.js';
import { messageOf } from '../errors.js';
import { FILTERS, type Filter } from '../scheduler/filters.js';
import { type Strategy, strategyNamed } from '../scheduler/strategy.js';
import type { Parsed } from './flags.js';

/** A refusal of the command line, as the classic manager words it. */
export class Fatal extends Error {
  override readonly name = 'Fatal';
}

export interface ManageOptions {
  readonly discovery: DiscoveryUrl;
  readonly discoveryOptions: Readonly<Record<string, string>>;
  readonly hosts: readonly string[];
  readonly strategy: Strategy;
  readonly filters: readonly Filter[];
  readonly tls: ServerTls | undefined;
  readonly refreshMinMs: number;
  readonly refreshMaxMs: number;
  readonly failureRetry: number;
  readonly heartbeatMs: number;
  readonly cors: boolean;
  readonly overcommit: number;
  readonly createRetry: number;
  readonly sharedDrivers: ReadonlySet<string>;
  readonly replication?: { readonly advertise: string; readonly ttlSeconds: number };
}

/** Checks in the order of spec/swarm.md 1.3. @throws Fatal */
export function manageOptions(flags: Parsed, env: Readonly<Record<string, string | undefined>>): ManageOptions {
  const tls = tlsOptions(flags);
  const refreshMinMs = goDuration(flags.text('engine-refresh-min-interval')) ?? 0;
  if (refreshMinMs <= 0) throw new Fatal('min refresh interval should be a positive number');
  const refreshMaxMs = goDuration(flags.text('engine-refresh-max-interval')) ?? 0;
  if (refreshMaxMs < refreshMinMs) throw new Fatal('max refresh interval cannot be less than min refresh interval');
  const failureRetry = Number(flags.text('engine-failure-retry'));
  if (!Number.isInteger(failureRetry) || failureRetry <= 0) throw new Fatal('invalid failure retry count');
  if (flags.text('engine-refresh-retry') !== '3') throw new Fatal('--engine-refresh-retry is deprecated. Use --engine-failure-retry');
  const uri = discoveryOf(flags, env);
  if (uri === '') throw new Fatal("discovery required to manage a cluster. See 'swarm manage --help'.");
  const heartbeatMs = heartbeatOf(flags);
  const discoveryOptions = pairs(flags.list('discovery-opt'), '--discovery-opt');
  const discovery = discoveryUrl(uri);
  const strategy = strategyNamed(flags.text('strategy'));
  if (strategy === undefined) throw new Fatal('strategy not supported');
  const filters = flags.list('filter').map((name) => {
    const filter = FILTERS.find((candidate) => candidate.name === name);
    if (filter === undefined) throw new Fatal('filter not supported');
    return filter;
  });
  const driver = flags.text('cluster-driver');
  if (driver !== 'swarm') throw new Fatal(`unsupported cluster "${driver}"`);
  const cluster = pairs(flags.list('cluster-opt'), '--cluster-opt');
  const overcommit = Number(cluster['swarm.overcommit'] ?? 0.05);
  if (!Number.isFinite(overcommit)) throw new Fatal(`swarm.overcommit should be a number, ${cluster['swarm.overcommit']} is invalid`);
  if (overcommit <= -1) throw new Fatal(`swarm.overcommit should be larger than -1, ${overcommit.toFixed(6)} is invalid`);
  const createRetry = Number(cluster['swarm.createretry'] ?? 0);
  if (createRetry < 0) throw new Fatal(`swarm.createretry can not be negative, ${createRetry} is invalid`);
  if (!Number.isInteger(createRetry))
    throw new Fatal(`swarm.createretry should be a whole number, ${cluster['swarm.createretry']} is invalid`);
  const hosts = flags.list('host');
  for (const host of hosts) {
    const protocol = /^([a-z]+):\/\//.exec(host)?.[1];
    if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'unix') throw new Fatal(`unsupported protocol: "${protocol}"`);
    if (protocol !== 'unix' && !/^(?:\[[^\]]+\]|[^:]*):\d+$/.test(host.replace(/^tcp:\/\//, '')))
      throw new Fatal(`address ${host}: host:port is expected`);
  }
  const replication = replicationOf(flags, discovery);
  return {
    discovery,
    discoveryOptions,
    hosts,
    strategy,
    filters,
    tls,
    refreshMinMs,
    refreshMaxMs,
    failureRetry,
    heartbeatMs,
    cors: flags.bool('api-enable-cors'),
    overcommit,
    createRetry,
    sharedDrivers: new Set((cluster['swarm.shareddrivers'] ?? 'netplugin').split(',')),
    ...(replication === undefined ? {} : { replication }),
  };
}

function replicationOf(flags: Parsed, discovery: DiscoveryUrl): ManageOptions['replication'] {
  if (!flags.bool('replication')) return undefined;
  const advertise = flags.text('advertise');
  if (advertise === '') throw new Fatal('--advertise address must be provided when using --leader-election');
  if (!isHostPort(advertise)) throw new Fatal('--advertise should be of the form ip:port or hostname:port');
  const ttl = goDuration(flags.text('replication-ttl'));
  if (ttl === undefined) throw new Fatal(`invalid --replication-ttl: time: invalid duration "${flags.text('replication-ttl')}"`);
  if (ttl <= 0) throw new Fatal('--replication-ttl should be a positive number');
  if (discovery.scheme !== 'etcd') throw new Fatal('Leader election is only supported with consul, etcd and zookeeper discovery.');
  return { advertise, ttlSeconds: Math.max(1, Math.ceil(ttl / 1000)) };
}

/** One argument; else the environment; else several addresses given as several arguments. */
export function discoveryOf(flags: Parsed, env: Readonly<Record<string, string | undefined>>): string {
  const [only] = flags.args;
  if (only !== undefined && flags.args.length === 1) return only;
  return env.SWARM_DISCOVERY ?? flags.args.join(',');
}

export function discoveryUrl(uri: string): DiscoveryUrl {
  try {
    return parseDiscovery(uri);
  } catch (error) {
    throw new Fatal(messageOf(error));
  }
}

export function heartbeatOf(flags: Parsed): number {
  const heartbeat = goDuration(flags.text('heartbeat'));
  if (heartbeat === undefined) throw new Fatal(`invalid --heartbeat: time: invalid duration "${flags.text('heartbeat')}"`);
  if (heartbeat < 1000) throw new Fatal('--heartbeat should be at least one second');
  return heartbeat;
}

export function pairs(list: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(
    list.map((item) => {
      const at = item.indexOf('=');
      if (at < 0) throw new Fatal(`${flag} must contain key=value strings`);
      return [item.slice(0, at), item.slice(at + 1)];
    }),
  );
}

/** What the flags say of TLS; undefined without it. @throws Fatal */
export function tlsOptions(flags: Parsed): ServerTls | undefined {
  const [ca, cert, key] = [flags.text('tlscacert'), flags.text('tlscert'), flags.text('tlskey')];
  const verify = flags.bool('tlsverify');
  if (!flags.bool('tls') && !verify) {
    if (ca !== '' || cert !== '' || key !== '')
      throw new Fatal('--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify');
    return undefined;
  }
  if (cert === '' || key === '') throw new Fatal('--tlscert and --tlskey must be provided when using --tls');
  if (verify && ca === '') throw new Fatal('--tlscacert must be provided when using --tlsverify');
  let pair: { cert: Buffer; key: Buffer };
  try {
    pair = { cert: readFileSync(cert), key: readFileSync(key) };
    createSecureContext(pair);
  } catch (error) {
    throw new Fatal(`Couldn't load X509 key pair (${cert}, ${key}): ${messageOf(error)}. Key encrypted?`);
  }
  if (ca === '') return { ...pair, verify };
  try {
    const authority = readFileSync(ca);
    createSecureContext({ ca: authority });
    return { ...pair, ca: authority, verify };
  } catch (error) {
    throw new Fatal(`Couldn't read CA certificate: ${messageOf(error)}`);
  }
}
