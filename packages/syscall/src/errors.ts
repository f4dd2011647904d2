import { constants } from 'node:os';

const NAMES = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// Numbers Node does not list (include/uapi/asm-generic/errno.h, and ENOTSUPP of include/linux/errno.h, which bpf(2) lets through).
const OTHERS: readonly (readonly [number, string])[] = [
  [49, 'EUNATCH'],
  [61, 'ENODATA'],
  [90, 'EMSGSIZE'],
  [524, 'ENOTSUPP'],
];
for (const [number, name] of OTHERS) if (!NAMES.has(number)) NAMES.set(number, name);

/** `ENOENT` for 2; the number as text where it has no name. */
export const errnoName = (errno: number): string => NAMES.get(errno) ?? `errno ${errno}`;

/** A failed call into the kernel or libbpf. `message` names the call, its subject and the errno. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  readonly syscall: string;
  /** Positive number, e.g. 2. */
  readonly errno: number;
  /** Name of the number, e.g. `ENOENT`. */
  readonly code: string;

  constructor(syscall: string, errno: number, detail = '') {
    super(`${syscall}${detail === '' ? '' : ` ${detail}`}: ${errnoName(errno)}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** Is it a failed system call with one of these codes? */
export const isErrno = (error: unknown, ...codes: string[]): error is SyscallError =>
  error instanceof SyscallError && codes.includes(error.code);
