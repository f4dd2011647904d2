import { fromJSON } from '@grpc/proto-loader';

/*
 * The part of etcd's v3 API that we use (etcdserverpb/rpc.proto, mvccpb/kv.proto). Field numbers are the wire contract;
 * what is left out is ignored when it arrives.
 */

type Fields = Record<string, readonly [id: number, type: string, repeated?: 'repeated']>;

function message(fields: Fields, oneofs?: Record<string, readonly string[]>) {
  return {
    fields: Object.fromEntries(Object.entries(fields).map(([name, [id, type, rule]]) => [name, { id, type, ...(rule && { rule }) }])),
    ...(oneofs && { oneofs: Object.fromEntries(Object.entries(oneofs).map(([name, oneof]) => [name, { oneof: [...oneof] }])) }),
  };
}

const rpc = (requestType: string, responseType: string, stream = false) => ({
  requestType,
  responseType,
  comment: '',
  ...(stream && { requestStream: true, responseStream: true }),
});

const definitions = fromJSON(
  {
    nested: {
      mvccpb: {
        nested: {
          KeyValue: message({
            key: [1, 'bytes'],
            create_revision: [2, 'int64'],
            mod_revision: [3, 'int64'],
            value: [5, 'bytes'],
            lease: [6, 'int64'],
          }),
          Event: message({ type: [1, 'EventType'], kv: [2, 'KeyValue'], prev_kv: [3, 'KeyValue'] }),
          EventType: { values: { PUT: 0, DELETE: 1 } },
        },
      },
      etcdserverpb: {
        nested: {
          ResponseHeader: message({ revision: [3, 'int64'] }),
          RangeRequest: message({ key: [1, 'bytes'], range_end: [2, 'bytes'], limit: [3, 'int64'], revision: [4, 'int64'] }),
          RangeResponse: message({ header: [1, 'ResponseHeader'], kvs: [2, 'mvccpb.KeyValue', 'repeated'], more: [3, 'bool'] }),
          PutRequest: message({ key: [1, 'bytes'], value: [2, 'bytes'], lease: [3, 'int64'] }),
          DeleteRangeRequest: message({ key: [1, 'bytes'], range_end: [2, 'bytes'] }),
          RequestOp: message(
            { request_range: [1, 'RangeRequest'], request_put: [2, 'PutRequest'], request_delete_range: [3, 'DeleteRangeRequest'] },
            { request: ['request_range', 'request_put', 'request_delete_range'] },
          ),
          CompareResult: { values: { EQUAL: 0, GREATER: 1, LESS: 2, NOT_EQUAL: 3 } },
          CompareTarget: { values: { VERSION: 0, CREATE: 1, MOD: 2, VALUE: 3 } },
          Compare: message(
            {
              result: [1, 'CompareResult'],
              target: [2, 'CompareTarget'],
              key: [3, 'bytes'],
              create_revision: [5, 'int64'],
              mod_revision: [6, 'int64'],
              value: [7, 'bytes'],
            },
            { target_union: ['create_revision', 'mod_revision', 'value'] },
          ),
          TxnRequest: message({
            compare: [1, 'Compare', 'repeated'],
            success: [2, 'RequestOp', 'repeated'],
            failure: [3, 'RequestOp', 'repeated'],
          }),
          TxnResponse: message({ header: [1, 'ResponseHeader'], succeeded: [2, 'bool'] }),
          CompactionRequest: message({ revision: [1, 'int64'], physical: [2, 'bool'] }),
          CompactionResponse: message({ header: [1, 'ResponseHeader'] }),
          KV: {
            methods: {
              Range: rpc('RangeRequest', 'RangeResponse'),
              Txn: rpc('TxnRequest', 'TxnResponse'),
              Compact: rpc('CompactionRequest', 'CompactionResponse'),
            },
          },
          WatchRequest: message({ create_request: [1, 'WatchCreateRequest'] }, { request_union: ['create_request'] }),
          WatchCreateRequest: message({
            key: [1, 'bytes'],
            range_end: [2, 'bytes'],
            start_revision: [3, 'int64'],
            progress_notify: [4, 'bool'],
            prev_kv: [6, 'bool'],
          }),
          WatchResponse: message({
            header: [1, 'ResponseHeader'],
            watch_id: [2, 'int64'],
            created: [3, 'bool'],
            canceled: [4, 'bool'],
            compact_revision: [5, 'int64'],
            cancel_reason: [6, 'string'],
            events: [11, 'mvccpb.Event', 'repeated'],
          }),
          Watch: { methods: { Watch: rpc('WatchRequest', 'WatchResponse', true) } },
          LeaseGrantRequest: message({ TTL: [1, 'int64'], ID: [2, 'int64'] }),
          LeaseGrantResponse: message({ header: [1, 'ResponseHeader'], ID: [2, 'int64'], TTL: [3, 'int64'], error: [4, 'string'] }),
          LeaseRevokeRequest: message({ ID: [1, 'int64'] }),
          LeaseRevokeResponse: message({ header: [1, 'ResponseHeader'] }),
          LeaseKeepAliveRequest: message({ ID: [1, 'int64'] }),
          LeaseKeepAliveResponse: message({ header: [1, 'ResponseHeader'], ID: [2, 'int64'], TTL: [3, 'int64'] }),
          Lease: {
            methods: {
              LeaseGrant: rpc('LeaseGrantRequest', 'LeaseGrantResponse'),
              LeaseRevoke: rpc('LeaseRevokeRequest', 'LeaseRevokeResponse'),
              LeaseKeepAlive: rpc('LeaseKeepAliveRequest', 'LeaseKeepAliveResponse', true),
            },
          },
          AuthenticateRequest: message({ name: [1, 'string'], password: [2, 'string'] }),
          AuthenticateResponse: message({ header: [1, 'ResponseHeader'], token: [2, 'string'] }),
          Auth: { methods: { Authenticate: rpc('AuthenticateRequest', 'AuthenticateResponse') } },
        },
      },
    },
  },
  { longs: String, enums: String, defaults: true, oneofs: false },
);

