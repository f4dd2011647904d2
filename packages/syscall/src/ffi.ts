/**
 * Every foreign function of the project, declared once. A wrong signature here is a crash of the process, so each line was compared
 * with the header it names. All calls but `sendInThread` are synchronous and on the calling thread: `setns` and what follows it must not
 * be torn apart.
 * Nothing outside this package may import koffi.
 */
import koffi from 'koffi';

type Fd = number;
/** Memory the callee reads or writes during the call; a Buffer's own bytes, not a copy. */
type Memory = Uint8Array | null;
/** A pointer the library gave out and only it looks into. */
export type Opaque = bigint | null;

/** The bytes behind a pointer, not a copy. Whoever uses them after they were unmapped crashes the process. */
export const bytesAt = (pointer: Opaque, length: number): ArrayBuffer => koffi.view(pointer, length);

/** errno of the last call on this thread. */
export const lastErrno = (): number => koffi.errno();

/** Address of a buffer's bytes, for structures that contain pointers. The buffer must be kept alive by the caller. */
export const addressOf = (memory: Uint8Array): bigint => koffi.address(memory);

/** Pointers and numbers of 64 bits come back as numbers when they are small. */
export const asBigInt = (value: number | bigint | null): bigint => (value === null ? 0n : BigInt(value));

interface Libc {
  /** `<sys/socket.h>` */
  readonly socket: (domain: number, type: number, protocol: number) => Fd;
  readonly bind: (fd: Fd, address: Memory, length: number) => number;
  readonly connect: (fd: Fd, address: Memory, length: number) => number;
  readonly send: (fd: Fd, data: Memory, length: number, flags: number) => number;
  /** The same on a thread of libuv's pool. `data` has to be kept alive until `done`; errno is not told. */
  readonly sendInThread: (fd: Fd, data: Memory, length: number, flags: number, done: (error: unknown, sent: number) => void) => void;
  readonly sendto: (fd: Fd, data: Memory, length: number, flags: number, address: Memory, addressLength: number) => number;
  readonly recv: (fd: Fd, into: Memory, length: number, flags: number) => number;
  readonly setsockopt: (fd: Fd, level: number, option: number, value: Memory, length: number) => number;
  readonly getsockname: (fd: Fd, address: Memory, length: Memory) => number;
  /** `<fcntl.h>`, `<unistd.h>`, `<poll.h>` */
  readonly open: (path: string, flags: number) => Fd;
  readonly close: (fd: Fd) => number;
  /** `<sys/file.h>` */
  readonly flock: (fd: Fd, operation: number) => number;
  readonly poll: (fds: Memory, count: number, timeoutMs: number) => number;
  /** `<sys/mman.h>`; the largest address stands for a failure. */
  readonly mmap: (address: null, length: number, protection: number, flags: number, fd: Fd, offset: number) => Opaque;
  readonly munmap: (address: Opaque, length: number) => number;
  /** `<sched.h>` */
  readonly setns: (fd: Fd, kind: number) => number;
  readonly unshare: (flags: number) => number;
  /** `<sys/mount.h>` */
  readonly mount: (source: string, target: string, type: string, flags: bigint, data: string | null) => number;
  readonly umount2: (target: string, flags: number) => number;
}

function loadLibc(): Libc {
  const libc = koffi.load('libc.so.6');
  const send = libc.func('intptr_t send(int fd, const void *buf, size_t len, int flags)');
  return {
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    bind: libc.func('int bind(int fd, const void *addr, uint32_t len)'),
    connect: libc.func('int connect(int fd, const void *addr, uint32_t len)'),
    send,
    sendInThread: send.async,
    sendto: libc.func('intptr_t sendto(int fd, const void *buf, size_t len, int flags, const void *addr, uint32_t addrlen)'),
    recv: libc.func('intptr_t recv(int fd, void *buf, size_t len, int flags)'),
    setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t len)'),
    getsockname: libc.func('int getsockname(int fd, void *addr, void *len)'),
    open: libc.func('int open(const char *path, int flags)'),
    close: libc.func('int close(int fd)'),
    flock: libc.func('int flock(int fd, int operation)'),
    poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
    mmap: libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)'),
    munmap: libc.func('int munmap(void *addr, size_t length)'),
    setns: libc.func('int setns(int fd, int kind)'),
    unshare: libc.func('int unshare(int flags)'),
    mount: libc.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)'),
    umount2: libc.func('int umount2(const char *target, int flags)'),
  };
}

