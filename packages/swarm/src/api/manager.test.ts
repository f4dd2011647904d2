import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test, vi } from 'vitest';
import { Cluster } from '../cluster/cluster.js';
import { Watchdog } from '../cluster/watchdog.js';
import { skewOf } from '../engine/view.js';
import { isObject, type Json, parseJson, stringAt } from '../json.js';
import { Log } from '../log.js';
import { divertTo } from '../replica.js';
import { FILTERS } from '../scheduler/filters.js';
import { EventHub, withNode } from './event-hub.js';
import { createApiServer } from './server.js';

/** A manager over engines that do what real ones do only once in a while: hang, answer too early, vanish at a given moment. */
const LABELS = { 'com.docker.swarm.reschedule-policies': '["on-node-failure"]' };
/** How long is waited for what comes in a moment on a machine that is not busy. */
const PATIENCE_MS = 20_000;
const hex = (text: string) => Buffer.from(text).toString('hex').padEnd(64, '0').slice(0, 64);

class Engine {
  readonly seen: string[] = [];
  readonly containers: Json[] = [];
  readonly images: Json[] = [];
  networks: Json[] = [];
  readonly followers = new Set<ServerResponse>();
  readonly #name: string;
  #server: Server | undefined;
  port = 0;
  /** Takes a request itself. */
  takes: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  takesUpgrade: (request: IncomingMessage, socket: Socket) => void = (_request, socket) => socket.destroy();

  constructor(name: string) {
    this.#name = name;
  }
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.on('upgrade', (request: IncomingMessage, socket: Socket) => this.takesUpgrade(request, socket));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
  }
  stop(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
  hold(name: string, more: Json = {}, host: Json = {}, networks: Json = {}): string {
    const Id = hex(`${this.#name}${name}`);
    const State = { Status: 'running', Running: true, StartedAt: '2026-01-01T00:00:00Z', FinishedAt: '0001-01-01T00:00:00Z', ExitCode: 0 };
    this.containers.push({
      Id,
      Name: `/${name}`,
      Created: '2026-01-01T00:00:00Z',
      Image: 'sha256:1',
      State,
      Config: { Image: 'busybox', Labels: {}, ...more },
      HostConfig: { NetworkMode: 'default', ...host },
      NetworkSettings: { Ports: {}, Networks: networks },
      Mounts: [],
    });
    return Id;
  }
  tell(event: Json): void {
    for (const follower of this.followers) follower.write(`${JSON.stringify(event)}\n`);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = url.pathname.replace(/^\/v[\d.]+/, '');
    this.seen.push(`${request.method} ${path}`);
    if (this.takes(request, response)) return;
    const send = (value: unknown, status = 200) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    if (path === '/_ping') return void response.writeHead(200, { 'Content-Length': 2 }).end(request.method === 'HEAD' ? undefined : 'OK');
    if (path === '/info')
      return void send({ ID: this.#name, Name: this.#name, NCPU: 4, MemTotal: 8e9, SystemTime: new Date().toISOString(), Labels: [] });
    if (path === '/version') return void send({ Version: '28', ApiVersion: '1.51', MinAPIVersion: '1.24' });
    if (path === '/images/json') return void send(this.images);
    if (path === '/networks') return void send(this.networks);
    if (path === '/networks/prune' || (request.method === 'DELETE' && path.startsWith('/networks/'))) {
      const goes = (network: Json) => path === '/networks/prune' || path === `/networks/${String(network.Id)}`;
      const gone = this.networks.filter(goes);
      this.networks = this.networks.filter((network) => !goes(network));
      return void send({ NetworksDeleted: gone.map(({ Name }) => Name) });
    }
    if (path === '/volumes') return void send({ Volumes: [] });
    if (path === '/events') {
      this.followers.add(response);
      response.writeHead(200).flushHeaders();
      return;
    }
    if (path === '/containers/json') {
      const filters = JSON.parse(url.searchParams.get('filters') ?? '{}') as { id?: string[] };
      const rows = this.containers.filter(({ Id }) => filters.id === undefined || filters.id.includes(String(Id)));
      return void send(
        rows.map(({ Id, Name, Config, NetworkSettings }) => ({
          Id,
          Names: [Name],
          Image: 'busybox',
          State: 'running',
          Status: 'Up',
          Created: 1,
          Labels: isObject(Config) ? Config.Labels : {},
          Ports: [],
          NetworkSettings,
        })),
      );
    }
    if (path === '/containers/create') {
      const body = parseJson(await text(request));
      const { HostConfig = {}, ...config } = isObject(body) ? body : {};
      return void send({ Id: this.hold(url.searchParams.get('name') ?? '', config, HostConfig as Json), Warnings: [] }, 201);
    }
    const found = this.containers.find(({ Id }) => path.startsWith(`/containers/${String(Id)}`));
    if (found !== undefined && path.endsWith('/json')) return void send(found);
    if (found !== undefined) return void response.writeHead(204).end();
    send({ message: `No such container: ${path}` }, 404);
  }
}

const ends: (() => void)[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const end of ends.splice(0)) end();
});

