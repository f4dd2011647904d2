/** Rules of endpoints (spec/contiv §2.1). Creating one is a single transaction: its record and its addresses, or nothing. */
import {
  type CreateEndpointRequest,
  type DeleteEndpointRequest,
  type EndpointState,
  GROUP_LABEL,
  groupKey,
  ipv4ToNumber,
  macOfIpv4,
  parseIpv4,
  parseMac,
  Refusal,
  type RelabelRequest,
  type UpdateEndpointRequest,
} from '@contiv/model';
import { canonical, claim, claimFree4, claimFree6, type Holder } from './addresses.js';
import { answer, Draft, type Plan } from './plan.js';
import { type EntryOf, keys } from './records.js';
import type { State } from './state.js';
import { targetOf } from './targets.js';

const MAX_NAME = 64;

/** Asking again for an endpoint that is there answers it as it is. */
export function createEndpoint(state: State, request: CreateEndpointRequest): Plan<EndpointState> {
  const { TenantName: tenant, NetworkName: networkName, EndpointID: endpointId, ConfigEP: config } = request;
  refuseOddId(endpointId);
  if (config.Host === '') throw new Refusal('invalid', 'ConfigEP.Host must name the host of the endpoint');
  const groupName = request.ServiceName || config.ServiceName || '';
  const target = targetOf(state, tenant, networkName, groupName);
  const networkKey = target.network.place.first;
  const v4 = bare(config.IPAddress);
  const v6 = bare(config.IPv6Address);
  const seen = state.endpoint(networkKey, endpointId);
  if (seen) {
    refuseOther(seen.record, config.Host, v4, v6);
    return answer(seen.record);
  }
  const mac = config.MacAddress ? parseMac(config.MacAddress) : undefined;
  if (config.MacAddress && (!mac || Number.parseInt(mac.slice(0, 2), 16) % 2 === 1))
    throw new Refusal('invalid', `invalid MAC address ${config.MacAddress}; a unicast address like 02:02:0a:01:01:05 is needed`);
  const draft = new Draft();
  const holder: Holder = { host: config.Host, endpointId };
  const address = parseIpv4(v4 === '' ? claimFree4(state, draft, target, holder) : claim(state, draft, target, v4, holder));
  if (address === undefined) throw new Refusal('invalid', `invalid IP address ${config.IPAddress}`);
  let address6: string | undefined;
  if (v6 !== '') address6 = claim(state, draft, target, v6, holder);
  else if (state.layout(target.network).v6) address6 = claimFree6(state, draft, target, holder);
  const record: EndpointState = {
    key: `${networkName}.${tenant}-${endpointId}`,
    tenant,
    network: networkName,
    ...(target.group ? { group: target.group.record.groupName } : {}),
    endpointId,
    host: config.Host,
    ip: address,
    ...(address6 === undefined ? {} : { ip6: address6 }),
    mac: mac ?? macOfIpv4(address),
    ...(config.Container ? { containerId: config.Container } : {}),
    ...(request.EPCommonName ? { containerName: bareName(request.EPCommonName) } : {}),
  };
  draft.create('endpoint', keys.endpoint(networkKey, endpointId), record);
  return draft.done(record);
}

/** Releases the endpoint and what it holds; one that is not there is no error. Names narrow the search when given. */
export function deleteEndpoint(state: State, request: DeleteEndpointRequest): Plan<EndpointState | undefined> {
  const matches = [...state.entries('endpoint', state.endpointsOfId.of(request.EndpointID))].filter(
    ({ record }) =>
      (!request.TenantName || record.tenant === request.TenantName) && (!request.NetworkName || record.network === request.NetworkName),
  );
  const draft = new Draft();
  for (const endpoint of matches) dropEndpoint(state, draft, endpoint);
  return draft.done(matches[0]?.record);
}

/** Removes the record and the address keys that name this endpoint. */
export function dropEndpoint(state: State, draft: Draft, endpoint: EntryOf<'endpoint'>): void {
  const { record, place } = endpoint;
  for (const address of [record.ip, record.ip6]) {
    const held = address === undefined ? undefined : state.address(place.first, canonical(address) ?? address);
    if (held?.record.endpointId === record.endpointId) draft.remove(held);
  }
  draft.remove(endpoint);
}

