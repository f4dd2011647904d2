import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Cluster } from '../cluster/cluster.js';
import { readText } from '../engine/client.js';
import { ApiError } from '../errors.js';
import { parseJson, printJson } from '../json.js';
import type { Log } from '../log.js';
import type { EventHub } from './event-hub.js';

export const SWARM_VERSION = '1.2.9';

/** The manager as handlers see it. */
export interface Manager {
  readonly cluster: Cluster;
  readonly log: Log;
  readonly events: EventHub;
  readonly experimental: boolean;
  /** `primary` or `replica` with the primary's address. */
  role(): { readonly role: 'primary' | 'replica'; readonly primary?: string };
  /** Moves containers off a node, or takes it back. */
  setDrained(node: string, drained: boolean): Promise<string[]>;
  readonly refreshOnNodeFilter: boolean;
  readonly containerNameRefreshFilter: string;
}

/** One request, parsed as far as the route table needs. */
export interface Context {
  readonly manager: Manager;
  readonly cluster: Cluster;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path parameters, decoded. */
  readonly params: readonly string[];
  /** Path without `/vX.Y`, decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** As sent, with the question mark, or empty. */
  readonly rawQuery: string;
  /** API version the client speaks. */
  readonly version: string;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/** A request that asked for an upgrade: its connection belongs to the handler. */
export interface UpgradeContext extends Omit<Context, 'response'> {
  readonly socket: Socket;
  /** Bytes that came with the request's head. */
  readonly head: Buffer;
}

export type Handler = (context: Context) => Promise<void> | void;
export type UpgradeHandler = (context: UpgradeContext) => Promise<void> | void;

const MAX_BODY = 16 * 1024 * 1024;
/** For bodies that are read whole; what streams may take its time. */
const BODY_MS = 20_000;

export function sendJson(context: Context, status: number, value: unknown): void {
  const body = `${printJson(value)}\n`;
  context.response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  context.response.end(body);
}

export function sendEmpty(context: Context, status: number): void {
  context.response.writeHead(status, status === 204 ? {} : { 'Content-Length': 0 });
  context.response.end();
}

/** @throws ApiError 400, 408, 413 */
export async function readJson(context: Context): Promise<unknown> {
  const text = await inTime(readText(context.request, MAX_BODY));
  if (text.trim() === '') return {};
  try {
    return parseJson(text);
  } catch (error) {
    throw new ApiError(400, `invalid JSON in the request: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** False for "", 0, no, false and none. */
export function flag(query: URLSearchParams, name: string, fallback = false): boolean {
  const value = query.get(name);
  if (value === null) return fallback;
  return !['', '0', 'no', 'false', 'none'].includes(value.trim().toLowerCase());
}

async function inTime<T>(body: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ApiError(408, `the request's body did not arrive within ${BODY_MS / 1000} s`)), BODY_MS);
  });
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}
