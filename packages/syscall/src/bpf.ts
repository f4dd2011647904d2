/** BPF objects, maps and programs through libbpf. File descriptors are closed by `close()`; pins and attachments keep objects alive. */

import { SyscallError } from './errors.js';
import { addressOf, asBigInt, lastErrno, libbpf, type Opaque } from './ffi.js';
import { close } from './net.js';

export const BPF_ANY = 0n;
export const BPF_NOEXIST = 1n;
export const BPF_EXIST = 2n;

/** Values of `enum bpf_map_type` that this project uses. */
export const MAP_TYPE = { hash: 1, array: 2, percpuHash: 5, percpuArray: 6, lruHash: 9, lpmTrie: 11, ringBuffer: 27 } as const;

/** libbpf answers -errno, and sets errno as well. */
function checked(result: number, call: string, detail = ''): number {
  if (result < 0) throw new SyscallError(call, lastErrno() || -result, detail);
  return result;
}

export interface MapShape {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

const PER_CPU = new Set<number>([MAP_TYPE.percpuHash, MAP_TYPE.percpuArray, 10]);
const BATCH = 1024;

/** An open map. Keys and values are raw bytes as the program lays them out. */
export class BpfMap {
  readonly fd: number;
  readonly shape: MapShape;
  /** Bytes of a looked-up value: for per-CPU maps one value per possible CPU, each rounded up to 8 bytes. */
  readonly bytesPerValue: number;

  constructor(fd: number, shape: MapShape) {
    this.fd = fd;
    this.shape = shape;
    this.bytesPerValue = PER_CPU.has(shape.type) ? possibleCpus() * Math.ceil(shape.valueSize / 8) * 8 : shape.valueSize;
  }

  /** Opens a pinned map; `undefined` when nothing is pinned there. */
  static pinned(path: string): BpfMap | undefined {
    const fd = pinned(path);
    return fd === undefined ? undefined : BpfMap.fromFd(fd);
  }

  static fromFd(fd: number): BpfMap {
    // struct bpf_map_info: type, id, key_size, value_size, max_entries, map_flags, name[16]
    const info = objectInfo(fd, 40);
    const end = info.indexOf(0, 24);
    return new BpfMap(fd, {
      type: info.readUInt32LE(0),
      keySize: info.readUInt32LE(8),
      valueSize: info.readUInt32LE(12),
      maxEntries: info.readUInt32LE(16),
      flags: info.readUInt32LE(20),
      name: info.toString('latin1', 24, end < 0 ? 40 : end),
    });
  }

  get(key: Uint8Array): Buffer | undefined {
    const value = Buffer.alloc(this.bytesPerValue);
    const result = libbpf().lookup(this.fd, key, value);
    if (result === 0) return value;
    if (lastErrno() === 2) return undefined;
    throw this.#error('look-up in', result);
  }

  set(key: Uint8Array, value: Uint8Array, flags: bigint = BPF_ANY): void {
    if (key.length !== this.shape.keySize || value.length !== this.bytesPerValue)
      throw new RangeError(`map ${this.shape.name} takes ${this.shape.keySize} → ${this.bytesPerValue} bytes`);
    const result = libbpf().update(this.fd, key, value, flags);
    if (result !== 0) throw this.#error('update of', result);
  }

  /** Answers whether the key was there. */
  delete(key: Uint8Array): boolean {
    const result = libbpf().delete(this.fd, key);
    if (result === 0) return true;
    if (lastErrno() === 2) return false;
    throw this.#error('delete in', result);
  }

  /** All entries at the time of the call; an entry that comes or goes meanwhile may or may not be among them. */
  entries(): [key: Buffer, value: Buffer][] {
    return [...this.walk()];
  }

  /** As `entries`, one after the other: a large table is never in memory as a whole. */
  *walk(): Generator<[key: Buffer, value: Buffer]> {
    if (!this.#inBatches) {
      yield* this.#oneByOne();
      return;
    }
    const [k, v] = [this.shape.keySize, this.bytesPerValue];
    for (const { keys, values, count } of this.#batches())
      for (let i = 0; i < count; i++) yield [keys.subarray(i * k, (i + 1) * k), values.subarray(i * v, (i + 1) * v)];
  }

  /** Number of entries; walks through all of them. */
  count(): number {
    if (!this.#inBatches) return this.keys().length;
    let sum = 0;
    for (const { count } of this.#batches()) sum += count;
    return sum;
  }

  get #inBatches(): boolean {
    const { type } = this.shape;
    return type === MAP_TYPE.hash || type === MAP_TYPE.lruHash || type === MAP_TYPE.array || type === MAP_TYPE.lpmTrie;
  }

  keys(): Buffer[] {
    const keys: Buffer[] = [];
    let previous: Buffer | null = null;
    // A key deleted under our feet makes the walk start over: the bound keeps it finite.
    for (let i = 0; i < this.shape.maxEntries * 2; i++) {
      const next: Buffer = Buffer.alloc(this.shape.keySize);
      const result = libbpf().nextKey(this.fd, previous, next);
      if (result !== 0) {
        if (lastErrno() === 2) break;
        throw this.#error('walk through', result);
      }
      keys.push(next);
      previous = next;
    }
    return keys;
  }

  *#oneByOne(): Generator<[Buffer, Buffer]> {
    for (const key of this.keys()) {
      const value = this.get(key);
      if (value) yield [key, value];
    }
  }

  *#batches(): Generator<{ readonly keys: Buffer; readonly values: Buffer; readonly count: number }> {
    const { keySize } = this.shape;
    const count = Buffer.alloc(4);
    // The cursor of a hash map is 4 bytes (a bucket number) or a key, whichever the kernel prefers.
    const cursor = Buffer.alloc(Math.max(4, keySize));
    let size = BATCH;
    let first = true;
    for (;;) {
      const keys = Buffer.alloc(size * keySize);
      const values = Buffer.alloc(size * this.bytesPerValue);
      count.writeUInt32LE(size);
      const result = libbpf().lookupBatch(this.fd, first ? null : cursor, cursor, keys, values, count, null);
      const errno = result === 0 ? 0 : lastErrno();
      if (errno === 28) {
        // ENOSPC: a bucket holds more than fits.
        size *= 2;
        continue;
      }
      if (errno !== 0 && errno !== 2) throw this.#error('batch look-up in', result);
      yield { keys, values, count: count.readUInt32LE() };
      if (errno === 2) return;
      first = false;
    }
  }

