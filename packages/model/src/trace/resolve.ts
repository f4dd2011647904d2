/** From what a user types to endpoints and addresses. Pure. */
import { Refusal } from '../errors.js';
import { parseIpv4 } from '../ip/ipv4.js';
import { parseIpv6 } from '../ip/ipv6.js';
import type { EndpointState } from '../wire/agent.js';
import { containerOf, keyOfNetwork, nameOfEndpoint, placeText, type TraceView } from './view.js';

export interface Scope {
  readonly tenant?: string | undefined;
  readonly network?: string | undefined;
}

/** A service: the labels of the containers that provide it, as `label=value`. */
export interface ServiceState {
  readonly tenant: string;
  readonly service: string;
  readonly selectors: readonly string[];
}

export interface Target {
  readonly endpoint: EndpointState | undefined;
  readonly ip: string;
}

const CANDIDATES_SHOWN = 8;

const candidateText = (e: EndpointState): string => `${nameOfEndpoint(e)} ${e.ip} in ${placeText(e)} on ${e.host}`;
function ambiguous(text: string, candidates: readonly EndpointState[]): Refusal {
  const shown = candidates.slice(0, CANDIDATES_SHOWN).map(candidateText).join('; ');
  const more = candidates.length > CANDIDATES_SHOWN ? `; and ${candidates.length - CANDIDATES_SHOWN} more` : '';
  return new Refusal(
    'invalid',
    `"${text}" may be any of ${candidates.length}: ${shown}${more}; give --tenant, --network or a container id`,
  );
}

const inScope =
  ({ tenant, network }: Scope) =>
  (e: EndpointState): boolean =>
    (tenant === undefined || e.tenant === tenant) && (network === undefined || e.network === network);

/** Endpoints that the text names: by address, name, alias, or the beginning of an id, the surest kind only. */
function named(endpoints: readonly EndpointState[], text: string): EndpointState[] {
  const kinds: ((e: EndpointState) => boolean)[] = [
    (e) => e.ip === text || e.ip6 === text,
    (e) => e.containerName === text || e.endpointId === text || e.containerId === text,
    (e) => e.aliases?.includes(text) === true,
    (e) => text.length >= 3 && /^[0-9a-f]+$/.test(text) && (e.containerId?.startsWith(text) === true || e.endpointId.startsWith(text)),
  ];
  for (const kind of kinds) {
    const found = endpoints.filter(kind);
    if (found.length > 0) return found;
  }
  return [];
}

const isAddress = (text: string): boolean => parseIpv4(text) !== undefined || parseIpv6(text) !== undefined;

export interface Resolved {
  /** One per endpoint that the second text stands for. */
  readonly pairs: readonly { readonly from: EndpointState; readonly to: Target }[];
}

