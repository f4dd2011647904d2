import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeStore, follow, until } from '../conformance.js';
import { openStore } from '../open.js';
import { CompactedError, type Store, StoreUnavailableError } from '../store.js';
import { startEtcd, type TestEtcd } from '../testing.js';
import { EtcdConnection } from './connection.js';
import { REQUEST_TIMEOUT_MS } from './options.js';
import { api } from './proto.js';

describeStore(
  'etcd',
  async () => {
    const etcd = await startEtcd();
    return {
      open: () => openStore(etcd.url),
      expireLease: async (_store, lease) => {
        const other = new EtcdConnection({ endpoints: etcd.endpoints, prefix: '' });
        await other.call(api.leaseRevoke, { ID: lease.id }, { idempotent: true });
        other.close();
      },
      interrupt: async () => {
        await delay(100);
        await etcd.kill();
        await delay(500);
        await etcd.restart();
      },
      close: () => etcd.close(),
    };
  },
  { modelRuns: 50, writers: 16, writesEach: 20, leaseSeconds: 4 },
);

describe('etcd that fails', () => {
  let etcd: TestEtcd;
  let store: Store;
  beforeAll(async () => {
    etcd = await startEtcd();
    store = await openStore(etcd.url);
  });
  afterAll(async () => {
    await store.close();
    await etcd.close();
  });

  test('a restart is nothing but latency to readers, and to writers that come while it is down', async () => {
    await store.txn([], [{ put: '/r', value: 'before' }]);
    for (;;) {
      await etcd.kill();
      // What is on its way at that moment has an unknown outcome; what comes later has not.
      await delay(50);
      const begin = performance.now();
      const calls = Promise.all([store.get('/r'), store.txn([], [{ put: '/w', value: 'while down' }])]);
      calls.catch(() => undefined);
      await delay(300);
      await etcd.restart();
      // Where a restart takes longer than calls wait, it proves nothing.
      if (performance.now() - begin > REQUEST_TIMEOUT_MS - 1_000) continue;
      const [read, written] = await calls;
      expect([read?.value, written.succeeded]).toEqual(['before', true]);
      expect((await store.get('/w'))?.value).toBe('while down');
      return;
    }
  });

  test('down for good, calls fail in bounded time and say what to do', async () => {
    await etcd.kill();
    const begin = performance.now();
    const failure = (call: Promise<unknown>) =>
      call.then(
        () => expect.fail('it succeeded'),
        (error: unknown) => error,
      );
    const calls = [store.get('/r'), store.range('/'), store.txn([], [{ put: '/x', value: '' }]), store.lease(10), openStore(etcd.url)];
    const errors = await Promise.all(calls.map(failure));
    expect(performance.now() - begin).toBeLessThan(5000);
    for (const error of errors) {
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect(String(error)).toContain(etcd.endpoints[0]);
    }
    expect(String(errors.at(-1))).toContain(`store ${etcd.url}: etcd at ${etcd.endpoints[0]} cannot be used`);
    await etcd.restart();
    await store.txn([], [{ put: '/x', value: 'again' }]);
  });
});

/** An etcd of the test's own, so that it may run beside others. */
async function withEtcd(work: (etcd: TestEtcd, store: Store) => Promise<void>): Promise<void> {
  const etcd = await startEtcd();
  const store = await openStore(etcd.url);
  try {
    await work(etcd, store);
  } finally {
    await store.close();
    await etcd.close();
  }
}

