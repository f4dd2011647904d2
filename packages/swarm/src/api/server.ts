import { chmod, unlink } from 'node:fs/promises';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { Socket } from 'node:net';
import { closeUnlessRead } from '@contiv/observe';
import { HIGHEST_API, LOWEST_API } from '../cluster/cluster.js';
import { compareVersions } from '../engine/engine.js';
import { ApiError, ConnectionError, messageOf } from '../errors.js';
import { printJson } from '../json.js';
import { type Context, type Manager, SWARM_VERSION } from './context.js';
import { refuse } from './proxy.js';
import { ROUTES, type Route } from './routes.js';

export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  /** Clients must show a certificate of `ca`. */
  readonly verify: boolean;
}

export interface ServerOptions {
  readonly manager: Manager;
  readonly tls?: ServerTls;
  readonly cors: boolean;
  /** Takes connections of a replica to its primary; true when it has done so. */
  readonly divert?: (request: IncomingMessage, target: ServerResponse | { socket: Socket; head: Buffer }) => boolean;
  readonly metrics?: () => Promise<{ contentType: string; body: string }>;
}

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': 'Origin, X-Requested-With, Content-Type, Accept',
  'Access-Control-Allow-Methods': 'GET, POST, DELETE, PUT, OPTIONS, HEAD',
};

interface Matched {
  readonly route: Route;
  readonly params: readonly string[];
  readonly path: string;
  readonly rawQuery: string;
  readonly version: string;
}

/** The HTTP server over the route table. */
export function createApiServer(options: ServerOptions): Server {
  const { manager, tls } = options;
  // Streams last for days; only the head of a request must come in time.
  const settings = {
    requestTimeout: 0,
    headersTimeout: 15_000,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 75_000,
    maxHeaderSize: 1024 * 1024,
    noDelay: true,
    // Clients that vanish without a word while they follow events or a silent container would be kept for ever.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  const server =
    tls === undefined
      ? createHttp(settings)
      : createHttps({
          ...settings,
          cert: tls.cert,
          key: tls.key,
          minVersion: 'TLSv1.2',
          allowHalfOpen: true,
          ...(tls.verify && tls.ca !== undefined ? { ca: tls.ca, requestCert: true, rejectUnauthorized: true } : {}),
        });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => void serve(options, request, response));
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => void upgrade(options, request, socket, head));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', () => socket.destroy());
  });
  server.on('tlsClientError', (error: Error) => manager.log.debug(`TLS handshake failed: ${error.message}`));
  return server;
}

async function serve(options: ServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { manager } = options;
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('client has gone')));
  response.on('error', () => {});
  request.on('error', () => {});
  if (options.divert?.(request, response) === true) return;
  response.setHeader('Api-Version', manager.cluster.apiVersion);
  response.setHeader('Ostype', 'linux');
  response.setHeader('Docker-Experimental', String(manager.experimental));
  response.setHeader('Server', `Docker/swarm-${SWARM_VERSION} (linux)`);
  if (options.cors) for (const [name, value] of Object.entries(CORS)) response.setHeader(name, value);
  try {
    if (options.metrics !== undefined && request.url === '/metrics' && request.method === 'GET') {
      const { contentType, body } = await options.metrics();
      response.writeHead(200, { 'Content-Type': contentType });
      response.end(body);
      return;
    }
    if (options.cors && request.method === 'OPTIONS') {
      response.writeHead(200, { 'Content-Length': 0 });
      response.end();
      return;
    }
    const matched = match(manager, request);
    await matched.route.handler({ ...contextOf(manager, request, matched, gone.signal), response });
  } catch (error) {
    if (gone.signal.aborted) return;
    if (!(error instanceof ApiError) && !(error instanceof ConnectionError)) {
      // Without the query: build arguments may be secrets.
      manager.log.error(`${request.method} ${request.url?.split('?', 1)[0]?.slice(0, 200)}: ${messageOf(error)}`);
      manager.log.debug(error instanceof Error ? (error.stack ?? '') : '');
    }
    if (response.headersSent) {
      response.end(`${printJson({ error: messageOf(error), errorDetail: { code: 1, message: messageOf(error) } })}\n`);
      return;
    }
    const body = `${printJson({ message: messageOf(error) })}\n`;
    closeUnlessRead(request, response);
    response.writeHead(error instanceof ApiError ? error.status : 500, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(body);
  }
}

