/** Which addresses a name stands for, seen from one container: index of the mirror's endpoints, kept up with every change. */
import type { Change, Mirror } from '@contiv/client';
import { type EndpointState, networkKey, parseIpv4, parseIpv6 } from '@contiv/model';

/** Where a question comes from: the networks (`tenant:network`) the asking container is in. */
export type Viewpoint = ReadonlySet<string>;

export interface Addresses {
  readonly v4: readonly string[];
  readonly v6: readonly string[];
}

const lower = (name: string): string => name.toLowerCase().replace(/\.$/, '');

/** Names an endpoint answers to. */
function namesOf(endpoint: EndpointState): string[] {
  return [endpoint.containerName ?? '', ...(endpoint.aliases ?? []), endpoint.group ?? ''].filter((name) => name !== '').map(lower);
}

/** Labels too long for DNS never match a question; that is as it should be. */
export class NameIndex {
  readonly #byName = new Map<string, Set<EndpointState>>();
  readonly #byAddress = new Map<string, Set<EndpointState>>();
  readonly #known = new Map<string, EndpointState>();

  replace(mirror: Mirror): void {
    this.#byName.clear();
    this.#byAddress.clear();
    this.#known.clear();
    for (const [key, endpoint] of mirror.endpoints) this.#add(key, endpoint);
  }

  change(change: Change): void {
    if (change.kind !== 'endpoint') return;
    this.#drop(change.key);
    if (change.after) this.#add(change.key, change.after);
  }

  #add(key: string, endpoint: EndpointState): void {
    this.#drop(key);
    this.#known.set(key, endpoint);
    for (const name of namesOf(endpoint)) insert(this.#byName, name, endpoint);
    for (const address of [endpoint.ip, endpoint.ip6]) if (address !== undefined) insert(this.#byAddress, address, endpoint);
  }

  #drop(key: string): void {
    const endpoint = this.#known.get(key);
    if (!endpoint) return;
    this.#known.delete(key);
    for (const name of namesOf(endpoint)) remove(this.#byName, name, endpoint);
    for (const address of [endpoint.ip, endpoint.ip6]) if (address !== undefined) remove(this.#byAddress, address, endpoint);
  }

  /** Addresses of all endpoints of that name in networks the asker is in; `undefined` when there is none. */
  resolve(name: string, from: Viewpoint): Addresses | undefined {
    const found = visible(this.#byName.get(lower(name)), from);
    if (found.length === 0) return undefined;
    const sorted = found.sort((a, b) => (a.ip < b.ip ? -1 : 1));
    return {
      v4: [...new Set(sorted.map((e) => e.ip))],
      v6: [...new Set(sorted.flatMap((e) => (e.ip6 === undefined ? [] : [e.ip6])))],
    };
  }

  /** Name of the container that has the address, as far as the asker may know. */
  reverse(address: string, from: Viewpoint): string | undefined {
    return visible(this.#byAddress.get(address), from).find((e) => e.containerName)?.containerName;
  }
}

function insert(map: Map<string, Set<EndpointState>>, key: string, endpoint: EndpointState): void {
  const set = map.get(key);
  if (set) set.add(endpoint);
  else map.set(key, new Set([endpoint]));
}

function remove(map: Map<string, Set<EndpointState>>, key: string, endpoint: EndpointState): void {
  const set = map.get(key);
  set?.delete(endpoint);
  if (set?.size === 0) map.delete(key);
}

function visible(endpoints: ReadonlySet<EndpointState> | undefined, from: Viewpoint): EndpointState[] {
  return [...(endpoints ?? [])].filter((endpoint) => from.has(networkKey(endpoint.tenant, endpoint.network)));
}

/** Address a reverse name stands for (RFC 1035 §3.5, RFC 3596 §2.5), canonical; `undefined` for any other name. */
export function addressOfPtr(name: string): string | undefined {
  const plain = lower(name);
  if (plain.endsWith('.in-addr.arpa')) return parseIpv4(plain.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.'));
  if (!plain.endsWith('.ip6.arpa')) return undefined;
  const nibbles = plain.slice(0, -'.ip6.arpa'.length).split('.').reverse().join('');
  return /^[0-9a-f]{32}$/.test(nibbles) ? parseIpv6(nibbles.replaceAll(/(.{4})(?=.)/g, '$1:')) : undefined;
}