  /** Writes many entries with as few system calls as the kernel allows. */
  setAll(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    for (let at = 0; at < entries.length; at += BATCH) {
      const part = entries.slice(at, at + BATCH);
      const count = Buffer.alloc(4);
      count.writeUInt32LE(part.length);
      const keys = Buffer.concat(part.map(([key]) => key));
      const values = Buffer.concat(part.map(([, value]) => value));
      const result = libbpf().updateBatch(this.fd, keys, values, count, null);
      if (result !== 0) throw this.#error('batch update of', result);
    }
  }

  pin(path: string): void {
    checked(libbpf().pin(this.fd, path), 'bpf_obj_pin', path);
  }

  close(): void {
    close(this.fd);
  }

  #error(what: string, result: number): SyscallError {
    return new SyscallError(`${what} map ${this.shape.name}`, lastErrno() || -result);
  }
}

/** Possible CPUs: how many values a per-CPU map entry has. */
export const possibleCpus = (): number => checked(libbpf().possibleCpus(), 'libbpf_num_possible_cpus');

/** File descriptor of whatever is pinned at `path`; `undefined` when nothing is. */
export function pinned(path: string): number | undefined {
  const fd = libbpf().get(path);
  if (fd >= 0) return fd;
  if (lastErrno() === 2) return undefined;
  throw new SyscallError('bpf_obj_get', lastErrno(), path);
}

