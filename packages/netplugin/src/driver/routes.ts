/** Moves the route to the DNS service address inside a sandbox, through the sandbox's network namespace. */
import { DNS_SERVICE_IP } from '@contiv/datapath';
import type { Logger } from '@contiv/observe';
import type { LocalState } from '../state/records.js';
import type { SandboxRoutes } from './sandbox-routes.js';
import type { Sandboxes } from './sandboxes.js';

/** The engine removes the old interface right after our answer to `Leave`. */
const DELAYS_MS = [50, 200, 1_000, 5_000];

export class Routes implements SandboxRoutes {
  readonly #log: Logger;
  readonly #sandboxes: Pick<Sandboxes, 'find'>;
  readonly #endpoints: Pick<LocalState['endpoints'], 'get' | 'setAnyway'>;

  constructor(log: Logger, sandboxes: Pick<Sandboxes, 'find'>, endpoints: Pick<LocalState['endpoints'], 'get' | 'setAnyway'>) {
    this.#log = log;
    this.#sandboxes = sandboxes;
    this.#endpoints = endpoints;
  }

  moveTo(sandboxKey: string, endpoint: { readonly endpointId: string; readonly mac: string }): void {
    void this.#move(sandboxKey, endpoint);
  }

  async #move(sandboxKey: string, endpoint: { readonly endpointId: string; readonly mac: string }): Promise<void> {
    let fault = '';
    for (const delay of DELAYS_MS) {
      await new Promise((resolve) => setTimeout(resolve, delay).unref());
      // A container that stops leaves one network after the other.
      if (this.#endpoints.get(endpoint.endpointId)?.sandboxKey !== sandboxKey) return;
      try {
        const link = await this.#sandboxes.find(sandboxKey, endpoint);
        await link.ip('route', 'replace', `${DNS_SERVICE_IP}/32`, 'dev', link.name, 'scope', 'link');
        fault = '';
        // The old interface may have gone only now, and the route with it: `replace` a second later is harmless.
        if (delay < 1_000) continue;
        this.#done(endpoint.endpointId);
        return;
      } catch (error) {
        fault = error instanceof Error ? error.message : String(error);
      }
    }
    // The next agent tries again.
    if (fault !== '') this.#log.warn({ sandboxKey, reason: fault }, 'the route to the DNS service could not be moved inside a container');
  }

  #done(endpointId: string): void {
    const record = this.#endpoints.get(endpointId);
    if (record?.routeDue !== true) return;
    const { routeDue: _due, ...rest } = record;
    this.#endpoints.setAnyway(endpointId, rest);
  }
}
