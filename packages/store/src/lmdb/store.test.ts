import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { collect, describeStore, until } from '../conformance.js';
import { CompactedError, type Lease, type Store, StoreRequestError, StoreUnavailableError } from '../store.js';
import { type LmdbOptions, LmdbStore } from './store.js';

const directories: string[] = [];
const directory = () => {
  const path = mkdtempSync(join(tmpdir(), 'contiv-lmdb-'));
  directories.push(path);
  return path;
};
afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

describeStore(
  'LMDB',
  async () => {
    const path = mkdtempSync(join(tmpdir(), 'contiv-lmdb-'));
    const store = new LmdbStore(path);
    return {
      open: async () => store,
      // A holder in the same process cannot die alone; a lease that outlives its process is tested below.
      expireLease: async (_store: Store, lease: Lease) => lease.revoke(),
      close: async () => {
        await store.close();
        rmSync(path, { recursive: true, force: true });
      },
    };
  },
  { modelRuns: 100, writers: 32, writesEach: 50, leaseSeconds: 1 },
);

describe('LMDB store on disk', () => {
  const opened = (path: string, options?: LmdbOptions) => new LmdbStore(path, options);

  test('values, revisions and history are there when it is opened again', async () => {
    const path = directory();
    const first = opened(path);
    await first.txn([], [{ put: '/a', value: '1' }]);
    await first.txn([], [{ put: '/b', value: '2' }]);
    await first.txn([], [{ delete: '/a' }]);
    await first.close();
    const second = opened(path);
    expect(await second.range('/')).toEqual({ revision: 3, kvs: [{ key: '/b', value: '2', createRevision: 2, modRevision: 2 }] });
    expect(await collect(second.watch('/', 1, AbortSignal.timeout(50)))).toHaveLength(3);
    expect((await second.txn([], [{ put: '/c', value: '' }])).revision).toBe(4);
    await second.close();
  });

  test('a lease outlives its process by its ttl, then its keys go', async () => {
    const path = directory();
    const first = opened(path);
    const lease = await first.lease(1);
    await first.txn([], [{ put: '/leased', value: '', lease: lease.id }]);
    await first.close();
    expect(lease.lost.aborted).toBe(true);
    const second = opened(path);
    expect(await second.get('/leased')).toBeDefined();
    await until(() => second.revision === 2, 5);
    expect(await second.get('/leased')).toBeUndefined();
    await expect(second.txn([], [{ put: '/x', value: '', lease: lease.id }])).rejects.toThrow(StoreRequestError);
    await second.close();
  });

  test('one opening at a time', async () => {
    const path = directory();
    const first = opened(path);
    expect(() => opened(path)).toThrow(StoreUnavailableError);
    await first.close();
    await opened(path).close();
  });

  test('history is bounded in transactions and in bytes, and stays so', async () => {
    for (const options of [{ history: 100 }, { historyBytes: 20_000 }]) {
      const store = opened(directory(), options);
      for (let i = 0; i < 1000; i++) await store.txn([], [{ put: '/a', value: 'v'.repeat(50) }]);
      await expect(collect(store.watch('/', 800, AbortSignal.timeout(1000)))).rejects.toThrow(CompactedError);
      const error = await collect(store.watch('/', 1, AbortSignal.timeout(1000))).catch((error: unknown) => error);
      const compacted = error instanceof CompactedError ? error.compactRevision : 0;
      const kept = await collect(store.watch('/', compacted + 1, AbortSignal.timeout(50)));
      expect(kept).toHaveLength(1000 - compacted);
      expect(kept.length).toBeGreaterThan(40);
      await store.close();
    }
  });

  test('a directory that cannot be made is named', () => {
    expect(() => opened('/dev/null/store')).toThrow(/\/dev\/null\/store/);
  });
});