function objectInfo(fd: number, size: number): Buffer {
  const info = Buffer.alloc(size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(size);
  checked(libbpf().info(fd, info, length), 'bpf_obj_get_info_by_fd');
  return info;
}

export const pin = (fd: number, path: string): void => void checked(libbpf().pin(fd, path), 'bpf_obj_pin', path);

/** The kernel's number of a program. */
export const programId = (fd: number): number => objectInfo(fd, 8).readUInt32LE(4);

/** How many instructions the verifier walked through when it was loaded; 0 on kernels before 5.16, which do not tell. */
export const verifiedInstructions = (fd: number): number => objectInfo(fd, 224).readUInt32LE(216);

/** Opens a program by the kernel's number; `undefined` when it is gone. */
export function programById(id: number): number | undefined {
  const fd = libbpf().programById(id);
  if (fd >= 0) return fd;
  if (lastErrno() === 2) return undefined;
  throw new SyscallError('bpf_prog_get_fd_by_id', lastErrno(), String(id));
}

// struct bpf_prog_info: type 0, id 4, tag 8, jited_prog_len 16, xlated_prog_len 20, jited_prog_insns 24, xlated_prog_insns 32,
// load_time 40, created_by_uid 48, nr_map_ids 52, map_ids 56.
const NR_MAP_IDS = 52;
const MAP_IDS = 56;

/** Maps a program refers to, by name; each is open and the caller's to close. */
export function mapsOfProgram(fd: number): Map<string, BpfMap> {
  const ids = Buffer.alloc(4 * 64);
  const info = Buffer.alloc(64);
  info.writeUInt32LE(64, NR_MAP_IDS);
  info.writeBigUInt64LE(addressOf(ids), MAP_IDS);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(info.length);
  checked(libbpf().info(fd, info, length), 'bpf_obj_get_info_by_fd');
  const maps = new Map<string, BpfMap>();
  const count = Math.min(info.readUInt32LE(NR_MAP_IDS), 64);
  for (let i = 0; i < count; i++) {
    const id = ids.readUInt32LE(i * 4);
    const map = BpfMap.fromFd(checked(libbpf().mapById(id), 'bpf_map_get_fd_by_id', String(id)));
    maps.set(map.shape.name, map);
  }
  return maps;
}
export interface LoadedObject {
  /** Programs by their C name; the descriptors belong to the object. */
  readonly programs: ReadonlyMap<string, number>;
  readonly maps: ReadonlyMap<string, BpfMap>;
  /** Frees the object and its descriptors; what is pinned or attached stays. */
  close(): void;
}

const LOG_BYTES = 1 << 20;
const LOG_TAIL_LINES = 12;

/**
 * Opens an object file and loads it. For each map of the file `reuse` may answer an open descriptor to use instead of a new map, and
 * `entries` another size. Errors carry the end of the verifier's log.
 */
export function loadObject(
  path: string,
  options: {
    readonly reuse?: (shape: MapShape) => number | undefined;
    readonly entries?: (shape: MapShape) => number | undefined;
  } = {},
): LoadedObject {
  const lib = libbpf();
  const log = Buffer.alloc(LOG_BYTES);
  // struct bpf_object_open_opts up to kernel_log_level; see <bpf/libbpf.h>.
  const opts = Buffer.alloc(80);
  opts.writeBigUInt64LE(BigInt(opts.length), 0);
  opts.writeBigUInt64LE(addressOf(log), 56);
  opts.writeBigUInt64LE(BigInt(log.length), 64);
  const object = lib.objectOpen(path, opts);
  if (asBigInt(object) === 0n) throw new SyscallError('bpf_object__open_file', lastErrno(), path);
  try {
    for (const map of each(object, lib.nextMap)) {
      const shape = shapeOf(map);
      const entries = options.entries?.(shape);
      if (entries !== undefined) checked(lib.mapSetMaxEntries(map, entries), 'bpf_map__set_max_entries', shape.name);
      const fd = options.reuse?.(shapeOf(map));
      if (fd !== undefined) checked(lib.mapReuseFd(map, fd), 'bpf_map__reuse_fd', shape.name);
    }
    const result = lib.objectLoad(object);
    if (result !== 0) {
      const text = log.toString('latin1', 0, Math.max(0, log.indexOf(0))).trimEnd();
      const tail = text.split('\n').slice(-LOG_TAIL_LINES).join('\n');
      throw new SyscallError('bpf_object__load', -result, `${path}${tail === '' ? '' : `; the verifier says:\n${tail}\n`}`);
    }
    const programs = new Map<string, number>();
    for (const program of each(object, lib.nextProgram)) programs.set(lib.programName(program), lib.programFd(program));
    const maps = new Map<string, BpfMap>();
    for (const map of each(object, lib.nextMap)) {
      const shape = shapeOf(map);
      maps.set(shape.name, new BpfMap(lib.mapFd(map), shape));
    }
    return { programs, maps, close: () => lib.objectClose(object) };
  } catch (error) {
    lib.objectClose(object);
    throw error;
  }
}

function* each(object: Opaque, next: (object: Opaque, previous: Opaque) => Opaque): Generator<Opaque> {
  for (let item = next(object, null); asBigInt(item) !== 0n; item = next(object, item)) yield item;
}

function shapeOf(map: Opaque): MapShape {
  const lib = libbpf();
  return {
    name: lib.mapName(map),
    type: lib.mapType(map),
    keySize: lib.mapKeySize(map),
    valueSize: lib.mapValueSize(map),
    maxEntries: lib.mapMaxEntries(map),
    flags: lib.mapFlags(map),
  };
}

export interface TestRun {
  /** What the program answered, e.g. 2 for TC_ACT_SHOT. */
  readonly verdict: number;
  /** The packet after the program. */
  readonly packet: Buffer;
  /** `struct __sk_buff` after the program. */
  readonly context: Buffer;
  /** Mean time of one run in nanoseconds. */
  readonly nanoseconds: number;
}

/** Runs a tc program on a synthetic packet (BPF_PROG_TEST_RUN). `context` is a `struct __sk_buff`; ifindex is at byte 40. */
export function testRun(fd: number, packet: Uint8Array, context?: Uint8Array, repeat = 1): TestRun {
  const out = Buffer.alloc(packet.length + 256);
  const contextOut = Buffer.alloc(context?.length ?? 0);
  // struct bpf_test_run_opts of <bpf/bpf.h>
  const opts = Buffer.alloc(80);
  opts.writeBigUInt64LE(BigInt(opts.length), 0);
  opts.writeBigUInt64LE(addressOf(packet), 8);
  opts.writeBigUInt64LE(addressOf(out), 16);
  opts.writeUInt32LE(packet.length, 24);
  opts.writeUInt32LE(out.length, 28);
  if (context) {
    opts.writeBigUInt64LE(addressOf(context), 32);
    opts.writeBigUInt64LE(addressOf(contextOut), 40);
    opts.writeUInt32LE(context.length, 48);
    opts.writeUInt32LE(contextOut.length, 52);
  }
  opts.writeInt32LE(repeat, 60);
  checked(libbpf().testRun(fd, opts), 'bpf_prog_test_run_opts');
  return {
    verdict: opts.readUInt32LE(56),
    packet: out.subarray(0, opts.readUInt32LE(28)),
    context: contextOut,
    nanoseconds: opts.readUInt32LE(64),
  };
}
