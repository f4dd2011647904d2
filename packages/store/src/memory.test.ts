import { expect, test } from 'vitest';
import { collect, describeStore } from './conformance.js';
import { MemoryStore } from './memory.js';
import { CompactedError } from './store.js';

describeStore(
  'memory',
  async () => {
    const store = new MemoryStore();
    return {
      open: async () => store,
      expireLease: async (_store, lease) => store.expireLease(lease.id),
      close: async () => store.close(),
    };
  },
  { modelRuns: 300, writers: 32, writesEach: 50, leaseSeconds: 1 },
);

test('history is bounded', async () => {
  const store = new MemoryStore({ history: 100 });
  for (let i = 0; i < 1000; i++) await store.txn([], [{ put: '/a', value: String(i) }]);
  await expect(collect(store.watch('/', 800, AbortSignal.timeout(1000)))).rejects.toThrow(CompactedError);
  const recent = await collect(store.watch('/', 901, AbortSignal.timeout(50)));
  expect(recent).toHaveLength(100);
});
