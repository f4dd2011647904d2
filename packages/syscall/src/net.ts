/** Sockets and network namespaces. */

import { isErrno, SyscallError } from './errors.js';
import { lastErrno, libc } from './ffi.js';

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const SOL_SOCKET = 1;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const MSG_PEEK = 2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const CLONE_NEWNET = 0x40000000;
export const POLLIN = 1;

const O_RDONLY_CLOEXEC = 0o2000000;

function checked(result: number, call: string, detail = ''): number {
  if (result < 0) throw new SyscallError(call, lastErrno(), detail);
  return result;
}

export const socket = (domain: number, type: number, protocol: number): number =>
  checked(libc().socket(domain, type | SOCK_CLOEXEC, protocol), 'socket');

/** @param address a `struct sockaddr_*` in the machine's byte order. */
export const bind = (fd: number, address: Uint8Array): void => void checked(libc().bind(fd, address, address.length), 'bind');

export const send = (fd: number, data: Uint8Array, flags = 0): number => checked(libc().send(fd, data, data.length, flags), 'send');

/** Sends on another thread, for requests that the kernel takes its time to carry out. Fails with what is known: not why. */
export function sendInThread(fd: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    libc().sendInThread(fd, data, data.length, 0, (error, sent) => {
      if (sent === data.length) resolve();
      else reject(error instanceof Error ? error : new Error(`send: ${sent} of ${data.length} bytes were taken`));
    });
  });
}

export const sendTo = (fd: number, data: Uint8Array, address: Uint8Array, flags = 0): number =>
  checked(libc().sendto(fd, data, data.length, flags, address, address.length), 'sendto');

/** Number of bytes received into `into`. With MSG_TRUNC the real length, which may be greater. */
export const recv = (fd: number, into: Uint8Array, flags = 0): number => checked(libc().recv(fd, into, into.length, flags), 'recv');

/** @param value an int, or whatever structure the option takes. */
export function setSocketOption(fd: number, level: number, option: number, value: number | Uint8Array): void {
  const bytes = typeof value === 'number' ? Buffer.from(Int32Array.of(value).buffer) : value;
  checked(libc().setsockopt(fd, level, option, bytes, bytes.length), 'setsockopt');
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Locks an open file until it is closed, also by the end of the process; false when somebody else has it (flock(2)). */
export function tryLock(fd: number): boolean {
  try {
    checked(libc().flock(fd, LOCK_EX | LOCK_NB), 'flock');
    return true;
  } catch (error) {
    if (isErrno(error, 'EAGAIN', 'EWOULDBLOCK')) return false;
    throw error;
  }
}

/** Opens read-only and close-on-exec. */
export const open = (path: string): number => checked(libc().open(path, O_RDONLY_CLOEXEC), 'open', path);

export const close = (fd: number): void => void checked(libc().close(fd), 'close');

/** Is `fd` readable within `timeoutMs` (0: now, -1: for ever)? Blocks the thread. */
export function readable(fd: number, timeoutMs: number): boolean {
  const entry = Buffer.alloc(8);
  entry.writeInt32LE(fd, 0);
  entry.writeInt16LE(POLLIN, 4);
  return checked(libc().poll(entry, 1, timeoutMs), 'poll') > 0;
}

const OWN_NETNS = '/proc/thread-self/ns/net';

/**
 * Runs `work` inside the network namespace at `path` (`/run/netns/NAME`, `/proc/PID/ns/net`) and comes back. Sockets opened inside keep
 * belonging there. `work` is synchronous: between the two calls of setns(2) no other JavaScript runs on this thread.
 */
export function withNetns<T>(path: string, work: () => T): T {
  const own = open(OWN_NETNS);
  try {
    const target = open(path);
    try {
      checked(libc().setns(target, CLONE_NEWNET), 'setns', path);
    } finally {
      close(target);
    }
    try {
      return work();
    } finally {
      // A thread that cannot come home would do everything that follows in the wrong namespace: nothing sensible is left to do.
      if (libc().setns(own, CLONE_NEWNET) < 0) process.abort();
    }
  } finally {
    close(own);
  }
}

/** Mounts a filesystem (mount(2)). */
export const mount = (source: string, target: string, type: string): void =>
  void checked(libc().mount(source, target, type, 0n, null), 'mount', `${type} on ${target}`);

export const unmount = (target: string): void => void checked(libc().umount2(target, 0), 'umount2', target);