/** What the container's start made known. Its end changes nothing here: the endpoint goes when the engine deletes it. */
export function updateEndpoint(state: State, request: UpdateEndpointRequest): Plan<{ IPAddress: string }> {
  if (request.Event === 'die' && !request.ContainerID && request.EndpointID === '')
    throw new Refusal('invalid', 'invalid containerID in UpdateEndpointRequest:(nil)');
  const [endpoint] = [...state.entries('endpoint', state.endpointsOfId.of(request.EndpointID))].filter(
    ({ record }) => !request.Tenant || record.tenant === request.Tenant,
  );
  if (!endpoint) throw new Refusal('not-found', 'endpoint not found');
  const old = endpoint.record;
  const reply = { IPAddress: old.ip };
  if (request.Event === 'die') return answer(reply);
  const group = labelled(state, old, request);
  const next: EndpointState = {
    ...old,
    ...(group === undefined ? {} : { group }),
    ...(request.ContainerID ? { containerId: request.ContainerID } : {}),
    ...(request.EPCommonName ? { containerName: bareName(request.EPCommonName) } : {}),
    ...(request.Aliases ? { aliases: request.Aliases } : {}),
    ...(request.Labels ? { labels: request.Labels } : {}),
  };
  if (JSON.stringify(next) === endpoint.text) return answer(reply);
  const draft = new Draft();
  draft.replace(endpoint, next);
  const joined = group === undefined ? undefined : state.group(groupKey(old.tenant, group));
  if (joined) draft.touch(joined);
  return draft.done(reply);
}

/**
 * The group a container's label names: asked when its start is first reported, for an endpoint that neither its Docker network nor an option put into
 * one. A group of another network is meant for another endpoint of the container. One that is not there keeps the endpoint cut off until it is.
 */
function labelled(state: State, endpoint: EndpointState, { Labels, ContainerID }: UpdateEndpointRequest): string | undefined {
  const name = Labels?.[GROUP_LABEL]?.slice(0, MAX_NAME) ?? '';
  if (name === '' || endpoint.group !== undefined || !ContainerID || endpoint.containerId === ContainerID) return undefined;
  const group = state.group(groupKey(endpoint.tenant, name));
  return group && group.record.networkName !== endpoint.network ? undefined : name;
}

/** Puts a running endpoint into another group of its network, or into none; its address stays. */
export function relabelEndpoint(
  state: State,
  text: string,
  { group, tenantName = '', networkName = '' }: RelabelRequest,
): Plan<EndpointState> {
  const endpoint = theEndpoint(state, text, ({ tenant, network }) => {
    return (tenantName === '' || tenant === tenantName) && (networkName === '' || network === networkName);
  });
  const old = endpoint.record;
  const { group: _old, ...rest } = old;
  const target = targetOf(state, old.tenant, old.network, group);
  const next: EndpointState = group === '' ? rest : { ...old, group };
  if (JSON.stringify(next) === endpoint.text) return answer(old);
  const draft = new Draft();
  draft.replace(endpoint, next);
  if (target.group) draft.touch(target.group);
  return draft.done(next);
}

/** The one endpoint a text means: a whole name before a part of one. */
function theEndpoint(state: State, text: string, within: (endpoint: EndpointState) => boolean): EntryOf<'endpoint'> {
  const all = [...state.all('endpoint')].filter(({ record }) => within(record));
  const names = ({ record }: EntryOf<'endpoint'>) => [record.endpointId, record.containerId ?? '', record.containerName ?? ''];
  const whole = all.filter((endpoint) => names(endpoint).includes(text));
  const [found, second] = whole.length > 0 ? whole : all.filter((endpoint) => names(endpoint).some((name) => name.includes(text)));
  if (text === '' || !found) throw new Refusal('not-found', 'endpoint not found');
  if (!second) return found;
  const places = [found, second].map(({ record }) => `${record.network} of tenant ${record.tenant}`).join(' and ');
  throw new Refusal('conflict', `${text} means more than one endpoint, in ${places}; name the network, or the endpoint by its id`);
}

function refuseOddId(id: string): void {
  if (id === '') throw new Refusal('invalid', 'EndpointID must not be empty');
  if (/[\p{Cc}\p{Cs}]/u.test(id)) throw new Refusal('invalid', 'EndpointID holds control characters, or halves of characters');
}

function refuseOther(record: EndpointState, host: string, v4: string, v6: string): void {
  if (record.host !== host) throw new Refusal('conflict', `endpoint ${record.endpointId} is on host ${record.host}; delete it there first`);
  const other = (asked: string, has: string | undefined) => asked !== '' && canonical(asked) !== has;
  if (other(v4, record.ip) || other(v6, record.ip6))
    throw new Refusal(
      'conflict',
      `endpoint ${record.endpointId} already has the address ${record.ip}${record.ip6 ? ` and ${record.ip6}` : ''}`,
    );
}

/** `10.1.1.5/24` and `10.1.1.5` alike. */
function bare(address: string | undefined): string {
  const text = address?.split('/')[0] ?? '';
  if (text !== '' && ipv4ToNumber(text) === undefined && canonical(text) === undefined)
    throw new Refusal('invalid', `invalid IP address ${address}`);
  return text;
}

/** Docker writes names with a leading slash. */
const bareName = (name: string): string => name.replace(/^\//, '');
