/**
 * The driver socket (libnetwork's remote protocol): every body is bounded and parsed, every call answers within `CALL_LIMIT_MS`, a failure is
 * one `{"Err": sentence}`. Engines send no content type and may keep connections open.
 */
import http from 'node:http';
import { MasterError } from '@contiv/client';
import { libnetwork } from '@contiv/docker';
import type { Logger, Metrics } from '@contiv/observe';
import type { z } from 'zod';
import { CALL_LIMIT_MS, type DriverContext } from './context.js';
import { EndpointDriver } from './endpoints.js';
import { harmlessAnswer } from './harmless.js';
import { IpamDriver } from './ipam.js';
import { NetworkDriver } from './networks.js';
import { DriverRefusal } from './options.js';
import { PLUGIN_CONTENT_TYPE as CONTENT_TYPE, Publication } from './publication.js';
import { PublishedPorts } from './published.js';

const MAX_BODY = 1024 * 1024;
/** A netmaster that has not answered for so long is why a call was not done in time. */
const SILENCE_MS = 2_000;

interface Route {
  readonly call: (body: unknown) => Promise<object> | object;
}

class BadRequest extends Error {}
class NoContents extends Error {}

function route<S extends z.ZodType>(schema: S, handle: (request: z.output<S>) => Promise<object> | object): Route {
  return {
    call: (body) => {
      const parsed = schema.safeParse(body ?? {});
      if (parsed.success) return handle(parsed.data);
      if (body === undefined) throw new NoContents();
      const issue = parsed.error.issues[0];
      throw new BadRequest(`malformed request: ${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not understood'}`);
    },
  };
}

const nothing = (): object => ({});

/** Every call of the protocol, by path. */
export function driverRoutes(context: DriverContext, published = new PublishedPorts(context)): ReadonlyMap<string, Route> {
  const networks = new NetworkDriver(context);
  const endpoints = new EndpointDriver(context);
  const ipam = new IpamDriver(context);
  const shape = libnetwork;
  return new Map([
    ['/Plugin.Activate', route(shape.none, () => ({ Implements: ['NetworkDriver', 'IpamDriver'] }))],
    ['/Plugin.Deactivate', route(shape.none, nothing)],
    ['/NetworkDriver.GetCapabilities', route(shape.none, () => networks.capabilities())],
    ['/NetworkDriver.GwAllocCheck', route(shape.gwAllocCheck, () => networks.gatewayCheck())],
    ['/NetworkDriver.AllocateNetwork', route(shape.allocateNetwork, (r) => ({ Options: r.Options ?? {} }))],
    ['/NetworkDriver.FreeNetwork', route(shape.networkId, nothing)],
    ['/NetworkDriver.CreateNetwork', route(shape.createNetwork, (r) => networks.create(r))],
    ['/NetworkDriver.DeleteNetwork', route(shape.networkId, (r) => networks.remove(r.NetworkID))],
    ['/NetworkDriver.CreateEndpoint', route(shape.createEndpoint, (r) => endpoints.create(r))],
    [
      '/NetworkDriver.DeleteEndpoint',
      route(shape.endpointId, async (r) => {
        await published.revoke(r.EndpointID);
        return endpoints.remove(r.EndpointID);
      }),
    ],
    ['/NetworkDriver.EndpointOperInfo', route(shape.endpointId, () => ({ Value: {} }))],
    ['/NetworkDriver.Join', route(shape.join, (r) => endpoints.join(r))],
    [
      '/NetworkDriver.Leave',
      route(shape.endpointId, async (r) => {
        await published.revoke(r.EndpointID);
        return endpoints.leave(r.EndpointID);
      }),
    ],
    [
      '/NetworkDriver.ProgramExternalConnectivity',
      route(shape.externalConnectivity, async (r) => {
        await published.program(r.EndpointID, r.Options);
        return {};
      }),
    ],
    [
      '/NetworkDriver.RevokeExternalConnectivity',
      route(shape.externalConnectivity, async (r) => {
        await published.revoke(r.EndpointID);
        return {};
      }),
    ],
    ['/NetworkDriver.DiscoverNew', route(shape.discover, nothing)],
    ['/NetworkDriver.DiscoverDelete', route(shape.discover, nothing)],
    ['/IpamDriver.GetCapabilities', route(shape.none, () => ipam.capabilities())],
    ['/IpamDriver.GetDefaultAddressSpaces', route(shape.none, () => ipam.addressSpaces())],
    ['/IpamDriver.RequestPool', route(shape.requestPool, (r) => ipam.requestPool(r))],
    ['/IpamDriver.ReleasePool', route(shape.poolId, (r) => ipam.releasePool(r.PoolID))],
    ['/IpamDriver.RequestAddress', route(shape.requestAddress, (r) => ipam.requestAddress(r))],
    ['/IpamDriver.ReleaseAddress', route(shape.releaseAddress, (r) => ipam.releaseAddress(r.PoolID, r.Address))],
  ]);
}

