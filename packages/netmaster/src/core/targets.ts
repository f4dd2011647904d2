/** Finding the network (and group) a `NetworkID`, a pool or a pair of names means (spec/contiv §2.1). */
import { formatPrefix, parsePrefix4, parsePrefix6, Refusal } from '@contiv/model';
import type { EntryOf } from './records.js';
import type { State } from './state.js';

export interface Target {
  readonly network: EntryOf<'network'>;
  readonly group: EntryOf<'group'> | undefined;
  /** `net.tenant` or `net:group.tenant`, as it is to be answered. */
  readonly networkId: string;
}

const NOT_FOUND = 'network not found';

/** `net.tenant`, `net:group.tenant`, both optionally with `|pool`; or, without an id, `subnet/len[:tenant]`. */
export function findTarget(state: State, networkId: string, pool: string): Target {
  const id = networkId.split('|')[0] ?? '';
  if (id === '') return byPool(state, pool);
  const colon = id.indexOf(':');
  const name = colon < 0 ? id : id.slice(0, colon);
  const rest = colon < 0 ? id : id.slice(colon + 1);
  // Names may hold dots, so each dot may be the one that divides; what exists decides.
  for (let dot = rest.indexOf('.'); dot >= 0; dot = rest.indexOf('.', dot + 1)) {
    const tenant = rest.slice(dot + 1);
    const network = state.network(`${tenant}:${colon < 0 ? rest.slice(0, dot) : name}`);
    if (!network) continue;
    if (colon < 0) return { network, group: undefined, networkId: id };
    const group = state.group(`${tenant}:${rest.slice(0, dot)}`);
    if (group) return { network, group: ofNetwork(group, network), networkId: id };
  }
  throw new Refusal('not-found', NOT_FOUND, `no network has the id ${id}`);
}

/** By names; a group given with its network must belong to it. */
export function targetOf(state: State, tenant: string, networkName: string, groupName: string): Target {
  const group = groupName === '' ? undefined : state.group(`${tenant}:${groupName}`);
  if (groupName !== '' && !group) throw new Refusal('not-found', `EndpointGroup ${tenant}:${groupName} not found`);
  const network = state.network(`${tenant}:${networkName}`);
  if (!network) throw new Refusal('not-found', NOT_FOUND, `tenant ${tenant} has no network ${networkName}`);
  const networkId = group ? `${networkName}:${groupName}.${tenant}` : `${networkName}.${tenant}`;
  return { network, group: group && ofNetwork(group, network), networkId };
}

function ofNetwork(group: EntryOf<'group'>, network: EntryOf<'network'>): EntryOf<'group'> {
  if (group.record.networkName !== network.record.networkName)
    throw new Refusal('conflict', `endpoint group ${group.place.first} belongs to network ${group.record.networkName}`);
  return group;
}

function byPool(state: State, pool: string): Target {
  const slash = pool.indexOf('/');
  const colon = slash < 0 ? -1 : pool.indexOf(':', slash);
  const subnet = colon < 0 ? pool : pool.slice(0, colon);
  const tenant = colon < 0 ? undefined : pool.slice(colon + 1);
  const prefix = parsePrefix4(subnet) ?? parsePrefix6(subnet);
  const text = prefix && formatPrefix(prefix);
  const found = [...state.all('network')].filter((network) => {
    if (text === undefined || (tenant !== undefined && network.record.tenantName !== tenant)) return false;
    const layout = state.layout(network);
    return formatPrefix(layout.v4.prefix) === text || (layout.v6 !== undefined && formatPrefix(layout.v6.prefix) === text);
  });
  const [network, second] = found;
  if (!network) throw new Refusal('not-found', NOT_FOUND, pool === '' ? '' : `no network has the subnet ${pool}`);
  if (second) throw new Refusal('conflict', `${pool} is the subnet of ${found.length} networks; name the network by NetworkID`);
  return { network, group: undefined, networkId: `${network.record.networkName}.${network.record.tenantName}` };
}
