/** `make demo`, as a person sees it on a terminal of 80 columns; again on what is there; and gone. */
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { width } from './rig/tables.js';

const rig = new Rig('demo');
const engine = ENGINES[0] ?? 'system';

beforeAll(() => rig.up('--engine', engine));
afterAll(() => rig.down());

test('the demo tells its story within 80 columns', async () => {
  const said = await rig.lab('demo', '--engine', engine);
  expect(width(said)).toBeLessThanOrEqual(80);
  for (const line of [
    /^ +[\d.]+ s {2}tenant {7}blue$/m,
    /^ +[\d.]+ s {2}network {6}contiv-net of tenant default, 10\.1\.2\.0\/24$/m,
    /^ +[\d.]+ s {2}network {6}contiv-net of tenant blue, 10\.1\.2\.0\/24$/m,
    /^ +[\d.]+ s {2}ping {9}contiv-c1 → contiv-c2 \(10\.1\.2\.\d+\), 3\/3, [\d.]+ ms$/m,
    /^ +[\d.]+ s {2}ping {9}contiv-c2 → contiv-c1 \(10\.1\.2\.\d+\), 3\/3, [\d.]+ ms$/m,
    /^ +[\d.]+ s {2}ping {9}contiv-blue-c1 → contiv-blue-c2 \(10\.1\.2\.\d+\), 3\/3, [\d.]+ ms$/m,
    /^ +[\d.]+ s {2}ping {9}contiv-blue-c2 → contiv-blue-c1 \(10\.1\.2\.\d+\), 3\/3, [\d.]+ ms$/m,
    /^What runs where$/m,
    /^ {2}legacy-swarm-master +contiv-c1 +10\.1\.2\.\d+ +contiv-net +default$/m,
    /^ +contiv-blue-c2 +10\.1\.2\.\d+ +contiv-net +blue$/m,
    /^ {2}sudo bin\/lab down +remove all of it$/m,
  ])
    expect(said).toMatch(line);
});

test('what it suggests to try works', async () => {
  expect(await rig.on(MASTER, 'netctl', 'net', 'ls', '-a')).toMatch(/^blue +contiv-net +data +vxlan +0 +10\.1\.2\.0\/24/m);
  expect(await rig.on(MASTER, 'docker', 'network', 'inspect', 'contiv-net')).toContain('"encap": "vxlan"');
  expect(await rig.on(MASTER, 'docker', 'exec', 'contiv-c1', 'ping', '-c', '1', 'contiv-c2')).toContain(' 0% packet loss');
  expect(width(await rig.lab('status'))).toBeLessThanOrEqual(80);
});

test('run again it starts from what is there and disturbs nothing', async () => {
  const ids = () => Promise.all([MASTER, WORKER].map((host) => rig.docker(host, 'ps', '-q', '--no-trunc')));
  const before = await ids();
  await rig.lab('up');
  const said = await rig.lab('demo');
  expect(said).not.toMatch(/ (container|network|tenant) {3,}/);
  expect(said.match(/ 3\/3, /g)).toHaveLength(4);
  expect(await ids()).toEqual(before);
});

test('and down removes all of it', async () => {
  await rig.lab('down');
  expect((await readdir('/run/netns')).filter((name) => name.startsWith('demo-'))).toEqual([]);
  expect(await readdir('/var/lib/contiv-lab/labs')).not.toContain('demo');
  expect((await rig.inside(['ip', '-br', 'link'])).stdout.split('\n').filter((line) => !/^lo |^$/.test(line))).toEqual([]);
});
