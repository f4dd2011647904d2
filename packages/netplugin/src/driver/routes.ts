/** Moves the route to the DNS service address inside a sandbox, through the sandbox's network namespace. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DNS_SERVICE_IP } from '@contiv/datapath';
import type { Logger } from '@contiv/observe';
import { z } from 'zod';
import type { SandboxRoutes } from './sandbox-routes.js';

const run = promisify(execFile);
/** The engine removes the old interface right after our answer to `Leave`. */
const DELAYS_MS = [50, 200, 1_000, 5_000];

const links = z.array(z.object({ ifname: z.string(), address: z.string().optional() }));

/** Network namespace of the container behind an endpoint, for when the engine's own path cannot be seen from here (an engine in a chroot). */
export type NamespaceOf = (endpointId: string) => Promise<string | undefined>;

export class Routes implements SandboxRoutes {
  readonly #log: Logger;
  readonly #namespaceOf: NamespaceOf;

  constructor(log: Logger, namespaceOf: NamespaceOf) {
    this.#log = log;
    this.#namespaceOf = namespaceOf;
  }

  moveTo(sandboxKey: string, endpoint: { readonly endpointId: string; readonly mac: string }): void {
    void this.#move(sandboxKey, endpoint.endpointId, endpoint.mac);
  }

  async #move(sandboxKey: string, endpointId: string, mac: string): Promise<void> {
    let fault = '';
    for (const delay of DELAYS_MS) {
      await new Promise((resolve) => setTimeout(resolve, delay).unref());
      try {
        // The engine binds the namespace to its path; a plain file there is a bind mount made in another mount namespace.
        const seen = await inside(sandboxKey, 'link', 'show').then(
          () => true,
          () => false,
        );
        const namespace = seen ? sandboxKey : ((await this.#namespaceOf(endpointId)) ?? sandboxKey);
        const link = links.parse(JSON.parse((await inside(namespace, 'link', 'show')) || '[]')).find((l) => l.address === mac);
        if (!link) throw new Error(`the sandbox has no interface ${mac}`);
        await inside(namespace, 'route', 'replace', `${DNS_SERVICE_IP}/32`, 'dev', link.ifname, 'scope', 'link');
        fault = '';
        // The old interface may have gone only now, and the route with it: `replace` a second later is harmless.
        if (delay >= 1_000) return;
      } catch (error) {
        fault = error instanceof Error ? error.message : String(error);
      }
    }
    if (fault !== '') this.#log.warn({ sandboxKey, reason: fault }, 'the route to the DNS service could not be moved inside a container');
  }
}

async function inside(namespace: string, ...args: string[]): Promise<string> {
  return (await run('nsenter', [`--net=${namespace}`, 'ip', '-json', ...args], { timeout: 5_000 })).stdout;
}
