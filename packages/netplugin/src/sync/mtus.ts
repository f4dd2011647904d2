/**
 * Containers that run follow a network's MTU that becomes smaller, or what they send would be lost. A larger one they get with their next start:
 * whether all of the underlay has it already, nobody knows.
 */
import type { Logger } from '@contiv/observe';
import type { Sandboxes } from '../driver/sandboxes.js';
import type { EndpointRecord, LocalState } from '../state/records.js';
import { Loop } from './loop.js';

export interface ContainerMtusOptions {
  readonly endpoints: Pick<LocalState['endpoints'], 'get' | 'setAnyway' | 'values'>;
  /** MTU of an endpoint's network on this host; `undefined` while that is not known. */
  readonly mtuOf: (record: EndpointRecord) => number | undefined;
  readonly sandboxes: Pick<Sandboxes, 'find'>;
  readonly log: Logger;
  /** How often it is looked at; a second unless told otherwise. */
  readonly everyMs?: number;
}

export class ContainerMtus {
  readonly #options: ContainerMtusOptions;
  readonly #loop: Loop;
  /** Endpoints that could not be looked at, which was said once. */
  readonly #told = new Set<string>();

  constructor(options: ContainerMtusOptions) {
    this.#options = options;
    this.#loop = new Loop((signal) => this.#look(signal), { every: options.everyMs ?? 1_000, retry: { baseMs: 1_000, maxMs: 15_000 } });
  }

  start(): void {
    this.#loop.soon(0);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #look(signal: AbortSignal): Promise<boolean> {
    const { endpoints, mtuOf } = this.#options;
    let whole = true;
    for (const record of endpoints.values()) {
      if (signal.aborted) break;
      const mtu = mtuOf(record);
      // An agent that kept no MTUs has left a record without one.
      if (record.stage !== 'ready' || mtu === undefined || (record.mtu ?? Number.POSITIVE_INFINITY) <= mtu) continue;
      if (!(await this.#lower(record, mtu))) whole = false;
    }
    return whole;
  }

  /** Answers whether the container sends nothing larger now. */
  async #lower({ endpointId, mac, sandboxKey = '' }: EndpointRecord, mtu: number): Promise<boolean> {
    const { endpoints, sandboxes, log } = this.#options;
    try {
      const link = await sandboxes.find(sandboxKey, { endpointId, mac });
      if (link.mtu > mtu) {
        await link.ip('link', 'set', 'dev', link.name, 'mtu', String(mtu));
        log.info({ endpoint: endpointId, mtu, before: link.mtu }, 'the MTU of a container was lowered to that of its network');
      }
    } catch (err) {
      if (!this.#told.has(endpointId)) log.warn({ err, endpoint: endpointId }, 'the MTU inside a container cannot be set; trying again');
      this.#told.add(endpointId);
      return false;
    }
    this.#told.delete(endpointId);
    const now = endpoints.get(endpointId);
    if (now) endpoints.setAnyway(endpointId, { ...now, mtu });
    return true;
  }
}