const engineOf = (cluster: Cluster, name: string) => {
  const found = cluster.engines.find((engine) => engine.name === name);
  if (found === undefined) throw new Error(`no engine ${name}`);
  return found;
};

async function manager(engines: readonly Engine[]) {
  const lines: string[] = [];
  const log = new Log('debug', (line) => lines.push(line));
  const cluster = new Cluster({
    log,
    strategy: 'spread',
    filters: FILTERS,
    refreshMinMs: 250,
    refreshMaxMs: 300,
    failureRetry: 1,
    overcommit: 0,
    createRetry: 0,
    sharedDrivers: new Set(['netplugin']),
  });
  const events = new EventHub();
  cluster.listen({ onEvent: (engine, event) => events.publish(withNode(engine, event)) });
  for (const engine of engines) await engine.start();
  cluster.setMembers(engines.map(({ port }) => `127.0.0.1:${port}`));
  const options = {
    manager: {
      cluster,
      log,
      events,
      experimental: false,
      role: () => ({ role: 'primary' as const }),
      setDrained: () => Promise.resolve([]),
      refreshOnNodeFilter: false,
      containerNameRefreshFilter: '',
    },
    cors: false,
  };
  const serve = async (server: Server): Promise<number> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return (server.address() as AddressInfo).port;
  };
  const port = await serve(createApiServer(options));
  ends.push(() => {
    cluster.close();
    for (const engine of engines) engine.stop();
  });
  await vi.waitFor(() => expect(cluster.healthyEngines.length).toBe(engines.length), PATIENCE_MS);
  /** Port of a manager that hands everything to the one at this address. */
  const replica = (leader = `127.0.0.1:${port}`) =>
    serve(createApiServer({ ...options, divert: divertTo({ leading: false, leader, advertise: 'replica:1' }, undefined) }));
  const ask = async (path: string, options: RequestInit = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, options);
    return { status: answer.status, body: await answer.text() };
  };
  return { cluster, lines, port, replica, ask };
}

/** All that a connection says until `word` or its end. */
async function until(socket: Socket, word: string): Promise<string> {
  let said = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    said += String(chunk);
    if (said.includes(word)) break;
  }
  return said;
}

test('a refused upgrade does not leave its client connected to the engine', async () => {
  const engine = new Engine('e1');
  engine.hold('c');
  engine.takesUpgrade = (request, socket) => {
    const close = /close/i.test(request.headers.connection ?? '');
    const body = '{"message":"container c is paused"}';
    socket.write(
      `HTTP/1.1 409 Conflict\r\n${close ? 'Connection: close\r\n' : ''}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    if (close) socket.end();
    else socket.on('data', (chunk) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nengine${String(chunk).length}`));
  };
  const { port } = await manager([engine]);
  const client = connect(port, '127.0.0.1');
  client.write('POST /v1.41/containers/c/attach?stream=1 HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
  expect(await until(client, 'paused"}')).toMatch(/^HTTP\/1.1 409 [\s\S]*Connection: close/);
  client.write('GET /v1.41/info HTTP/1.1\r\nHost: m\r\n\r\n');
  expect(await until(client, 'engine')).toBe('');
});

