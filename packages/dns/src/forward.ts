/** Hands questions on to other resolvers, byte for byte but for the number, and believes only an answer to what was asked. */
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { FrameReader, frame } from './frame.js';
import { HEADER_BYTES, isAnswer, MAX_TCP_BYTES, questionEnd, RCODE, rcodeOf } from './message.js';

const DNS_PORT = 53;
/** A resolver that did not answer is asked last for so long. */
const SICK_MS = 10_000;
/** A question that was not answered is sent again after so long: a packet may be lost. */
const AGAIN_MS = 1_000;
const REFUSED = 5;

export type Transport = 'udp' | 'tcp';

export interface ForwarderOptions {
  /** Addresses, or `address#port`, in the order to ask them; read anew for every question. */
  readonly servers: () => readonly string[];
  /** How long all of them may take together. */
  readonly patienceMs: number;
  /** Questions under way at once; more are not taken. */
  readonly maxPending: number;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #sick = new Map<string, number>();
  readonly #underWay = new Set<AbortController>();
  #stopped = false;
  #pending = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** The answer with the question's own number; `undefined` when nobody could be asked or none answered. */
  async ask(question: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (this.#pending >= this.#options.maxPending || this.#stopped) return undefined;
    this.#pending++;
    try {
      return await this.#askInTurn(question, transport);
    } finally {
      this.#pending--;
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const attempt of this.#underWay) attempt.abort();
  }

  async #askInTurn(question: Buffer, transport: Transport): Promise<Buffer | undefined> {
    let second: Buffer | undefined;
    const end = performance.now() + this.#options.patienceMs;
    const servers = this.#inOrder();
    for (const [i, server] of servers.entries()) {
      // What one leaves is the others'; one alone may take all of it.
      const answer = await this.#askOne(server, question, transport, (end - performance.now()) / (servers.length - i));
      if (this.#stopped) return undefined;
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

  async #askOne(server: string, question: Buffer, transport: Transport, patienceMs: number): Promise<Buffer | undefined> {
    const asked = Buffer.from(question);
    asked.writeUInt16BE(randomInt(0x10000), 0);
    const [host = '', port] = server.split('#');
    const target = { host, port: port === undefined ? DNS_PORT : Number(port) };
    const attempt = new AbortController();
    const timer = setTimeout(() => attempt.abort(), patienceMs);
    this.#underWay.add(attempt);
    try {
      return await (transport === 'udp' ? askByUdp : askByTcp)(target, asked, attempt.signal);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(attempt);
    }
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
    let again: NodeJS.Timeout | undefined;
    const finish = (answer?: Buffer): void => {
      clearInterval(again);
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
    // A callback would be called for a server without a way to it as well.
    socket.on('connect', () => {
      socket.send(asked);
      again = setInterval(() => socket.send(asked), AGAIN_MS);
    });
    socket.connect(port, host);
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
