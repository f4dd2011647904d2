import { expect, test } from 'vitest';
import { since, type UnitFacts, unitStatus } from './unit-status.js';

const NOW = new Date('2026-11-25T21:10:00Z');
const running: UnitFacts = {
  name: 'netplugin',
  file: '/lab/services/netplugin.json',
  state: 'running',
  pid: 82,
  since: new Date('2026-11-25T21:04:30Z'),
  serving: true,
  serves: 'http://192.168.2.50:9090/healthz',
  cgroup: '/',
  argv: ['netplugin', '--mode', 'docker'],
  log: ['one', 'two'],
};

test('a running service looks as under systemd', () => {
  expect(unitStatus(running, NOW)).toBe(`● netplugin.service
     Loaded: loaded (/lab/services/netplugin.json)
     Active: active (running) since Wed 2026-11-25 21:04:30 UTC; 5min 30s ago
   Main PID: 82 (netplugin)
     Status: "serves: http://192.168.2.50:9090/healthz"
     CGroup: /
             └─82 netplugin --mode docker

one
two
`);
});

test('one that crashed and one that was stopped show no process', () => {
  const { pid: _pid, since: _since, ...gone } = running;
  expect(unitStatus({ ...gone, state: 'failed', log: [] }, NOW)).toMatch(/^× .*\n.*\n {5}Active: failed\n$/);
  expect(unitStatus({ ...gone, state: 'stopped', log: [] }, NOW)).toMatch(/^○ .*\n.*\n {5}Active: inactive \(dead\)\n$/);
});

test('no line is wider than the terminal', () => {
  const lines = unitStatus({ ...running, argv: ['x'.repeat(300)] }, NOW, 80).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBe(80);
  expect(lines.some((line) => line.endsWith('…'))).toBe(true);
});

test.each([
  ['2026-11-25T21:10:00Z', '0s ago'],
  ['2026-11-25T21:09:01Z', '59s ago'],
  ['2026-11-25T20:10:00Z', '1h ago'],
  ['2026-11-23T20:10:00Z', '2 days 1h ago'],
  // The clock was set back.
  ['2026-11-25T21:10:01Z', '0s ago'],
])('%s is %s', (began, ago) => {
  expect(since(new Date(began), NOW).endsWith(`; ${ago}`)).toBe(true);
});
