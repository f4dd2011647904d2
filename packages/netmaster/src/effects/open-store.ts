import { credentialsFromEnv, EtcdStore, openStore, parseStoreUrl, type Store } from '@contiv/store';

/** A driver call must be answered within 5 s, so the store has less. */
const REQUEST_TIMEOUT_MS = 2_500;

/**
 * Opens the store of a URL. etcd need not be there yet: the master starts, says 503, and goes on by itself when it comes.
 * Credentials come from the environment only (`CONTIV_STORE_…`), because arguments can be read by everyone on the host.
 */
export async function openStoreOf(url: string, env: NodeJS.ProcessEnv): Promise<Store> {
  const credentials = credentialsFromEnv(env);
  const location = parseStoreUrl(url, credentials);
  if (location.kind === 'etcd') return new EtcdStore({ ...location.options, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  return openStore(url, credentials);
}
