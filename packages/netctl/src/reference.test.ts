/** `docs/netctl.md` is what the command tree says. `UPDATE=1` writes it anew. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { leaves } from './cli/command.js';
import { reference } from './reference.js';
import { grammar } from './tree/index.js';

const FILE = new URL('../../../docs/netctl.md', import.meta.url);

test('the printed reference is current', async () => {
  const text = reference(grammar);
  if (process.env.UPDATE === '1') await writeFile(FILE, text);
  expect(await readFile(FILE, 'utf8')).toBe(text);
});

test('every command has a place in it', () => {
  const lines = reference(grammar).split('\n');
  for (const { path } of leaves(grammar.root))
    expect(lines.filter((line) => /^##+ /.test(line) && line.endsWith(`netctl ${path.join(' ')}`))).toHaveLength(1);
});