/** Throws `Refusal` when nothing or too much is named. */
export function resolve(view: TraceView, from: string, to: string, scope: Scope = {}, services: readonly ServiceState[] = []): Resolved {
  const [fromText, toText] = [parseIpv6(from) ?? from, parseIpv6(to) ?? to];
  const all = [...view.endpoints.values()];
  const froms = named(all.filter(inScope(scope)), fromText);
  if (froms.length === 0)
    throw new Refusal('not-found', `no container ${fromText} is known${scopeText(scope)}; netctl endpoint ls -a lists them`);
  if (new Set(froms.map(containerOf)).size > 1) throw ambiguous(fromText, froms);
  const tenants = new Set(froms.map(({ tenant }) => tenant));

  // In its own tenant an address or a name means something else than in others.
  const own = all.filter((e) => tenants.has(e.tenant));
  let tos = named(own, toText);
  if (tos.length === 0) tos = members(view, own, toText, tenants, services);
  if (tos.length > 0 && new Set(tos.map(containerOf)).size > 1 && !isGroup(view, services, tenants, toText)) {
    const near = tos.filter((t) => froms.some((f) => keyOfNetwork(f) === keyOfNetwork(t)));
    if (new Set(near.map(containerOf)).size !== 1) throw ambiguous(toText, tos);
    tos = near;
  }
  if (tos.length === 0 && !isAddress(toText)) {
    tos = named(all, toText);
    if (tos.length === 0) {
      const kinds = 'container, address, group or service';
      throw new Refusal('not-found', `there is no ${kinds} ${toText}; netctl endpoint ls -a lists the containers`);
    }
    if (new Set(tos.map(containerOf)).size > 1) throw ambiguous(toText, tos);
  }
  if (tos.length === 0) {
    const [caller] = froms;
    if (!caller) throw new Refusal('not-found', `no container ${fromText} is known`);
    const elsewhere = named(all, toText);
    const [stranger] = elsewhere;
    return { pairs: [{ from: caller, to: { endpoint: elsewhere.length === 1 ? stranger : undefined, ip: toText } }] };
  }
  const byContainer = new Map<string, EndpointState[]>();
  for (const t of tos) byContainer.set(containerOf(t), [...(byContainer.get(containerOf(t)) ?? []), t]);
  const v6 = isAddress(fromText) ? parseIpv4(fromText) === undefined : isAddress(toText) && parseIpv4(toText) === undefined;
  const pairs = [...byContainer.values()].map((ends) => {
    const pair = nearest(froms, ends);
    const ip = v6 ? pair.to.ip6 : pair.to.ip;
    if (ip === undefined) throw new Refusal('invalid', `${nameOfEndpoint(pair.to)} has no IPv6 address`);
    return { from: pair.from, to: { endpoint: pair.to, ip } };
  });
  return { pairs };
}

const isGroup = (view: TraceView, services: readonly ServiceState[], tenants: ReadonlySet<string>, text: string): boolean =>
  [...tenants].some((t) => view.groups.has(`${t}:${text}`)) || services.some((s) => tenants.has(s.tenant) && s.service === text);

/** Of a group, or of those who provide a service. */
function members(
  view: TraceView,
  endpoints: readonly EndpointState[],
  text: string,
  tenants: ReadonlySet<string>,
  services: readonly ServiceState[],
): EndpointState[] {
  const [tenant] = [...tenants].filter((t) => view.groups.has(`${t}:${text}`));
  if (tenant !== undefined) {
    const found = endpoints.filter((e) => e.tenant === tenant && e.group === text);
    if (found.length === 0) throw new Refusal('not-found', `group ${text} of tenant ${tenant} has no containers`);
    return found;
  }
  const service = services.find((s) => tenants.has(s.tenant) && s.service === text);
  if (!service) return [];
  const wanted = service.selectors.map((selector) => selector.split('='));
  const provides = ({ labels = {} }: EndpointState) => wanted.every(([label = '', ...value]) => labels[label] === value.join('='));
  const found = wanted.length === 0 ? [] : endpoints.filter((e) => e.tenant === service.tenant && provides(e));
  if (found.length === 0) throw new Refusal('not-found', `no container provides service ${text} of tenant ${service.tenant}`);
  return found;
}

/** Of two containers with several networks, the pair of ends that has the shortest way. */
function nearest(
  froms: readonly EndpointState[],
  tos: readonly EndpointState[],
): { readonly from: EndpointState; readonly to: EndpointState } {
  const pairs = froms.flatMap((from) => tos.map((to) => ({ from, to })));
  const found =
    pairs.find(({ from, to }) => keyOfNetwork(from) === keyOfNetwork(to)) ??
    pairs.find(({ from, to }) => from.tenant === to.tenant) ??
    pairs[0];
  if (!found) throw new Refusal('not-found', 'nothing to trace');
  return found;
}

const scopeText = ({ tenant, network }: Scope): string =>
  `${tenant === undefined ? '' : ` in tenant ${tenant}`}${network === undefined ? '' : ` in network ${network}`}`;
