import { expect, test } from 'vitest';
import { outcomeOf } from './traffic.js';

const ping = (seq: number, at: number): string => `[${at.toFixed(6)}] 64 bytes from 10.1.1.2: icmp_seq=${seq} ttl=64 time=0.1 ms`;
const second = (from: number, rate: string): string =>
  `[  5]   ${from}.00-${from + 1}.00   sec  6.00 MBytes  ${rate} Mbits/sec    0    346 KBytes`;

test('answers that are missing, late or doubled', () => {
  const lines = [ping(7, 100), ping(8, 100.005), ping(11, 101), `${ping(11, 101.001)} (DUP!)`, '--- statistics ---'];
  const outcome = outcomeOf(lines.join('\n'));
  expect(outcome).toMatchObject({ answered: 3, lost: 2, misses: ['2 after 100.005'], rttMs: 0.1 });
  expect(outcome.longestGapMs).toBeCloseTo(995);
  expect(outcomeOf([...lines, 'send 9: No buffer space available'].join('\n')).misses).toEqual([
    '2 after 100.005: No buffer space available',
  ]);
  // A second in which nobody asked.
  expect(outcomeOf([ping(7, 100), ping(8, 101)].join('\n')).longestGapMs).toBeCloseTo(0.1);
  expect(outcomeOf('')).toEqual({ answered: 0, lost: 0, misses: [], longestGapMs: 0, rttMs: 0, stream: [] });
});

test('whole seconds of the stream, without the last one and the sums', () => {
  const text = [
    second(0, '50.3'),
    second(1, '0.00').replace('-2.00', '-2.04'),
    '[  5]   2.00-2.31   sec  1.00 MBytes  50.1 Mbits/sec    0    346 KBytes',
    '- - - -',
    '[  5]   0.00-2.31   sec  13.0 MBytes  47.2 Mbits/sec    0             sender',
  ].join('\n');
  expect(outcomeOf(text).stream).toEqual([50.3, 0]);
});
