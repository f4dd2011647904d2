import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { closeUnlessRead } from '@contiv/observe';
import type { Engine } from '../engine/engine.js';
import { ApiError, messageOf } from '../errors.js';
import { printJson } from '../json.js';
import type { Context, UpgradeContext } from './context.js';

/** Requests handed to one engine. Bodies and answers stream; the client's end ends the engine's request. */
const HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Every answer carries ours already. */
const OWN_HEADERS = new Set(['api-version', 'ostype', 'docker-experimental', 'server', 'date']);

export interface ProxyOptions {
  /** Path without version, encoded; the request's own by default. */
  readonly path?: string;
  /** With the question mark. */
  readonly query?: string;
  readonly method?: string;
  readonly body?: Readable | string;
  /** Runs after the engine's answer has ended and before the client's does, so that what the client asks next is up to date. */
  readonly afterwards?: (status: number) => Promise<void>;
  /** What to say when the engine is lost in the middle of the answer. */
  readonly onLoss?: (error: Error) => string | undefined;
}

/** `/vX.Y` + path + query for this engine. */
export function enginePath(
  context: Pick<Context, 'cluster' | 'version' | 'rawQuery' | 'path'>,
  engine: Engine,
  path?: string,
  query?: string,
): string {
  return `/v${context.cluster.versionFor(engine, context.version)}${path ?? encodePath(context.path)}${query ?? context.rawQuery}`;
}

export function encodePath(path: string): string {
  return path
    .split('/')
    .map((part) => encodeURIComponent(part).replaceAll('%3A', ':').replaceAll('%40', '@'))
    .join('/');
}

export async function proxy(context: Context, engine: Engine, options: ProxyOptions = {}): Promise<void> {
  const { request, signal } = context;
  const headers = forwarded(request.headers);
  if (typeof options.body === 'string') {
    headers['content-length'] = Buffer.byteLength(options.body);
  }
  const hasBody =
    options.body !== undefined || request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  const answer = await engine.client.stream(
    options.method ?? request.method ?? 'GET',
    enginePath(context, engine, options.path, options.query),
    {
      headers,
      signal,
      ...(hasBody ? { body: options.body ?? request } : {}),
    },
  );
  await relay(context, answer, options);
}

/** An engine's answer to our client, as it comes. */
export async function relay(
  context: Context,
  answer: IncomingMessage,
  options: Pick<ProxyOptions, 'afterwards' | 'onLoss'> = {},
): Promise<void> {
  const { response } = context;
  const status = answer.statusCode ?? 502;
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    const name = answer.rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (!HOP_HEADERS.has(lower) && !OWN_HEADERS.has(lower)) response.appendHeader(name, answer.rawHeaders[i + 1] ?? '');
  }
  closeUnlessRead(context.request, response);
  const afterwards = () => Promise.resolve(options.afterwards?.(status)).catch(() => {});
  if (status === 204 || status === 304 || answer.headers['content-length'] === '0') {
    // The head is the whole answer: the client goes on as soon as it has it.
    answer.resume();
    await afterwards();
    response.writeHead(status);
    response.end();
    return;
  }
  response.writeHead(status);
  response.flushHeaders();
  await new Promise<void>((resolve) => {
    let ended = false;
    answer.pipe(response, { end: false });
    answer.on('end', () => {
      ended = true;
      void afterwards().finally(() => {
        response.end();
        resolve();
      });
    });
    answer.on('close', () => {
      if (ended) return;
      const words = options.onLoss?.(new Error('connection to the engine was lost'));
      if (words !== undefined && !response.writableEnded) response.end(words);
      else response.destroy();
      resolve();
    });
    answer.on('error', () => {});
    response.on('close', () => {
      answer.destroy();
      resolve();
    });
  });
}

function forwarded(headers: IncomingMessage['headers']): OutgoingHttpHeaders {
  const result: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers))
    if (!HOP_HEADERS.has(name) && name !== 'expect' && value !== undefined) result[name] = value;
  if (headers['transfer-encoding'] !== undefined) result['transfer-encoding'] = 'chunked';
  return result;
}

/** Splices client and engine: the request goes out as it came, then bytes both ways; each half closes by itself. */
export async function hijack(context: UpgradeContext, engine: Engine, path?: string): Promise<void> {
  const { request, socket, head } = context;
  let upstream: Socket;
  try {
    upstream = await engine.client.dial();
  } catch (error) {
    refuse(socket, new ApiError(500, messageOf(error)));
    return;
  }
  if (socket.destroyed) {
    upstream.destroy();
    return;
  }
  const lines = [`${request.method} ${enginePath(context, engine, path)} HTTP/1.1`];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(i, i + 2);
    // An engine that refuses goes on with HTTP: unless it closes, the client's next request would reach that one engine and not us.
    lines.push(`${name}: ${name.toLowerCase() === 'connection' ? `${value}, close` : value}`);
  }
  upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (head.length > 0) upstream.write(head);
  splice(socket, upstream);
}

/** `pipe` carries the end of one direction to the other side and leaves the opposite direction open. */
export function splice(a: Socket, b: Socket): void {
  a.setTimeout(0);
  a.setNoDelay(true);
  a.pipe(b);
  b.pipe(a);
  // The engine's last word ends the connection: a client that keeps its half open would wait for ever.
  b.on('end', () => a.end(() => setTimeout(() => a.destroy(), 1000).unref()));
  const both = () => {
    a.destroy();
    b.destroy();
  };
  for (const side of [a, b]) side.on('error', both).on('close', both);
}

/** An error on a connection that has left HTTP. */
export function refuse(socket: Socket, error: ApiError): void {
  const body = `${printJson({ message: error.message })}\n`;
  socket.end(
    `HTTP/1.1 ${error.status} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
