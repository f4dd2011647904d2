/** The client against servers that answer as netmasters of now, of old, and as no netmaster at all. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiError, parseUrls, RestClient, UnreachableError, UrlError } from '../rest.js';
import { Transport } from './transport.js';

const servers: { close(): void }[] = [];
const clients: RestClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) server.close();
});

async function serve(listener: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${portOf(server)}`, server };
}

function portOf(server: { address(): unknown }): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null || !('port' in address)) throw new Error('no port');
  return Number(address.port);
}

/** An address where nothing listens. */
async function nowhere(): Promise<string> {
  const { url, server } = await serve(() => undefined);
  await new Promise((closed) => server.close(closed));
  return url;
}

function client(urls: string | readonly string[], options: Partial<ConstructorParameters<typeof RestClient>[0]> = {}): RestClient {
  const made = new RestClient({ urls: typeof urls === 'string' ? [urls] : urls, ...options });
  clients.push(made);
  return made;
}

const answering =
  (status: number, type: string, body: string): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': type }).end(body);
  };

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it did not fail');
}

async function refusal(status: number, type: string, body: string): Promise<ApiError> {
  const { url } = await serve(answering(status, type, body));
  const error = await failure(client(url).tenants.list());
  if (!(error instanceof ApiError)) throw error;
  return error;
}

const TENANT = { key: 'blue', tenantName: 'blue', 'link-sets': {} };

