import type { TrackedConnection } from '@contiv/datapath';
import type { FlowRecord, Ipv4 } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowTable } from './table.js';

const NOW = 1_700_000_000_000;
const UNITS = 1_000_000;
const names = {
  tenant: () => 'blue',
  peer: (_domain: number, ip: string, port: number) => ({ ip, port, container: `c-${ip}` }),
  rule: (number: number) => (number === 0 ? undefined : { policy: 'p', rule: String(number) }),
};
const tableOf = (max = 100) => new FlowTable({ host: 'h1', names, max, units: () => UNITS });

const connection = (port: number, more: Partial<TrackedConnection> = {}): TrackedConnection => ({
  domain: 7,
  protocol: 6,
  src: { ip: '10.1.1.1' as Ipv4, port },
  dst: { ip: '10.1.1.2' as Ipv4, port: 80 },
  started: UNITS,
  seen: UNITS,
  rule: 0,
  denied: false,
  way: 'out',
  replied: true,
  end: undefined,
  told: true,
  logged: false,
  packets: [1, 1],
  bytes: [60, 60],
  ...more,
});
/** As a sweep does. */
const sweep = (table: FlowTable, kernel: readonly TrackedConnection[], readAt: number): FlowRecord[] => [
  ...kernel.flatMap((c) => table.see(c, readAt) ?? []),
  ...table.missing(readAt),
];
const states = (records: readonly FlowRecord[]) => records.map((r) => `${r.state} ${r.src.port}`);

