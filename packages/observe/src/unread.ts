import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/** How long a client may go on sending a body that nobody reads. */
const LINGER_MS = 5_000;

/**
 * To be called before the head of an answer is written. What is left of a body that nobody reads would be taken for the next request, so
 * the connection ends with the answer. Not at once: bytes that still arrive at a closed socket are answered by a reset, and a client that
 * meets one while it sends never reads why it was refused. So our half ends, and the rest is thrown away until the client has ended too.
 */
export function closeUnlessRead(request: IncomingMessage, response: ServerResponse): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0');
  if (request.complete || !hasBody) return;
  response.setHeader('Connection', 'close');
  const { socket } = request;
  // What the HTTP server calls after the last answer of a connection; its own way closes both halves once the answer is written.
  const close = () => Socket.prototype.destroySoon.call(socket);
  socket.destroySoon = () => {
    if (request.complete) return close();
    socket.end();
    request.unpipe();
    request.resume();
    request.once('end', close);
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
  };
}
