import type { FlowRecord } from '@contiv/model';
import { flowMatches } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gathered, hasTwin, mergeAll, TwinWait } from './flows.js';

const flow = (host: string, more: Partial<FlowRecord> = {}): FlowRecord => ({
  hosts: [host],
  tenant: 'default',
  state: 'closed',
  verdict: 'allow',
  start: 1_000,
  time: 2_000,
  protocol: 6,
  src: { ip: '10.1.1.1', port: 40_000, container: 'web1', group: 'web', network: 'net', host: 'h1' },
  dst: { ip: '10.1.1.2', port: 5_432, container: 'db1', group: 'db', network: 'net', host: 'h2' },
  way: 'out',
  packets: [5, 4],
  bytes: [500, 400],
  ...more,
});

describe('twins', () => {
  it('two records of one connection become one, told from the caller’s side', () => {
    const called = flow('h2', { start: 1_900, time: 2_900, packets: [4, 6], state: 'expired' });
    for (const order of [
      [flow('h1'), called],
      [called, flow('h1')],
    ])
      expect(mergeAll(order, 10)).toEqual([{ ...flow('h1'), hosts: ['h1', 'h2'], time: 2_900, packets: [5, 6] }]);
  });

  it('what is apart in time, verdict, host or state stays apart', () => {
    for (const other of [
      flow('h2', { start: 60_000 }),
      flow('h2', { verdict: 'deny', state: 'denied' }),
      flow('h1'),
      flow('h2', { state: 'open' }),
    ])
      expect(mergeAll([flow('h1'), other], 10)).toHaveLength(2);
    expect(mergeAll([flow('h1'), flow('h2', { tenant: 'blue' })], 10)).toHaveLength(2);
  });

  it('the newest that are over, and all that go on', () => {
    const over = [3, 1, 2].map((n) => flow('h1', { time: n, src: { ip: '10.1.1.1', port: n } }));
    const open = [5, 4].map((n) => flow('h1', { state: 'open', start: n, src: { ip: '10.1.1.1', port: n } }));
    expect(mergeAll([...open, ...over], 2).map((f) => f.src.port)).toEqual([2, 3, 4, 5]);
    expect(mergeAll([...open, ...over], 0).map((f) => f.src.port)).toEqual([4, 5]);
  });

  it('what the same ends tried all day is found as fast as anything else', () => {
    const records = Array.from({ length: 40_000 }, (_, n) => flow(n % 2 === 0 ? 'h1' : 'h2', { start: n * 4_000, time: n * 4_000 }));
    const began = performance.now();
    expect(mergeAll(records, 100_000)).toHaveLength(20_000);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('of a host with more than fits it is said once', () => {
    const gathered = new Gathered(3);
    const piece = [flow('h1'), flow('h1')];
    expect(['h1', 'h1', 'h1', 'h2', 'h2'].map((host) => gathered.add(host, piece))).toEqual([false, true, false, true, false]);
    expect(gathered.add('h3', [])).toBe(false);
    expect(gathered.records).toHaveLength(3);
  });

  it('in a stream the first waits a little, and whoever has no twin does not', () => {
    const wait = new TwinWait(1_500);
    expect(wait.take(flow('h1'), 0)).toEqual([]);
    expect(wait.take(flow('h2'), 100)).toMatchObject([{ hosts: ['h1', 'h2'] }]);
    expect(wait.take(flow('h1'), 200)).toEqual([]);
    expect(wait.due(1_699)).toEqual([]);
    expect(wait.due(1_700)).toEqual([flow('h1')]);
    expect(wait.take(flow('h1', { verdict: 'deny', state: 'denied' }), 0)).toHaveLength(1);
    expect(hasTwin(flow('h1', { dst: { ip: '192.0.2.1', port: 53 } }))).toBe(false);
    expect(wait.size).toBe(0);
  });

  it('nothing is lost and nothing told twice, in whichever order records come', () => {
    const records = fc.array(
      fc.record({ port: fc.integer({ min: 1, max: 4 }), host: fc.constantFrom('h1', 'h2'), at: fc.integer({ min: 0, max: 3_000 }) }),
    );
    fc.assert(
      fc.property(records, (list) => {
        const wait = new TwinWait(1_000);
        const ordered = list.toSorted((a, b) => a.at - b.at);
        const told = ordered.flatMap(({ port, host, at }) => [
          ...wait.due(at),
          ...wait.take(flow(host, { src: { ...flow('h1').src, port } }), at),
        ]);
        told.push(...wait.due(100_000));
        expect(told.reduce((sum, f) => sum + f.hosts.length, 0)).toBe(list.length);
        expect(wait.size).toBe(0);
      }),
    );
  });
});

describe('filters', () => {
  it('match names, addresses and prefixes of the end they are about', () => {
    const f = flow('h1', { dst: { ip: '2001:db8::5', port: 443, container: 'db1' } });
    for (const from of ['web1', 'web', 'net', 'h1', '10.1.1.1', '10.1.0.0/16']) expect(flowMatches({ from }, f), from).toBe(true);
    for (const to of ['db1', '2001:db8::5', '2001:DB8:0::0005', '2001:db8::/64']) expect(flowMatches({ to }, f), to).toBe(true);
    for (const from of ['db1', '10.2.0.0/16', '10.1.1.2', '10.1.1.1/x', '2001:db8::/64'])
      expect(flowMatches({ from }, f), from).toBe(false);
    expect(flowMatches({ verdict: 'deny' }, f)).toBe(false);
    const pings = [1, 58].map((protocol) => flow('h1', { protocol }));
    expect([1, 58, 6].map((protocol) => pings.filter((ping) => flowMatches({ protocol }, ping)).length)).toEqual([2, 1, 0]);
    expect(flowMatches({ protocol: 6, port: 443, tenant: 'default', since: 2_000 }, f)).toBe(true);
    expect(flowMatches({ since: 2_001 }, f)).toBe(false);
    expect(flowMatches({ port: 444 }, f)).toBe(false);
  });
});
