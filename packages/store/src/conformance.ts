import type { Revision } from '@contiv/model';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runAgainstModel, steps } from './model.js';
import {
  CompactedError,
  type KeyValue,
  type Lease,
  type Op,
  type Store,
  StoreClosedError,
  type StoreEvent,
  StoreRequestError,
  type WatchBatch,
} from './store.js';

/** What an implementation brings to the suite. */
export interface Harness {
  /** A store; calls see the same data, as two masters would. */
  open(): Promise<Store>;
  /** Make a lease run out as if its holder had died or been cut off. */
  expireLease(store: Store, lease: Lease): Promise<void>;
  /** Break the connection to the server, or restart it; returns when it serves again. */
  interrupt?(): Promise<void>;
  close(): Promise<void>;
}

/** Properties run this often against each implementation. */
export interface ConformanceOptions {
  readonly modelRuns: number;
  readonly writers: number;
  readonly writesEach: number;
  /** Time of the lease that is kept alive for longer than that: where a server counts it, so long that a busy machine keeps it up. */
  readonly leaseSeconds: number;
}

let roots = 0;

/** The semantics of `Store`, once for every implementation. */
export function describeStore(name: string, start: () => Promise<Harness>, options: ConformanceOptions): void {
  describe(`${name} store`, () => {
    let harness: Harness;
    let store: Store;
    beforeAll(async () => {
      harness = await start();
      store = await harness.open();
    });
    afterAll(async () => {
      await store?.close();
      await harness?.close();
    });

    /** Keys of one test begin with a text of its own. */
    const root = () => `/t${++roots}-${Date.now()}/`;
    const put = (key: string, value = ''): Op => ({ put: key, value });
    const revisionNow = async () => (await store.range('/')).revision;

    describe('transactions', () => {
      test('each takes the next revision and gives it to all its writes', async () => {
        const at = root();
        const before = await revisionNow();
        const first = await store.txn([], [put(`${at}a`, '1'), put(`${at}b`, '2')]);
        expect(first).toEqual({ succeeded: true, revision: before + 1 });
        const second = await store.txn([], [put(`${at}a`, '3')]);
        expect(second.revision).toBe(before + 2);
        expect(await store.get(`${at}a`)).toEqual({ key: `${at}a`, value: '3', createRevision: before + 1, modRevision: before + 2 });
        expect(await store.get(`${at}b`)).toEqual({ key: `${at}b`, value: '2', createRevision: before + 1, modRevision: before + 1 });
      });

      test('one that changes nothing takes no revision', async () => {
        const at = root();
        const before = await revisionNow();
        expect(await store.txn([], [])).toEqual({ succeeded: true, revision: before });
        expect(await store.txn([], [{ delete: `${at}none` }, { deletePrefix: `${at}sub/` }])).toEqual({
          succeeded: true,
          revision: before,
        });
        expect(await store.txn([{ key: `${at}none`, exists: true }], [put(`${at}x`)])).toEqual({ succeeded: false, revision: before });
        expect(await store.get(`${at}x`)).toBeUndefined();
      });

      test('a key written again with the same value is a change', async () => {
        const key = `${root()}a`;
        const first = await store.txn([], [put(key, 'same')]);
        expect((await store.txn([], [put(key, 'same')])).revision).toBe(first.revision + 1);
      });

      test('all conditions must hold, each kind', async () => {
        const key = `${root()}a`;
        const { revision } = await store.txn([{ key, modRevision: 0 }], [put(key, 'v')]);
        const holds = async (...compare: Parameters<Store['txn']>[0]) => (await store.txn(compare, [])).succeeded;
        expect(await holds({ key, modRevision: revision })).toBe(true);
        expect(await holds({ key, modRevision: revision - 1 })).toBe(false);
        expect(await holds({ key, modRevision: 0 })).toBe(false);
        expect(await holds({ key, exists: true })).toBe(true);
        expect(await holds({ key, exists: false })).toBe(false);
        expect(await holds({ key, value: 'v' })).toBe(true);
        expect(await holds({ key, value: '' })).toBe(false);
        expect(await holds({ key: `${key}none`, value: '' })).toBe(false);
        expect(await holds({ key: `${key}none`, modRevision: 0 }, { key: `${key}none`, exists: false })).toBe(true);
        expect(await holds({ key, exists: true }, { key: `${key}none`, exists: true })).toBe(false);
      });

      test('the failure branch runs when a condition does not hold, and only then', async () => {
        const at = root();
        const failed = await store.txn([{ key: `${at}a`, exists: true }], [put(`${at}yes`)], [put(`${at}no`)]);
        expect(failed.succeeded).toBe(false);
        expect((await store.range(at)).kvs.map((kv) => kv.key)).toEqual([`${at}no`]);
        await store.txn([{ key: `${at}a`, exists: false }], [put(`${at}yes`)], [put(`${at}no2`)]);
        expect((await store.range(at)).kvs.map((kv) => kv.key)).toEqual([`${at}no`, `${at}yes`]);
      });

      test('a key deleted and made again has a new creation revision', async () => {
        const key = `${root()}a`;
        await store.txn([], [put(key)]);
        await store.txn([], [{ delete: key }]);
        expect(await store.get(key)).toBeUndefined();
        const { revision } = await store.txn([{ key, modRevision: 0 }], [put(key)]);
        expect(await store.get(key)).toMatchObject({ createRevision: revision, modRevision: revision });
      });

      test('what no store could keep is refused and nothing is written', async () => {
        const at = root();
        const before = await revisionNow();
        const refused = (ops: readonly Op[]) => expect(store.txn([], ops)).rejects.toThrow(StoreRequestError);
        await refused([put(`${at}a`, '1'), put(`${at}a`, '2')]);
        await refused([put(`${at}a`), { delete: `${at}a` }]);
        await refused([put(`${at}sub/a`), { deletePrefix: `${at}sub/` }]);
        await refused([{ deletePrefix: at }, { deletePrefix: `${at}sub/` }]);
        await refused([put('no-slash')]);
        await refused([put(`${at}${'k'.repeat(1024)}`)]);
        await refused([put(`${at}a`, 'v'.repeat(1024 * 1024 + 1))]);
        await refused(Array.from({ length: 129 }, (_, i) => put(`${at}${i}`)));
        await refused([put(`${at}a`, '\ud800')]);
        await refused([put(`${at}a`), { put: `${at}b`, value: '', lease: '1234567' }]);
        expect(await revisionNow()).toBe(before);
        expect((await store.range(at)).kvs).toEqual([]);
      });

      test('the largest value and the longest key come back as they were', async () => {
        const at = root();
        const key = at + 'k'.repeat(1024 - at.length);
        const value = `ä€😀"\\\n${'v'.repeat(1024 * 1024 - 20)}`;
        await store.txn([], [put(key, value)]);
        expect((await store.get(key))?.value === value).toBe(true);
        await store.txn([], [{ delete: key }]);
      });

      test('concurrent increments by compare-and-swap lose none', async () => {
        const key = `${root()}counter`;
        const peer = await harness.open();
        await store.txn([], [put(key, '0')]);
        const increment = async (via: Store): Promise<void> => {
          for (;;) {
            const kv = await via.get(key);
            const value = String(Number(kv?.value) + 1);
            if ((await via.txn([{ key, modRevision: kv?.modRevision ?? 0 }], [put(key, value)])).succeeded) return;
          }
        };
        const writer = async (via: Store) => {
          for (let i = 0; i < options.writesEach; i++) await increment(via);
        };
        await Promise.all(Array.from({ length: options.writers }, (_, i) => writer(i % 2 === 0 ? store : peer)));
        expect((await store.get(key))?.value).toBe(String(options.writers * options.writesEach));
        if (peer !== store) await peer.close();
      });

      test('of many that create one key, one wins', async () => {
        const key = `${root()}one`;
        const results = await Promise.all(Array.from({ length: 50 }, (_, i) => store.txn([{ key, exists: false }], [put(key, String(i))])));
        expect(results.filter((result) => result.succeeded)).toHaveLength(1);
        expect((await store.get(key))?.value).toBe(String(results.findIndex((result) => result.succeeded)));
      });
    });

    describe('ranges', () => {
      test('hold the keys of the prefix in the order of their bytes', async () => {
        const at = root();
        // U+FF5E is below U+10000 by bytes and above it by UTF-16 code units.
        const names = ['', 'a', 'a/b', 'a0', 'b', 'z', 'ä', '\uff5e', '\u{10000}'];
        for (const name of names.toReversed()) await store.txn([], [put(`${at}${name}`)]);
        expect((await store.range(at)).kvs.map((kv) => kv.key.slice(at.length))).toEqual(names);
        expect((await store.range(`${at}a`)).kvs.map((kv) => kv.key.slice(at.length))).toEqual(['a', 'a/b', 'a0']);
        expect((await store.range(`${at}\u{10000}`)).kvs).toHaveLength(1);
        expect((await store.range(`${at}none`)).kvs).toEqual([]);
      });

      test('are of the revision they name, while writes go on', async () => {
        const at = root();
        const writing = (async () => {
          for (let i = 1; i <= 200; i++) await store.txn([], [put(`${at}a`, String(i)), put(`${at}b`, String(i))]);
        })();
        for (let i = 0; i < 20; i++) {
          const { revision, kvs } = await store.range(at);
          expect(new Set(kvs.map((kv) => kv.value)).size).toBeLessThanOrEqual(1);
          for (const kv of kvs) expect(kv.modRevision).toBeLessThanOrEqual(revision);
        }
        await writing;
      });

      test('of 10,000 keys are complete', async () => {
        const at = root();
        for (let i = 0; i < 10_000; i += 1000) {
          const batches = Array.from({ length: 10 }, (_, b) =>
            store.txn(
              [],
              Array.from({ length: 100 }, (_, j) => put(`${at}${i + b * 100 + j}`, `value ${i}`)),
            ),
          );
          await Promise.all(batches);
        }
        expect(new Set((await store.range(at)).kvs.map((kv) => kv.key)).size).toBe(10_000);
        await store.txn([], [{ deletePrefix: at }]);
        expect((await store.range(at)).kvs).toEqual([]);
      });
    });

    describe('watches', () => {
      test('deliver history and what follows, once, in order, whole transactions', async () => {
        const at = root();
        const { revision } = await store.txn([], [put(`${at}a`, '1'), put(`${at}b`, '1')]);
        const watch = follow(store, at, revision);
        await watch.until((events) => events.length === 2);
        await store.txn([], [put(`${at}a`, '2')]);
        await store.txn([], [{ delete: `${at}b` }]);
        await watch.until((events) => events.length === 4);
        const [a1, b1] = [kv(`${at}a`, '1', revision, revision), kv(`${at}b`, '1', revision, revision)];
        const a2 = kv(`${at}a`, '2', revision, revision + 1);
        expect(watch.events).toEqual([
          { type: 'put', kv: a1 },
          { type: 'put', kv: b1 },
          { type: 'put', kv: a2, previous: a1 },
          { type: 'delete', key: `${at}b`, revision: revision + 2, previous: b1 },
        ]);
        await watch.stop();
      });

      test('deliver only keys of their prefix, and every key a prefix deletion removes', async () => {
        const at = root();
        const { revision } = await store.txn([], [put(`${at}in/a`), put(`${at}in/b`), put(`${at}out`), put(`${at}in`)]);
        const watch = follow(store, `${at}in/`, revision);
        await store.txn([], [{ deletePrefix: `${at}` }]);
        await watch.until((events) => events.length >= 4);
        expect(watch.events.map((event) => [event.type, keyOf(event).slice(at.length)])).toEqual([
          ['put', 'in/a'],
          ['put', 'in/b'],
          ['delete', 'in/a'],
          ['delete', 'in/b'],
        ]);
        await watch.stop();
      });

      test('may begin in the future, at any revision of the past, and begin again where they ended', async () => {
        const at = root();
        const revisions: Revision[] = [];
        for (let i = 0; i < 20; i++) revisions.push((await store.txn([], [put(`${at}k`, String(i))])).revision);
        for (const [i, from] of revisions.entries()) {
          const watch = follow(store, at, from);
          await watch.until((events) => events.length === 20 - i);
          expect(watch.events.map(revisionOf)).toEqual(revisions.slice(i));
          await watch.stop();
        }
        const future = follow(store, at, (revisions.at(-1) ?? 0) + 2);
        await store.txn([], [put(`${at}k`, 'skipped')]);
        const { revision } = await store.txn([], [put(`${at}k`, 'seen')]);
        await future.until((events) => events.length > 0);
        expect(future.events.map(revisionOf)).toEqual([revision]);
        await future.stop();
      });

      test('lose and repeat nothing while writers go on and readers come, go and return', async () => {
        const at = root();
        const { revision } = await store.txn([], [put(`${at}start`)]);
        const total = options.writers * options.writesEach;
        const writing = Promise.all(
          Array.from({ length: options.writers }, async (_, w) => {
            for (let i = 0; i < options.writesEach; i++) await store.txn([], [put(`${at}${w}`, String(i))]);
          }),
        );
        const seen: StoreEvent[] = [];
        let from = revision + 1;
        let turn = 0;
        while (seen.length < total) {
          const abort = new AbortController();
          // A reader that leaves after a few batches, with another number each time.
          let left = 1 + (turn++ % 5);
          for await (const batch of store.watch(at, from, abort.signal)) {
            seen.push(...batch.events);
            from = batch.revision + 1;
            if (--left === 0 || seen.length >= total) break;
          }
        }
        await writing;
        const revisions = seen.map(revisionOf);
        expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
        expect(new Set(revisions).size).toBe(total);
        for (let w = 0; w < options.writers; w++) {
          const values = seen.flatMap((event) => (event.type === 'put' && event.kv.key === `${at}${w}` ? [event.kv.value] : []));
          expect(values).toEqual(Array.from({ length: options.writesEach }, (_, i) => String(i)));
        }
      });

      test('end when their signal aborts, at once when it has already', async () => {
        const abort = new AbortController();
        const ended = collect(store.watch('/', (await revisionNow()) + 1, abort.signal));
        abort.abort();
        await ended;
        expect(await collect(store.watch('/', 1, abort.signal))).toEqual([]);
      });

      test('end with an error when the store is closed, and so does everything else', async () => {
        const own = await start();
        const closing = await own.open();
        const { revision } = await closing.txn([], [put('/closing')]);
        const watching = collect(closing.watch('/', revision + 1, new AbortController().signal)).catch((error: unknown) => error);
        await closing.close();
        expect(await watching).toBeInstanceOf(StoreClosedError);
        await expect(closing.get('/a')).rejects.toThrow(StoreClosedError);
        await expect(closing.range('/a')).rejects.toThrow(StoreClosedError);
        await expect(closing.txn([], [])).rejects.toThrow(StoreClosedError);
        await expect(closing.lease(10)).rejects.toThrow(StoreClosedError);
        await closing.close();
        await own.close();
      });

      test('go on across an interruption of the connection', async () => {
        if (harness.interrupt === undefined) return;
        const at = root();
        const { revision } = await store.txn([], [put(`${at}k`, 'start')]);
        const watch = follow(store, at, revision + 1);
        const revisions: Revision[] = [];
        let interrupted = false;
        const writing = (async () => {
          for (let i = 0; i < 300 || !interrupted; i++) {
            // Whether a write that failed was made is unknown: a conditional write tells.
            const result = await store.txn([{ key: `${at}${i}`, exists: false }], [put(`${at}${i}`)]).catch(() => undefined);
            if (result?.succeeded === true) revisions.push(result.revision);
          }
        })();
        await harness.interrupt();
        interrupted = true;
        await writing;
        const { kvs } = await store.range(at);
        await watch.until((events) => events.length >= kvs.length - 1);
        const seen = watch.events.map(revisionOf);
        expect(seen).toEqual(
          kvs
            .filter((kv) => kv.value === '')
            .map((kv) => kv.modRevision)
            .toSorted((a, b) => a - b),
        );
        for (const acknowledged of revisions) expect(seen).toContain(acknowledged);
        await watch.stop();
      });
    });

    describe('compaction', () => {
      test('forgets history up to the revision, keeps present values, and is told to watches', async () => {
        const at = root();
        await store.txn([], [put(`${at}kept`, 'present')]);
        await store.txn([], [put(`${at}gone`)]);
        const compacted = (await store.txn([], [{ delete: `${at}gone` }])).revision;
        const last = (await store.txn([], [put(`${at}kept`, 'last')])).revision;
        await store.compact(compacted);
        for (const from of [1, compacted]) {
          const error = await collect(store.watch(at, from, AbortSignal.timeout(30_000))).catch((error: unknown) => error);
          expect(error).toBeInstanceOf(CompactedError);
          expect(error).toMatchObject({ compactRevision: compacted });
        }
        const watch = follow(store, at, compacted + 1);
        await watch.until((events) => events.length === 1);
        expect(watch.events.map(revisionOf)).toEqual([last]);
        await watch.stop();
        expect((await store.get(`${at}kept`))?.value).toBe('last');
        await store.compact(compacted);
        await expect(store.compact((await revisionNow()) + 1)).rejects.toThrow(StoreRequestError);
      });
    });

    describe('leases', () => {
      test('are kept alive beyond their time and take their keys with them when revoked', async () => {
        const at = root();
        const lease = await store.lease(options.leaseSeconds);
        const { revision } = await store.txn([], [{ put: `${at}a`, value: '1', lease: lease.id }, put(`${at}b`)]);
        expect((await store.get(`${at}a`))?.lease).toBe(lease.id);
        await new Promise((resolve) => setTimeout(resolve, options.leaseSeconds * 1000 + 500));
        expect((await store.get(`${at}a`))?.lease).toBe(lease.id);
        expect(lease.lost.aborted).toBe(false);
        const watch = follow(store, at, revision + 1);
        await lease.revoke();
        await watch.until((events) => events.length === 1);
        expect(watch.events).toEqual([
          {
            type: 'delete',
            key: `${at}a`,
            revision: revision + 1,
            previous: { ...kv(`${at}a`, '1', revision, revision), lease: lease.id },
          },
        ]);
        expect((await store.range(at)).kvs.map(({ key }) => key)).toEqual([`${at}b`]);
        expect(lease.lost.aborted).toBe(true);
        await lease.revoke();
        await watch.stop();
      });

      test('that run out delete their keys and tell their holder', async () => {
        const at = root();
        const lease = await store.lease(2);
        const { revision } = await store.txn(
          [],
          [
            { put: `${at}a`, value: '', lease: lease.id },
            { put: `${at}b`, value: '', lease: lease.id },
          ],
        );
        const watch = follow(store, at, revision + 1);
        await harness.expireLease(store, lease);
        await watch.until((events) => events.length === 2);
        expect(watch.events.map((event) => event.type)).toEqual(['delete', 'delete']);
        await until(() => lease.lost.aborted);
        await expect(store.txn([], [{ put: `${at}c`, value: '', lease: lease.id }])).rejects.toThrow(StoreRequestError);
        await watch.stop();
      });

      test('let go of a key that is written without them', async () => {
        const key = `${root()}a`;
        const lease = await store.lease(10);
        await store.txn([], [{ put: key, value: 'leased', lease: lease.id }]);
        await store.txn([], [put(key, 'own')]);
        await lease.revoke();
        expect(await store.get(key)).toMatchObject({ value: 'own' });
        expect(await store.get(key)).not.toHaveProperty('lease');
      });

      test('of no whole seconds are refused', async () => {
        for (const ttl of [0, -1, 1.5, Number.NaN]) await expect(store.lease(ttl)).rejects.toThrow(StoreRequestError);
      });
    });

    test('behaves as the model does, for any sequence of transactions', async () => {
      const property = fc.asyncProperty(steps, async (sequence) => runAgainstModel(store, root(), sequence));
      await fc.assert(property, { numRuns: options.modelRuns, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false });
    });
  });
}

