import { describe, expect, test } from 'vitest';
import { CommandError, run } from './exec.js';
import { startTime } from './processes.js';

const failure = (work: Promise<unknown>): Promise<CommandError> =>
  work.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => (error instanceof CommandError ? error : expect.fail(String(error))),
  );

describe('run', () => {
  test('answers what the program printed, and feeds its input', async () => {
    expect(await run(['cat'], { input: 'a\nb' })).toBe('a\nb');
  });

  test('says which program failed, how, and its last words', async () => {
    const error = await failure(run(['sh', '-c', 'echo wrong >&2; exit 3']));
    expect(error).toMatchObject({ reason: 'exit', code: 3 });
    expect(error.message).toMatch(/^sh -c .*exit code 3\nwrong$/s);
  });

  test('a program that is not there names the way to get it', async () => {
    const error = await failure(run(['no-such-program']));
    expect(error.reason).toBe('not-found');
    expect(error.message).toContain('scripts/setup.sh');
  });

  test('a time-out ends the program and what it started', async () => {
    let grandchild = 0;
    const onLine = (line: string) => {
      grandchild = Number(line);
    };
    // On a busy machine a shell may not have begun when its time is over.
    for (let timeoutMs = 300; grandchild === 0; timeoutMs *= 2) {
      const error = await failure(run(['sh', '-c', 'sleep 100 & echo $!; wait'], { timeoutMs, onLine }));
      expect(error.reason).toBe('timeout');
    }
    expect(grandchild).toBeGreaterThan(1);
    await expect.poll(() => startTime(grandchild)).toBeUndefined();
  });
});
