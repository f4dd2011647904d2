import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  containerNamed,
  hex,
  IMAGES,
  infoOf,
  inspection,
  listRow,
  networksOf,
  type SimulatedContainer,
  VERSION,
  VOLUMES,
} from './objects.js';

/** A Docker Engine that only pretends: the part of the API a manager uses, over containers in memory. */
export class SimulatedEngine {
  readonly #name: string;
  readonly #containers = new Map<string, SimulatedContainer>();
  readonly #listeners = new Set<ServerResponse>();
  readonly #server: Server;
  #made = 0;

  constructor(name: string, containers: number) {
    this.#name = name;
    for (let i = 0; i < containers; i++) {
      const container = containerNamed(`${name}-c${i}`);
      this.#containers.set(container.id, container);
    }
    this.#server = createServer({ keepAliveTimeout: 120_000, noDelay: true });
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response));
    this.#server.on('upgrade', (_request: IncomingMessage, socket: Socket) => flood(socket));
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', 64, resolve);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = url.pathname.replace(/^\/v[\d.]+/, '');
    const send = (value: unknown, status = 200) => {
      const body = JSON.stringify(value);
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
      response.end(body);
    };
    const body = request.method === 'POST' ? await readBody(request) : '';
    if (path === '/_ping') return void response.writeHead(200, { 'Content-Length': 2 }).end('OK');
    if (path === '/info') return send(infoOf(this.#name, this.#containers.size));
    if (path === '/version') return send(VERSION);
    if (path === '/images/json') return send(IMAGES);
    if (path === '/networks') return send(networksOf(this.#name));
    if (path === '/volumes') return send(VOLUMES);
    if (path === '/events') return this.#follow(response);
    if (path === '/containers/json') return send(this.#list(url.searchParams.get('filters')));
    if (path === '/containers/create') return send(this.#create(body, url.searchParams.get('name')), 201);
    const [, id = '', rest = ''] = /^\/containers\/([0-9a-f]+)(?:\/(\w+))?$/.exec(path) ?? [];
    const container = this.#containers.get(id);
    if (container === undefined) return send({ message: `No such container: ${id}` }, 404);
    if (request.method === 'DELETE') this.#containers.delete(id);
    else if (rest === 'json') return send(inspection(container));
    else if (rest === 'archive') return archive(response, Number(url.searchParams.get('path')));
    else if (rest === 'start') container.running = true;
    this.#tell(request.method === 'DELETE' ? 'destroy' : rest, container);
    response.writeHead(204).end();
  }

  #list(filters: string | null): unknown {
    const [id] = filters === null ? [] : ((JSON.parse(filters) as { id?: string[] }).id ?? []);
    const only = id === undefined ? undefined : this.#containers.get(id);
    return (only === undefined ? [...this.#containers.values()] : [only]).map(listRow);
  }

  #create(body: string, name: string | null): unknown {
    const { HostConfig: host, NetworkingConfig: _, ...config } = JSON.parse(body) as Record<string, unknown>;
    const made = containerNamed(
      name ?? `made-${hex(`${this.#name} ${this.#made++}`).slice(0, 12)}`,
      config,
      (host ?? {}) as Record<string, unknown>,
    );
    made.running = false;
    this.#containers.set(made.id, made);
    this.#tell('create', made);
    return { Id: made.id, Warnings: [] };
  }

  #follow(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    this.#listeners.add(response);
    response.on('close', () => this.#listeners.delete(response));
  }

  #tell(action: string, { id, name }: SimulatedContainer): void {
    const now = Date.now();
    const actor = `{"ID":"${id}","Attributes":{"image":"alpine","name":"${name}"}}`;
    const line = `{"status":"${action}","id":"${id}","from":"alpine","Type":"container","Action":"${action}","Actor":${actor},"scope":"local","time":${Math.trunc(now / 1000)},"timeNano":${now}000000}\n`;
    for (const listener of this.#listeners) listener.write(line);
  }
}

const CHUNK = Buffer.alloc(256 * 1024);

/** `docker cp` of so many bytes. */
function archive(response: ServerResponse, size: number): void {
  response.writeHead(200, { 'Content-Type': 'application/x-tar' });
  pour(response, size);
}

/** An attached container that says as many bytes as its first line asks for. */
function flood(socket: Socket): void {
  socket.write('HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
  socket.once('data', (line) => pour(socket, Number(String(line))));
  socket.on('error', () => socket.destroy());
}

function pour(sink: Socket | ServerResponse, size: number): void {
  let left = size;
  const more = (): void => {
    while (left > 0) {
      left -= CHUNK.length;
      if (!sink.write(CHUNK)) return void sink.once('drain', more);
    }
    sink.end();
  };
  more();
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
