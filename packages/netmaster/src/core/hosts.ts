/** Rules of hosts: registration, presence, loss, and putting right what a host left behind. */
import { type HostRegistration, Refusal, VERSION } from '@contiv/model';
import type { LeaseId } from '@contiv/store';
import { dropEndpoint } from './endpoints.js';
import { answer, Draft, type Plan } from './plan.js';
import { type EntryOf, type HostRecord, keys } from './records.js';
import type { State } from './state.js';

const major = (version: string): string => version.replace(/^v/, '').split('.')[0] ?? '';

export function registerHost(state: State, name: string, registration: HostRegistration): Plan<Record<string, never>> {
  if (major(registration.version) !== major(VERSION))
    throw new Refusal(
      'conflict',
      `netplugin ${registration.version} on host ${name} does not fit netmaster ${VERSION}; install netplugin ${major(VERSION)}.x there`,
    );
  const twin = [...state.all('host')].find((h) => h.record.vtepIp === registration.vtepIp && h.place.first !== name);
  if (twin)
    throw new Refusal(
      'conflict',
      `VTEP address ${registration.vtepIp} belongs to host ${twin.place.first}; choose another --vtep-ip, or forget that host if it is gone`,
    );
  const seen = state.host(name);
  if (seen && state.alive(name) && seen.record.vtepIp !== registration.vtepIp)
    throw new Refusal(
      'conflict',
      `host ${name} is connected from ${seen.record.vtepIp}; give this one another name with --host, or stop the agent there`,
    );
  const draft = new Draft();
  // So that two hosts that come at once, to two masters, do not both get the address.
  if (state.global && seen?.record.vtepIp !== registration.vtepIp) draft.touch(state.global);
  const record: HostRecord = { ...registration };
  if (!seen) draft.create('host', keys.host(name), record);
  else if (JSON.stringify(record) !== seen.text) draft.replace(seen, record);
  return draft.done({});
}

/** The host's agent opened a stream here. */
export function markAlive(state: State, name: string, master: string, lease: LeaseId): Plan<void> {
  const host = state.host(name);
  if (!host) throw new Refusal('not-found', `host ${name} is not registered; POST /agent/v1/hosts/${name} first`);
  const draft = new Draft();
  const seen = state.alive(name);
  if (seen) draft.replace(seen, { master }, lease);
  else draft.create('alive', keys.alive(name), { master }, lease);
  if (host.record.silentSince !== undefined) {
    const { silentSince: _gone, ...record } = host.record;
    draft.replace(host, record);
  }
  return draft.done(undefined);
}

/** The stream ended. Another master may have taken the host over meanwhile: then nothing is said. */
export function markSilent(state: State, name: string, master: string, now: string): Plan<void> {
  const seen = state.alive(name);
  if (seen?.record.master !== master) return answer(undefined);
  const draft = new Draft();
  draft.remove(seen);
  const host = state.host(name);
  // It was here until now, whatever was noted before.
  if (host) draft.replace(host, { ...host.record, silentSince: now });
  return draft.done(undefined);
}

/** Hosts nobody holds a stream of and of whom no one has noted since when (their master died): note it now. */
export function noteSilent(state: State, name: string, now: string): Plan<void> {
  const host = state.host(name);
  if (!host || state.alive(name) || host.record.silentSince !== undefined) return answer(undefined);
  const draft = new Draft();
  draft.absent(keys.alive(name));
  draft.replace(host, { ...host.record, silentSince: now });
  return draft.done(undefined);
}

/** Names of what a host holds, in pieces small enough for one transaction each. */
export interface Holdings {
  readonly endpoints: readonly string[];
  readonly addresses: readonly string[];
}

/** What the host's engine still has. */
export interface Kept {
  readonly endpointIds: ReadonlySet<string>;
  readonly reservations: ReadonlySet<string>;
}

/** Everything the host holds that `keep` does not name and that was made at or before revision `before`. */
export function leftBehind(state: State, host: string, keep: Kept, before: number): Holdings {
  const endpoints: string[] = [];
  for (const endpoint of state.entries('endpoint', state.endpointsOfHost.of(host))) {
    if (endpoint.createRevision > before || keep.endpointIds.has(endpoint.record.endpointId)) continue;
    // The hosts' own ports on infra networks have no container that the engine could list.
    if (state.network(endpoint.place.first)?.record.nwType === 'infra') continue;
    endpoints.push(endpoint.key);
  }
  const addresses: string[] = [];
  for (const held of state.entries('address', state.reservationsOfHost.of(host))) {
    if (held.createRevision > before || keep.reservations.has(reservationName(held))) continue;
    addresses.push(held.key);
  }
  return { endpoints, addresses };
}

/** Everything the host holds: it is lost, and its own ports on infra networks with it. */
export const holdingsOf = (state: State, host: string): Holdings => ({
  endpoints: [...state.endpointsOfHost.of(host)],
  addresses: [...state.reservationsOfHost.of(host)],
});

/** `net.tenant|address`, as an engine's IPAM driver knows a reservation. */
export function reservationName(held: EntryOf<'address'>): string {
  const [tenant = '', network = ''] = held.place.first.split(':');
  return `${network}.${tenant}|${held.place.second}`;
}

/** Releases those of the holdings that are still the host's and still older than `before`. Answers what was released. */
export const releaseHoldings = (state: State, host: string, holdings: Holdings, before: number): Plan<Holdings> =>
  release(state, new Draft(), host, holdings, before);

function release(state: State, draft: Draft, host: string, holdings: Holdings, before: number): Plan<Holdings> {
  const endpoints: string[] = [];
  const addresses: string[] = [];
  for (const endpoint of state.entries('endpoint', holdings.endpoints)) {
    if (endpoint.record.host !== host || endpoint.createRevision > before) continue;
    dropEndpoint(state, draft, endpoint);
    endpoints.push(endpoint.record.endpointId);
  }
  for (const held of state.entries('address', holdings.addresses)) {
    if (held.record.host !== host || held.record.endpointId !== undefined || held.createRevision > before) continue;
    draft.remove(held);
    addresses.push(reservationName(held));
  }
  return draft.done({ endpoints, addresses });
}

/** Forgets the host itself; its holdings go first. */
export function forgetHost(state: State, name: string): Plan<void> {
  const host = state.host(name);
  if (!host) throw new Refusal('not-found', `host ${name} not found`);
  if (state.alive(name)) throw new Refusal('in-use', `host ${name} is connected; stop its netplugin before it is forgotten`);
  if (state.endpointsOfHost.of(name).size > 0 || state.reservationsOfHost.of(name).size > 0)
    throw new Refusal('in-use', `host ${name} still holds endpoints`);
  const draft = new Draft();
  draft.absent(keys.alive(name));
  draft.remove(host);
  return draft.done(undefined);
}

/** A lost host's registration stays; its alive key must still be absent when its endpoints go. */
export function releaseLost(state: State, host: string, holdings: Holdings): Plan<Holdings> {
  const seen = state.host(host);
  if (!seen || state.alive(host)) return answer({ endpoints: [], addresses: [] });
  const draft = new Draft();
  draft.absent(keys.alive(host));
  return release(state, draft, host, holdings, Number.MAX_SAFE_INTEGER);
}
