/** Tells netmaster when what this host has registered is no longer so: the MTU of its underlay or its uplinks may change while it runs. */
import { isDeepStrictEqual } from 'node:util';
import type { AgentCalls } from '@contiv/client';
import type { HostRegistration } from '@contiv/model';
import type { Cluster } from '../cluster.js';
import { Loop } from './loop.js';

export interface RegistrarOptions {
  readonly host: string;
  readonly cluster: Pick<Cluster, 'listen' | 'synced'>;
  readonly calls: Pick<AgentCalls, 'register'>;
  readonly registration: () => HostRegistration;
  /** How often it is looked at; 5 s unless told otherwise. */
  readonly everyMs?: number;
}

export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #loop: Loop;
  #told: HostRegistration;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    // Connecting tells as well, but what was told then is not known here: once more does no harm.
    this.#told = options.registration();
    this.#loop = new Loop(() => this.#tell(), { every: options.everyMs ?? 5_000, retry: { baseMs: 500, maxMs: 15_000 } });
    options.cluster.listen({ synced: () => this.#loop.soon(0) });
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #tell(): Promise<boolean> {
    const { host, cluster, calls, registration } = this.#options;
    const now = registration();
    if (!cluster.synced || isDeepStrictEqual(now, this.#told)) return true;
    await calls.register(host, now);
    this.#told = now;
    return true;
  }
}
