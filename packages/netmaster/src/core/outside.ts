/** Rules of the objects that speak of the world outside: services, BGP, ACI and its contracts (spec/contiv §1.4). */
import { type AciGwInput, type BgpInput, type ExtContractsGroupInput, parseServicePort, Refusal, type ServiceInput } from '@contiv/model';
import { refuseUsed } from './in-use.js';
import { answer, Draft, holds, type Plan } from './plan.js';
import { type ExtContractsRecord, keys } from './records.js';
import type { State } from './state.js';

export function putExtContracts(state: State, input: ExtContractsGroupInput): Plan<void> {
  const { tenantName, contractsGroupName, contractsType, contracts } = input;
  if (contractsType !== 'provided' && contractsType !== 'consumed')
    throw new Refusal('invalid', "Contracts group need to be either 'provided' or 'consumed'");
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', `Tenant ${tenantName} not found`);
  const key = `${tenantName}:${contractsGroupName}`;
  const record: ExtContractsRecord = { tenantName, contractsGroupName, contractsType, contracts };
  const seen = state.extContracts(key);
  if (seen) {
    if (!holds(seen, record)) throw new Refusal('conflict', 'external contracts update not supported');
    return answer(undefined);
  }
  const draft = new Draft();
  draft.touch(tenant);
  draft.create('extContracts', keys.extContracts(key), record);
  return draft.done(undefined);
}

export function deleteExtContracts(state: State, key: string): Plan<void> {
  const seen = state.extContracts(key);
  if (!seen) throw new Refusal('not-found', 'extContractsGroup not found');
  refuseUsed(state, state.groupsOfExtContracts.of(key), 'External contracts group is in-use');
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}

export function putService(state: State, input: ServiceInput): Plan<void> {
  const { key: _key, ...asked } = input;
  const { tenantName, serviceName, networkName, selectors, ports } = asked;
  if (selectors.length === 0) throw new Refusal('invalid', 'Invalid selector options');
  const malformed = ports.length === 0 ? '' : ports.find((port) => parseServicePort(port) === undefined);
  if (malformed !== undefined)
    throw new Refusal(
      'invalid',
      'Invalid Port maping . Port format is - Port:TargetPort:Protocol',
      `"${malformed}" is none; 80:8080:TCP is one`,
    );
  const tenant = state.tenant(tenantName);
  if (!tenant) throw new Refusal('not-found', `Tenant ${tenantName} not found`);
  const network = state.network(`${tenantName}:${networkName}`);
  if (!network) throw new Refusal('not-found', `Network ${networkName} not found`);
  const odd = selectors.find((selector) => !/^[^=]+=[^=]*$/.test(selector));
  if (odd !== undefined) throw new Refusal('invalid', `Invalid selector ${odd}. selector format is key1=value1`);
  const key = `${tenantName}:${serviceName}`;
  const seen = state.service(key);
  if (holds(seen, asked)) return answer(undefined);
  const draft = new Draft();
  draft.touch(network);
  if (seen) draft.replace(seen, asked);
  else {
    draft.touch(tenant);
    draft.create('service', keys.service(key), asked);
  }
  return draft.done(undefined);
}

export function deleteService(state: State, key: string): Plan<void> {
  const seen = state.service(key);
  if (!seen) throw new Refusal('not-found', 'serviceLB not found');
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}

/** Posting again replaces all settings of the host. */
export function putBgp(state: State, { key: _key, ...record }: BgpInput): Plan<void> {
  const seen = state.bgp(record.hostname);
  if (holds(seen, record)) return answer(undefined);
  const draft = new Draft();
  if (seen) draft.replace(seen, record);
  else draft.create('bgp', keys.bgp(record.hostname), record);
  return draft.done(undefined);
}

export function deleteBgp(state: State, host: string): Plan<void> {
  const seen = state.bgp(host);
  if (!seen) throw new Refusal('not-found', 'Bgp not found');
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}

export function putAciGw(state: State, { key: _key, ...record }: AciGwInput): Plan<void> {
  const seen = state.aciGw;
  if (holds(seen, record)) return answer(undefined);
  const draft = new Draft();
  if (seen) draft.replace(seen, record);
  else draft.create('aciGw', keys.aciGw, record);
  return draft.done(undefined);
}

export function deleteAciGw(state: State): Plan<void> {
  const seen = state.aciGw;
  if (!seen) throw new Refusal('not-found', 'aciGw not found');
  const profiles = state.count('appProfile');
  if (profiles > 0) throw new Refusal('in-use', `${profiles} App-Profiles found. Delete them first`);
  const draft = new Draft();
  draft.remove(seen);
  return draft.done(undefined);
}
