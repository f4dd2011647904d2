/** The path of a connection's first packet by the stored intent: the stages it passes, up to the one where it dies. Pure. */

import { segmentText } from '../ids.js';
import { parseIpv4 } from '../ip/ipv4.js';
import { contains4, contains6, parsePrefix4, parsePrefix6 } from '../ip/prefix.js';
import type { EndpointState, HostState, NetworkState } from '../wire/agent.js';
import type { StageName } from './answer.js';
import { type EndVerdict, judge, ruleText } from './verdict.js';
import { containerOf, keyOfNetwork, nameOfEndpoint, networkOf, placeText, segmentOf, type TraceView } from './view.js';

export interface TraceCase {
  readonly from: EndpointState;
  readonly fromIp: string;
  readonly to: EndpointState | undefined;
  readonly toIp: string;
  readonly protocol: number;
  readonly port: number;
}

export interface IntentStage {
  readonly stage: StageName;
  readonly host: string;
  readonly ok: boolean;
  readonly says: string;
  readonly warning?: string;
  readonly mend?: string;
}

/** Where the packet leaves the caller's host by. */
export type Way =
  | { readonly by: 'local' }
  | { readonly by: 'tunnel'; readonly host: string; readonly vtep: string }
  | { readonly by: 'uplink'; readonly host: string | undefined }
  | { readonly by: 'outside' }
  | { readonly by: 'gateway' }
  /** It is the container's own. */
  | { readonly by: 'itself' };

export interface Intent {
  /** The last one is the one that fails, if any does. */
  readonly stages: readonly IntentStage[];
  /** `undefined` when it does not get that far. */
  readonly way: Way | undefined;
}

/** VXLAN around a frame (RFC 7348 §5). */
const overhead = (vtep: string): number => (parseIpv4(vtep) === undefined ? 70 : 50);
const isV4 = (ip: string): boolean => parseIpv4(ip) !== undefined;

export function evaluate(view: TraceView, q: TraceCase): Intent {
  const stages: IntentStage[] = [];
  const { from, to } = q;
  const add = (stage: StageName, host: string, ok: boolean, says: string, more: Pick<IntentStage, 'warning' | 'mend'> = {}): boolean => {
    stages.push({ stage, host, ok, says, ...more });
    return ok;
  };
  const end = (way?: Way): Intent => ({ stages, way });
  const network = networkOf(view, from);
  const here = view.hosts.get(from.host);
  if (!network || !here) {
    add('source', from.host, false, network ? `host ${from.host} is not known` : `network ${placeText(from)} is gone`);
    return end();
  }
  add('source', here.name, true, `${q.fromIp} speaks with ${from.mac}, in ${placeText(from)} (${segmentText(segmentOf(network))})`);

  if (to && containerOf(to) === containerOf(from)) {
    add('address', here.name, true, `${q.toIp} is its own`);
    add('route', here.name, true, 'what it sends to itself does not leave it, so no rule is asked');
    return end({ by: 'itself' });
  }
  const route = routeOf(view, q, network);
  if (!add(route.ok || route.stage === 'route' ? 'address' : route.stage, here.name, route.stage !== 'address' || route.ok, route.address))
    return end();
  if (!add('route', here.name, route.ok, route.says, route.mend === undefined ? {} : { mend: route.mend }) || !route.way) return end();
  if (route.way.by === 'gateway') return end(route.way);

  const verdicts = judge(view, { ...q, to: route.way.by === 'outside' ? undefined : to });
  const denying = verdicts.find(({ deny }) => deny);
  const ruled = verdicts.filter(({ rule }) => rule !== undefined);
  const says = ruled.map((verdict) => verdictText(verdict)).join('; ') || `no rule matches, and tenant ${from.tenant} allows by default`;
  if (
    !add(
      'policy',
      denying ? denying.endpoint.host : here.name,
      !denying,
      denying ? verdictText(denying) : says,
      denying ? { mend: mendOf(q, denying) } : {},
    )
  )
    return end();

  const { way } = route;
  if (way.by === 'outside' || !to) return end(way);
  const there = view.hosts.get(to.host);
  if (!there) {
    add('tunnel', here.name, false, `host ${to.host} of ${nameOfEndpoint(to)} is not known to netmaster`);
    return end();
  }
  if (way.by === 'local') {
    add('entry', here.name, true, `given to ${nameOfEndpoint(to)} on the same host`);
  } else {
    const leg = way.by === 'tunnel' ? tunnelLeg(here, there) : uplinkLeg(here, there, network.tag);
    if (!add('tunnel', here.name, leg.fault === undefined, leg.fault ?? leg.says)) return end();
    const mtu = mtuOf(way.by, here, there);
    const narrow = mtu.way < mtu.here;
    const warning = `packets of more than ${mtu.way} bytes do not fit: give ${here.name} and ${there.name} links of one MTU`;
    add('mtu', here.name, true, `${mtu.way} bytes on the way, ${mtu.here} in the container`, narrow ? { warning } : {});
    add('entry', there.name, true, `given to ${nameOfEndpoint(to)}, for ${here.name} at ${here.vtepIp} is a peer`);
  }
  add('answer', here.name, true, 'belongs to the connection, so no rule is asked');
  return end(way);
}

