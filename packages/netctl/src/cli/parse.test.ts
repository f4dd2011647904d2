import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { grammar } from '../tree/index.js';
import { leaves } from './command.js';
import { type Parsed, parse } from './parse.js';

type Running = Extract<Parsed, { kind: 'run' }>;

function running(line: string): Running {
  const parsed = parse(grammar, line.split(' '));
  if (parsed.kind !== 'run') throw new Error(`"${line}" is ${parsed.kind}`);
  return parsed;
}

describe('flags', () => {
  test.each([
    'net create -s 10.1.2.0/24 n',
    'net create -s=10.1.2.0/24 n',
    'net create --s=10.1.2.0/24 n',
    'net create --subnet 10.1.2.0/24 n',
    'net create --subnet=10.1.2.0/24 n',
    'net create -subnet 10.1.2.0/24 n',
    'net create n -s 10.1.2.0/24',
    'network create n --subnet 10.1.2.0/24',
    'net create -s 10.9.9.0/24 -s 10.1.2.0/24 n',
    'net create --subnet=10.1.2.0/24 -- n',
  ])('%s', (line) => {
    const { path, values, args } = running(line);
    expect([path.join(' '), values.text('subnet'), values.text('tenant'), args]).toEqual([
      'network create',
      '10.1.2.0/24',
      'default',
      ['n'],
    ]);
  });

  test('of several letters are not taken for others', () => {
    const { values } = running('net create -s 10.1.2.0/24 -s6 2001:db8::/64 -g 10.1.2.1 -g6 2001:db8::1 -tag mine -p 7 n');
    expect(values.text('subnet')).toBe('10.1.2.0/24');
    expect(values.text('subnetv6')).toBe('2001:db8::/64');
    expect(values.text('gateway')).toBe('10.1.2.1');
    expect(values.text('gatewayv6')).toBe('2001:db8::1');
    expect(values.text('nw-tag')).toBe('mine');
    expect(values.number('pkt-tag')).toBe(7);
  });

  test('that are lists grow, switches are on, off or joined', () => {
    expect(running('group create n g -p a --policy b -p=c').values.list('policy')).toEqual(['a', 'b', 'c']);
    const joined = running('net ls -aq').values;
    expect([joined.on('all'), joined.on('quiet'), joined.on('json')]).toEqual([true, true, false]);
    expect(running('net ls -a=false -j=true').values.on('all')).toBe(false);
    expect(running('net ls -a=false -j=true').values.on('json')).toBe(true);
  });

  test('take a value that begins with a dash', () => {
    expect(running('global set --vlan-range -').values.text('vlan-range')).toBe('-');
    expect(running('net create -p -1 -s x n').values.number('pkt-tag')).toBe(-1);
  });

  test('that are global stand before or after the command', () => {
    for (const line of ['--netmaster http://a net ls', 'net --netmaster http://a ls', 'net ls --netmaster=http://a'])
      expect(running(line).values.text('netmaster')).toBe('http://a');
    // The command's own -v is not the global one.
    expect(running('global set -v 1-9').values.text('vlan-range')).toBe('1-9');
  });
});

describe('faults', () => {
  test.each([
    ['net ls --tenannt x', 'flag provided but not defined: --tenannt', 'Did you mean "--tenant"?'],
    ['net ls -x', 'flag provided but not defined: -x', ''],
    ['net ls -ax', 'flag provided but not defined: -ax', ''],
    ['net create -s', 'flag needs an argument: -s', ''],
    ['net create -p many', 'invalid value "many" for flag -p', 'give a whole number'],
    ['net create -p=1.5', 'invalid value "1.5" for flag -p', 'give a whole number'],
    ['net ls -a=perhaps', 'invalid value "perhaps" for flag -a', 'give true or false, or nothing'],
    ['--nonsense net ls', 'flag provided but not defined: --nonsense', ''],
  ])('%s', (line, message, hint) => expect(parse(grammar, line.split(' '))).toMatchObject({ kind: 'wrong', message, hint }));

  test('in the name of a command are not flags', () => {
    expect(parse(grammar, ['nett', 'ls'])).toMatchObject({ kind: 'unknown', word: 'nett', path: [] });
    expect(parse(grammar, ['net', 'lsit'])).toMatchObject({
      kind: 'unknown',
      word: 'lsit',
      path: ['network'],
      hint: 'Did you mean "list" or "ls"?',
    });
    expect(parse(grammar, ['help', 'nothing'])).toMatchObject({ kind: 'unknown', word: 'nothing' });
  });
});

describe('help and version', () => {
  test.each([
    ['', []],
    ['-h', []],
    ['help', []],
    ['h', []],
    ['net', ['network']],
    ['net -h', ['network']],
    ['net help', ['network']],
    ['help net', ['network']],
    ['help net create', ['network', 'create']],
    ['net help create', ['network', 'create']],
    ['net create --help', ['network', 'create']],
    ['net create n -s 10.1.2.0/24 -h', ['network', 'create']],
  ])('%j', (line, path) =>
    expect(
      parse(
        grammar,
        line.split(' ').filter((w) => w !== ''),
      ),
    ).toMatchObject({ kind: 'help', path }),
  );

  test.each(['-v', '--version'])('%s', (line) => expect(parse(grammar, [line]).kind).toBe('version'));
});

test('aliases lead to the same commands', () => {
  for (const [alias, path] of [
    ['net list', 'network ls'],
    ['ep inspect x', 'endpoint inspect'],
    ['tenant delete x', 'tenant rm'],
    ['group list', 'group ls'],
  ] as const)
    expect(running(alias).path.join(' ')).toBe(path);
});

test('no two flags of a command share a name', () => {
  for (const { leaf, path } of leaves(grammar.root)) {
    const names = leaf.flags.flatMap((f) => [f.name, ...(f.short === undefined ? [] : [f.short])]);
    expect(new Set(names).size, path.join(' ')).toBe(names.length);
  }
});

test('any words at all are understood somehow', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('net', 'ls', 'create', '-s', '--', '-', '--tenant', '=', '-=', '--=x', 'help', '-aq', '__proto__'),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      expect(['run', 'help', 'version', 'wrong', 'unknown']).toContain(parse(grammar, words).kind);
    }),
  );
});