async function upgrade(options: ServerOptions, request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
  const { manager } = options;
  const gone = new AbortController();
  socket.on('error', () => socket.destroy());
  socket.on('close', () => gone.abort(new Error('client has gone')));
  if (options.divert?.(request, { socket, head }) === true) return;
  try {
    const matched = match(manager, request);
    if (matched.route.upgrade === undefined) throw new ApiError(400, 'this endpoint cannot be upgraded');
    await matched.route.upgrade({ ...contextOf(manager, request, matched, gone.signal), socket, head });
  } catch (error) {
    refuse(socket, error instanceof ApiError ? error : new ApiError(500, messageOf(error)));
  }
}

function contextOf(manager: Manager, request: IncomingMessage, matched: Matched, signal: AbortSignal): Omit<Context, 'response'> {
  const { params, path, rawQuery, version } = matched;
  return { manager, cluster: manager.cluster, request, params, path, query: new URLSearchParams(rawQuery), rawQuery, version, signal };
}

/** @throws ApiError */
function match(manager: Manager, request: IncomingMessage): Matched {
  const url = request.url ?? '/';
  const at = url.indexOf('?');
  const rawPath = at < 0 ? url : url.slice(0, at);
  const rawQuery = at < 0 ? '' : url.slice(at);
  const { path, version } = splitVersion(manager, decode(rawPath));
  const method = request.method ?? 'GET';
  for (const route of ROUTES) {
    if (!route.methods.includes(method)) continue;
    const found = route.pattern.exec(path);
    if (found !== null) return { route, params: found.slice(1), path, rawQuery, version };
  }
  throw new ApiError(404, 'page not found');
}

function decode(rawPath: string): string {
  if (rawPath.length > 8192) throw new ApiError(414, 'path is longer than 8192 characters');
  let path: string;
  try {
    path = decodeURIComponent(rawPath);
  } catch {
    throw new ApiError(400, 'path is not properly encoded');
  }
  if (path.includes('\0') || path.split('/').some((part) => part === '..' || part === '.'))
    throw new ApiError(400, 'path holds a dot segment');
  return path.replaceAll(/\/{2,}/g, '/');
}

function splitVersion(manager: Manager, path: string): { path: string; version: string } {
  const found = /^\/v(\d{1,3}\.\d{1,3})(\/.*)$/.exec(path);
  const announced = manager.cluster.apiVersion;
  if (found?.[1] === undefined || found[2] === undefined) return { path, version: announced };
  const [, version, rest] = found;
  // An engine that joined since may have lowered what is announced: versions up to the highest are answered, in the engine's words.
  if (compareVersions(version, HIGHEST_API) > 0) {
    throw new ApiError(400, `client version ${version} is too new. Maximum supported API version is ${announced}`);
  }
  if (compareVersions(version, LOWEST_API) < 0) {
    throw new ApiError(
      400,
      `client version ${version} is too old. Minimum supported API version is ${LOWEST_API}, please upgrade your client to a newer version`,
    );
  }
  return { path: rest, version };
}

/** Listens on `tcp://host:port`, `host:port` or `unix:///path` (a stale socket file is replaced; mode 0600). */
export async function listen(server: Server, address: string): Promise<void> {
  const unix = address.startsWith('unix://') ? address.slice('unix://'.length) : undefined;
  if (unix !== undefined) await unlink(unix).catch(() => {});
  const where = address.replace(/^tcp:\/\//, '');
  const colon = where.lastIndexOf(':');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const done = () => {
      server.off('error', reject);
      resolve();
    };
    if (unix !== undefined) server.listen(unix, done);
    else server.listen({ host: where.slice(0, colon).replace(/^\[|\]$/g, '') || '0.0.0.0', port: Number(where.slice(colon + 1)) }, done);
  });
  if (unix !== undefined) await chmod(unix, 0o600);
}
