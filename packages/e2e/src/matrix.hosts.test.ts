/**
 * Who reaches whom: three tenants of the same addresses, three groups each, three containers each, on two hosts; TCP, UDP, SCTP, a protocol nobody
 * knows and echoes, over both families. After every change everybody tries everybody, and what is reached is what the rules say, read one by one.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Alive, HOSTS, Matrix } from './rig/matrix.js';
import { CASES, NOTHING, world } from './rig/policy-cases.js';
import type { World } from './rig/policy-model.js';
import { MASTER, WORKER } from './rig/rig.js';

const matrix = new Matrix('matrix');
const { rig } = matrix;
const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

beforeAll(() => matrix.up('--engine', 'modern'));
afterAll(() => matrix.down());

test('without policies everybody reaches everybody of the own tenant, and nobody else', () => matrix.holds());

test.each(Object.entries(CASES).map(([number, [title, ...worlds]]) => ({ number, title, worlds })))(
  '$number $title',
  async ({ number, worlds }) => {
    for (const next of worlds) {
      await matrix.become(next);
      await matrix.holds();
    }
    const group = { 22: 'db', 23: 'ops' }[number];
    if (group === undefined) return;
    await matrix.move('alpha-ops2', group);
    await matrix.holds();
  },
);

const CLOSED_81 = { way: 'in', action: 'deny', protocol: 'udp', port: 81 } as const;
const MIXED = world({
  'alpha:web': [
    { way: 'in', action: 'deny' },
    { way: 'in', action: 'allow', priority: 10, group: 'db', protocol: 'tcp', port: 80 },
  ],
  'beta:db': [{ way: 'out', action: 'deny' }],
  'gamma:*': [{ way: 'in', action: 'deny', protocol: 'udp' }],
});

test('a change never opens what the old and the new rules close', async () => {
  const broad = { way: 'in', action: 'deny', protocol: 'udp', priority: 5 } as const;
  const closing: readonly World[] = [
    world({ 'alpha:web': [CLOSED_81] }),
    world({ 'alpha:web': [[], [CLOSED_81]] }),
    world({ 'alpha:web': [broad] }),
    world({ 'alpha:*': [CLOSED_81] }),
    world({}, ['alpha']),
    world({ 'alpha:web': [CLOSED_81, { way: 'in', action: 'allow', protocol: 'tcp' }] }, ['alpha']),
  ];
  await matrix.become(world({ 'alpha:web': [CLOSED_81] }));
  await matrix.holds();
  const probe = (from: string, port: number) => ({ from, kind: 'udp', address: matrix.named('alpha-web1').ip, port }) as const;
  const probes = [probe('alpha-db1', 81), probe('alpha-db2', 81), probe('beta-db1', 80)];
  const [near, far, open] = await matrix.meanwhile(probes, async () => {
    for (const next of [...closing, ...closing.toReversed()]) await matrix.become(next);
  });
  expect([near?.answered, far?.answered]).toEqual([0, 0]);
  // They were sent, and what is open is answered.
  for (const count of [near, far, open]) expect(count?.sent).toBeGreaterThan(50);
  expect(open?.answered).toBeGreaterThan(50);
});

test('a container that starts is never reachable before its rules are in', async () => {
  const fromOps = { way: 'in', action: 'allow', group: 'ops', priority: 10 } as const;
  await matrix.become(world({ 'alpha:web': [{ way: 'in', action: 'deny' }, fromOps] }));
  await matrix.holds();
  // Whoever asks in vain for a neighbour asks again after a second only: they know it, so that its first moments are seen.
  for (const name of ['alpha-db1', 'alpha-db2', 'alpha-ops1']) await matrix.knows(name, '10.1.2.19', '02:02:0a:01:02:13');
  const ping = (from: string) => ({ from, kind: 'ping', address: '10.1.2.19', port: 0 }) as const;
  const [near, far, allowed] = await matrix.meanwhile(['alpha-db1', 'alpha-db2', 'alpha-ops1'].map(ping), async () => {
    for (const host of [MASTER, WORKER, MASTER]) {
      await rig.docker(host, 'run', '-d', '--name', 'late', '--net', 'web/alpha', '--ip', '10.1.2.19', 'alpine', 'sleep', '1d');
      await pause(500);
      await rig.docker(host, 'rm', '-f', 'late');
    }
  });
  expect([near?.answered, far?.answered]).toEqual([0, 0]);
  expect(allowed?.answered).toBeGreaterThan(0);
});

test('containers restarted come back with their rules', async () => {
  await matrix.become(MIXED);
  await Promise.all(['alpha-web1', 'alpha-db2', 'beta-db1'].map((name) => matrix.restart(name)));
  await matrix.holds();
});

test('a host that is cut off: the rest holds, rules made meanwhile hold there when it is back', async () => {
  const link = (state: string) => rig.on(WORKER, 'ip', 'link', 'set', 'eth1', state);
  await link('down');
  const alive: Alive = (from, to) => from.host === to.host;
  await matrix.holds(alive);
  await matrix.become(world({ 'alpha:web': [{ way: 'in', action: 'deny', protocol: 'tcp' }] }));
  await link('up');
  await matrix.holds();
});

test('a host that is lost: the rest holds, rules made meanwhile hold there when it is back', async () => {
  await matrix.become(MIXED);
  await matrix.holds();
  await matrix.lose(WORKER, async () => {
    await matrix.holds();
    await matrix.become(world({ 'beta:web': [{ way: 'in', action: 'deny', protocol: 'udp' }] }));
    await matrix.holds();
  });
  await matrix.holds();
});

test('agents killed and started anew: nothing opens, nothing closes', async () => {
  await matrix.become(MIXED);
  await matrix.holds();
  for (const host of HOSTS) await rig.service(host, 'netplugin', 'kill');
  await matrix.holds();
  for (const host of HOSTS) await rig.service(host, 'netplugin', 'start');
  await matrix.holds();
  await matrix.become(NOTHING);
  await matrix.holds();
});
