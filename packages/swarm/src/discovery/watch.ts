import { readFile } from 'node:fs/promises';
import { openStore, type Store, type StoreCredentials } from '@contiv/store';
import { messageOf } from '../errors.js';
import type { Log } from '../log.js';
import { type DiscoveryUrl, isHostPort, parseFile } from './entries.js';

export interface WatchOptions {
  readonly heartbeatMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly found: (addresses: readonly string[]) => void;
  readonly options: Readonly<Record<string, string>>;
}

const NODES_PATH = 'docker/swarm/nodes';

/** `docker/swarm/nodes`, or what `kv.path` puts in its place; the first word is part of the store's prefix. */
function nodesPath(options: Readonly<Record<string, string>>): { root: string; key: string } {
  const [root = 'docker', ...rest] = (options['kv.path'] ?? NODES_PATH).split('/').filter((word) => word !== '');
  return { root, key: `/${rest.map((word) => `${word}/`).join('')}` };
}

/** Key of all members in the store `openDiscoveryStore` gives for the same options. */
export const nodesKey = (options: Readonly<Record<string, string>>): string => nodesPath(options).key;
/** In a store opened without `kv.path`: `PREFIX/docker/swarm/leader`. */
export const LEADER_KEY = '/swarm/leader';

/** The store a discovery URL names, under `PREFIX/docker`. */
export function openDiscoveryStore(
  url: Extract<DiscoveryUrl, { scheme: 'etcd' }>,
  options: Readonly<Record<string, string>>,
): Promise<Store> {
  const files = [options['kv.cacertfile'], options['kv.certfile'], options['kv.keyfile']];
  const [caFile, certFile, keyFile] = files;
  const given = files.filter((file) => file !== undefined).length;
  if (given !== 0 && given !== 3) throw new Error('kv.cacertfile, kv.certfile and kv.keyfile must be given together in --discovery-opt');
  const credentials: StoreCredentials =
    caFile === undefined || certFile === undefined || keyFile === undefined ? {} : { caFile, certFile, keyFile };
  const prefix = [url.prefix, nodesPath(options).root].filter((word) => word !== '').join('/');
  return openStore(`${given === 3 ? 'https' : 'etcd'}://${url.endpoints}/${prefix}`, credentials);
}

/** Calls `found` with the whole set whenever it changed. Keeps the last set while the source is away. */
export async function watchDiscovery(url: DiscoveryUrl, options: WatchOptions): Promise<void> {
  if (url.scheme === 'nodes') return options.found(url.addresses);
  if (url.scheme === 'file') return watchFile(url.path, options);
  return watchStore(url, options);
}

async function watchFile(path: string, { heartbeatMs, log, signal, found }: WatchOptions): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    try {
      const addresses = parseFile(await readFile(path, 'utf8'));
      if (addresses.join() !== last) {
        last = addresses.join();
        found(addresses);
      }
    } catch (error) {
      log.error(`Discovery error: failed to read '${path}': ${messageOf(error)}`);
    }
    await pause(heartbeatMs, signal);
  }
}

async function watchStore(
  url: Extract<DiscoveryUrl, { scheme: 'etcd' }>,
  { heartbeatMs, log, signal, found, options }: WatchOptions,
): Promise<void> {
  const prefix = nodesKey(options);
  while (!signal.aborted) {
    let store: Store | undefined;
    try {
      store = await openDiscoveryStore(url, options);
      const { revision, kvs } = await store.range(prefix);
      const members = new Map(kvs.map((kv) => [kv.key, kv.value]));
      const tell = () => found([...members.values()].filter(isHostPort));
      tell();
      for await (const batch of store.watch(prefix, revision + 1, signal)) {
        for (const event of batch.events) {
          if (event.type === 'put') members.set(event.kv.key, event.kv.value);
          else members.delete(event.key);
        }
        if (batch.events.length > 0) tell();
      }
    } catch (error) {
      if (!signal.aborted) log.error(`Discovery error: ${messageOf(error)}`);
    } finally {
      await store?.close().catch(() => {});
    }
    await pause(Math.min(heartbeatMs, 5000), signal);
  }
}

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted === true) done();
  });
}
