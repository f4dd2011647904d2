import { describe, expect, test } from 'vitest';
import { grammar } from '../tree/index.js';
import { type Branch, leaves, type Node } from './command.js';
import { helpOf } from './help.js';
import { parse } from './parse.js';

function* nodes(branch: Branch, path: readonly string[] = []): Generator<readonly [string, Node, readonly string[]]> {
  yield [path.join(' ') || 'netctl', branch, path];
  for (const node of branch.commands) {
    if (node.kind === 'branch') yield* nodes(node, [...path, node.name]);
    else yield [[...path, node.name].join(' '), node, [...path, node.name]];
  }
}

describe.each([...nodes(grammar.root)])('help of %s', (_name, node, path) => {
  const help = helpOf(grammar, node, path);

  test('says what, how and gives an example', () => {
    expect(node.summary).toMatch(/^[A-Z][^.]*$/);
    expect(node.examples.length).toBeGreaterThan(0);
    for (const { line, what } of node.examples) {
      expect(help).toContain(`netctl ${line}\n`);
      expect(what).toMatch(/^[A-Z].*[^.]$/);
    }
    for (const flag of node.kind === 'leaf' ? node.flags : []) expect(help).toContain(`--${flag.name}`);
  });

  test('fits 80 columns', () => {
    const examples = new Set(node.examples.map((e) => `   netctl ${e.line}`));
    for (const line of help.split('\n')) if (!examples.has(line)) expect(line.length, line).toBeLessThanOrEqual(80);
  });
});

describe('every example', () => {
  const cases = [...leaves(grammar.root)].flatMap(({ leaf, path }) => leaf.examples.map((e) => [e.line, leaf, path] as const));
  test.each(cases)('netctl %s', (line, leaf, path) => {
    const words = line.replace(/ [>|].*$/, '').split(' ');
    const parsed = parse(grammar, words);
    expect(parsed).toMatchObject({ kind: 'run', path });
    if (parsed.kind === 'run') expect(leaf.rest ? leaf.args.length : parsed.args.length).toBe(leaf.args.length);
  });
});
