import { EtcdStore } from './etcd/store.js';
import { LmdbStore } from './lmdb/store.js';
import { MemoryStore } from './memory.js';
import { type Store, StoreUnavailableError } from './store.js';
import { parseStoreUrl, type StoreCredentials } from './url.js';

/**
 * Opens the store a URL names (forms: `parseStoreUrl`) and makes sure that it answers. A failure names the URL, the reason
 * and the way out: `StoreRequestError` for a URL that cannot be right, `StoreUnavailableError` for a store that may come.
 */
export async function openStore(url: string, credentials: StoreCredentials = {}): Promise<Store> {
  const location = parseStoreUrl(url, credentials);
  switch (location.kind) {
    case 'memory':
      return new MemoryStore();
    case 'lmdb':
      return new LmdbStore(location.path);
    case 'etcd': {
      const store = new EtcdStore(location.options);
      try {
        await store.get('/');
        return store;
      } catch (error) {
        await store.close();
        throw error instanceof StoreUnavailableError ? new StoreUnavailableError(`store ${url}: ${error.message}`) : error;
      }
    }
  }
}