/** 64-bit integers travel as decimal text. */
export type Int64 = string;
export interface Header {
  readonly revision: Int64;
}
export interface WireKeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: Int64;
  readonly mod_revision: Int64;
  readonly lease: Int64;
}
export interface RangeRequest {
  readonly key: Buffer;
  readonly range_end?: Buffer;
  readonly limit?: number;
  readonly revision?: Int64;
}
export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly WireKeyValue[];
  readonly more: boolean;
}
export type RequestOp =
  | { readonly request_range: RangeRequest }
  | { readonly request_put: { readonly key: Buffer; readonly value: Buffer; readonly lease?: Int64 } }
  | { readonly request_delete_range: { readonly key: Buffer; readonly range_end?: Buffer } };
export interface WireCompare {
  readonly key: Buffer;
  readonly result: 'EQUAL' | 'NOT_EQUAL';
  readonly target: 'CREATE' | 'MOD' | 'VALUE';
  readonly create_revision?: Int64;
  readonly mod_revision?: Int64;
  readonly value?: Buffer;
}
export interface TxnRequest {
  readonly compare: readonly WireCompare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}
export interface WatchCreate {
  readonly key: Buffer;
  readonly range_end?: Buffer;
  readonly start_revision: Int64;
  readonly progress_notify: boolean;
  readonly prev_kv: boolean;
}
export interface WireEvent {
  readonly type: 'PUT' | 'DELETE';
  readonly kv: WireKeyValue;
  readonly prev_kv: WireKeyValue | null;
}
export interface WatchResponse {
  readonly header: Header;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: Int64;
  readonly cancel_reason: string;
  readonly events: readonly WireEvent[];
}

/** One method of the API: where it is and how its messages are written. */
export interface Method<Request extends object, Response extends object> {
  readonly path: string;
  readonly serialize: (request: Request) => Buffer;
  readonly deserialize: (bytes: Buffer) => Response;
}

function method<Request extends object, Response extends object>(service: string, name: string): Method<Request, Response> {
  const definition = definitions[`etcdserverpb.${service}`];
  const found = definition === undefined || 'format' in definition ? undefined : definition[name];
  if (found === undefined || typeof found !== 'object' || !('requestSerialize' in found)) throw new Error(`no method ${service}.${name}`);
  return {
    path: found.path,
    serialize: (request) => found.requestSerialize(request),
    deserialize: (bytes) => found.responseDeserialize(bytes) as Response,
  };
}

export const api = {
  range: method<RangeRequest, RangeResponse>('KV', 'Range'),
  txn: method<TxnRequest, { header: Header; succeeded: boolean }>('KV', 'Txn'),
  compact: method<{ revision: Int64; physical: boolean }, { header: Header }>('KV', 'Compact'),
  watch: method<{ create_request: WatchCreate }, WatchResponse>('Watch', 'Watch'),
  leaseGrant: method<{ TTL: number }, { ID: Int64; TTL: Int64; error: string }>('Lease', 'LeaseGrant'),
  leaseRevoke: method<{ ID: Int64 }, { header: Header }>('Lease', 'LeaseRevoke'),
  leaseKeepAlive: method<{ ID: Int64 }, { ID: Int64; TTL: Int64 }>('Lease', 'LeaseKeepAlive'),
  authenticate: method<{ name: string; password: string }, { token: string }>('Auth', 'Authenticate'),
};