test('an answer that comes before its body was sent ends the upload', async () => {
  const engine = new Engine('e1');
  engine.hold('c');
  engine.takes = (request, response) => {
    if (request.method !== 'PUT') return false;
    // As Go's servers do: the answer, its end, and half a second later the connection's.
    const body = '{"message":"no such directory"}';
    const { socket } = request.pause();
    socket.end(`HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    setTimeout(() => socket.resetAndDestroy(), 500);
    void response;
    return true;
  };
  const { port, cluster } = await manager([engine]);
  const client = connect(port, '127.0.0.1');
  const size = 200 * 1024 * 1024;
  client.write(`PUT /v1.41/containers/c/archive?path=/x HTTP/1.1\r\nHost: m\r\nContent-Length: ${size}\r\n\r\n`);
  client.on('error', () => {});
  const closed = new Promise((resolve) => client.on('close', resolve));
  const said = until(client, 'no such directory').catch(() => '');
  const chunk = Buffer.alloc(1024 * 1024);
  const more = () => {
    for (let i = 0; i < 8 && client.writable; i++) if (!client.write(chunk)) return void client.once('drain', more);
    if (client.writable) setImmediate(more);
  };
  more();
  expect(await said).toContain('404');
  await closed;
  expect(cluster.healthyEngines.length).toBe(1);
});

test('a client that still sends its body reads why it was refused', async () => {
  const engine = new Engine('e1');
  engine.takes = (request, response) => {
    if (!/\/archive/.test(request.url ?? '')) return false;
    response.writeHead(404, { 'Content-Length': 9 }).end('no, never');
    return true;
  };
  engine.hold('c');
  const { port, replica } = await manager([engine]);
  const arguments_ = encodeURIComponent('{"constraint:node":"=e9"}');
  for (const [port_, line, answer] of [
    [port, `POST /v1.41/build?buildargs=${arguments_}`, 'Unable to find a node'],
    [port, 'PUT /v1.41/containers/c/archive?path=/x', 'no, never'],
    [await replica(), `POST /v1.41/build?buildargs=${arguments_}`, 'Unable to find a node'],
    [await replica('127.0.0.1:9'), `POST /v1.41/build?buildargs=${arguments_}`, 'Unable to reach primary cluster manager'],
  ] as const) {
    const client = connect({ port: port_, host: '127.0.0.1', allowHalfOpen: true });
    client.write(`${line} HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n`);
    const errors: string[] = [];
    client.on('error', (error) => errors.push(error.message));
    const said = until(client, 'nothing').catch(String);
    expect(await said).toContain(answer);
    // The answer and the end of what the manager says are here, and the client has not looked yet.
    for (let i = 0; i < 10; i++) {
      client.write('4\r\nbody\r\n');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(errors).toEqual([]);
    expect(client.destroyed).toBe(false);
    // And at the end of the body the connection is closed, well before the time a client has that does not end.
    const closed = once(client, 'close');
    client.end('0\r\n\r\n');
    await closed;
  }
});

test('calls that hang neither hold up what finds a dead engine nor make the engine one', async () => {
  const engine = new Engine('e1');
  const { cluster } = await manager([engine]);
  engine.takes = (request) => /\/containers\/stuck|create/.test(request.url ?? '');
  const one = engineOf(cluster, 'e1');
  await expect(one.client.call('GET', '/containers/stuck/json', { timeoutMs: 100 })).rejects.toThrow('no complete answer in time');
  expect(one.state).toBe('Healthy');
  for (let i = 0; i < 40; i++) one.client.call('POST', '/containers/create', { timeoutMs: 120_000 }).catch(() => {});
  await vi.waitFor(() => expect(engine.seen.filter((line) => line.endsWith('create')).length).toBeGreaterThan(30), PATIENCE_MS);
  const pings = engine.seen.filter((line) => line.endsWith('_ping')).length;
  await vi.waitFor(() => expect(engine.seen.filter((line) => line.endsWith('_ping')).length).toBeGreaterThan(pings + 1), PATIENCE_MS);
});

test('a frozen engine and a closed one are found by the liveness call', async () => {
  const engine = new Engine('e1');
  const { cluster } = await manager([engine]);
  const one = engineOf(cluster, 'e1');
  engine.takes = () => true;
  await vi.waitFor(() => expect(one.state).toBe('Unhealthy'), PATIENCE_MS);
  engine.takes = () => false;
  await vi.waitFor(() => expect(one.state).toBe('Healthy'), PATIENCE_MS);
  engine.stop();
  await vi.waitFor(() => expect(one.state).toBe('Unhealthy'), PATIENCE_MS);
});

test('a node that is back keeps what was not moved yet', async () => {
  const [lost, other] = [new Engine('e1'), new Engine('e2')];
  for (const name of ['one', 'two', 'three']) lost.hold(name, { Labels: { ...LABELS, 'com.docker.swarm.id': hex(name) } });
  let release: () => void = () => {};
  const { cluster } = await manager([lost, other]);
  const watchdog = new Watchdog(cluster, () => true);
  expect(watchdog).toBeDefined();
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let held = false;
  other.takes = (request, response) => {
    if (held || !request.url?.includes('/containers/create')) return false;
    held = true;
    void released.then(() => response.writeHead(500, { 'Content-Type': 'application/json' }).end('{"message":"no"}'));
    return true;
  };
  lost.stop();
  await vi.waitFor(() => expect(held).toBe(true), PATIENCE_MS);
  await lost.start();
  await vi.waitFor(() => expect(cluster.healthyEngines.length).toBe(2), PATIENCE_MS);
  release();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(other.seen.filter((line) => line === 'POST /containers/create').length).toBe(1);
});

test('ps filters: names with a slash, and none that does not exist', async () => {
  const engine = new Engine('e1');
  engine.hold('web');
  engine.hold('web2');
  const { ask } = await manager([engine]);
  const names = async (filters: unknown) => {
    const { status, body } = await ask(`/v1.41/containers/json?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    return status === 200
      ? [...body.matchAll(/"\/e1\/(\w+)"/g)].map((match) => match[1] ?? '').sort((a, b) => a.localeCompare(b))
      : `${status} ${body}`;
  };
  expect(await names({ name: ['^/web$'] })).toEqual(['web']);
  expect(await names({ name: ['^web$'] })).toEqual(['web']);
  expect(await names({ name: ['/web'] })).toEqual(['web', 'web2']);
  expect(await names({ lable: ['a=b'] })).toContain('400 {"message":"invalid filter \'lable\'');
  for (const path of ['images/json', 'networks', 'volumes'])
    expect(await ask(`/v1.41/${path}?filters={"lable":["a=b"]}`)).toMatchObject({ status: 400 });
});

test('ps since and before: a name wins over the beginning of an id', async () => {
  const engine = new Engine('e1');
  // All ids of this engine begin with 65.
  for (const [i, name] of ['old', '65', 'new'].entries()) {
    engine.hold(name);
    Object.assign(engine.containers.at(-1) ?? {}, { Created: `2026-01-01T00:00:0${i}Z` });
  }
  const { ask } = await manager([engine]);
  const names = async (filters: unknown) => {
    const { body } = await ask(`/v1.41/containers/json?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    return [...body.matchAll(/"\/e1\/(\w+)"/g)].map((match) => match[1]);
  };
  for (const reference of ['65', 'e1/65']) {
    expect(await names({ since: [reference] })).toEqual(['new']);
    expect(await names({ before: [reference] })).toEqual(['old']);
  }
  expect(await ask('/v1.41/containers/json?filters={"since":["6531"]}')).toMatchObject({ status: 404 });
});

test('an engine that takes long to say its time has no other clock', () => {
  expect(skewOf(5_000, 1_000, 9_000)).toBe(0);
  expect(skewOf(10_500, 1_000, 9_000)).toBe(0);
  expect(skewOf(12_000, 1_000, 9_000)).toBe(-3_000);
  expect(skewOf(4_000, 9_000, 11_000)).toBe(5_000);
  expect(skewOf(Number.NaN, 1_000, 9_000)).toBe(0);
});

test('an image that only one node holds is found by its whole id', async () => {
  const [one, two] = [new Engine('e1'), new Engine('e2')];
  const id = hex('image');
  two.images.push({ Id: `sha256:${id}`, Created: 1, RepoTags: ['x:1'] });
  one.takes = (request, response) => {
    if (!request.url?.includes('/containers/create')) return false;
    response.writeHead(404, { 'Content-Type': 'application/json' }).end(`{"message":"No such image: ${id}"}`);
    return true;
  };
  const { ask, cluster } = await manager([one, two]);
  for (const Image of [id, `sha256:${id}`]) {
    const { status } = await ask('/v1.41/containers/create', { method: 'POST', body: JSON.stringify({ Image }) });
    expect(status).toBe(201);
    two.containers.length = 0;
    await engineOf(cluster, 'e2').refreshContainers();
  }
  expect(one.seen).not.toContain('POST /images/create');
});

test('a name that is being given by a rename is not given to a new container', async () => {
  const [one, two] = [new Engine('e1'), new Engine('e2')];
  one.hold('old');
  const { ask } = await manager([one, two]);
  let answer: () => void = () => {};
  one.takes = (request, response) => {
    if (!request.url?.includes('/rename')) return false;
    answer = () => response.writeHead(204).end();
    return true;
  };
  const rename = ask('/v1.41/containers/old/rename?name=new', { method: 'POST' });
  await vi.waitFor(() => expect(one.seen.some((line) => line.endsWith('/rename'))).toBe(true), PATIENCE_MS);
  const body = JSON.stringify({ Image: 'busybox' });
  expect((await ask('/v1.41/containers/create?name=new', { method: 'POST', body })).status).toBe(409);
  answer();
  expect((await rename).status).toBe(204);
});

test('compose can replace a container that holds a published port', async () => {
  const engine = new Engine('e1');
  const bindings = { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '80' }] } };
  const old = engine.hold('p-web-1', {}, bindings);
  const { ask } = await manager([engine]);
  const create = (Labels: Json, HostConfig: Json = bindings) =>
    ask('/v1.41/containers/create', { method: 'POST', body: JSON.stringify({ Image: 'x', Labels, HostConfig }) });
  expect((await create({})).body).toContain('port 80 (Bridge mode)');
  expect((await create({}, { PortBindings: { '80/udp': [{ HostIp: '', HostPort: '80' }] } })).status).toBe(201);
  expect((await create({ 'com.docker.compose.replace': old })).status).toBe(201);
});

test('prune takes no shared network that a container of another engine uses', async () => {
  const [one, two] = [new Engine('e1'), new Engine('e2')];
  const network = (Name: string, Driver: string, engine: string, more: Json = {}) => ({
    Id: hex(`${Name}${engine}`),
    Name,
    Driver,
    Scope: 'local',
    Created: '2026-01-01T00:00:00Z',
    ...more,
  });
  for (const [engine, name] of [
    [one, 'e1'],
    [two, 'e2'],
  ] as const)
    engine.networks = [
      network('bridge', 'bridge', name),
      network('blue', 'netplugin', name),
      network('red', 'netplugin', name, { Labels: { keep: 'yes' } }),
    ];
  one.networks.push(network('own', 'bridge', 'e1'));
  two.hold('c', {}, {}, { blue: { NetworkID: hex('bluee2') } });
  const { ask } = await manager([one, two]);
  const pruned = (filters: Json) => ask(`/v1.41/networks/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`, { method: 'POST' });
  expect((await pruned({ until: ['2025-01-01'] })).body).toBe('{"NetworksDeleted":[]}\n');
  expect((await pruned({ untli: ['24h'] })).status).toBe(400);
  expect((await pruned({ 'label!': ['keep'], until: ['1h'] })).body).toBe('{"NetworksDeleted":["e1/own"]}\n');
  expect((await pruned({})).body).toBe('{"NetworksDeleted":["red"]}\n');
  for (const engine of [one, two]) expect(engine.networks.map(({ Name }) => Name)).toEqual(['bridge', 'blue']);
});

test('events keep actions of any length', async () => {
  const engine = new Engine('e1');
  const { ask, cluster } = await manager([engine]);
  await vi.waitFor(() => expect(engine.followers.size).toBe(1), PATIENCE_MS);
  const action = `exec_create: sh -c ${'x'.repeat(5000)}`;
  const heard = new Promise((resolve) => cluster.listen({ onEvent: resolve }));
  engine.tell({ Type: 'container', Action: action, Actor: { ID: hex('c'), Attributes: {} }, time: 1, timeNano: 1_000_000_000 });
  await heard;
  expect(stringAt(parseJson((await ask('/v1.41/events?since=0&until=2')).body), 'Action')).toBe(action);
});

test('secrets stay out of answers and of the log', async () => {
  vi.stubEnv('http_proxy', 'http://user:s3cret@proxy.example:3128');
  vi.stubEnv('https_proxy', 'user:a/s3cret@proxy.example:3129');
  const engine = new Engine('e1');
  engine.takes = (request, response) => {
    if (!request.url?.includes('/build')) return false;
    response.writeHead(200).write('{"stream":"Step 1"}\n', () => request.socket.destroy());
    return true;
  };
  const { ask, lines } = await manager([engine]);
  const info = (await ask('/v1.41/info')).body;
  expect(info).toContain('"HttpProxy":"http://xxxxx:xxxxx@proxy.example:3128"');
  expect(info).toContain('"HttpsProxy":"xxxxx:xxxxx@proxy.example:3129"');
  expect((await ask('/v1.41/build?buildargs={"TOKEN":"s3cret"}', { method: 'POST', body: 'x' })).body).toContain('"error"');
  expect(lines.join('')).toContain('POST /v1.41/build');
  expect(lines.join('')).not.toContain('s3cret');
});

test('clients that vanish are noticed: their connections are probed', async () => {
  const { port } = await manager([new Engine('e1')]);
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  const word = (number: number | undefined) => `:${(number ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  await vi.waitFor(() => {
    const row = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .find(([, local, remote]) => local?.endsWith(word(port)) && remote?.endsWith(word(client.localPort)));
    expect(row?.[5]).toMatch(/^02:/);
  }, PATIENCE_MS);
  client.destroy();
});
