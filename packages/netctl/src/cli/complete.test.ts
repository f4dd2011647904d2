import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { grammar } from '../tree/index.js';
import { wanted } from './complete.js';

const words = (line: string): string[] => line.split(' ');
const offered = (line: string): string[] => wanted(grammar, words(line)).candidates.map(([word]) => word);

describe('what may come next', () => {
  test.each([
    ['ne', ['netprofile', 'network']],
    ['net ', ['create', 'inspect', 'ls', 'rm']],
    ['help net c', ['create']],
    ['--netmaster http://a tenant ', ['create', 'inspect', 'ls', 'rm']],
    ['net create -e ', ['vlan', 'vxlan']],
    ['net create --encap=vx', ['--encap=vxlan']],
    ['net create -e=', ['-e=vlan', '-e=vxlan']],
    ['net ls -o ', ['json', 'yaml', 'wide']],
    ['global set --fwd-mode ', ['bridge', 'routing']],
    ['completion z', ['zsh']],
    ['net create -s ', []],
    ['net ls -q --j', ['--json']],
    ['net ls --q', ['--quiet']],
    ['net ls -q --q', []],
    ['net nonsense', []],
    ['net rm -- -', []],
  ])('after %j', (line, expected) => expect(offered(line)).toEqual(expected));

  test.each([
    ['net rm ', 'network', 'default'],
    ['net rm -t blue ', 'network', 'blue'],
    ['net rm --tenant=blue web', 'network', 'blue'],
    ['net inspect ', 'network', 'default'],
    ['group create ', 'network', 'default'],
    ['group rm -t=blue ', 'group', 'blue'],
  ])('after %j is a %s of the tenant %s', (line, of, tenant) => {
    const want = wanted(grammar, words(line));
    expect([want.of, want.values.text('tenant')]).toEqual([of, tenant]);
  });

  test('names keep what stands before them', () => {
    expect(wanted(grammar, words('net ls --tenant=b'))).toMatchObject({ of: 'tenant', prefix: '--tenant=', typed: '--tenant=b' });
    expect(wanted(grammar, words('tenant rm '))).toMatchObject({ of: 'tenant', prefix: '', typed: '' });
    expect(wanted(grammar, words('ep inspect '))).toMatchObject({ of: 'endpoint' });
    expect(wanted(grammar, words('host rm '))).toMatchObject({ of: 'host' });
    expect(wanted(grammar, words('policy rule-add -g app,o'))).toMatchObject({ of: 'group', prefix: 'app,', typed: 'app,o' });
    expect(wanted(grammar, words('policy rule-add --to-network=a,b,'))).toMatchObject({ of: 'network', prefix: '--to-network=a,b,' });
    expect(wanted(grammar, words('net ls -t a,b'))).toMatchObject({ of: 'tenant', prefix: '' });
    // A name that is made up is not completed.
    expect(wanted(grammar, words('tenant create ')).of).toBeUndefined();
    expect(wanted(grammar, words('group create net ')).of).toBeUndefined();
  });

  test.each(['apply -f ', 'diff --file=cl', 'policy stage -f ./'])('after %j a file, which the shell knows', (line) => {
    expect(wanted(grammar, words(line))).toMatchObject({ candidates: [], file: true });
  });

  test('whatever is typed, every candidate begins with it', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom('net', 'ls', '-s', '--', '--tenant', '--tenant=', 'group', 'help', '-o'),
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (line) => {
        const typed = line.at(-1) ?? '';
        for (const [candidate] of wanted(grammar, line).candidates) expect(candidate.startsWith(typed)).toBe(true);
      }),
    );
  });
});
