import { type Compare, type Op, StoreRequestError } from './store.js';

export const MAX_KEY_BYTES = 1024;
export const MAX_VALUE_BYTES = 1024 * 1024;
/** Compares or operations in one list; etcd's `--max-txn-ops`. */
export const MAX_TXN_OPS = 128;
/** Keys and values of one transaction together, below etcd's `--max-request-bytes` of 1.5 MiB. */
export const MAX_TXN_BYTES = 1_400_000;

/** UTF-8 cannot carry half of a surrogate pair. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Refuses what one of the implementations could not keep, so that all refuse the same. */
export function checkTxn(compare: readonly Compare[], success: readonly Op[], failure: readonly Op[]): void {
  let bytes = 0;
  for (const [what, list] of [
    ['conditions', compare],
    ['operations', success],
    ['operations on failure', failure],
  ] as const) {
    if (list.length > MAX_TXN_OPS) {
      throw new StoreRequestError(`a transaction has ${list.length} ${what}, at most ${MAX_TXN_OPS} are allowed: split it`);
    }
  }
  for (const condition of compare)
    bytes += checkKey(condition.key) + ('value' in condition ? checkValue(condition.key, condition.value) : 0);
  for (const list of [success, failure]) bytes += checkOps(list);
  if (bytes > MAX_TXN_BYTES) {
    throw new StoreRequestError(`a transaction of ${bytes} bytes is too large, at most ${MAX_TXN_BYTES} are allowed: split it`);
  }
}

function checkOps(ops: readonly Op[]): number {
  let bytes = 0;
  const keys = new Set<string>();
  const prefixes: string[] = [];
  for (const op of ops) {
    if ('deletePrefix' in op) {
      bytes += checkPrefix(op.deletePrefix);
      if (prefixes.some((prefix) => prefix.startsWith(op.deletePrefix) || op.deletePrefix.startsWith(prefix)))
        throw duplicate(op.deletePrefix);
      prefixes.push(op.deletePrefix);
      continue;
    }
    const key = 'put' in op ? op.put : op.delete;
    bytes += checkKey(key);
    if ('put' in op) bytes += checkValue(key, op.value);
    if (keys.has(key)) throw duplicate(key);
    keys.add(key);
  }
  for (const prefix of prefixes) {
    for (const key of keys) if (key.startsWith(prefix)) throw duplicate(key);
  }
  return bytes;
}

const duplicate = (key: string) => new StoreRequestError(`key ${key} occurs twice in one list of operations`);

/** Size in bytes. */
export function checkKey(key: string): number {
  if (!key.startsWith('/') || key.includes('\0'))
    throw new StoreRequestError(`key ${JSON.stringify(key)} must begin with / and have no NUL`);
  return checkLength(key);
}

/** Size in bytes. A prefix is the beginning of a key. */
export function checkPrefix(prefix: string): number {
  return checkKey(prefix);
}

function checkLength(key: string): number {
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES)
    throw new StoreRequestError(`key ${key.slice(0, 64)}… has ${bytes} bytes, at most ${MAX_KEY_BYTES} are allowed`);
  if (LONE_SURROGATE.test(key)) throw new StoreRequestError(`key ${JSON.stringify(key)} is not well-formed Unicode`);
  return bytes;
}

function checkValue(key: string, value: string): number {
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_VALUE_BYTES) throw new StoreRequestError(`value of ${key} has ${bytes} bytes, at most ${MAX_VALUE_BYTES} are allowed`);
  if (LONE_SURROGATE.test(value)) throw new StoreRequestError(`value of ${key} is not well-formed Unicode`);
  return bytes;
}

/** The first revision of a watch, or one to compact to. */
export function checkRevision(revision: number, least: number): void {
  if (!Number.isSafeInteger(revision) || revision < least)
    throw new StoreRequestError(`revision ${revision} is not an integer of ${least} or more`);
}

export function checkTtl(ttlSeconds: number): void {
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > 86_400) {
    throw new StoreRequestError(`a lease of ${ttlSeconds} seconds: a whole number from 1 to 86400 is needed`);
  }
}
