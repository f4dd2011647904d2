import type { FlowRecord, ObjectChange } from '@contiv/model';
import { describe, expect, it } from 'vitest';
import { duration, service } from '../commands/flows.js';
import { changeLines } from './changes.js';
import { amount, flowTable, flowText, ofOtherDays, serviceText } from './flows.js';
import { longest } from './table.js';
import { compared, topRows, topTable } from './top.js';

const flow = (more: Partial<FlowRecord> = {}): FlowRecord => ({
  hosts: ['h1', 'h2'],
  tenant: 'default',
  state: 'closed',
  verdict: 'allow',
  start: 1_700_000_000_000,
  time: 1_700_000_002_000,
  protocol: 6,
  src: { ip: '10.1.1.1', port: 40_000, container: 'a-container-with-a-rather-long-name', group: 'web' },
  dst: { ip: '10.1.1.2', port: 5_432, container: 'db1', group: 'db' },
  policy: 'dbpol',
  rule: '2',
  way: 'in',
  packets: [5, 4],
  bytes: [500_000, 400],
  ...more,
});
const lines = (text: string) => text.trimEnd().split('\n');

describe('flows', () => {
  it('fit 80 and 200 columns', () => {
    const flows = [
      flow(),
      flow({ state: 'denied', verdict: 'deny', dst: { ip: '2001:db8:1111:2222:3333:4444:5555:6666', port: 0 }, protocol: 58 }),
    ];
    const narrow = lines(flowTable(flows, { wide: false, columns: 80 }));
    expect(narrow.every((line) => line.length <= 80)).toBe(true);
    expect(narrow[0]).toMatch(/^Time +State +From +To +Service +Rule$/);
    expect(narrow[2]).toMatch(/ closed +a-container-wit… +db1 +tcp\/5432 +dbpol:2$/);
    expect(narrow[3]).toMatch(/ denied .* icmp6 +dbpol:2$/);
    const wide = lines(flowTable(flows, { wide: false, columns: 200 }));
    expect(wide.every((line) => line.length <= 200)).toBe(true);
    expect(wide[2]).toMatch(/default .* web .* db .* h1,h2 +5\/4 +500k\/400 +2$/);
  });

  it('are cut only where there is too little room, and never in a pipe or with -o wide', () => {
    const long = flow({ hosts: ['legacy-swarm-master', 'legacy-swarm-worker0'] });
    for (const text of [flowTable([long], { wide: true, columns: 80 }), flowTable([long], { wide: true })])
      expect(lines(text)[2]).toMatch(/a-container-with-a-rather-long-name .* legacy-swarm-master,legacy-swarm-worker0 /);
    expect(lines(flowTable([long], { wide: false }))[2]).toMatch(/ a-container-with-a-rather-long-name +db1 /);
    expect(flowText(long, { wide: false })).toMatch(/ a-container-with-a-rather-long-name +db1 /);
    expect(flowText(long, { wide: false, columns: 80 })).toMatch(/ a-container-wit… +db1 /);
    expect(flowText(long, { wide: false, columns: 200 })).toMatch(/ a-container-with-a-rath… .* legacy-swarm-master… /);
    // What comes later stands under the same heads.
    const [head = ''] = lines(flowTable([], { wide: false, columns: 80 }, true));
    expect(head.indexOf('Service')).toBe(flowText(long, { wide: false, columns: 80 }).indexOf('tcp/5432'));
    expect(lines(flowTable([long], { wide: false, columns: 175 }))[2]).toMatch(/legacy-swarm-worker0/);
  });

  it('of other days are told with their day, within the same width', () => {
    const at = (day: number, hour: number) => new Date(2026, 10, day, hour, 5, 9).getTime();
    const now = new Date(2026, 10, 26, 12);
    const [today, yesterday] = [flow({ time: at(26, 0) }), flow({ time: at(25, 23) })];
    expect([[], [today], [today, yesterday]].map((flows) => ofOtherDays(flows, now))).toEqual([false, false, true]);
    // One that goes on is told by its beginning.
    expect(ofOtherDays([flow({ state: 'open', start: at(25, 23), time: at(26, 0) })], now)).toBe(true);
    for (const columns of [80, 200]) {
      const text = lines(flowTable([today, yesterday], { wide: false, columns, days: true }));
      expect(text.every((line) => line.length <= columns)).toBe(true);
      expect([text[2], text[3]]).toEqual([expect.stringMatching(/^11-26 00:05:09 {2}closed /), expect.stringMatching(/^11-25 23:05:09 /)]);
    }
    const [head = ''] = lines(flowTable([], { wide: false, columns: 80, days: true }, true));
    expect(head.indexOf('Service')).toBe(flowText(today, { wide: false, columns: 80, days: true }).indexOf('tcp/5432'));
  });

  it('as many as a large cluster has are no more than fit', () => {
    // More than a call takes arguments.
    const changes = Array.from(
      { length: 130_000 },
      (): ObjectChange => ({ action: 'delete', kind: 'rule', key: 'default:p:1', fields: [] }),
    );
    expect(changeLines(changes).length).toBe(changes.length * '- rule default:p:1\n'.length);
    expect(longest(changes, ({ key }) => key.length)).toBe('default:p:1'.length);
  });

  it('nothing in a name steers the terminal, and a default is called so', () => {
    const { rule: _rule, policy: _policy, ...rest } = flow({ src: { ip: '10.1.1.1', port: 1, container: 'x\u001b[2J' } });
    const text = flowTable([rest], { wide: false, columns: 80 });
    expect(text).not.toContain('\u001b');
    expect(lines(text)[2]).toMatch(/default$/);
  });

  it('times and services are read as they are typed', () => {
    expect([duration('90s'), duration('5m'), duration('2h'), duration('1d')]).toEqual([90_000, 300_000, 7_200_000, 86_400_000]);
    for (const bad of ['', '5', 'm', '5 m', '-5m', '5w']) expect(() => duration(bad), bad).toThrow(/^Invalid time/);
    // What the table prints can be asked for.
    expect([1, 58, 132].map((protocol) => service(serviceText({ protocol, dst: { ip: '', port: 0 } })))).toEqual([
      { protocol: 1 },
      { protocol: 58 },
      { protocol: 132 },
    ]);
    expect([service('tcp/443'), service('ICMP'), service('132/80'), service('')]).toEqual([
      { protocol: 6, port: 443 },
      { protocol: 1 },
      { protocol: 132, port: 80 },
      {},
    ]);
    for (const bad of ['443', 'tcp/', 'tcp/0', 'tcp/65536', 'foo/1', 'tcp/1/2', 'constructor'])
      if (bad !== '443') expect(() => service(bad), bad).toThrow(/^Invalid service/);
    expect(() => service('443')).toThrow(/^Invalid service/);
    expect([amount(0), amount(999), amount(1_234), amount(45_678), amount(7_000_000_000)]).toEqual(['0', '999', '1.2k', '46k', '7.0G']);
  });
});

