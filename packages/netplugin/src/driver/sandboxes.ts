/** Containers' interfaces, found in their sandboxes' network namespaces. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);

const links = z.array(z.object({ ifname: z.string(), address: z.string().optional(), mtu: z.number() }));

/** Network namespace of the container behind an endpoint, for when the engine's own path cannot be seen from here (an engine in a chroot). */
export type NamespaceOf = (endpointId: string) => Promise<string | undefined>;

export interface SandboxLink {
  readonly name: string;
  readonly mtu: number;
  /** Runs `ip` beside it. */
  ip(...args: readonly string[]): Promise<unknown>;
}

export class Sandboxes {
  readonly #namespaceOf: NamespaceOf;

  constructor(namespaceOf: NamespaceOf) {
    this.#namespaceOf = namespaceOf;
  }

  /** Throws when the sandbox or the interface is gone. */
  async find(sandboxKey: string, endpoint: { readonly endpointId: string; readonly mac: string }): Promise<SandboxLink> {
    // The engine binds the namespace to its path; a plain file there is a bind mount made in another mount namespace.
    const seen = await inside(sandboxKey, 'link', 'show').then(
      () => true,
      () => false,
    );
    const namespace = seen ? sandboxKey : ((await this.#namespaceOf(endpoint.endpointId)) ?? sandboxKey);
    const link = links.parse(JSON.parse((await inside(namespace, 'link', 'show')) || '[]')).find((l) => l.address === endpoint.mac);
    if (!link) throw new Error(`the sandbox has no interface ${endpoint.mac}`);
    return { name: link.ifname, mtu: link.mtu, ip: (...args) => inside(namespace, ...args) };
  }
}

async function inside(namespace: string, ...args: readonly string[]): Promise<string> {
  return (await run('nsenter', [`--net=${namespace}`, 'ip', '-json', ...args], { timeout: 5_000 })).stdout;
}
