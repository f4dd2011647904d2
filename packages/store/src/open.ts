import type { EtcdOptions } from './etcd/options.js';
import { MemoryStore } from './memory.js';
import { type Store, StoreUnavailableError } from './store.js';
import { parseStoreUrl, type StoreCredentials, type StoreLocation } from './url.js';

/**
 * Opens a store, loading only what this kind needs. etcd may be away: its store answers when it comes.
 * @param etcd what differs from the location's own options. @throws StoreRequestError
 */
export async function storeAt(location: StoreLocation, etcd: Pick<EtcdOptions, 'requestTimeoutMs'> = {}): Promise<Store> {
  switch (location.kind) {
    case 'memory':
      return new MemoryStore();
    case 'lmdb':
      return new (await import('./lmdb/store.js')).LmdbStore(location.path);
    case 'etcd':
      return new (await import('./etcd/store.js')).EtcdStore({ ...location.options, ...etcd });
  }
}

/**
 * Opens the store a URL names (forms: `parseStoreUrl`) and makes sure that it answers. A failure names the URL, the reason
 * and the way out: `StoreRequestError` for a URL that cannot be right, `StoreUnavailableError` for a store that may come.
 */
export async function openStore(url: string, credentials: StoreCredentials = {}): Promise<Store> {
  const location = parseStoreUrl(url, credentials);
  const store = await storeAt(location);
  if (location.kind !== 'etcd') return store;
  try {
    await store.get('/');
    return store;
  } catch (error) {
    await store.close();
    throw error instanceof StoreUnavailableError ? new StoreUnavailableError(`store ${url}: ${error.message}`) : error;
  }
}
