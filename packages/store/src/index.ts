export type { EtcdOptions } from './etcd/options.js';
export { EtcdStore } from './etcd/store.js';
export { type LmdbOptions, LmdbStore } from './lmdb/store.js';
export { MemoryStore } from './memory.js';
export { openStore, storeAt } from './open.js';
export * from './store.js';
export { freePort, startEtcd, type TestEtcd, type TestEtcdOptions } from './testing.js';
export { credentialsFromEnv, parseStoreUrl, type StoreCredentials, type StoreLocation } from './url.js';
