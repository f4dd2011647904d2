/** What busybox's and iputils' programs print, as they were heard. */
import { describe, expect, test } from 'vitest';
import { reportText } from '../output/selftest.js';
import { type Box, planOf, runName } from './plan.js';
import type { Probe, Sent } from './probes.js';
import { probeScript, saidOf } from './script.js';
import { judge, type Result, rowsOf } from './verdict.js';

const plan = planOf(runName('0123abcd'), { places: 2, ipv6: true });
const box = (name: string): Box => {
  const found = plan.boxes.find((b) => b.name.endsWith(name));
  if (!found) throw new Error(`no ${name}`);
  return found;
};
const [from, to] = [box('1-open'), box('2-guarded')];
const probe = (sent: Sent, answer = true, what = 'x'): Probe => ({ check: { network: 'vxlan', what, answer }, from, to, sent });
const ping: Sent = { kind: 'ping', address: to.ip };
const tcp: Sent = { kind: 'tcp', address: to.ip, port: 8000 };
const name: Sent = { kind: 'name', name: to.name };

const BUSYBOX = `PING ${to.ip} (${to.ip}): 56 data bytes 64 bytes from ${to.ip}: seq=0 ttl=64 time=0.412 ms --- ${to.ip} ping statistics --- 1 packets transmitted, 1 packets received, 0% packet loss round-trip min/avg/max = 0.412/0.412/0.412 ms`;
const SILENT = `PING ${to.ip} (${to.ip}): 56 data bytes --- ${to.ip} ping statistics --- 1 packets transmitted, 0 packets received, 100% packet loss`;
const IPUTILS = `PING ${to.ip} (${to.ip}) 56(84) bytes of data. 64 bytes from ${to.ip}: icmp_seq=1 ttl=64 time=0.061 ms --- ${to.ip} ping statistics --- 1 packets transmitted, 1 received, 0% packet loss, time 0ms rtt min/avg/max/mdev = 0.061/0.061/0.061/0.000 ms`;
const NAMED = `PING ${to.name} (${to.ip}): 56 data bytes --- ${to.name} ping statistics --- 1 packets transmitted, 0 packets received, 100% packet loss`;

describe('judge', () => {
  test.each<[string, Sent, string, { answer: boolean }, object]>([
    ['an answer, busybox', ping, BUSYBOX, { answer: true }, { passed: true, ms: 0.412 }],
    ['an answer, iputils', ping, IPUTILS, { answer: true }, { passed: true, ms: 0.061 }],
    ['no answer', ping, SILENT, { answer: true }, { passed: false, seen: 'no answer' }],
    ['silence that is due', ping, SILENT, { answer: false }, { passed: true }],
    ['an answer where silence is due', ping, BUSYBOX, { answer: false }, { passed: false }],
    [
      'a ping that could not be sent proves no silence',
      ping,
      'ping: permission denied (are you root?)',
      { answer: false },
      { passed: false },
    ],
    ['the right container', tcp, to.name, { answer: true }, { passed: true }],
    [
      'a container of the other tenant',
      tcp,
      box('1-twin').name,
      { answer: true },
      { passed: false, seen: `${box('1-twin').name} answers` },
    ],
    ['nobody', tcp, 'nc: timed out', { answer: true }, { passed: false, seen: 'no answer (nc: timed out)' }],
    ['nobody, as it should be', tcp, '', { answer: false }, { passed: true }],
    ['the denied one', tcp, to.name, { answer: false }, { passed: false }],
    ['the name, though its ping is denied', name, NAMED, { answer: true }, { passed: true }],
    ['the name leads elsewhere', name, NAMED.replaceAll(to.ip, '198.18.9.9'), { answer: true }, { passed: false, seen: '198.18.9.9' }],
    ['no such name', name, `ping: bad address '${to.name}'`, { answer: true }, { passed: false, seen: 'no address' }],
    ['a name of another tenant', name, NAMED.replaceAll(to.ip, '2001:2:0:18::2'), { answer: false }, { passed: false }],
    ['no name of another tenant', name, `ping: bad address '${to.name}'`, { answer: false }, { passed: true }],
  ])('%s', (_what, sent, said, { answer }, verdict) => {
    expect(judge(probe(sent, answer), said)).toMatchObject(verdict);
  });

  test('what was not sent proves nothing', () => {
    for (const answer of [true, false]) expect(judge(probe(tcp, answer), undefined).passed).toBe(false);
  });
});

test('what many probes of one script print comes apart again', () => {
  const script = probeScript([probe(ping), probe(tcp), probe(name)]);
  expect(script.match(/^p \d+ .* &$/gm)).toEqual([
    `p 0 ping -c 1 -W 2 ${to.ip} &`,
    `p 1 nc -w 2 ${to.ip} 8000 &`,
    `p 2 ping -4 -c 1 -W 1 ${to.name} &`,
  ]);
  expect(probeScript([probe({ kind: 'ping', address: to.ip, size: 1450 })])).toContain(` -s 1422 ${to.ip}`);
  expect([...saidOf(`1 ${to.name}\r\n0\n2 a b\nsh: noise\n`)]).toEqual([
    [1, to.name],
    [0, ''],
    [2, 'a b'],
  ]);
});

const result = (what: string, passed: boolean, hosts: readonly [string, string], more: Partial<Result> = {}): Result => ({
  probe: probe(tcp, true, what),
  fromHost: hosts[0],
  toHost: hosts[1],
  passed,
  seen: passed ? 'an answer' : 'no answer',
  tries: 1,
  ...more,
});
const [A, B] = ['a-host-with-a-long-name.example.com', 'another-host-with-a-long-name.example.com'] as const;

describe('the table', () => {
  const results = [
    result('ping', true, [A, A]),
    result('ping', true, [A, B], { tries: 2 }),
    result('ping', false, [B, A]),
    result('tcp', true, [B, A]),
  ];

  test('counts within hosts and between them', () => {
    expect(rowsOf(results).map(({ check, sameHost, betweenHosts }) => [check.what, sameHost, betweenHosts])).toEqual([
      ['ping', { passed: 1, all: 1 }, { passed: 1, all: 2 }],
      ['tcp', { passed: 0, all: 0 }, { passed: 1, all: 1 }],
    ]);
  });

  test('fits 80 columns, names what failed and what was not tested', () => {
    const [, , failed] = results;
    if (!failed) throw new Error('none');
    const report = { run: 'selftest-0123abcd', image: 'alpine', hosts: [A, B], containers: 8, results, more: 3, passed: false };
    const text = reportText(
      {
        ...report,
        failures: [{ result: failed, trace: 'nobody is called so' }],
        untested: [`host c: ${'its agent is not connected '.repeat(3)}`],
      },
      80,
    );
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).toContain('ping   answered   1/1        ✗ 1/2\n');
    expect(text).toMatch(/✗ vxlan: ping: selftest-0123abcd-1-open on/);
    expect(text).toContain('    no trace: nobody is called so\n');
    expect(text).toContain('… and 3 more');
    expect(text).toContain('✗ not tested: host c');
    expect(text).toContain('! 1 probe passed only when asked again');
    expect(text).toMatch(/4 probes between 8 containers on 2 hosts: 1 FAILED, not everything was tested\n$/);
  });
});
