/** What addresses, domains and rule numbers are called. Built from the mirror when that has changed, in a twentieth of the time at most. */
import type { Mirror } from '@contiv/client';
import { type EndpointState, type FlowPeer, ruleNumber, type Vni } from '@contiv/model';
import { vniOf } from '../segment.js';

/** Nor more often than this: names are no use if they are later than connections. */
const REBUILD_MS = 100;
const BUILD_SHARE = 20;

interface Index {
  /** By VNI and address. */
  readonly endpoints: ReadonlyMap<string, EndpointState>;
  readonly tenants: ReadonlyMap<number, string>;
  readonly rules: ReadonlyMap<number, { readonly policy: string; readonly rule: string }>;
  readonly domains: ReadonlyMap<number, readonly Vni[]>;
}

export class FlowNames {
  readonly #mirror: () => Mirror;
  readonly #domains: () => ReadonlyMap<number, readonly Vni[]>;
  readonly #now: () => number;
  #index: Index | undefined;
  #builtAt = 0;
  #buildMs = 0;
  #stale = true;

  constructor(mirror: () => Mirror, domains: () => ReadonlyMap<number, readonly Vni[]>, now: () => number = Date.now) {
    this.#mirror = mirror;
    this.#domains = domains;
    this.#now = now;
  }

  /** Something the names are made from has changed. */
  changed(): void {
    this.#stale = true;
  }

  tenant(domain: number): string {
    const { tenants, domains } = this.#of(domain);
    return tenants.get((domains.get(domain) ?? [domain])[0] ?? domain) ?? '';
  }

  peer(domain: number, ip: string, port: number): FlowPeer {
    const { endpoints, domains } = this.#of(domain);
    for (const vni of domains.get(domain) ?? [domain]) {
      const found = endpoints.get(`${vni} ${ip}`);
      if (!found) continue;
      const { containerName, group, network, host } = found;
      return { ip, port, ...(containerName ? { container: containerName } : {}), ...(group === undefined ? {} : { group }), network, host };
    }
    return { ip, port };
  }

  rule(number: number): { readonly policy: string; readonly rule: string } | undefined {
    return number === 0 ? undefined : (this.#current().rules.get(number) ?? { policy: '', rule: `#${number}` });
  }

  /** The data path may get to know a domain later than we hear of its network. */
  #of(domain: number): Index {
    const index = this.#current();
    if (!index.domains.has(domain)) this.#stale = true;
    return index;
  }

  #current(): Index {
    const now = this.#now();
    const pause = Math.max(REBUILD_MS, this.#buildMs * BUILD_SHARE);
    if (this.#index && (!this.#stale || now - this.#builtAt < pause)) return this.#index;
    this.#stale = false;
    this.#builtAt = now;
    const began = performance.now();
    this.#index = build(this.#mirror(), this.#domains());
    this.#buildMs = performance.now() - began;
    return this.#index;
  }
}

function build(mirror: Mirror, domains: ReadonlyMap<number, readonly Vni[]>): Index {
  const tenants = new Map<number, string>();
  for (const network of mirror.networks.values()) tenants.set(vniOf(network), network.tenant);
  const endpoints = new Map<string, EndpointState>();
  for (const endpoint of mirror.endpoints.values()) {
    const network = mirror.networks.get(`${endpoint.tenant}:${endpoint.network}`);
    if (!network) continue;
    const vni = vniOf(network);
    endpoints.set(`${vni} ${endpoint.ip}`, endpoint);
    if (endpoint.ip6 !== undefined) endpoints.set(`${vni} ${endpoint.ip6}`, endpoint);
  }
  const rules = new Map<number, { policy: string; rule: string }>();
  for (const { key, policy } of mirror.rules.values()) rules.set(ruleNumber(key), { policy, rule: key.slice(key.lastIndexOf(':') + 1) });
  return { endpoints, tenants, rules, domains };
}
