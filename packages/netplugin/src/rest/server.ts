/** The agent's own REST API (spec/contiv §4.1), read-only: health, metrics, status, state. */
import http from 'node:http';
import type { Metrics } from '@contiv/observe';

export interface RestRoutes {
  readonly status: () => unknown;
  readonly state: () => unknown;
  readonly driver: () => unknown;
  readonly nameserver: () => unknown;
  readonly rules: () => Promise<readonly string[]>;
  /** Empty when healthy, otherwise why not. */
  readonly health: () => string;
}

export class RestServer {
  readonly #server: http.Server;
  readonly #address: { readonly host: string; readonly port: number };

  constructor(address: { readonly host: string; readonly port: number }, routes: RestRoutes, metrics: Metrics) {
    this.#address = address;
    const json = (status: number, body: unknown) => ({ status, type: 'application/json', body: JSON.stringify(body) });
    const table: Readonly<Record<string, () => Promise<{ status: number; type: string; body: string }>>> = {
      '/healthz': async () => {
        const fault = routes.health();
        return json(fault === '' ? 200 : 503, fault === '' ? { status: 'ok' } : { status: 'failing', reason: fault });
      },
      '/metrics': async () => {
        const { contentType, body } = await metrics.render();
        return { status: 200, type: contentType, body };
      },
      '/status': async () => json(200, routes.status()),
      '/debug/state': async () => json(200, routes.state()),
      '/inspect/driver': async () => json(200, routes.driver()),
      '/inspect/nameserver': async () => json(200, routes.nameserver()),
      '/rules': async () => json(200, { rules: await routes.rules() }),
    };
    this.#server = http.createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (req, res) => {
      const path = (req.url ?? '').split('?', 1)[0]?.replace(/(.)\/$/, '$1') ?? '';
      const handler = Object.hasOwn(table, path) ? table[path] : undefined;
      const answer =
        req.method !== 'GET' && req.method !== 'HEAD'
          ? Promise.resolve(json(405, { error: 'this API is read-only' }))
          : (handler?.() ??
            Promise.resolve(json(404, { error: `there is no ${path.slice(0, 100)}; there are ${Object.keys(table).join(', ')}` })));
      answer
        .catch((error: unknown) => json(500, { error: error instanceof Error ? error.message : String(error) }))
        .then(({ status, type, body }) => {
          res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
          res.end(req.method === 'HEAD' ? undefined : body);
          req.resume();
        })
        .catch(() => res.destroy());
    });
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { host, port } = this.#address;
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE') reject(new Error(`${host}:${port} is in use by another program; choose another --ctrl-port`));
        else if (error.code === 'EADDRNOTAVAIL') reject(new Error(`${host} is not an address of this host; give the right --ctrl-ip`));
        else reject(error);
      });
      this.#server.listen(port, host, resolve);
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