export interface DriverServerOptions {
  readonly socket: string;
  readonly log: Logger;
  readonly latency?: ReturnType<Metrics['histogram']>;
}

export class DriverServer {
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #options: DriverServerOptions;
  readonly #server: http.Server;
  readonly #publication: Publication;
  readonly #published: PublishedPorts;
  readonly #whyLate: () => string | undefined;
  #lastError = '';

  constructor(context: DriverContext, options: DriverServerOptions) {
    this.#published = new PublishedPorts(context);
    this.#routes = driverRoutes(context, this.#published);
    this.#options = options;
    this.#whyLate = () => context.calls.silentFor(SILENCE_MS);
    this.#server = http.createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (req, res) => void this.#serve(req, res));
    // An engine that sends a call on a connection we close in this moment repeats it, and 20.10 does so without its contents.
    this.#server.keepAliveTimeout = 0;
    this.#publication = new Publication(this.#server, options.socket);
  }

  /** Last failure of a call, one sentence; empty when there was none. */
  get lastError(): string {
    return this.#lastError;
  }

  /** Not wrong, but worth a thought. */
  get warnings(): readonly string[] {
    return this.#published.warnings;
  }

  async start(): Promise<void> {
    await this.#published.start();
    await this.#publication.publish();
  }

  async stop(): Promise<void> {
    this.#publication.stop();
    this.#published.stop();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    // Calls under way get their answer; connections without one are cut after that.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CALL_LIMIT_MS).unref())]);
    this.#server.closeAllConnections();
  }

  async #serve(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    const began = performance.now();
    try {
      const found = this.#routes.get(path);
      if (!found) return reply(res, 404, { Err: `netplugin does not know the call ${path.slice(0, 100)}` });
      if (req.method !== 'POST') return reply(res, 405, { Err: `${path} has to be a POST` });
      const body = await readBody(req);
      const answer = await within(CALL_LIMIT_MS, async () => found.call(body), this.#whyLate);
      this.#options.log.debug({ call: path, ms: Math.round(performance.now() - began) }, 'driver call');
      reply(res, 200, answer);
    } catch (error) {
      const harmless = error instanceof NoContents ? harmlessAnswer(path, '') : undefined;
      if (harmless) return reply(res, 200, harmless);
      const sentence = sentenceOf(error);
      const bad = error instanceof BadRequest;
      if (!bad) {
        this.#lastError = `${path.slice(1)}: ${sentence}`;
        const expected = error instanceof NoContents || error instanceof DriverRefusal || error instanceof MasterError;
        this.#options.log.warn(expected ? { call: path, reason: sentence } : { call: path, err: error }, 'driver call failed');
      }
      reply(res, bad ? 400 : 500, { Err: sentence });
    } finally {
      this.#options.latency?.observe({ call: this.#routes.has(path) ? path.slice(1) : 'unknown' }, (performance.now() - began) / 1000);
    }
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof NoContents)
    return 'netplugin was restarted during this call, which the engine then repeated without its contents; try again';
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]?.slice(0, 1000) || 'netplugin failed; its log says more';
}

function reply(res: http.ServerResponse, status: number, body: object): void {
  if (res.headersSent || res.destroyed) return;
  const text = JSON.stringify(body);
  // A body that was not read to its end leaves the connection unusable.
  if (status === 400 || status === 404 || status === 405) res.setHeader('connection', 'close');
  res.writeHead(status, { 'content-type': CONTENT_TYPE, 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

async function readBody(req: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req) {
    const bytes: unknown = chunk;
    if (!(bytes instanceof Buffer)) continue;
    size += bytes.length;
    if (size > MAX_BODY) throw new BadRequest(`the request is larger than ${MAX_BODY} bytes`);
    chunks.push(bytes);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new BadRequest('the request is not JSON');
  }
}

/** @param whyLate the cause, where it is known, should `work` not be done after `ms`. */
function within<T>(ms: number, work: () => Promise<T>, whyLate: () => string | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new DriverRefusal(whyLate() ?? 'netplugin could not finish in time; try again, and see netplugin status')),
      ms,
    );
    work()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
