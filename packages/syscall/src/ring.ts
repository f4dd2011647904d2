/**
 * A BPF ring buffer, read in place: the kernel's pages are mapped, nothing is copied but what the caller keeps
 * (Documentation/bpf/ringbuf.rst). One reader at a time; who starts again goes on where the last one stopped.
 */
import type { BpfMap } from './bpf.js';
import { SyscallError } from './errors.js';
import { asBigInt, bytesAt, lastErrno, libc, type Opaque } from './ffi.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const FAILED = 0xffff_ffff_ffff_ffffn;
/** Of the kernels this runs on; others (arm64 with 64 KiB pages) are refused by the map's own size check. */
const PAGE = 4_096;
/** A record's header: length with two flags, and the page it is on. */
const HEADER = 8;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;

export class RingBuffer {
  readonly #size: number;
  readonly #pages: { readonly at: Opaque; readonly length: number }[] = [];
  readonly #consumer: BigInt64Array;
  readonly #producer: BigInt64Array;
  readonly #words: Int32Array;
  readonly #data: Buffer;

  constructor(map: BpfMap) {
    this.#size = map.shape.maxEntries;
    // The position that was read up to is the reader's to write; the rest only the kernel writes. The data are mapped twice in a row, so that no
    // record is ever torn.
    this.#consumer = new BigInt64Array(this.#map(map.fd, PAGE, PROT_READ | PROT_WRITE, 0), 0, 1);
    const shared = this.#map(map.fd, PAGE + 2 * this.#size, PROT_READ, PAGE);
    this.#producer = new BigInt64Array(shared, 0, 1);
    this.#words = new Int32Array(shared, PAGE, (2 * this.#size) / 4);
    this.#data = Buffer.from(shared, PAGE, 2 * this.#size);
  }

  /** Hands over what there is, `limit` records at most; `take` must not keep the bytes. Answers how many there were. */
  read(take: (record: Buffer) => void, limit: number): number {
    let count = 0;
    let position = Atomics.load(this.#consumer, 0);
    const end = Atomics.load(this.#producer, 0);
    try {
      while (position < end && count < limit) {
        const at = Number(position & BigInt(this.#size - 1));
        const header = Atomics.load(this.#words, at / 4) >>> 0;
        if (header & BUSY) break;
        const length = header & ~(BUSY | DISCARDED);
        position += BigInt((length + HEADER + 7) & ~7);
        if ((header & DISCARDED) !== 0) continue;
        count++;
        take(this.#data.subarray(at + HEADER, at + HEADER + length));
      }
    } finally {
      Atomics.store(this.#consumer, 0, position);
    }
    return count;
  }

  /** Bytes that wait to be read. */
  get waiting(): number {
    return Number(Atomics.load(this.#producer, 0) - Atomics.load(this.#consumer, 0));
  }

  close(): void {
    for (const { at, length } of this.#pages.splice(0)) libc().munmap(at, length);
  }

  #map(fd: number, length: number, protection: number, offset: number): ArrayBuffer {
    const at = libc().mmap(null, length, protection, MAP_SHARED, fd, offset);
    if (BigInt.asUintN(64, asBigInt(at)) === FAILED) {
      const errno = lastErrno();
      this.close();
      throw new SyscallError('mmap', errno, 'of a ring buffer');
    }
    this.#pages.push({ at, length });
    return bytesAt(at, length);
  }
}
