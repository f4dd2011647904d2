/** A DNS server that answers what its owner knows and hands on everything else; UDP and TCP on one address. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { Forwarder } from './forward.js';
import { FrameReader, frame } from './frame.js';
import { encodeAnswer, encodeRefusal, MAX_TCP_BYTES, parseQuery, type Question, RCODE, udpLimit } from './message.js';

/**
 * Addresses (`A`, `AAAA`) or names (`PTR`) for a question of the client with that source address; empty when the name is known but has none
 * of that type; `undefined` for names that are somebody else's affair.
 */
export type Resolve = (question: Question, client: string) => readonly string[] | undefined;

export interface DnsServerOptions {
  /** Where to listen. */
  readonly address: string;
  /** 0: any free one. */
  readonly port: number;
  /** Resolvers for all other names, `address` or `address#port`; read anew for every question. */
  readonly forwarders: () => readonly string[];
  readonly resolve: Resolve;
  /** How long the forwarders may take together; by default a little less than the 4 s that Docker's resolver waits. */
  readonly patienceMs?: number;
}

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

const MAX_PENDING = 1024;
const MAX_CONNECTIONS = 256;
/** Questions of one connection that wait for an answer. */
const MAX_PIPELINED = 32;
const IDLE_MS = 10_000;
/** No question is longer; answers may be. */
const MAX_QUESTION_BYTES = 4096;
/** Ports tried for the pair when any will do. */
const PORT_TRIES = 16;

/** Listens, or throws the socket's error. */
export async function createDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const forwarder = new Forwarder({
    servers: options.forwarders,
    patienceMs: options.patienceMs ?? 3_800,
    maxPending: MAX_PENDING,
  });
  const handler: Handler = (message, client, transport) => handle(options.resolve, forwarder, message, client, transport);
  for (let attempt = 1; ; attempt++) {
    const udp = await listenUdp(options.address, options.port, handler);
    const { port } = udp.address();
    try {
      const tcp = await listenTcp(options.address, port, handler);
      return {
        port,
        close: async () => {
          forwarder.stop();
          udp.close();
          await Promise.all([once(udp, 'close'), tcp.close()]);
        },
      };
    } catch (error) {
      udp.close();
      if (options.port !== 0 || attempt === PORT_TRIES) throw error;
    }
  }
}

type Handler = (message: Buffer, client: string, transport: 'udp' | 'tcp') => Promise<Buffer | undefined>;

async function handle(
  resolve: Resolve,
  forwarder: Forwarder,
  message: Buffer,
  client: string,
  transport: 'udp' | 'tcp',
): Promise<Buffer | undefined> {
  const parsed = parseQuery(message);
  if (parsed.kind === 'ignored') return undefined;
  if (parsed.kind === 'refused') return encodeRefusal(message, parsed.code);
  if (parsed.kind === 'query') {
    const { query } = parsed;
    const known = resolve(query.question, client);
    if (known) return encodeAnswer(query, rotated(known), transport === 'udp' ? udpLimit(query) : MAX_TCP_BYTES);
  }
  return (await forwarder.ask(message, transport)) ?? encodeRefusal(message, RCODE.serverFailure);
}

/** Clients take the first address: whoever has several shares the load. */
function rotated<T>(items: readonly T[]): readonly T[] {
  if (items.length < 2) return items;
  const first = Math.floor(Math.random() * items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}

async function listenUdp(address: string, port: number, handler: Handler): Promise<dgram.Socket> {
  const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    if (message.length > MAX_QUESTION_BYTES) return;
    // A client that is gone is nobody's fault, nor a socket that has been closed meanwhile, which throws.
    handler(message, from.address, 'udp')
      .then((answer) => {
        if (answer) socket.send(answer, from.port, from.address, ignore);
      })
      .catch(ignore);
  });
  socket.bind(port, address);
  try {
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  // ICMP errors for answers to clients that are gone arrive here.
  socket.on('error', ignore);
  return socket;
}

async function listenTcp(address: string, port: number, handler: Handler): Promise<{ close: () => Promise<void> }> {
  const connections = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, handler);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, address);
  await once(server, 'listening');
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

function serveConnection(socket: net.Socket, handler: Handler): void {
  const client = socket.remoteAddress ?? '';
  let pending = 0;
  const reader = new FrameReader(MAX_QUESTION_BYTES, (message) => {
    if (++pending > MAX_PIPELINED) return void socket.destroy();
    void handler(Buffer.from(message), client, 'tcp').then((answer) => {
      pending--;
      if (answer && socket.writable) socket.write(frame(answer));
    }, ignore);
  });
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    if (!reader.push(chunk)) socket.destroy();
  });
  socket.on('error', ignore);
}

const ignore = (): void => undefined;
