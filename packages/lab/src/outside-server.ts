/** The outside world's web and DNS server, one process. What it serves, plan/outside.ts says. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED } from 'dns-packet';
import { OUTSIDE, OUTSIDE_NAMES } from './plan/outside.js';

const NO_SUCH_NAME = 3;
const MAX_BYTES = 1 << 28;

/** `/`: a page; `/client`: who asks, as seen from here; `/bytes/N`: a large reply. */
function serveWeb(request: http.IncomingMessage, response: http.ServerResponse): void {
  const { remoteAddress = '', remotePort = 0 } = request.socket;
  const bytes = /^\/bytes\/(\d{1,9})$/.exec(request.url ?? '')?.[1];
  if (bytes !== undefined && Number(bytes) <= MAX_BYTES) response.end(Buffer.alloc(Number(bytes), 'contiv '));
  else if (request.url === '/client')
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ address: remoteAddress, port: remotePort }));
  else if (request.url === '/') response.setHeader('content-type', 'text/plain').end('the outside world\n');
  else response.writeHead(404).end('nothing here\n');
}

/** Answer to one question; `undefined` for what is none. */
export function answerOutside(message: Buffer): Buffer | undefined {
  try {
    const { id, questions, type } = decode(message);
    const question = questions?.[0];
    if (type !== 'query' || !question) return undefined;
    const found = OUTSIDE_NAMES[question.name.toLowerCase()];
    const data = question.type === 'A' ? found?.ip : question.type === 'AAAA' ? found?.ip6 : undefined;
    const answers: Answer[] =
      data === undefined ? [] : [{ name: question.name, type: question.type === 'A' ? 'A' : 'AAAA', ttl: 60, data }];
    return encode({
      type: 'response',
      id: id ?? 0,
      flags: AUTHORITATIVE_ANSWER | RECURSION_DESIRED | RECURSION_AVAILABLE | (found ? 0 : NO_SUCH_NAME),
      questions: [question],
      answers,
    });
  } catch {
    return undefined;
  }
}

async function serveDns(address: string): Promise<void> {
  const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    const answer = answerOutside(message);
    if (answer) socket.send(answer, from.port, from.address, () => undefined);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
}

/** Serves until it is ended. */
export async function serveOutside(): Promise<void> {
  for (const address of [OUTSIDE.web, OUTSIDE.web6]) {
    const server = http.createServer(serveWeb).listen(80, address);
    await once(server, 'listening');
  }
  // In this order: that all serve is told by the last socket.
  for (const address of [OUTSIDE.dns, OUTSIDE.dns6]) await serveDns(address);
}
