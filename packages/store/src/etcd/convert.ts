import type { Revision } from '@contiv/model';
import { prefixEnd } from '../order.js';
import { type Compare, type KeyValue, type Op, type StoreEvent, StoreRequestError } from '../store.js';
import type { RequestOp, WireCompare, WireEvent, WireKeyValue } from './proto.js';

export const revisionOf = (text: string): Revision => Number(text) as Revision;

/** etcd's half-open interval of the keys that begin with the prefix. */
export function interval(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
  const key = Buffer.from(prefix);
  // "\0" stands for "no end"; it cannot come to that, our keys begin with "/".
  return { key, range_end: prefixEnd(key) ?? Buffer.from([0]) };
}

/** Between our keys and those in etcd, which are under one prefix. */
export class Codec {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  key(key: string): string {
    return this.#prefix + key;
  }

  compare(compare: Compare): WireCompare {
    const key = Buffer.from(this.key(compare.key));
    if ('modRevision' in compare) return { key, result: 'EQUAL', target: 'MOD', mod_revision: String(compare.modRevision) };
    if ('exists' in compare) return { key, result: compare.exists ? 'NOT_EQUAL' : 'EQUAL', target: 'CREATE', create_revision: '0' };
    return { key, result: 'EQUAL', target: 'VALUE', value: Buffer.from(compare.value) };
  }

  op(op: Op): RequestOp {
    if ('delete' in op) return { request_delete_range: { key: Buffer.from(this.key(op.delete)) } };
    if ('deletePrefix' in op) return { request_delete_range: interval(this.key(op.deletePrefix)) };
    const put = { key: Buffer.from(this.key(op.put)), value: Buffer.from(op.value) };
    if (op.lease === undefined) return { request_put: put };
    if (!/^\d{1,19}$/.test(op.lease)) throw new StoreRequestError(`lease ${op.lease} is not one of this store`);
    return { request_put: { ...put, lease: op.lease } };
  }

  keyValue(kv: WireKeyValue): KeyValue {
    return {
      key: this.#strip(kv.key),
      value: kv.value.toString(),
      createRevision: revisionOf(kv.create_revision),
      modRevision: revisionOf(kv.mod_revision),
      ...(kv.lease === '0' ? {} : { lease: kv.lease }),
    };
  }

  event(event: WireEvent): StoreEvent {
    const previous = event.prev_kv === null ? {} : { previous: this.keyValue(event.prev_kv) };
    if (event.type === 'PUT') return { type: 'put', kv: this.keyValue(event.kv), ...previous };
    return { type: 'delete', key: this.#strip(event.kv.key), revision: revisionOf(event.kv.mod_revision), ...previous };
  }

  #strip(key: Buffer): string {
    return key.toString().slice(this.#prefix.length);
  }
}
