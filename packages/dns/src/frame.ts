/** Messages over TCP bear their length in front (RFC 1035 §4.2.2). */

export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a stream into messages. Holds at most one message and what came with it. */
export class FrameReader {
  readonly #limit: number;
  readonly #message: (message: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(limit: number, message: (message: Buffer) => void) {
    this.#limit = limit;
    this.#message = message;
  }

  /** False when the stream announces a message beyond the limit: it cannot be followed any further. */
  push(chunk: Buffer): boolean {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 2) {
      const length = this.#rest.readUInt16BE(0);
      if (length > this.#limit) return false;
      if (this.#rest.length < 2 + length) break;
      const message = this.#rest.subarray(2, 2 + length);
      this.#rest = this.#rest.subarray(2 + length);
      this.#message(message);
    }
    return true;
  }
}
