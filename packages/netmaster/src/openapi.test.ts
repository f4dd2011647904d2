/** `docs/openapi.json` is what the server says of itself. `UPDATE=1` writes it anew. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { startTestMaster } from './test-support.js';

const FILE = new URL('../../../docs/openapi.json', import.meta.url);

test('the printed description of the API is the served one', async () => {
  const m = await startTestMaster();
  const served = `${JSON.stringify((await m.get('/openapi.json')).body, null, 2)}\n`;
  await m.stop();
  if (process.env.UPDATE === '1') await writeFile(FILE, served);
  expect(await readFile(FILE, 'utf8')).toBe(served);
});