/** They wait for seconds each. */
describe.concurrent('etcd that is away for long', () => {
  test('a server that stands still for 10 s (a black hole) is noticed, and the watch goes on without loss', () =>
    withEtcd(async (etcd, store) => {
      const { revision } = await store.txn([], [{ put: '/hole', value: '0' }]);
      const watch = follow(store, '/hole', revision + 1);
      await store.txn([], [{ put: '/hole', value: '1' }]);
      await watch.until((events) => events.length === 1);
      await etcd.pause();
      const begin = performance.now();
      await expect(store.get('/hole')).rejects.toThrow(StoreUnavailableError);
      expect(performance.now() - begin).toBeLessThan(5000);
      await delay(10_000 - (performance.now() - begin));
      etcd.resume();
      const resumed = performance.now();
      const written = await store.txn([], [{ put: '/hole', value: '2' }]);
      await watch.until((events) => events.length === 2);
      expect(performance.now() - resumed).toBeLessThan(5000);
      expect(watch.events[1]).toMatchObject({ kv: { value: '2', modRevision: written.revision } });
      await watch.stop();
    }));

  test('a lease that cannot be kept alive is lost before the server gives it up', () =>
    withEtcd(async (etcd, store) => {
      const lease = await store.lease(3);
      await store.txn([], [{ put: '/leased', value: '', lease: lease.id }]);
      await delay(1500);
      await etcd.pause();
      const begin = performance.now();
      await until(() => lease.lost.aborted, 5);
      expect(performance.now() - begin).toBeLessThan(3000);
      etcd.resume();
      const resumed = performance.now();
      while ((await store.get('/leased').catch(() => null)) !== undefined) {
        expect(performance.now() - resumed).toBeLessThan(30_000);
        await delay(50);
      }
    }));

  test('a watch that was away during a compaction is told to list again', () =>
    withEtcd(async (etcd, store) => {
      const { revision } = await store.txn([], [{ put: '/compact', value: '0' }]);
      const watch = follow(store, '/compact', revision + 1);
      await store.txn([], [{ put: '/compact', value: '1' }]);
      await watch.until((events) => events.length === 1);
      // Another client writes and compacts before ours is back.
      await etcd.kill();
      await delay(2500);
      const other = etcd.restart().then(async () => {
        const fast = await openStore(etcd.url);
        for (let i = 0; i < 50; i++) await fast.txn([], [{ put: '/compact', value: `later ${i}` }]);
        await fast.compact((await fast.range('/')).revision);
        await fast.close();
      });
      await other;
      // Whether ours was back in time is a race; either it saw all, or it was told.
      const outcome = await watch.until((events) => events.length === 51).catch((error: unknown) => error);
      if (outcome !== undefined) expect(outcome).toBeInstanceOf(CompactedError);
      await watch.stop().catch(() => undefined);
      const { revision: now } = await store.range('/');
      const late = follow(store, '/compact', now);
      await expect(late.until(() => false)).rejects.toThrow(CompactedError);
    }));
});

describe('etcd of three members', () => {
  test('answers nothing, not even who only compares, at a member that is cut off from the others: what it knows may be old', async () => {
    const cluster = await startEtcd({ members: 3 });
    const store = await openStore(`etcd://${cluster.endpoints[0]}`);
    try {
      await store.txn([], [{ put: '/n', value: '0' }]);
      await Promise.all([cluster.kill(1), cluster.kill(2)]);
      const asked = [
        store.get('/n'),
        store.range('/'),
        store.txn([], []),
        store.txn([{ key: '/n', value: '0' }], []),
        store.txn([{ key: '/n', value: '1' }], [{ put: '/n', value: '2' }]),
      ];
      const outcomes = await Promise.allSettled(asked);
      expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailableError)).toEqual(
        asked.map(() => true),
      );
    } finally {
      await store.close();
      await cluster.close();
    }
  });

  test('goes on when the member in use is killed or stands still', async () => {
    const cluster = await startEtcd({ members: 3 });
    const store = await openStore(cluster.url);
    try {
      const { revision } = await store.txn([], [{ put: '/n', value: '-1' }]);
      const watch = follow(store, '/n', revision + 1);
      const acknowledged: number[] = [];
      let stop = false;
      const writing = (async () => {
        for (let i = 0; !stop; i++) {
          const result = await store.txn([], [{ put: '/n', value: String(i) }]).catch(() => undefined);
          if (result !== undefined) acknowledged.push(i);
          await delay(5);
        }
      })();
      /** Waits until so many more writes were acknowledged. */
      const goesOn = async (more: number) => {
        const enough = acknowledged.length + more;
        await until(() => acknowledged.length >= enough, 30);
      };
      await goesOn(20);
      await cluster.kill(0);
      await goesOn(50);
      await cluster.restart(0);
      // One of them is in use.
      for (const member of [1, 2]) {
        await cluster.pause(member);
        await goesOn(50);
        cluster.resume(member);
      }
      stop = true;
      await writing;
      await watch.until((events) => events.some((event) => event.type === 'put' && event.kv.value === String(acknowledged.at(-1))));
      const seen = new Set(watch.events.map((event) => (event.type === 'put' ? Number(event.kv.value) : -1)));
      for (const i of acknowledged) expect(seen).toContain(i);
      await watch.stop();
    } finally {
      await store.close();
      await cluster.close();
    }
  });
});

