/** What people mistype: said in words of their own command line, before anybody is asked. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { netctl, networkOf, ScriptedServer } from '../test-support.js';

let server: ScriptedServer;
beforeEach(async () => {
  server = await new ScriptedServer().start();
});
afterEach(() => server.stop());
const call = (argv: readonly string[], files: Record<string, string> = {}) => netctl(['--netmaster', server.url, ...argv], { files });

describe('times and numbers', () => {
  test.each(['5', '12', '90', 'may 1', '2026'])('history since %j is none', async (since) => {
    const { status, err } = await call(['history', '--since', since]);
    expect([status, err]).toEqual([1, `ERRO[0000] "${since}" is no time\ngive 90s, 5m, 2h or 7d, or a time like 2026-11-26T12:00:00Z\n`]);
    expect(server.asked).toEqual([]);
  });

  test('what is longer ago than time has been counted is all there is', async () => {
    server.get('/api/v1/history?since=1970-01-01T00%3A00%3A00.000Z', []);
    expect((await call(['history', '--since', '999999999d'])).status).toBe(0);
    server.on('GET /api/v1/flows?since=0&limit=100', { type: 'application/x-ndjson', body: '' });
    expect(await call(['flows', '--since', '999999d'])).toMatchObject({ status: 0, err: '' });
  });

  test.each([
    ['flows', '-1'],
    ['flows', '100001'],
    ['top', '-5'],
  ])('%s --last %s is told the bounds', async (command, last) => {
    const { status, err } = await call([command, '--last', last]);
    expect([status, err]).toEqual([1, `ERRO[0000] Invalid number ${last} - Enter 0 to 100000 for --last\n`]);
  });
});

describe('files', () => {
  test.each([
    [`${tmpdir()}/not-there.yaml`, 'there is no such file'],
    [tmpdir(), 'it is a directory'],
  ])('%s cannot be read, and why', async (path, reason) => {
    const { status, err } = await call(['apply', '-f', path]);
    expect([status, err]).toEqual([4, `ERRO[0000] cannot read ${path}: ${reason}\n`]);
  });

  test('an alias of nothing is a fault of the file', async () => {
    const { status, err } = await call(['diff', '-f', 'c.yaml'], { 'c.yaml': 'apiVersion: contiv/v1\ntenants: *nobody\n' });
    expect([status, err]).toEqual([3, 'ERRO[0000] c.yaml:2:10: no anchor nobody stands above this\n']);
  });
});

describe('files of another shape', () => {
  test.each([
    ['- blue', ['the document must be a mapping (name: value), and is a list']],
    [
      'apiVersion: contiv/v1\ntenants:\n  - blue\n  -\n',
      ['tenants item 1 must be a mapping (name: value), and is text', 'tenants item 2 must be a mapping (name: value), and is empty'],
    ],
    ['apiVersion: contiv/v1\nglobal: 7\n', ['global must be a mapping (name: value), and is a number']],
    ['apiVersion: contiv/v1\ntenants: &a [*a]\n', ['an anchor holds itself']],
  ])('%j', async (text, sentences) => {
    const { status, err } = await call(['diff', '-f', 'c.yaml'], { 'c.yaml': text });
    expect(status).toBe(3);
    expect(
      err
        .replace('ERRO[0000] ', '')
        .trim()
        .split('\n')
        .map((line) => line.replace(/^c\.yaml(:\d+)*: /, '')),
    ).toEqual(sentences);
  });
});

describe('who answers', () => {
  test('is no netmaster: nothing is said to be made', async () => {
    server.on('POST /api/v1/tenants/blue/', { type: 'text/html', body: '<html>welcome</html>' });
    expect(await call(['tenant', 'create', 'blue'])).toEqual({
      status: 3,
      out: '',
      err: `ERRO[0000] the answer of ${server.url} to /api/v1/tenants/blue/ is not understood\nis a netmaster of this version listening there?\n`,
    });
  });

  test('breaks off: a change may have been made, and who repeats it is told so', async () => {
    const dies = createServer((request) => request.socket.destroy()).listen(0, '127.0.0.1');
    await once(dies, 'listening');
    const address = dies.address();
    const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const said = (way: string) => `ERRO[0000] cannot reach netmaster at ${url} (the connection was closed without an answer); ${way}\n`;
    expect((await netctl(['--netmaster', url, 'tenant', 'create', 'blue'])).err).toBe(
      said('it may have done what was asked: look before you ask again'),
    );
    expect((await netctl(['--netmaster', url, 'tenant', 'inspect', 'blue'])).err).toBe(
      said('start netmaster there, or give the right address with --netmaster or NETMASTER'),
    );
    dies.close();
  });
});

describe('completion', () => {
  test('of a shell that every object has', async () => {
    expect(await call(['completion', 'constructor'])).toMatchObject({
      status: 1,
      err: 'ERRO[0000] there is no completion for constructor\ngive bash, zsh or fish\n',
    });
  });

  const policyOf = (tenant: string, name: string) => ({
    key: `${tenant}:${name}`,
    tenantName: tenant,
    policyName: name,
    'link-sets': {},
    links: { Tenant: {} },
  });
  const complete = async (...words: string[]) => {
    const { out } = await netctl(['__complete', 'bash', ...words], { env: { NETMASTER: server.url } });
    return out.split('\n').filter((line) => line !== '');
  };

  test('offers names of the tenant that is meant, and of all where none is', async () => {
    server.get('/api/v1/policys/', [policyOf('default', 'web'), policyOf('blue', 'db')]);
    server.get('/api/v1/networks/', [networkOf('default', 'n1'), networkOf('blue', 'n2')]);
    expect(await complete('policy', 'inspect', '')).toEqual(['web']);
    expect(await complete('policy', 'rm', '-t', 'blue', '')).toEqual(['db']);
    expect(await complete('group', 'create', '-t', 'blue', '-p', '')).toEqual(['db']);
    expect(await complete('trace', '-n', '')).toEqual(['n1', 'n2']);
    expect(await complete('trace', '-t', 'blue', '-n', '')).toEqual(['n2']);
  });

  test('offers groups for an application profile', async () => {
    const group = { key: 'default:web', tenantName: 'default', groupName: 'web', networkName: 'n1', 'link-sets': {} };
    server.get('/api/v1/endpointGroups/', [{ ...group, links: { AppProfile: {}, NetProfile: {}, Network: {}, Tenant: {} } }]);
    expect(await complete('app-profile', 'create', '-g', 'db,')).toEqual(['db,web']);
  });
});
