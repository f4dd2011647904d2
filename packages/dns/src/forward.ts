/** Hands questions on to other resolvers, byte for byte but for the number, and believes only an answer to what was asked. */
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { FrameReader, frame } from './frame.js';
import { HEADER_BYTES, isAnswer, MAX_TCP_BYTES, questionEnd, RCODE, rcodeOf } from './message.js';

const DNS_PORT = 53;
/** A resolver that did not answer is asked last for so long. */
const SICK_MS = 10_000;
const REFUSED = 5;

export type Transport = 'udp' | 'tcp';

export interface ForwarderOptions {
  /** Addresses, or `address#port`, in the order to ask them; read anew for every question. */
  readonly servers: () => readonly string[];
  /** How long one server may take. */
  readonly timeoutMs: number;
  /** Questions under way at once; more are not taken. */
  readonly maxPending: number;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #sick = new Map<string, number>();
  readonly #stopping = new AbortController();
  #pending = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** The answer with the question's own number; `undefined` when nobody could be asked or none answered. */
  async ask(question: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (this.#pending >= this.#options.maxPending || this.#stopping.signal.aborted) return undefined;
    this.#pending++;
    try {
      return await this.#askInTurn(question, transport);
    } finally {
      this.#pending--;
    }
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #askInTurn(question: Buffer, transport: Transport): Promise<Buffer | undefined> {
    let second: Buffer | undefined;
    for (const server of this.#inOrder()) {
      const answer = await this.#askOne(server, question, transport);
      if (!answer) {
        this.#sick.set(server, Date.now() + SICK_MS);
        continue;
      }
      this.#sick.delete(server);
      answer.writeUInt16BE(question.readUInt16BE(0), 0);
      const code = rcodeOf(answer);
      if (code !== RCODE.serverFailure && code !== REFUSED) return answer;
      second ??= answer;
    }
    return second;
  }

  #inOrder(): string[] {
    const now = Date.now();
    const servers = [...this.#options.servers()];
    for (const [server, until] of this.#sick) if (until <= now || !servers.includes(server)) this.#sick.delete(server);
    return servers.sort((a, b) => Number(this.#sick.has(a)) - Number(this.#sick.has(b)));
  }

  async #askOne(server: string, question: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const asked = Buffer.from(question);
    asked.writeUInt16BE(randomInt(0x10000), 0);
    const [host = '', port] = server.split('#');
    const target = { host, port: port === undefined ? DNS_PORT : Number(port) };
    const signal = AbortSignal.any([AbortSignal.timeout(this.#options.timeoutMs), this.#stopping.signal]);
    return transport === 'udp' ? askByUdp(target, asked, signal) : askByTcp(target, asked, signal);
  }
}

interface Target {
  readonly host: string;
  readonly port: number;
}

function belongsTo(answer: Buffer, asked: Buffer): boolean {
  if (answer.length < HEADER_BYTES || !isAnswer(answer) || answer.readUInt16BE(0) !== asked.readUInt16BE(0)) return false;
  const end = questionEnd(asked);
  // Some servers send errors without the question.
  if (end === undefined || answer.readUInt16BE(4) === 0) return end === undefined || rcodeOf(answer) !== 0;
  return (
    answer.subarray(HEADER_BYTES, end).toString('latin1').toLowerCase() ===
    asked.subarray(HEADER_BYTES, end).toString('latin1').toLowerCase()
  );
}

/** A socket of its own for each question: the source port is as hard to guess as the number (RFC 5452 §9.2). */
function askByUdp({ host, port }: Target, asked: Buffer, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4');
    const finish = (answer?: Buffer): void => {
      signal.removeEventListener('abort', abandon);
      socket.removeAllListeners('message');
      try {
        socket.close();
      } catch {
        // Closed already: the second of two errors.
      }
      resolve(answer);
    };
    const abandon = (): void => finish();
    signal.addEventListener('abort', abandon, { once: true });
    socket.on('error', abandon);
    socket.on('message', (answer) => {
      if (belongsTo(answer, asked)) finish(Buffer.from(answer));
    });
    socket.connect(port, host, () => socket.send(asked));
  });
}

function askByTcp({ host, port }: Target, asked: Buffer, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const finish = (answer?: Buffer): void => {
      signal.removeEventListener('abort', abandon);
      socket.destroy();
      resolve(answer);
    };
    const abandon = (): void => finish();
    signal.addEventListener('abort', abandon, { once: true });
    const reader = new FrameReader(MAX_TCP_BYTES, (answer) => finish(belongsTo(answer, asked) ? Buffer.from(answer) : undefined));
    socket.on('connect', () => socket.write(frame(asked)));
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    socket.on('error', abandon);
    socket.on('close', abandon);
  });
}