interface Route {
  readonly ok: boolean;
  /** The stage that fails, or `route`. */
  readonly stage: 'address' | 'route';
  readonly address: string;
  readonly says: string;
  readonly mend?: string;
  readonly way?: Exclude<Way, { readonly by: 'itself' }>;
}

function routeOf(view: TraceView, q: TraceCase, network: NetworkState): Route {
  const { from, to, toIp } = q;
  const routing = view.global?.fwdMode === 'routing';
  const no = (stage: 'address' | 'route', address: string, says = '', mend?: string): Route => ({
    ok: false,
    stage,
    address,
    says,
    ...(mend === undefined ? {} : { mend }),
  });
  const wayTo = (target: EndpointState): NonNullable<Route['way']> => {
    if (target.host === from.host) return { by: 'local' };
    if (networkOf(view, target)?.encap === 'vlan') return { by: 'uplink', host: target.host };
    return { by: 'tunnel', host: target.host, vtep: view.hosts.get(target.host)?.vtepIp ?? '' };
  };
  const gateway = isV4(toIp) ? network.gateway : network.gateway6;
  if (to && to.tenant !== from.tenant) {
    const way = 'tenants are separate; give the container an endpoint in a network of the other tenant, or publish a port';
    return no('route', `${toIp} belongs to tenant ${to.tenant}`, `nothing leads from tenant ${from.tenant} to tenant ${to.tenant}: ${way}`);
  }
  if (to && keyOfNetwork(to) === network.key) {
    const says = `the same network, ${segmentText(segmentOf(network))}`;
    return { ok: true, stage: 'route', address: `${toIp} has ${to.mac}`, says, way: wayTo(to) };
  }
  if (toIp === gateway) {
    const ours = routing || network.encap === 'vxlan';
    const address = ours ? `${toIp} is the gateway, which every host answers for` : `${toIp} is the gateway of the physical network`;
    return {
      ok: true,
      stage: 'route',
      address,
      says: 'the gateway itself',
      way: ours ? { by: 'gateway' } : { by: 'uplink', host: undefined },
    };
  }
  if (isInside(network, toIp)) {
    if (network.encap === 'vlan')
      return {
        ok: true,
        stage: 'route',
        address: `${toIp} is nobody's here`,
        says: 'out into the physical network',
        way: { by: 'uplink', host: undefined },
      };
    return no('address', `nobody in ${placeText(from)} has ${toIp}`);
  }
  if (gateway === undefined) {
    const says = `${placeText(from)} has no gateway, and ${toIp} is outside of it`;
    return no('route', `${toIp} is not in ${placeText(from)}`, says, `netctl net create -t ${from.tenant} --subnet=… --gateway=… NETWORK`);
  }
  const address = `${toIp} is reached by the gateway ${gateway}`;
  const other = [...view.networks.values()].find((n) => n.tenant === from.tenant && n.key !== network.key && isInside(n, toIp));
  if (!routing) {
    if (other)
      return no(
        'route',
        address,
        `in mode bridge no network leads to another one, so not to ${placeText(other)}`,
        'netctl global set --fwd-mode routing',
      );
    if (network.encap === 'vlan')
      return { ok: true, stage: 'route', address, says: 'the physical router', way: { by: 'uplink', host: undefined } };
  } else {
    if (to) return { ok: true, stage: 'route', address, says: `routed to ${placeText(to)}`, way: wayTo(to) };
    if (other) return no('route', address, `nobody in ${placeText(other)} has ${toIp}`);
  }
  return { ok: true, stage: 'route', address, says: `out of the tenant, by NAT of host ${from.host}`, way: { by: 'outside' } };
}

