import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** How programs start from code that was compiled before: scripts/start.cjs, beside a bundle of its own. */
const BUNDLE = `
const { basename } = require('node:path');
function twice(n) { return 2 * n; }
console.log(twice(21), process.argv.slice(2).join(' '), basename(process.argv[1]), basename(__filename));
if (process.argv[2] === 'fail') throw new Error('it failed');
`;
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'start-'));
  copyFileSync(resolve(import.meta.dirname, '../../../scripts/start.cjs'), join(dir, 'start.cjs'));
  writeFileSync(join(dir, 'p-1.cjs'), BUNDLE);
  writeFileSync(join(dir, 'p.cjs'), "require('./start.cjs')(__dirname + '/p-1.cjs');\n");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' });
const code = () => join(dir, `p-1.${process.version}.code`);

test('with kept code, without it, and with what is none', () => {
  const said = { status: 0, stderr: '', stdout: '42 a b p.cjs p-1.cjs\n' };
  expect(node('p.cjs', 'a', 'b')).toMatchObject(said);
  expect(existsSync(code())).toBe(false);
  expect(node('start.cjs', join(dir, 'p-1.cjs'), 'a')).toMatchObject({ status: 0, stdout: '42 a p-1.cjs p-1.cjs\n' });
  expect(node('p.cjs', 'a', 'b')).toMatchObject(said);
  // Of another Node, or damaged.
  const kept = readFileSync(code());
  for (const other of [kept.subarray(0, 100), Buffer.alloc(5_000, 7), Buffer.alloc(0)]) {
    writeFileSync(code(), other);
    expect(node('p.cjs', 'a', 'b')).toMatchObject(said);
  }
});

test('code is kept of a program that fails or ends itself, and a failure names its place', () => {
  expect(node('start.cjs', join(dir, 'p-1.cjs'), 'fail').status).toBe(1);
  expect(existsSync(code())).toBe(true);
  expect(node('p.cjs', 'fail').stderr).toMatch(/p-1\.cjs:5[\s\S]*it failed/);
});
