/** Programs that run, and people who send them anything: nothing crashes, nothing changes, nothing grows. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bombard, Dice, difference, eventually, junk, MASTER, Rig, request, SETTLES_MS, send, traces } from './index.js';

const rig = new Rig('hostile');
const REQUESTS = 10_000;
/** What a busy program's memory may differ by from one moment to the next: its heap is not cleaned up on demand. */
const FLAT_MIB = 60;
/** Nobody outside the lab's namespace reaches its addresses: this one stands in it and passes everything on. */
const FORWARD = `
const net = require('node:net');
net.createServer({ allowHalfOpen: true }, (from) => {
  const to = net.connect({ host: '192.168.2.50', port: 9999, allowHalfOpen: true });
  from.pipe(to).pipe(from);
  for (const [a, b] of [[from, to], [to, from]]) a.on('error', () => b.destroy()).on('close', () => b.destroy());
}).listen(process.argv[1], () => console.log('ready'));`;

let work: string;
let master: { path: string };
let driver: { path: string };
let before: readonly string[];

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'contiv-e2e-hostile-'));
  await rig.up('--hosts', '1', '--engine', 'system');
  await rig.netctl('net', 'create', '--subnet', '10.1.1.0/24', 'quiet');
  await eventually('the Docker network', () => rig.docker(MASTER, 'network', 'inspect', 'quiet'));
  await rig.docker(MASTER, 'run', '-d', '--name', 'bystander', '--net', 'quiet', 'alpine', 'sleep', '3600');
  master = { path: join(work, 'master.sock') };
  const forwarder = rig.spawn([process.execPath, '-e', FORWARD, master.path]);
  await new Promise((ready) => forwarder.stdout?.once('data', ready));
  driver = { path: await rig.path(MASTER, '/run/docker/plugins/netplugin.sock') };
  // The container's name is told to netmaster after its start.
  await eventually('at rest', async () => {
    before = await traces(rig);
    await new Promise((wake) => setTimeout(wake, 1_000));
    expect(difference(before, await traces(rig))).toBe('');
  });
});
afterAll(async () => {
  await rig.down();
  await rm(work, { recursive: true, force: true });
});

async function memoryMib(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Sends all of it to a program that has had enough of it already to have grown what it needs. */
async function survives(
  service: 'netmaster' | 'netplugin',
  to: { path: string },
  next: () => Buffer,
): Promise<ReadonlyMap<string, number>> {
  const pid = await rig.pid(MASTER, service);
  await bombard(to, REQUESTS / 2, next);
  const warm = await memoryMib(pid);
  const statuses = await bombard(to, REQUESTS, next);
  expect(await rig.pid(MASTER, service)).toBe(pid);
  expect((await memoryMib(pid)) - warm, `${service} had ${warm.toFixed(0)} MiB`).toBeLessThan(FLAT_MIB);
  await eventually('as before', async () => expect(difference(before, await traces(rig))).toBe(''), SETTLES_MS, 1_000);
  return statuses;
}

test('REST API', async () => {
  const dice = new Dice('rest');
  const kinds = ['tenants', 'networks', 'endpointGroups', 'globals', 'policys', 'rules', 'inspect/networks', 'nothing'] as const;
  const target = (): string =>
    dice.of(
      () => `/api/v1/${dice.of(...kinds)}/${encodeURIComponent(dice.bytes(dice.below(40)).toString('latin1'))}/`,
      () => `/plugin/${dice.of('allocAddress', 'releaseAddress', 'createEndpoint', 'deleteEndpoint', 'updateEndpoint', 'reconcileHost')}`,
      () => `/agent/v1/hosts/${encodeURIComponent(dice.bytes(9).toString('latin1'))}`,
      () => `/${dice.bytes(dice.below(60)).toString('base64')}`,
    )();
  const statuses = await survives('netmaster', master, () =>
    dice.below(4) === 0 ? dice.bytes(1 + dice.below(400)) : request(dice, dice.of('POST', 'PUT', 'DELETE', 'GET', 'PATCH'), target()),
  );
  expect([...statuses.keys()].toSorted().join(' ')).toContain('500');
});

test('driver socket', async () => {
  const dice = new Dice('driver');
  const target = (): string =>
    `/${dice.of('NetworkDriver', 'IpamDriver', 'Plugin', '..')}.${dice.of('CreateNetwork', 'CreateEndpoint', 'DeleteEndpoint', 'Join', 'Leave', 'RequestPool', 'RequestAddress', 'ReleaseAddress', 'ReleasePool', 'DeleteNetwork', 'Activate', '')}`;
  const statuses = await survives('netplugin', driver, () =>
    dice.below(4) === 0 ? dice.bytes(1 + dice.below(400)) : request(dice, dice.of('POST', 'POST', 'PUT'), target()),
  );
  expect(statuses.get('400') ?? 0).toBeGreaterThan(100);
});

test('watch stream', async () => {
  const dice = new Dice('stream');
  const name = (): string => encodeURIComponent(dice.bytes(1 + dice.below(20)).toString('latin1'));
  const target = (): string =>
    `/agent/v1/stream?host=${dice.of(name(), MASTER)}&since=${dice.of('-1', 'NaN', '1e999', '99999999999999999999', name())}`;
  await survives('netmaster', master, () => {
    const head = Buffer.from(`GET ${target()} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1');
    return dice.below(3) === 0 ? Buffer.concat([head.subarray(0, dice.below(head.length)), junk(dice)]) : head;
  });
});

test('some thousand operations that succeed', async () => {
  const pid = await rig.pid(MASTER, 'netplugin');
  const masterPid = await rig.pid(MASTER, 'netmaster');
  const call = (path: string, body: object): Buffer => {
    const text = JSON.stringify(body);
    return Buffer.from(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`);
  };
  const PoolID = 'quiet.default|10.1.1.0/24';
  const pairs = async (count: number): Promise<void> => {
    let left = count;
    const lane = async (number: number): Promise<void> => {
      const Address = `10.1.1.${100 + number}`;
      while (left-- > 0)
        for (const name of ['RequestAddress', 'ReleaseAddress'])
          expect(await send(driver, call(`/IpamDriver.${name}`, { PoolID, Address }), true)).toContain('200 OK');
    };
    await Promise.all(Array.from({ length: 16 }, (_, number) => lane(number)));
  };
  await pairs(500);
  const warm = [await memoryMib(pid), await memoryMib(masterPid)];
  await pairs(1_500);
  expect((await memoryMib(pid)) - (warm[0] ?? 0)).toBeLessThan(FLAT_MIB);
  expect((await memoryMib(masterPid)) - (warm[1] ?? 0)).toBeLessThan(FLAT_MIB);
  await eventually('as before', async () => expect(difference(before, await traces(rig))).toBe(''), SETTLES_MS, 1_000);
});