/** Is the address in the network's subnets? */
export function isInside({ subnet, subnet6 }: NetworkState, ip: string): boolean {
  if (isV4(ip)) {
    const prefix = parsePrefix4(`${subnet.address}/${subnet.length}`);
    return prefix !== undefined && contains4(prefix, ip);
  }
  const prefix6 = subnet6 && parsePrefix6(`${subnet6.address}/${subnet6.length}`);
  return prefix6 !== undefined && contains6(prefix6, ip);
}

function tunnelLeg(here: HostState, there: HostState): { readonly says: string; readonly fault?: string } {
  const says = `${here.vtepIp} → ${there.name} at ${there.vtepIp}, UDP port ${here.vxlanPort}`;
  if (isV4(here.vtepIp) !== isV4(there.vtepIp))
    return { says, fault: `${here.name} has VTEP ${here.vtepIp} and ${there.name} ${there.vtepIp}; give all hosts VTEPs of one kind` };
  if (here.vxlanPort !== there.vxlanPort)
    return {
      says,
      fault: `${here.name} uses VXLAN port ${here.vxlanPort} and ${there.name} ${there.vxlanPort}; start both with one --vxlan-port`,
    };
  return { says };
}

function uplinkLeg(here: HostState, there: HostState, vlan: number): { readonly says: string; readonly fault?: string } {
  const lacking = [here, there].find(({ uplinkMtu }) => uplinkMtu === undefined);
  const says = `uplink → ${there.name}, VLAN ${vlan}`;
  return lacking ? { says, fault: `${lacking.name} has no uplink for VLANs; start its netplugin with --vlan-if` } : { says };
}

function mtuOf(by: 'tunnel' | 'uplink', here: HostState, there: HostState): { readonly here: number; readonly way: number } {
  if (by === 'tunnel') {
    const of = (host: HostState) => host.mtu - overhead(host.vtepIp);
    return { here: of(here), way: Math.min(of(here), of(there)) };
  }
  const [a = 0, b = 0] = [here.uplinkMtu, there.uplinkMtu];
  return { here: a, way: Math.min(a, b) };
}

export function verdictText({ way, endpoint, deny, rule, groupless }: EndVerdict): string {
  const whose = `${way === 'out' ? 'leaving' : 'entering'} ${endpoint.group ?? nameOfEndpoint(endpoint)}`;
  if (groupless) return `${whose}: group ${endpoint.group ?? ''} is gone, so nothing may pass`;
  if (rule) return `${whose}: ${ruleText(rule)}`;
  return `${whose}: no rule matches, and tenant ${endpoint.tenant} ${deny ? 'denies' : 'allows'} by default`;
}

const SERVICE_NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp' };

/** The command that lets the connection pass. */
function mendOf({ from, to, protocol, port }: TraceCase, { way, endpoint, rule, groupless }: EndVerdict): string {
  if (groupless) return `netctl group create -t ${endpoint.tenant} ${endpoint.network} ${endpoint.group ?? 'GROUP'}`;
  if (rule) return `netctl policy rule-rm -t ${rule.tenant} ${rule.policy} ${rule.key.split(':').slice(2).join(':')}`;
  const peer = way === 'out' ? to : from;
  const which = peer?.group === undefined ? '' : ` --${way === 'out' ? 'to' : 'from'}-group=${peer.group}`;
  const what = ` --protocol=${SERVICE_NAMES[protocol] ?? protocol}${port === 0 ? '' : ` --port=${port}`}`;
  return `netctl policy rule-add -t ${endpoint.tenant} --direction=${way}${which}${what} --action=allow POLICY RULE`;
}