describe('FlowTable', () => {
  it('what an agent that was away is told late has the time at which it happened, as far as the data path knows', () => {
    const past = { started: UNITS - 3_352, seen: UNITS - 3_352 };
    const then = Math.round(NOW - (3_352 * 2 ** 30) / 1e6);
    const told = (kind: 'denied' | 'ended', more: Partial<TrackedConnection>) =>
      tableOf()
        .tell({ kind, connection: connection(1, { ...past, ...more }) }, NOW)
        .map(({ start, time }) => [start, time]);
    expect(told('denied', { denied: true })).toEqual([[then, then]]);
    expect(told('ended', { end: 'fin' })).toEqual([[then, then]]);
    // Cut by new rules, and ended with its container: later than its last packet.
    expect(told('denied', { denied: true, seen: UNITS - 100 })).toEqual([[then, NOW]]);
    expect(told('ended', {})).toEqual([[then, NOW]]);
  });

  it('follows a connection from its beginning to its end', () => {
    const table = tableOf();
    expect(table.tell({ kind: 'opened', connection: connection(1, { rule: 5 }) }, NOW)).toMatchObject([
      {
        state: 'open',
        verdict: 'allow',
        tenant: 'blue',
        start: NOW,
        policy: 'p',
        rule: '5',
        src: { container: 'c-10.1.1.1' },
        hosts: ['h1'],
      },
    ]);
    expect(sweep(table, [connection(1, { packets: [9, 8], bytes: [900, 800] })], NOW + 1_000)).toEqual([]);
    expect([...table.records()]).toMatchObject([{ packets: [9, 8], time: NOW + 1_000, start: NOW }]);
    const ended = table.tell({ kind: 'ended', connection: connection(1, { end: 'fin', packets: [10, 9] }) }, NOW + 5_000);
    expect(ended).toMatchObject([{ state: 'closed', start: NOW, time: NOW + 5_000, packets: [10, 9] }]);
    expect(table.size).toBe(0);
  });

  it('says who was denied, by which rule', () => {
    const [denied] = tableOf().tell({ kind: 'denied', connection: connection(1, { denied: true, rule: 9, way: 'in', logged: true }) }, NOW);
    expect(denied).toMatchObject({ state: 'denied', verdict: 'deny', policy: 'p', rule: '9', way: 'in', logged: true });
  });

  it('what new rules cut does not go on', () => {
    const table = tableOf();
    table.tell({ kind: 'opened', connection: connection(1) }, NOW);
    table.tell({ kind: 'denied', connection: connection(1, { denied: true }) }, NOW);
    expect(table.size).toBe(0);
    expect(sweep(table, [connection(1, { denied: true })], NOW + 1)).toEqual([]);
  });

  it('tells what is gone from the table: long silent, or pushed out', () => {
    const table = tableOf();
    table.tell({ kind: 'opened', connection: connection(1, { protocol: 17, seen: UNITS - 175 }) }, NOW);
    table.tell({ kind: 'opened', connection: connection(2, { protocol: 17 }) }, NOW);
    expect(states(sweep(table, [], NOW + 1)).sort()).toEqual(['expired 1', 'lost 2']);
  });

  it('what began after the table was read is not missed in it', () => {
    const table = tableOf();
    table.tell({ kind: 'opened', connection: connection(1) }, NOW + 10);
    expect(sweep(table, [], NOW)).toEqual([]);
    expect(table.size).toBe(1);
  });

  it('adopts what an agent before it was told of, and nothing else', () => {
    const table = tableOf();
    const old = connection(1, { started: UNITS - 100 });
    expect(
      sweep(table, [old, connection(2, { told: false }), connection(3, { denied: true }), connection(4, { end: 'fin' })], NOW),
    ).toEqual([]);
    expect(states([...table.records()])).toEqual(['open 1']);
    expect([...table.records()][0]?.start).toBeLessThan(NOW - 100_000);
  });

  it('an end that did not fit into the ring is seen in the table', () => {
    const table = tableOf();
    table.tell({ kind: 'opened', connection: connection(1) }, NOW);
    expect(states(sweep(table, [connection(1, { end: 'rst' })], NOW + 1))).toEqual(['reset 1']);
  });

  it('a beginning that was seen in the table before it was told is one beginning', () => {
    const table = tableOf();
    sweep(table, [connection(1, { packets: [3, 2] })], NOW);
    expect(states(table.tell({ kind: 'opened', connection: connection(1) }, NOW + 1))).toEqual(['open 1']);
    expect(table.size).toBe(1);
  });

  it('what does not fit is counted when it is told, and not again by every sweep', () => {
    const table = tableOf(1);
    for (const port of [1, 2]) table.tell({ kind: 'opened', connection: connection(port) }, NOW);
    for (const at of [1, 2, 3]) sweep(table, [connection(1), connection(2)], NOW + at);
    expect(table.left).toBe(1);
  });

  it('what was given away does not change with the connection; new rules are named', () => {
    const table = tableOf();
    const [opened] = table.tell({ kind: 'opened', connection: connection(1, { rule: 5 }) }, NOW);
    const [before] = table.records();
    sweep(table, [connection(1, { packets: [9, 8], rule: 6, way: 'in' })], NOW + 1);
    expect([opened, before]).toMatchObject([
      { packets: [1, 1], rule: '5' },
      { packets: [1, 1], rule: '5' },
    ]);
    expect([...table.records()]).toMatchObject([{ packets: [9, 8], rule: '6', way: 'in', start: NOW }]);
    sweep(table, [connection(1, { packets: [9, 8], rule: 0 })], NOW + 2);
    expect([...table.records()][0]?.rule).toBeUndefined();
  });

  it('a container whose name came after its first connections is named all the same, once and for all', () => {
    let known: Record<string, object> = {};
    const peer = (_domain: number, ip: string, port: number) => ({ ip, port, ...known[ip] });
    const tenant = () => (known['10.1.1.1'] ? 'blue' : '');
    const table = new FlowTable({ host: 'h1', names: { ...names, peer, tenant }, max: 10, units: () => UNITS });
    for (const port of [1, 2]) table.tell({ kind: 'opened', connection: connection(port) }, NOW);
    const [open] = table.records();
    known = { '10.1.1.1': { network: 'n', host: 'h1', container: 'web' }, '10.1.1.2': { network: 'n', host: 'h2' } };
    sweep(table, [connection(1), connection(2)], NOW + 10_000);
    const web = { container: 'web', host: 'h1' };
    expect([...table.records()]).toMatchObject([1, 2].map(() => ({ src: web, dst: { network: 'n', host: 'h2' } })));
    expect(open?.src).toEqual({ ip: '10.1.1.1', port: 1 });
    // Somebody else has the address of one, and nobody that of the other.
    known = { '10.1.1.1': { network: 'n', host: 'h1', container: 'other' } };
    sweep(table, [connection(1)], NOW + 20_000);
    expect([...table.records()]).toMatchObject([{ src: web, dst: { network: 'n', host: 'h2' } }]);
    const ended = table.tell({ kind: 'ended', connection: connection(1, { end: 'fin' }) }, NOW + 30_000);
    expect(ended).toMatchObject([{ tenant: 'blue', src: web, dst: { network: 'n', host: 'h2' } }]);
    table.tell({ kind: 'opened', connection: connection(3) }, NOW);
    known = { '10.1.1.1': { network: 'n', host: 'h1', container: 'late' } };
    expect(table.tell({ kind: 'ended', connection: connection(3, { end: 'fin' }) }, NOW + 100)).toMatchObject([
      { src: { container: 'other' } },
    ]);
  });

  it('the same ends again end what was there', () => {
    const table = tableOf();
    table.tell({ kind: 'opened', connection: connection(1) }, NOW);
    expect(states(table.tell({ kind: 'opened', connection: connection(1) }, NOW + 1))).toEqual(['closed 1', 'open 1']);
  });

  it('holds so many and counts the rest; every connection ends once at most', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ port: fc.integer({ min: 1, max: 6 }), what: fc.constantFrom('opened', 'ended', 'denied', 'sweep') }), {
          maxLength: 60,
        }),
        (steps) => {
          const table = tableOf(3);
          const live = new Set<number>();
          let now = NOW;
          let begun = 0;
          let over = 0;
          const note = (records: readonly FlowRecord[]) => {
            for (const { state } of records) {
              if (state === 'open') begun++;
              else if (state !== 'denied') over++;
            }
          };
          for (const { port, what } of steps) {
            now += 10;
            if (what === 'sweep') {
              // Whatever was live may have been pushed out.
              const kept = [...live].filter((p) => p % 2 === port % 2);
              live.clear();
              for (const p of kept) live.add(p);
              note(
                sweep(
                  table,
                  kept.map((p) => connection(p)),
                  now,
                ),
              );
            } else if (what === 'opened') {
              live.add(port);
              note(table.tell({ kind: 'opened', connection: connection(port) }, now));
            } else if (live.delete(port)) {
              note(table.tell({ kind: what, connection: connection(port, what === 'denied' ? { denied: true } : { end: 'fin' }) }, now));
            }
            expect(table.size).toBeLessThanOrEqual(3);
          }
          expect(over).toBeLessThanOrEqual(begun);
        },
      ),
      { numRuns: 300 },
    );
  });
});