interface Libbpf {
  /** `<bpf/libbpf.h>`; functions that answer a pointer answer NULL and set errno, the others answer -errno. */
  readonly objectOpen: (path: string, options: Memory) => Opaque;
  readonly objectLoad: (object: Opaque) => number;
  readonly objectClose: (object: Opaque) => void;
  readonly nextProgram: (object: Opaque, previous: Opaque) => Opaque;
  readonly nextMap: (object: Opaque, previous: Opaque) => Opaque;
  readonly programName: (program: Opaque) => string;
  readonly programFd: (program: Opaque) => Fd;
  readonly mapName: (map: Opaque) => string;
  readonly mapFd: (map: Opaque) => Fd;
  readonly mapType: (map: Opaque) => number;
  readonly mapKeySize: (map: Opaque) => number;
  readonly mapValueSize: (map: Opaque) => number;
  readonly mapMaxEntries: (map: Opaque) => number;
  readonly mapSetMaxEntries: (map: Opaque, count: number) => number;
  readonly mapFlags: (map: Opaque) => number;
  readonly mapReuseFd: (map: Opaque, fd: Fd) => number;
  readonly setPrint: (callback: null) => Opaque;
  readonly possibleCpus: () => number;
  /** `<bpf/bpf.h>` */
  readonly update: (fd: Fd, key: Memory, value: Memory, flags: bigint) => number;
  readonly lookup: (fd: Fd, key: Memory, value: Memory) => number;
  readonly delete: (fd: Fd, key: Memory) => number;
  readonly nextKey: (fd: Fd, key: Memory, next: Memory) => number;
  readonly lookupBatch: (fd: Fd, from: Memory, to: Memory, keys: Memory, values: Memory, count: Memory, options: Memory) => number;
  readonly updateBatch: (fd: Fd, keys: Memory, values: Memory, count: Memory, options: Memory) => number;
  readonly deleteBatch: (fd: Fd, keys: Memory, count: Memory, options: Memory) => number;
  readonly pin: (fd: Fd, path: string) => number;
  readonly get: (path: string) => Fd;
  readonly info: (fd: Fd, info: Memory, length: Memory) => number;
  readonly programById: (id: number) => Fd;
  readonly mapById: (id: number) => Fd;
  readonly testRun: (fd: Fd, options: Memory) => number;
}

function loadLibbpf(): Libbpf {
  const bpf = koffi.load('libbpf.so.1');
  return {
    objectOpen: bpf.func('void *bpf_object__open_file(const char *path, const void *opts)'),
    objectLoad: bpf.func('int bpf_object__load(void *obj)'),
    objectClose: bpf.func('void bpf_object__close(void *obj)'),
    nextProgram: bpf.func('void *bpf_object__next_program(const void *obj, void *prog)'),
    nextMap: bpf.func('void *bpf_object__next_map(const void *obj, const void *map)'),
    programName: bpf.func('const char *bpf_program__name(const void *prog)'),
    programFd: bpf.func('int bpf_program__fd(const void *prog)'),
    mapName: bpf.func('const char *bpf_map__name(const void *map)'),
    mapFd: bpf.func('int bpf_map__fd(const void *map)'),
    mapType: bpf.func('int bpf_map__type(const void *map)'),
    mapKeySize: bpf.func('uint32_t bpf_map__key_size(const void *map)'),
    mapValueSize: bpf.func('uint32_t bpf_map__value_size(const void *map)'),
    mapMaxEntries: bpf.func('uint32_t bpf_map__max_entries(const void *map)'),
    mapSetMaxEntries: bpf.func('int bpf_map__set_max_entries(void *map, uint32_t count)'),
    mapFlags: bpf.func('uint32_t bpf_map__map_flags(const void *map)'),
    mapReuseFd: bpf.func('int bpf_map__reuse_fd(void *map, int fd)'),
    setPrint: bpf.func('void *libbpf_set_print(void *fn)'),
    possibleCpus: bpf.func('int libbpf_num_possible_cpus()'),
    update: bpf.func('int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)'),
    lookup: bpf.func('int bpf_map_lookup_elem(int fd, const void *key, void *value)'),
    delete: bpf.func('int bpf_map_delete_elem(int fd, const void *key)'),
    nextKey: bpf.func('int bpf_map_get_next_key(int fd, const void *key, void *next_key)'),
    lookupBatch: bpf.func(
      'int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, void *count, const void *opts)',
    ),
    updateBatch: bpf.func('int bpf_map_update_batch(int fd, const void *keys, const void *values, void *count, const void *opts)'),
    deleteBatch: bpf.func('int bpf_map_delete_batch(int fd, const void *keys, void *count, const void *opts)'),
    pin: bpf.func('int bpf_obj_pin(int fd, const char *path)'),
    get: bpf.func('int bpf_obj_get(const char *path)'),
    info: bpf.func('int bpf_obj_get_info_by_fd(int fd, void *info, void *info_len)'),
    programById: bpf.func('int bpf_prog_get_fd_by_id(uint32_t id)'),
    mapById: bpf.func('int bpf_map_get_fd_by_id(uint32_t id)'),
    testRun: bpf.func('int bpf_prog_test_run_opts(int fd, void *opts)'),
  };
}

let libcHandle: Libc | undefined;
let libbpfHandle: Libbpf | undefined;

/** libc, loaded at first use. */
export function libc(): Libc {
  libcHandle ??= loadLibc();
  return libcHandle;
}

/** libbpf 1.x, loaded at first use; throws koffi's error where the library is missing. Its own messages on stderr are switched off. */
export function libbpf(): Libbpf {
  if (!libbpfHandle) {
    libbpfHandle = loadLibbpf();
    libbpfHandle.setPrint(null);
  }
  return libbpfHandle;
}
