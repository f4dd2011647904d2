import { expect, test } from 'vitest';
import { lineExpression } from './expect.js';
import { ENGINES } from './step.js';
import { ENGINE_WORDS, SUBSTITUTIONS, typedFor } from './substitutions.js';
import { visible } from './terminal.js';
import { page } from './transcript.js';
import { TUTORIALS } from './tutorials.js';

const CHAPTERS = Object.values(TUTORIALS).flatMap(({ chapters }) => chapters);
const steps = CHAPTERS.flatMap(({ steps }) => steps);

test('every substitution is used, and only where it applies', () => {
  for (const substitution of SUBSTITUTIONS) expect(steps.some(({ command }) => substitution.printed.test(command))).toBe(true);
  expect(typedFor('vagrant ssh legacy-swarm-master', 'system')).toBe('bin/lab ssh legacy-swarm-master');
  expect(typedFor('docker network create -d=overlay --subnet=30.1.1.0/24 overlay-net', 'system')).not.toContain('--attachable');
  expect(typedFor('docker network create -d=overlay --subnet=30.1.1.0/24 overlay-net', 'modern')).toBe(
    'docker network create -d=overlay --attachable --subnet=30.1.1.0/24 overlay-net',
  );
  expect(typedFor('netctl net ls', 'modern')).toBe('netctl net ls');
});

test('expectations use no kind nobody knows, and no name that was not kept', () => {
  const kept = new Set(ENGINES.flatMap((engine) => Object.keys(ENGINE_WORDS[engine])));
  for (const step of steps) {
    for (const [, name = ''] of JSON.stringify(step).matchAll(/@([A-Z]+)@/g)) expect(kept, `${step.command} uses ${name}`).toContain(name);
    for (const line of [...(step.shows ?? []), ...(step.rows ?? []), ...(step.never ?? [])]) {
      lineExpression(line);
      for (const [, name = ''] of line.matchAll(/ as ([A-Z]+)>/g)) kept.add(name);
    }
  }
});

test.each([
  ['plain\r\ntext\r\n', 'plain\ntext\n'],
  ['/ # \u001b[6n\r/ # \u001b[Jls\r\n', '/ # ls\n'],
  ['\u001b[1mbold\u001b[0m', 'bold'],
])('%j is seen as %j', (raw, seen) => {
  expect(visible(raw)).toBe(seen);
});

test('the page has every step, and trailing blanks nowhere', () => {
  const [chapter] = CHAPTERS;
  if (!chapter) throw new Error('no chapters');
  const done = chapter.steps.map((step) => ({
    step,
    prompt: '$ ',
    typed: step.command,
    output: 'out of /repo/build/x  ',
    met: [...(step.shows ?? [])],
  }));
  const text = page({ tutorial: 'container-101', engine: 'system', version: '20.10.24', root: '/repo', chapters: [{ chapter, done }] });
  for (const step of chapter.steps) expect(text).toContain(`$ ${step.command}`);
  expect(text).toContain('~/contiv/build/x');
  expect(text).not.toMatch(/[ \t]$/m);
});
