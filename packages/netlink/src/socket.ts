/** One netlink socket: request and answer on the calling thread. The kernel works within `send`; what makes it wait can be sent from another thread. */
import {
  AF_NETLINK,
  bind,
  close,
  errnoName,
  isErrno,
  recv,
  SOCK_RAW,
  send,
  sendInThread,
  setSocketOption,
  socket,
  withNetns,
} from '@contiv/syscall';
import { type Attribute, decodeAttributes, decodeMessages, encodeMessage, HEADER, type Message, readText } from './codec.js';
import { NLM_F, NLMSG, NLMSGERR_ATTR_MSG } from './constants.js';

const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const RECEIVE_BYTES = 1 << 17;
/** A dump that the kernel found inconsistent is asked for again this often. */
const DUMP_TRIES = 5;

/** A request the kernel refused. `code` is the errno's name; `message` says what was asked and, where the kernel explains it, why. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly code: string;
  /** The kernel's own sentence (extended ack), or empty. */
  readonly reason: string;

  constructor(what: string, errno: number, reason: string) {
    const code = errnoName(errno);
    super(reason === '' ? `${what}: ${code}` : `${what}: ${reason} (${code})`);
    this.code = code;
    this.reason = reason;
  }
}

/** Was the request refused with one of these codes? */
export const isRefused = (error: unknown, ...codes: string[]): error is NetlinkError =>
  error instanceof NetlinkError && codes.includes(error.code);

export class NetlinkSocket {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);
  #sequence = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * @param netns path of a network namespace; default the one the thread is in. The socket stays there for life.
   * @param protocol whom in the kernel it talks to; default rtnetlink.
   */
  static open(netns?: string, protocol = NETLINK_ROUTE): NetlinkSocket {
    return netns === undefined ? NetlinkSocket.#create(protocol) : withNetns(netns, () => NetlinkSocket.#create(protocol));
  }

  static #create(protocol: number): NetlinkSocket {
    const fd = socket(AF_NETLINK, SOCK_RAW, protocol);
    try {
      setSocketOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      setSocketOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      setSocketOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
      const address = Buffer.alloc(12);
      address.writeUInt16LE(AF_NETLINK);
      bind(fd, address);
      return new NetlinkSocket(fd);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  close(): void {
    close(this.#fd);
  }

  /** A change; returns when the kernel has made it, throws `NetlinkError` when it refuses. */
  change(what: string, type: number, flags: number, body: Uint8Array, attributes: readonly Attribute[]): void {
    this.#acknowledged(what, this.#send(type, flags | NLM_F.request | NLM_F.ack, body, attributes));
  }

  /** The same while this thread goes on. One at a time, and nothing else by this socket meanwhile. */
  async changeInThread(what: string, type: number, flags: number, body: Uint8Array, attributes: readonly Attribute[]): Promise<void> {
    const sequence = this.#next();
    await sendInThread(this.#fd, encodeMessage(type, flags | NLM_F.request | NLM_F.ack, sequence, body, attributes));
    this.#acknowledged(what, sequence);
  }

  #acknowledged(what: string, sequence: number): void {
    for (;;) {
      for (const message of this.#receive(sequence)) {
        if (message.type !== NLMSG.error) continue;
        acknowledge(what, message);
        return;
      }
    }
  }

  /** One object; `undefined` when the kernel answers that there is none. */
  get(what: string, type: number, body: Uint8Array, attributes: readonly Attribute[]): Buffer | undefined {
    const sequence = this.#send(type, NLM_F.request | NLM_F.ack, body, attributes);
    let found: Buffer | undefined;
    for (;;) {
      for (const message of this.#receive(sequence)) {
        if (message.type !== NLMSG.error) {
          found = Buffer.from(message.payload);
          continue;
        }
        try {
          acknowledge(what, message);
        } catch (error) {
          if (isRefused(error, 'ENODEV', 'ENOENT', 'ESRCH')) return undefined;
          throw error;
        }
        return found;
      }
    }
  }

  /** All objects of a kind; asked for again when the kernel says that the list changed while it was read. */
  dump(what: string, type: number, body: Uint8Array, attributes: readonly Attribute[] = []): Buffer[] {
    for (let i = 1; ; i++) {
      const found = this.#dumpOnce(what, type, body, attributes);
      if (found.consistent || i === DUMP_TRIES) return found.payloads;
    }
  }

  #dumpOnce(what: string, type: number, body: Uint8Array, attributes: readonly Attribute[]): { payloads: Buffer[]; consistent: boolean } {
    const sequence = this.#send(type, NLM_F.request | NLM_F.dump, body, attributes);
    const payloads: Buffer[] = [];
    let consistent = true;
    for (;;) {
      for (const message of this.#receive(sequence)) {
        if ((message.flags & NLM_F.dumpInterrupted) !== 0) consistent = false;
        if (message.type === NLMSG.error) acknowledge(what, message);
        if (message.type === NLMSG.done) {
          acknowledge(what, message);
          return { payloads, consistent };
        }
        payloads.push(Buffer.from(message.payload));
      }
    }
  }

  #send(type: number, flags: number, body: Uint8Array, attributes: readonly Attribute[]): number {
    const sequence = this.#next();
    send(this.#fd, encodeMessage(type, flags, sequence, body, attributes));
    return sequence;
  }

  #next(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  /** Messages of the next datagram that answer `sequence`; what an earlier, failed request left behind is skipped. */
  #receive(sequence: number): Message[] {
    for (;;) {
      try {
        const length = recv(this.#fd, this.#buffer);
        return decodeMessages(this.#buffer.subarray(0, length)).filter((m) => m.sequence === sequence);
      } catch (error) {
        if (!isErrno(error, 'EINTR')) throw error;
      }
    }
  }
}

/** Reads `struct nlmsgerr` (or the error number of a finished dump) and throws when it is one. */
function acknowledge(what: string, message: Message): void {
  const { payload, flags, type } = message;
  const errno = payload.length >= 4 ? -payload.readInt32LE(0) : 0;
  if (errno === 0) return;
  // Behind the number: in an error the header of the request, or the whole request where the ack is not capped.
  const skip = type === NLMSG.done ? 4 : 4 + ((flags & NLM_F.capped) !== 0 ? HEADER : payload.readUInt32LE(4));
  const reason = (flags & NLM_F.ackTlvs) === 0 ? '' : readText(decodeAttributes(payload.subarray(skip)).get(NLMSGERR_ATTR_MSG));
  throw new NetlinkError(what, errno, reason);
}
