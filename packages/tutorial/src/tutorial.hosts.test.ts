/** The whole first tutorial on both engines and the second on the modern one, in a network namespace of its own. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { ENGINES } from './step.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const NAMESPACE = 'tutorial-test';
const run = promisify(execFile);
const inside = (...argv: string[]) =>
  run('nsenter', [`--net=/run/netns/${NAMESPACE}`, ...argv], {
    cwd: ROOT,
    env: { ...process.env, CONTIV_LAB: 'tutorial' },
    timeout: 560_000,
    maxBuffer: 64 << 20,
  });
const removed = async () => {
  await inside('bin/lab', 'down', '--quiet').catch(() => undefined);
  await run('ip', ['netns', 'del', NAMESPACE]).catch(() => undefined);
};

afterAll(removed);

test.each([...ENGINES.map((engine) => ['container-101', engine]), ['contiv-policy', 'modern']])(
  'every command of %s shows what it has to, on the %s engine',
  async (tutorial, engine) => {
    await removed();
    await run('ip', ['netns', 'add', NAMESPACE]);
    await run('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'up']);
    const ended = await inside('bin/tutorial', tutorial, '--engine', engine).catch((error: unknown) => error as { stdout: string });
    // The last steps, should one have failed: they say which and how.
    expect(ended.stdout.split('\n').slice(-60).join('\n')).toMatch(
      /^All \d+ commands of the tutorial showed what they have to, in \d+ s\.$/m,
    );
  },
);
