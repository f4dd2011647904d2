// Sums vitest's JSON reports: sum-tests.mjs DIRECTORY PROJECT,PROJECT… [FAILED-STEP…]. A step that failed without a failing test (lint, a report
// that is missing, a file that could not be loaded) counts as one failure. No test at all is a failure too.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const [directory, projects, ...failedSteps] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const said = [];
const explained = new Set();

/** Why, in a few lines: whoever reads only the end of a long log has to understand it. */
function reason(messages = []) {
  return messages.flatMap((message) =>
    stripVTControlCharacters(message)
      .split('\n')
      .filter((line) => line.trim() !== '' && !/^\s+at |node_modules/.test(line))
      .slice(0, 6)
      .map((line) => `  ${line.slice(0, 240)}`),
  );
}

for (const project of projects.split(',')) {
  const file = join(directory, `${project}.json`);
  if (!existsSync(file)) continue;
  const before = said.length;
  const report = JSON.parse(readFileSync(file, 'utf8'));
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests + report.numTodoTests;
  for (const suite of report.testResults) {
    const name = relative('.', suite.name);
    const failures = suite.assertionResults.filter((test) => test.status === 'failed');
    for (const test of failures) said.push(`failed: ${name}: ${test.fullName}`, ...reason(test.failureMessages));
    if (suite.status === 'failed' && failures.length === 0) {
      total.failed += 1;
      said.push(`failed: ${name}: ${suite.message?.split('\n')[0] || 'could not be run'}`);
    }
  }
  if (said.length > before) explained.add(`${project} tests`);
}
for (const step of failedSteps) {
  if (explained.has(step)) continue;
  total.failed += 1;
  said.push(`failed: ${step}`);
}
if (total.passed + total.failed === 0) {
  total.failed = 1;
  said.push('failed: no test was run');
}
for (const line of said) console.log(line);
const sum = `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
if (existsSync(directory)) writeFileSync(join(directory, 'summary.txt'), `${sum}\n`);
console.log(sum);
process.exit(total.failed === 0 ? 0 : 1);
