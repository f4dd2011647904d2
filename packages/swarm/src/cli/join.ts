import type { Lease, Store } from '@contiv/store';
import { isHostPort } from '../discovery/entries.js';
import { nodesKey, openDiscoveryStore, pause, watchDiscovery } from '../discovery/watch.js';
import { goDuration } from '../duration.js';
import { messageOf } from '../errors.js';
import { Log } from '../log.js';
import type { Parsed } from './flags.js';
import { discoveryOf, discoveryUrl, Fatal, heartbeatOf, pairs } from './manage-options.js';

type Env = Readonly<Record<string, string | undefined>>;

/** `swarm join`: keeps one engine's address registered under a lease until it is stopped. @throws Fatal */
export async function runJoin(flags: Parsed, env: Env, log: Log, signal: AbortSignal): Promise<void> {
  const uri = discoveryOf(flags, env);
  if (uri === '') throw new Fatal("discovery required to join a cluster. See 'swarm join --help'.");
  const options = pairs(flags.list('discovery-opt'), '--discovery-opt');
  const url = discoveryUrl(uri);
  const delay = goDuration(flags.text('delay'));
  if (delay === undefined) throw new Fatal(`invalid --delay: time: invalid duration "${flags.text('delay')}"`);
  if (delay < 0) throw new Fatal('--delay should not be a negative number');
  const heartbeat = heartbeatOf(flags);
  const ttl = goDuration(flags.text('ttl'));
  if (ttl === undefined) throw new Fatal(`invalid --ttl: time: invalid duration "${flags.text('ttl')}"`);
  if (ttl <= heartbeat) throw new Fatal('--ttl must be strictly superior to the heartbeat value');
  const advertise = flags.text('advertise');
  if (advertise === '') throw new Fatal('missing mandatory --advertise flag');
  if (!isHostPort(advertise)) throw new Fatal('--advertise should be of the form ip:port or hostname:port');
  if (delay > 0) await pause(Math.random() * delay, signal);
  let store: Store | undefined;
  let lease: Lease | undefined;
  while (!signal.aborted) {
    log.info(`Registering on the discovery service every ${flags.text('heartbeat')}...`, { addr: advertise, discovery: uri });
    try {
      if (url.scheme !== 'etcd') throw new Error('not implemented in this discovery service');
      store ??= await openDiscoveryStore(url, options);
      if (lease === undefined || lease.lost.aborted) lease = await store.lease(Math.ceil(ttl / 1000));
      await store.txn([], [{ put: `${nodesKey(options)}${advertise}`, value: advertise, lease: lease.id }]);
    } catch (error) {
      log.error(messageOf(error));
      lease = undefined;
    }
    await pause(heartbeat, signal);
  }
  await store?.close().catch(() => {});
}

/** `swarm list`: the first set of addresses. @throws Fatal */
export async function runList(flags: Parsed, env: Env): Promise<readonly string[]> {
  const timeout = goDuration(flags.text('timeout'));
  if (timeout === undefined) throw new Fatal(`invalid --timeout: time: invalid duration "${flags.text('timeout')}"`);
  if (timeout <= 0) throw new Fatal('--timeout should be a positive number');
  const uri = discoveryOf(flags, env);
  if (uri === '') throw new Fatal("discovery required to list a cluster. See 'swarm list --help'.");
  const url = discoveryUrl(uri);
  const options = pairs(flags.list('discovery-opt'), '--discovery-opt');
  const stop = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(() => reject(new Fatal('Timed out'))), timeout);
    const finish = (how: () => void) => {
      clearTimeout(timer);
      stop.abort();
      how();
    };
    const complain = (line: string) => finish(() => reject(new Fatal(/msg="(.*)"/.exec(line)?.[1] ?? line)));
    const log = new Log('error', complain);
    watchDiscovery(url, { heartbeatMs: 1000, log, signal: stop.signal, options, found: (list) => finish(() => resolve(list)) }).catch(
      reject,
    );
  });
}