describe('requests', () => {
  test('go over one kept connection, to the paths of the API, and accept problem bodies', async () => {
    const seen: string[] = [];
    let connections = 0;
    const { url, server } = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.accept}`);
      const inspect = request.url?.includes('inspect');
      response.end(JSON.stringify(inspect ? { Config: TENANT, Oper: {} } : request.url?.endsWith('s/') ? [TENANT] : TENANT));
    });
    server.on('connection', () => connections++);
    const { tenants } = client(url);
    await tenants.list();
    await tenants.get('blue');
    await tenants.inspect('blue');
    await tenants.put('blue', { tenantName: 'blue' });
    await tenants.remove('blue');
    const accept = 'application/json, application/problem+json';
    expect(seen).toEqual([
      `GET /api/v1/tenants/ ${accept}`,
      `GET /api/v1/tenants/blue/ ${accept}`,
      `GET /api/v1/inspect/tenants/blue/ ${accept}`,
      `POST /api/v1/tenants/blue/ ${accept}`,
      `DELETE /api/v1/tenants/blue/ ${accept}`,
    ]);
    expect(connections).toBe(1);
  });

  test('keep the colon of a key and encode everything else', async () => {
    const paths: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      paths.push(request.url);
      response.end('"x"');
    });
    for (const key of ['blue:net', 'a/b:c d', '..', 'a?b#c', 'ä']) await client(url).networks.remove(key);
    expect(paths).toEqual([
      '/api/v1/networks/blue:net/',
      '/api/v1/networks/a%2Fb:c%20d/',
      '/api/v1/networks/%2E%2E/',
      '/api/v1/networks/a%3Fb%23c/',
      '/api/v1/networks/%C3%A4/',
    ]);
    await expect(client(url).networks.get('')).rejects.toThrow('Empty key');
    await expect(client(url).networks.get('n'.repeat(2_000))).rejects.toThrow('the name is too long');
  });

  test('carry the token, but only over https', async () => {
    expect(() => client('http://127.0.0.1:1', { token: 'secret' })).toThrow('setting auth token requires a https auth_proxy URL');
    expect(() => client(['https://a', 'http://b'], { token: 'secret' })).toThrow(UrlError);
  });
});

describe('answers', () => {
  test('keep members that this version does not know', async () => {
    const { url } = await serve(answering(200, 'application/json', JSON.stringify({ ...TENANT, colour: { of: 'sky' } })));
    expect(await client(url).tenants.get('blue')).toEqual({ ...TENANT, colour: { of: 'sky' } });
  });

  test.each([
    ['<html>hello</html>', /the answer of http.* to \/api\/v1\/tenants\/ is not understood$/],
    ['[{"key":"blue"}]', /is not understood \(0\.tenantName/],
    ['', /is not understood/],
  ])('that are none are named: %s', async (body, message) => {
    const error = await refusal(200, 'text/html', body);
    expect(error.code).toBe('not-understood');
    expect(error.detail).toMatch(message);
  });

  test('of something else than a netmaster do not say that a change was made', async () => {
    const { url } = await serve(answering(200, 'text/html', '<html>hello</html>'));
    const { tenants } = client(url);
    const message = /the answer of http.* to \/api\/v1\/tenants\/blue\/ is not understood$/;
    await expect(tenants.put('blue', { tenantName: 'blue' })).rejects.toThrow(message);
    await expect(tenants.remove('blue')).rejects.toThrow(message);
    const reading = async () => {
      for await (const line of client(url).flows({})) throw new Error(JSON.stringify(line));
    };
    await expect(reading()).rejects.toThrow(/the answer of http.* to \/api\/v1\/flows is not understood$/);
  });

  test('longer than agreed are cut off', async () => {
    const { url } = await serve((_request, response) => {
      const pour = () => {
        if (!response.destroyed && response.write('x'.repeat(16_384))) setImmediate(pour);
      };
      response.on('drain', pour);
      pour();
    });
    const error = await failure(client(url, { maxBytes: 100_000 }).tenants.list());
    expect(error).toBeInstanceOf(ApiError);
    expect(error.message).toBe(`the answer of ${url} is longer than 100000 bytes`);
  });
});

describe('refusals', () => {
  test('of netmaster are its sentence, its code and its advice', async () => {
    const body = {
      type: 'about:blank',
      title: 'Still in use',
      status: 409,
      code: 'in-use',
      detail: 'cannot delete it\nremove the networks first',
    };
    const error = await refusal(409, 'application/problem+json; charset=utf-8', JSON.stringify(body));
    expect(error).toMatchObject({ status: 409, code: 'in-use', detail: 'cannot delete it', hint: 'remove the networks first' });
  });

  test('of a netmaster of old are the first line of a 500, without its stack', async () => {
    const traced = 'tenant not found\nmain.go [/go/src/main.go 12]\nruntime [/go/proc.go 9]\n';
    expect(await refusal(500, 'text/plain', traced)).toMatchObject({
      status: 500,
      code: 'not-found',
      detail: 'tenant not found',
      hint: '',
    });
    expect(await refusal(500, 'text/plain', 'Cant change it\n')).toMatchObject({ code: 'internal', detail: 'Cant change it' });
    expect(await refusal(500, 'text/plain', '')).toMatchObject({ detail: 'netmaster gave no reason' });
  });

  test('of others are what Contiv makes of them', async () => {
    expect(await refusal(404, 'text/plain', '404 page not found')).toMatchObject({ code: 'not-found', detail: 'Page not found!' });
    expect(await refusal(403, 'text/plain', 'no')).toMatchObject({ code: 'denied', detail: 'Access denied!' });
    expect(await refusal(401, 'text/plain', 'no')).toMatchObject({ code: 'denied', detail: '401 Unauthorized' });
    expect(await refusal(502, 'text/html', '<html>')).toMatchObject({ code: 'internal', detail: '502 Bad Gateway' });
    expect(await refusal(404, 'application/problem+json', 'not JSON')).toMatchObject({ detail: 'Page not found!' });
  });

  test('deleting at a path nobody knows counts as done, deleting what is not there does not', async () => {
    const { url } = await serve(answering(404, 'text/plain', '404 page not found'));
    await client(url).tenants.remove('blue');
    const problem = { type: 'about:blank', title: 'No such object', status: 404, code: 'not-found', detail: 'tenant not found' };
    const { url: honest } = await serve(answering(404, 'application/problem+json', JSON.stringify(problem)));
    await expect(client(honest).tenants.remove('blue')).rejects.toThrow('tenant not found');
  });
});

describe('of several masters', () => {
  test('the next is asked when one does not answer, and is kept', async () => {
    let asked = 0;
    const { url } = await serve((_request, response) => {
      asked++;
      response.end('[]');
    });
    const { url: busy } = await serve(answering(503, 'application/problem+json', '{}'));
    const { tenants } = client([await nowhere(), busy, url]);
    expect(await tenants.list()).toEqual([]);
    expect(await tenants.list()).toEqual([]);
    expect(asked).toBe(2);
  });

  test('a refusal is an answer and is not tried elsewhere', async () => {
    let asked = 0;
    const count: RequestListener = (_request, response) => {
      asked++;
      response.writeHead(500).end('no\n');
    };
    const [a, b] = [await serve(count), await serve(count)];
    await expect(client([a.url, b.url]).tenants.list()).rejects.toThrow('no');
    expect(asked).toBe(1);
  });

  test('a refusal that may come of an answer that got lost says so', async () => {
    const problem = {
      type: 'about:blank',
      title: 'No such object',
      status: 404,
      code: 'not-found',
      detail: 'policy db has no staged version',
    };
    const { url: second } = await serve(answering(404, 'application/problem+json', JSON.stringify(problem)));
    const { url: dies } = await serve((request) => void request.socket.destroy());
    const unsure = { ...problem, status: 503, code: 'unavailable', detail: 'the store did not confirm the change' };
    const { url: waits } = await serve(answering(503, 'application/problem+json', JSON.stringify(unsure)));
    const away = await nowhere();
    expect(await failure(client([away, dies, waits, second]).commitStaged('default:db'))).toMatchObject({
      detail: 'policy db has no staged version',
      hint: `${dies} was asked before, and may have done it: the connection was closed without an answer; ${waits} was asked before, and may have done it: the store did not confirm the change`,
    });
    expect(await failure(client([away, second]).commitStaged('default:db'))).toMatchObject({ hint: '' });
    expect(await failure(client([dies, second]).tenants.get('blue'))).toMatchObject({ hint: '' });
  });

  test('a change that nobody answered may have been made, one that nobody heard of was not', async () => {
    const { url: dies } = await serve((request) => void request.socket.destroy());
    const away = await nowhere();
    const failed = (urls: string[]) => failure(client(urls).tenants.put('blue', { tenantName: 'blue' }));
    expect(await failed([dies])).toMatchObject({ mayBeDone: true });
    expect(await failed([away, dies, away])).toMatchObject({ mayBeDone: true });
    expect(await failed([away])).toMatchObject({ mayBeDone: false });
    expect(await failure(client(dies).tenants.list())).toMatchObject({ mayBeDone: false });
  });

  test('all that are away are named with the reason', async () => {
    const [a, b] = [await nowhere(), await nowhere()];
    const error = await failure(client([a, b]).tenants.list());
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error.message).toBe(`cannot reach netmaster at ${a} (connection refused), ${b} (connection refused)`);
  });

  test('one that says nothing is given up in time, also in the middle of an answer', async () => {
    const { url } = await serve(() => undefined);
    const { url: half } = await serve((_request, response) => void response.writeHead(200).write('['));
    const start = performance.now();
    await expect(client(url, { timeoutMs: 200 }).tenants.list()).rejects.toThrow(`${url} (no answer within 200 ms)`);
    await expect(client(half, { timeoutMs: 200 }).tenants.list()).rejects.toThrow(`${half} (no answer within 200 ms)`);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('an answer without end is given up when nothing comes, not when its reader takes his time', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      let lines = 0;
      const ticks = setInterval(() => (++lines <= 10 ? response.write('{}\n') : clearInterval(ticks)), 20);
      response.on('close', () => clearInterval(ticks));
    });
    const transport = new Transport({ urls: [url] });
    const read: string[] = [];
    const reading = async () => {
      for await (const line of transport.lines('/', 150)) {
        read.push(line);
        if (read.length === 1) await new Promise((resolve) => setTimeout(resolve, 400));
      }
    };
    await expect(reading()).rejects.toThrow(`cannot reach netmaster at ${url} (nothing came within 150 ms)`);
    expect(read).toHaveLength(10);
    transport.close();
  });

  test('a master that dies in the middle of an answer without end is named', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write('{}\n', () => response.destroy());
    });
    const transport = new Transport({ urls: [url] });
    const reading = async () => {
      for await (const line of transport.lines('/', 5_000)) expect(line).toBe('{}');
    };
    await expect(reading()).rejects.toThrow(`cannot reach netmaster at ${url} (its answer broke off in the middle)`);
    transport.close();
  });

  test('what does not speak the protocol is said so', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const port = portOf(server);
    await expect(client(`http://127.0.0.1:${port}`).tenants.list()).rejects.toThrow('what answers does not speak HTTP');
    const { url } = await serve(answering(200, 'application/json', '[]'));
    await expect(client(url.replace('http:', 'https:')).tenants.list()).rejects.toThrow('it does not speak TLS; try http://');
  });
});

describe('addresses', () => {
  test('are a comma list of http and https', () => {
    expect(parseUrls('http://a:9999')).toEqual(['http://a:9999']);
    expect(parseUrls('http://a:9999/, https://b:10000')).toEqual(['http://a:9999', 'https://b:10000']);
    expect(parseUrls('http://[::1]:9999')).toEqual(['http://[::1]:9999']);
  });
  test.each(['', 'a:9999', 'ftp://a', 'http://', 'unix:///x', 'http://user:pass@a', 'http://a?x=1'])('%j is none', (text) =>
    expect(() => parseUrls(text)).toThrow(UrlError),
  );
});