describe('etcd behind TLS and with users', () => {
  let directory: string;
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const sign = (name: string, extension: string) => {
    writeFileSync(file(`${name}.ext`), extension);
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '1',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    );
  };
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'contiv-pki-'));
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-days',
      '1',
      '-subj',
      '/CN=test ca',
    );
    sign('server', 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth');
    sign('client', 'extendedKeyUsage=clientAuth');
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('a client certificate is needed, and the server must be the right one', async () => {
    const etcd = await startEtcd({ tls: { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key') } });
    try {
      expect(etcd.url).toMatch(/^https:/);
      const store = await openStore(etcd.url, { caFile: file('ca.crt'), certFile: file('client.crt'), keyFile: file('client.key') });
      await store.txn([], [{ put: '/tls', value: 'yes' }]);
      expect((await store.get('/tls'))?.value).toBe('yes');
      await store.close();
      await Promise.all([
        expect(openStore(etcd.url, { caFile: file('ca.crt') })).rejects.toThrow(StoreUnavailableError),
        expect(openStore(etcd.url, { certFile: file('client.crt'), keyFile: file('client.key') })).rejects.toThrow(/cannot be used/),
      ]);
    } finally {
      await etcd.close();
    }
  });

  test('a user logs in, and again when the token has run out', async () => {
    const etcd = await startEtcd({ flags: ['--auth-token-ttl', '1'] });
    const etcdctl = (...args: string[]) =>
      execFileSync('etcdctl', ['--endpoints', `${etcd.endpoints[0]}`, ...args], {
        env: { ...process.env, ETCDCTL_API: '3' },
        stdio: 'pipe',
      });
    try {
      etcdctl('user', 'add', 'root:secret');
      etcdctl('user', 'grant-role', 'root', 'root');
      etcdctl('auth', 'enable');
      await expect(openStore(etcd.url)).rejects.toThrow(/user name is empty/);
      await expect(openStore(etcd.url, { user: 'root', password: 'wrong' })).rejects.toThrow(/authentication failed/);
      writeFileSync(file('password'), 'secret\n');
      const store = await openStore(etcd.url, { user: 'root', passwordFile: file('password') });
      const { revision } = await store.txn([], [{ put: '/auth', value: '1' }]);
      const watch = follow(store, '/auth', revision + 1);
      const lease = await store.lease(5);
      await delay(3500);
      await store.txn([], [{ put: '/auth', value: '2' }]);
      await watch.until((events) => events.length === 1);
      expect(lease.lost.aborted).toBe(false);
      // The server forgets all tokens when it restarts.
      await etcd.restart();
      expect((await store.txn([], [{ put: '/auth', value: '3' }])).succeeded).toBe(true);
      await watch.until((events) => events.length === 2);
      await watch.stop();
      await store.close();
    } finally {
      await etcd.close();
    }
  });
});
