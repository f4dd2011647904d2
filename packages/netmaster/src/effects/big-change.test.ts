import { silentLogger } from '@contiv/observe';
import { MemoryStore, type Store, StoreUnavailableError } from '@contiv/store';
import { describe, expect, test } from 'vitest';
import { keys } from '../core/records.js';
import { begin, carryOut, decide } from './big-change.js';
import { Mirror } from './mirror.js';

/** Fails one transaction, before or after it is carried out, and all that follow, until it is mended. */
class BreakingStore extends MemoryStore {
  left = Number.POSITIVE_INFINITY;
  carriesOut = false;
  override async txn(...args: Parameters<Store['txn']>): ReturnType<Store['txn']> {
    if (this.left-- > 0) return super.txn(...args);
    if (this.left === -1 && this.carriesOut) await super.txn(...args);
    throw new StoreUnavailableError('gone');
  }
}

const COUNT = 300;
const tenantText = (name: string, defaultNetwork: string) => JSON.stringify({ tenantName: name, defaultNetwork, posture: '' });
const names = Array.from({ length: COUNT }, (_, i) => `t${i}`);

async function filled(): Promise<BreakingStore> {
  const store = new BreakingStore();
  for (let i = 0; i < COUNT; i += 100)
    await store.txn(
      [],
      names.slice(i, i + 100).map((name) => ({ put: keys.tenant(name), value: tenantText(name, 'old') })),
    );
  return store;
}

/** Every third tenant goes, the others change. */
const writes = names.map((name, i) => ({ key: keys.tenant(name), value: i % 3 === 0 ? undefined : tenantText(name, 'new') }));

async function make(store: Store): Promise<boolean> {
  try {
    const begun = await begin(store, 'one', 'somebody');
    if (begun === undefined) return false;
    return (await carryOut(store, await decide(store, begun, writes), writes)) !== undefined;
  } catch (error) {
    if (error instanceof StoreUnavailableError) return false;
    throw error;
  }
}

/** What a master sees, at every moment. */
function summary(mirror: Mirror): string {
  const kinds = new Set([...mirror.state.all('tenant')].map((t) => t.record.defaultNetwork));
  return `${mirror.state.count('tenant')} ${[...kinds].toSorted().join('+')}`;
}

const BEFORE = `${COUNT} old`;
const AFTER = `${(COUNT * 2) / 3} new`;

/** They wait, each on a store of its own. */
describe.concurrent('a big change', () => {
  test('is there whole or not at all, whichever transaction fails, and leaves nothing behind', async () => {
    const outcome = async (carriesOut: boolean, failing: number): Promise<string> => {
      const store = await filled();
      Object.assign(store, { carriesOut, left: failing });
      const made = await make(store);
      store.left = Number.POSITIVE_INFINITY;
      const mirror = new Mirror(store, silentLogger());
      mirror.start();
      while (!mirror.listed || (await store.range(keys.bigChange)).kvs.length > 0) await new Promise((wake) => setTimeout(wake, 20));
      const seen = summary(mirror);
      expect((await store.range(keys.journal('one', ''))).kvs).toEqual([]);
      await mirror.stop();
      return `${made} ${seen}`;
    };
    const cases = [false, true].flatMap((carriesOut) => Array.from({ length: 8 }, (_, failing) => outcome(carriesOut, failing)));
    expect(new Set(await Promise.all(cases))).toEqual(new Set([`false ${BEFORE}`, `false ${AFTER}`, `true ${AFTER}`]));
  }, 60_000);

  test('is seen at once, with one revision, by whoever watches, also when its maker dies half way', async () => {
    for (const failing of [Number.POSITIVE_INFINITY, 4]) {
      const store = await filled();
      const mirror = new Mirror(store, silentLogger());
      const seen = new Set<string>();
      const revisions = new Set<number>();
      mirror.onChange((changes) => {
        seen.add(summary(mirror));
        if (mirror.state.count('tenant') < COUNT) for (const change of changes) revisions.add(change.revision);
      });
      mirror.start();
      while (!mirror.listed) await new Promise((wake) => setTimeout(wake, 5));
      store.left = failing;
      await make(store);
      store.left = Number.POSITIVE_INFINITY;
      while (summary(mirror) === BEFORE) await new Promise((wake) => setTimeout(wake, 20));
      await mirror.stop();
      expect([...seen]).toEqual([BEFORE, AFTER]);
      expect(revisions.size).toBe(1);
    }
  }, 60_000);

  test('is finished soon after its maker died, though the news of that waits behind it', async () => {
    const store = await filled();
    const master = keys.master('somebody');
    const record = JSON.stringify({ id: 'somebody', address: '192.0.2.1:9999', version: '2' });
    await store.txn([], [{ put: master, value: record }]);
    const mirror = new Mirror(store, silentLogger());
    mirror.start();
    while (!mirror.listed) await new Promise((wake) => setTimeout(wake, 5));
    const begun = await begin(store, 'one', 'somebody');
    if (begun === undefined) throw new Error('not begun');
    await decide(store, begun, writes);
    await store.txn([], [{ delete: master }]);
    const deadline = performance.now() + 20_000;
    while (summary(mirror) !== AFTER && performance.now() < deadline) await new Promise((wake) => setTimeout(wake, 50));
    expect(summary(mirror)).toBe(AFTER);
    await mirror.stop();
  }, 30_000);
});
