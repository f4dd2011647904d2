export * from './bpf.js';
export { errnoName, isErrno, SyscallError } from './errors.js';
export { libbpf as probeLibbpf } from './ffi.js';
export * from './net.js';
export * from './ring.js';
