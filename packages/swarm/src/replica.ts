import { request as httpRequest, type IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { closeUnlessRead } from '@contiv/observe';
import { splice } from './api/proxy.js';
import type { ServerTls } from './api/server.js';
import type { Election } from './election.js';
import { servername, splitHostPort } from './engine/client.js';
import { printJson } from './json.js';

const ELECTION_WAIT_MS = 25_000;
const LOCAL = /\/(?:_ping|info|metrics)(?:\?|$)/;

/** What a replica has to know of the election. */
type Leadership = Pick<Election, 'leading' | 'leader' | 'advertise'>;

/** A replica hands everything but `_ping`, `info` and `metrics` to the primary, streams and upgrades included. */
export function divertTo(election: Leadership, tls: ServerTls | undefined) {
  return (request: IncomingMessage, target: ServerResponse | { socket: Socket; head: Buffer }): boolean => {
    if (election.leading || LOCAL.test(request.url ?? '')) return false;
    void forward(election, tls, request, target);
    return true;
  };
}

async function forward(
  election: Leadership,
  tls: ServerTls | undefined,
  request: IncomingMessage,
  target: ServerResponse | { socket: Socket; head: Buffer },
): Promise<void> {
  const primary = await primaryOf(election, request);
  if (primary === undefined) return fail(request, target, 500, 'No elected primary cluster manager');
  const where = splitHostPort(primary);
  const secure =
    tls === undefined
      ? {}
      : { cert: tls.cert, key: tls.key, rejectUnauthorized: tls.verify, ...(tls.ca === undefined ? {} : { ca: tls.ca }) };
  const unreachable = (error: Error) =>
    fail(request, target, 500, `Unable to reach primary cluster manager (${error.message}): ${primary}`);
  if (!(target instanceof ServerResponse)) {
    const { socket, head } = target;
    const tcp = connectTcp({ ...where, allowHalfOpen: true, noDelay: true });
    const upstream = tls === undefined ? tcp : connectTls({ socket: tcp, host: where.host, servername: servername(where.host), ...secure });
    tcp.once('error', unreachable);
    upstream.once('error', unreachable);
    upstream.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
      if (head.length > 0) upstream.write(head);
      splice(socket, upstream);
    });
    return;
  }
  const { method, url, headers } = request;
  const upstream = (tls === undefined ? httpRequest : httpsRequest)({
    ...where,
    method,
    path: url,
    headers: { ...headers, connection: 'close' },
    agent: false,
    ...secure,
  });
  upstream.on('error', (error) => (target.headersSent ? void target.destroy() : unreachable(error)));
  upstream.on('response', (answer) => {
    const { connection: _connection, 'transfer-encoding': _encoding, ...kept } = answer.headers;
    closeUnlessRead(request, target);
    target.writeHead(answer.statusCode ?? 502, kept);
    target.flushHeaders();
    answer.pipe(target);
    answer.on('error', () => target.destroy());
  });
  target.on('close', () => upstream.destroy());
  request.pipe(upstream);
}

/** The primary's address; waits a little while none is known, as during an election. */
async function primaryOf(election: Leadership, request: IncomingMessage): Promise<string | undefined> {
  const deadline = Date.now() + ELECTION_WAIT_MS;
  while (Date.now() < deadline && !request.socket.destroyed) {
    if (election.leader !== '' && (election.leader !== election.advertise || election.leading)) return election.leader;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return undefined;
}

function fail(request: IncomingMessage, target: ServerResponse | { socket: Socket; head: Buffer }, status: number, message: string): void {
  const body = `${printJson({ message })}\n`;
  const head = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
  if (!(target instanceof ServerResponse)) {
    target.socket.end(
      `HTTP/1.1 ${status} Error\r\nContent-Type: application/json\r\nContent-Length: ${head['Content-Length']}\r\nConnection: close\r\n\r\n${body}`,
    );
    return;
  }
  if (target.headersSent) return void target.destroy();
  closeUnlessRead(request, target);
  target.writeHead(status, head);
  target.end(body);
}
