import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const SCRIPT = resolve(import.meta.dirname, '../../../scripts/sum-tests.mjs');
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sum-tests-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function report(project: string, counts: readonly [passed: number, failed: number, skipped: number], testResults: object[] = []): void {
  const [numPassedTests, numFailedTests, numPendingTests] = counts;
  writeFileSync(
    join(dir, `${project}.json`),
    JSON.stringify({ numPassedTests, numFailedTests, numPendingTests, numTodoTests: 0, testResults }),
  );
}

function sum(...failedSteps: string[]): { status: number | null; last: string | undefined } {
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT, dir, 'unit,kernel,hosts', ...failedSteps], { encoding: 'utf8' });
  return { status, last: stdout.trimEnd().split('\n').at(-1) };
}

describe('the total of all tests', () => {
  test('adds the projects up', () => {
    report('unit', [10, 0, 1]);
    report('kernel', [5, 0, 2]);
    expect(sum()).toEqual({ status: 0, last: '15 passed, 0 failed, 3 skipped' });
  });

  test('a failed test fails the run and is not counted twice with its project', () => {
    const failed = {
      name: '/x.test.ts',
      status: 'failed',
      assertionResults: [{ status: 'failed', fullName: 'it works', failureMessages: ['no\n    at x.ts'] }],
    };
    report('unit', [10, 1, 0], [failed]);
    expect(sum('unit tests')).toEqual({ status: 1, last: '10 passed, 1 failed, 0 skipped' });
  });

  test('a file that cannot be loaded, a report that is missing and a failed lint count', () => {
    report('unit', [10, 0, 0], [{ name: '/x.test.ts', status: 'failed', message: 'cannot import', assertionResults: [] }]);
    expect(sum('lint', 'unit tests', 'hosts tests')).toEqual({ status: 1, last: '10 passed, 3 failed, 0 skipped' });
  });

  test('no test at all is no success', () => {
    expect(sum()).toEqual({ status: 1, last: '0 passed, 1 failed, 0 skipped' });
  });
});