describe('top', () => {
  const at = (port: number, time: number, bytes: number, more: Partial<FlowRecord> = {}) =>
    flow({ state: 'open', time, bytes: [bytes, 0], packets: [bytes / 100, 0], src: { ...flow().src, port }, ...more });
  const T = 1_700_000_010_000;

  it('is what went between two moments', () => {
    const before = [at(1, T, 1_000_000), at(2, T, 5_000)];
    const after = [at(1, T + 2_000, 1_000_000), at(2, T + 2_000, 255_000), at(3, T + 2_000, 500_000, { start: T + 1_000 })];
    expect(topRows(before, after, 'connection', 2).map((r) => [r.bitsPerSecond, r.packetsPerSecond])).toEqual([
      [4_000_000, 5_000],
      [1_000_000, 1_250],
    ]);
    expect(topRows(before, after, 'group', 9)).toEqual([
      { tenant: 'default', from: 'web', to: 'db', service: '', connections: 3, bitsPerSecond: 5_000_000, packetsPerSecond: 6_250 },
    ]);
  });

  it('what was not read anew stays as it was, and counts the whole time once it was', () => {
    const pages = [
      [at(1, T, 0)],
      [at(1, T + 2_000, 1_000_000), at(2, T + 2_000, 500_000, { start: T + 1_000 })],
      [at(1, T + 2_000, 1_000_000), at(2, T + 2_000, 500_000, { start: T + 1_000 })],
      [at(1, T + 6_000, 2_000_000), at(2, T + 6_000, 500_000, { start: T + 1_000 })],
    ];
    let [before, last = []] = [pages[0] ?? [], pages[0]];
    const shown = pages.slice(1).map((now) => {
      before = compared(before, last, now);
      last = now;
      return topRows(before, now, 'connection', 9).map(({ bitsPerSecond }) => bitsPerSecond);
    });
    expect(shown).toEqual([
      [4_000_000, 4_000_000],
      [4_000_000, 4_000_000],
      [2_000_000, 0],
    ]);
  });

  it('counters that were not read anew say nothing', () => {
    expect(topRows([at(1, T, 100)], [at(1, T, 100)], 'connection', 9)).toEqual([]);
  });

  it('fits 80 columns', () => {
    const text = topTable(topRows([], [at(1, T, 100)], 'connection', 9), 'connection', 80);
    expect(lines(text).every((line) => line.length <= 80)).toBe(true);
    const rows = topRows([], [at(1, T, 100, { tenant: 'a-tenant-with-a-long-name' })], 'connection', 9);
    expect(topTable(rows, 'connection')).toMatch(/a-tenant-with-a-long-name +a-container-with-a-rather-long-name/);
  });
});
