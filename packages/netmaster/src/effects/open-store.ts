import { credentialsFromEnv, parseStoreUrl, type Store, storeAt } from '@contiv/store';

/** A driver call must be answered within 5 s, so the store has less. */
const REQUEST_TIMEOUT_MS = 2_500;

/**
 * Opens the store of a URL. etcd need not be there yet: the master starts, says 503, and goes on by itself when it comes.
 * Credentials come from the environment only (`CONTIV_STORE_…`), because arguments can be read by everyone on the host.
 */
export function openStoreOf(url: string, env: NodeJS.ProcessEnv): Promise<Store> {
  return storeAt(parseStoreUrl(url, credentialsFromEnv(env)), { requestTimeoutMs: REQUEST_TIMEOUT_MS });
}
