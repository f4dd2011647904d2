import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { jsonText, yamlText } from './document.js';
import { failureLine } from './failure.js';
import { column, table } from './table.js';

describe('tables', () => {
  test('are as wide as the longest cell and two spaces; the last cell is not padded', () => {
    const columns = [
      column('A', (r: string[]) => r[0] ?? ''),
      column('Bee', (r: string[]) => r[1] ?? ''),
      column('C', (r: string[]) => r[2] ?? ''),
    ];
    expect(
      table(columns, [
        ['longer', 'x', 'end'],
        ['y', '', ''],
      ]),
    ).toBe(['A       Bee  C', '-       ---  -', 'longer  x    end', 'y            ', ''].join('\n'));
  });

  test('keep two spaces for a column without anything in it', () => {
    const columns = [column('A', () => 'a'), { head: '', dashes: '', cell: () => '' }, column('B', () => 'b')];
    expect(table(columns, [0])).toBe('A    B\n-    -\na    b\n');
  });

  test('have no way to steer the terminal', () => {
    expect(table([column('A', (r: string) => r)], ['\u001b[2Jx\u009b1m\r\nä'])).toBe('A\n-\n?[2Jx?1m??ä\n');
  });
});

describe('errors', () => {
  const now = new Date('2026-01-02T03:04:05.678Z');
  test('are short on a terminal, with the advice below', () => {
    expect(failureLine('tenant not found', '', { terminal: true, color: false, now })).toBe('ERRO[0000] tenant not found\n');
    expect(failureLine('no', 'try yes', { terminal: true, color: false, now })).toBe('ERRO[0000] no\ntry yes\n');
    expect(failureLine('no', '', { terminal: true, color: true, now })).toBe('\u001b[31mERRO\u001b[0m[0000] no\n');
  });
  test('are one line with fields elsewhere', () => {
    expect(failureLine('say "no"', 'try\tyes', { terminal: false, color: true, now })).toBe(
      'time="2026-01-02T03:04:05Z" level=error msg="say \\"no\\"" hint="try?yes"\n',
    );
    expect(failureLine('no', '', { terminal: false, color: true, now })).toBe('time="2026-01-02T03:04:05Z" level=error msg=no\n');
  });
});

describe('documents', () => {
  const value = { name: 'a\u009bb', list: [1, 'zwei'], none: [] };
  test('in JSON have two spaces and keep their meaning without control characters', () => {
    expect(jsonText([])).toBe('[]\n');
    expect(jsonText({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}\n');
    expect(jsonText(value)).not.toContain('\u009b');
    expect(JSON.parse(jsonText(value))).toEqual(value);
  });
  test('in YAML do not break lines', async () => {
    const long = { text: 'word '.repeat(60).trim(), none: [] };
    expect((await yamlText(long)).split('\n')).toHaveLength(3);
    expect(parseYaml(await yamlText(long))).toEqual(long);
    expect(await yamlText(value)).not.toContain('\u009b');
  });
});
