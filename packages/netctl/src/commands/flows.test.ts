/** What is missing from a list of connections is said where it is read. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { netctl, ScriptedServer, tenantOf } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
});
afterEach(() => server.stop());

const LIVE = 'GET /api/v1/flows?verdict=allow&live=true&limit=0';
const lacking = (host: string) => `${JSON.stringify({ type: 'missing', host, reason: 'its agent is not connected' })}\n`;
const said = (host: string) => `host ${host}: its agent is not connected; flows of it are missing\n`;

test('top tells on every page of a terminal which hosts it lacks', async () => {
  server.on(LIVE, { type: 'application/x-ndjson', body: lacking('h1') });
  const shown = netctl(['--netmaster', server.url, 'top', '--interval', '1'], { outTerminal: true });
  await expect.poll(() => server.asked.length).toBe(2);
  server.on(LIVE, { status: 500, type: 'text/plain', body: 'enough' });
  const { out, err } = await shown;
  const [, ...pages] = out.split('\u001b[H\u001b[2J');
  expect(pages).toEqual([expect.stringMatching(/^Bit\/s .*\n-+ .*\nhost h1: its agent is not connected; flows of it are missing\n$/)]);
  expect(err).toMatch(/^host h1: .*\nERRO.* enough/);
});

test('top keeps the busiest in sight, however low the terminal is', async () => {
  const flows = Array.from({ length: 30 }, (_, i) => ({
    type: 'flow',
    flow: {
      hosts: ['h1'],
      tenant: 'default',
      state: 'open',
      verdict: 'allow',
      start: 1_000,
      time: 2_000,
      protocol: 6,
      way: 'in',
      src: { ip: '10.1.1.1', port: 40_000 + i },
      dst: { ip: `10.1.1.${100 + i}`, port: 80 },
      packets: [i, 0],
      bytes: [i * 1_000, 0],
    },
  }));
  server.on(LIVE, { type: 'application/x-ndjson', body: '' });
  const shown = netctl(['--netmaster', server.url, 'top', '--interval', '1'], { outTerminal: true, rows: 10 });
  await expect.poll(() => server.asked.length).toBe(1);
  server.on(LIVE, { type: 'application/x-ndjson', body: [...flows.map((f) => `${JSON.stringify(f)}\n`), lacking('h1')].join('') });
  await expect.poll(() => server.asked.length, { timeout: 5_000 }).toBe(2);
  server.on(LIVE, { status: 500, type: 'text/plain', body: 'enough' });
  const [, page = ''] = (await shown).out.split('\u001b[H\u001b[2J');
  // Nine, and the line of the cursor.
  expect(page.split('\n')).toHaveLength(10);
  expect(page).toMatch(/^Bit\/s .*\n-+ .*\n232k .* 10\.1\.1\.129 /);
});

test('top that prints once says it beside its table, once', async () => {
  server.on(LIVE, { type: 'application/x-ndjson', body: lacking('h1') });
  const { out, err } = await netctl(['--netmaster', server.url, 'top', '--interval', '1']);
  expect(out).toMatch(/^Bit\/s .*\n-+ .*\n$/);
  expect(err).toBe(said('h1'));
});

test('what was left out is said of all the time before, and then of what happens', async () => {
  const leftOut = { type: 'left-out', host: 'h1', records: 7 };
  const body = [leftOut, { type: 'now' }, leftOut].map((line) => `${JSON.stringify(line)}\n`).join('');
  server.on('GET /api/v1/flows?limit=100&follow=true', { type: 'application/x-ndjson', body });
  const { err } = await netctl(['--netmaster', server.url, 'flows', '-f']);
  expect(err).toBe(
    'host h1: 7 records since its agent began were left out, more than it records\nhost h1: 7 records were left out, more than it records\n',
  );
});

test.each([['flows'], ['flows', '-f'], ['top', '--interval', '1']])(
  '%s %s of a tenant that is not there is no empty list',
  async (...argv) => {
    const none = { type: 'application/x-ndjson', body: argv.includes('-f') ? '{"type":"now"}\n' : '' };
    for (const query of ['tenant=bleu&limit=100', 'tenant=bleu&limit=100&follow=true', 'tenant=bleu&verdict=allow&live=true&limit=0'])
      server.on(`GET /api/v1/flows?${query}`, none);
    server.on('GET /api/v1/tenants/bleu/', { status: 500, type: 'text/plain', body: 'tenant not found\n' });
    server.get('/api/v1/tenants/', [tenantOf('blue'), tenantOf('default')]);
    const { status, out, err } = await netctl(['--netmaster', server.url, ...argv, '-t', 'bleu']);
    expect([status, out, err]).toEqual([3, '', 'ERRO[0000] tenant not found\nDid you mean "blue"?\n']);
  },
);