function kv(key: string, value: string, createRevision: number, modRevision: number): KeyValue {
  return { key, value, createRevision: createRevision as Revision, modRevision: modRevision as Revision };
}

const keyOf = (event: StoreEvent) => (event.type === 'put' ? event.kv.key : event.key);
export const revisionOf = (event: StoreEvent): Revision => (event.type === 'put' ? event.kv.modRevision : event.revision);

export async function collect(watch: AsyncIterable<WatchBatch>): Promise<StoreEvent[]> {
  const events: StoreEvent[] = [];
  for await (const batch of watch) events.push(...batch.events);
  return events;
}

export async function until(condition: () => boolean, seconds = 60): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not so within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A watch in the background whose events can be waited for. Checks that batches are in order and whole. */
export function follow(store: Store, prefix: string, from: number) {
  const abort = new AbortController();
  const events: StoreEvent[] = [];
  let failure: unknown;
  let last = 0;
  const running = (async () => {
    for await (const batch of store.watch(prefix, from, abort.signal)) {
      for (const event of batch.events) {
        expect(revisionOf(event)).toBeGreaterThan(last);
        expect(revisionOf(event)).toBeLessThanOrEqual(batch.revision);
      }
      last = batch.revision;
      events.push(...batch.events);
    }
  })().catch((error: unknown) => {
    failure = error;
  });
  return {
    events,
    async until(condition: (events: readonly StoreEvent[]) => boolean, seconds = 60): Promise<void> {
      await until(() => failure !== undefined || condition(events), seconds);
      if (failure !== undefined) throw failure;
    },
    async stop(): Promise<void> {
      abort.abort();
      await running;
      if (failure !== undefined) throw failure;
    },
  };
}
