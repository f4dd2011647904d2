/** Tries a connection on this host: its frames through the programs at work, and the entries they depend on. Disturbs nothing. */
import type { Arrival, Datapath, Fate, Trial, TrialOutcome } from '@contiv/datapath';
import { frames } from '@contiv/datapath';
import {
  contains4,
  type EndpointState,
  type Ipv4,
  type Ipv6,
  type Mac,
  type NetworkState,
  networkKey,
  parseIpv4,
  parseIpv6,
  parseMac,
  parsePrefix4,
  type TrialAnswer,
  type TrialQuestion,
  type TrialRun,
} from '@contiv/model';
import type { Cluster } from '../cluster.js';
import type { Dataplane } from '../dataplane.js';
import { groupNumber } from '../policy.js';
import { vniOf } from '../segment.js';
import type { EndpointRecord, LocalState } from '../state/records.js';

export interface TrialParts {
  readonly datapath: Datapath;
  readonly dataplane: Dataplane;
  readonly cluster: Cluster;
  readonly state: LocalState;
}

/** Of every gateway on every host. */
const ROUTER_MAC = '00:00:11:11:11:11' as Mac;
const NOBODY = '00:00:00:00:00:00' as Mac;
const MAX_DIFFERENCES = 200;

export async function tryPath(parts: TrialParts, question: TrialQuestion): Promise<TrialAnswer> {
  const { mirror } = parts.cluster;
  const network = mirror.networks.get(networkKey(question.tenant, question.network));
  if (!network) return { runs: [], differs: [], fault: `network ${question.network} of tenant ${question.tenant} is not known here` };
  const differs = (await parts.dataplane.audit(concernOf(parts, question, network))).slice(0, MAX_DIFFERENCES).map((s) => s.slice(0, 512));
  const local = parts.state.endpoints.values().filter((e) => e.stage === 'ready' && e.ref.tenant === question.tenant);
  const own = local.find((e) => e.ref.network === question.network && (e.ip === question.ip || e.ip6 === question.ip));
  if (!own) return { runs: [], differs, fault: `no container with ${question.ip} is attached on this host` };
  let trial: Trial | undefined;
  try {
    trial = parts.datapath.trial();
    return { runs: question.role === 'caller' ? call(parts, trial, question, network, own) : answer(trial, question, own), differs };
  } catch (error) {
    return { runs: [], differs, fault: error instanceof Error ? error.message : String(error) };
  } finally {
    trial?.close();
  }
}

/** Who has the address, the connection's first packet, and what comes back to it. */
function call(parts: TrialParts, trial: Trial, question: TrialQuestion, network: NetworkState, own: EndpointRecord): TrialRun[] {
  const runs: TrialRun[] = [];
  const from: Arrival = { by: 'container', port: own.port };
  const ends = { src: parse(question.ip), dst: parse(question.peer) };
  const hop = nextHop(network, question.peer);
  let mac = macOf(parts, question, network, hop);
  const mine = parseMac(own.mac) ?? NOBODY;
  const [v4, hop4] = [parseIpv4(question.ip), hop === undefined ? undefined : parseIpv4(hop)];
  if (v4 !== undefined && hop4 !== undefined) {
    const asked = frames.arp({ operation: 1, senderMac: mine, senderIp: v4, targetMac: NOBODY, targetIp: hop4 });
    const outcome = trial.run(from, frames.ethernet({ src: mine, dst: frames.BROADCAST }, frames.ETHERTYPE.arp, asked));
    runs.push(runOf('question', outcome));
    if (outcome.reason !== undefined) return runs;
    if (outcome.fate.to === 'sender') mac = frames.arpAnswer(outcome.frame) ?? mac;
  }
  const first = trial.run(from, frames.opening({ src: mine, dst: mac }, ends, question.protocol, question.port));
  runs.push(runOf('packet', first));
  const { fate } = first;
  if (fate.to === 'container') {
    // Both ends are here.
    runs.push(runOf('reply', trial.run({ by: 'container', port: fate.port }, frames.replyTo(first.frame))));
  } else if (question.arrival) {
    runs.push(runOf('reply', trial.run(arrivalOf(question.arrival), Buffer.from(question.arrival.frame, 'base64'))));
  }
  return runs;
}

/** What the other host sent, and the answer to it. */
function answer(trial: Trial, { arrival }: TrialQuestion, own: EndpointRecord): TrialRun[] {
  if (!arrival) return [];
  const arrived = trial.run(arrivalOf(arrival), Buffer.from(arrival.frame, 'base64'));
  const runs = [runOf('arrival', arrived)];
  if (arrived.fate.to === 'container' && arrived.fate.port === own.port)
    runs.push(runOf('reply', trial.run({ by: 'container', port: own.port }, frames.replyTo(arrived.frame))));
  return runs;
}

function arrivalOf(arrival: NonNullable<TrialQuestion['arrival']>): Arrival {
  if (arrival.by === 'uplink') return { by: 'uplink', vlan: arrival.vlan };
  return { by: 'tunnel', vni: arrival.vni, vtep: parse(arrival.vtep) };
}

function runOf(what: TrialRun['what'], { fate, reason, frame, decided }: TrialOutcome): TrialRun {
  return {
    what,
    to: fate.to,
    ...(reason === undefined ? {} : { reason }),
    ...wayOf(fate),
    ...(decided ? { rule: decided.rule, denied: decided.denied } : {}),
    ...(fate.to === 'tunnel' || fate.to === 'uplink' ? { frame: frame.toString('base64') } : {}),
  };
}

function wayOf(fate: Fate): Pick<TrialRun, 'vni' | 'vtep' | 'vlan'> {
  if (fate.to === 'tunnel') return { vni: fate.vni, vtep: fate.vtep };
  return fate.to === 'uplink' ? { vlan: fate.vlan } : {};
}

function parse(text: string): Ipv4 | Ipv6 {
  const ip = parseIpv4(text) ?? parseIpv6(text);
  if (ip === undefined) throw new Error(`${text} is not an address`);
  return ip;
}

/** Whom the container asks for by ARP: the address itself, or its network's gateway. */
function nextHop(network: NetworkState, peer: string): string | undefined {
  const subnet = parsePrefix4(`${network.subnet.address}/${network.subnet.length}`);
  if (parseIpv4(peer) === undefined) return undefined;
  return subnet && contains4(subnet, peer) ? peer : network.gateway;
}

/** What the container would have learned where no question is answered. */
function macOf({ cluster }: TrialParts, { tenant, network, peer }: TrialQuestion, { gateway, gateway6 }: NetworkState, hop = peer): Mac {
  if (hop === gateway || hop === gateway6) return ROUTER_MAC;
  const known = endpointWith(cluster.mirror.endpoints.values(), tenant, network, peer);
  return (known && parseMac(known.mac)) ?? ROUTER_MAC;
}

const endpointWith = (all: Iterable<EndpointState>, tenant: string, network: string, ip: string): EndpointState | undefined =>
  [...all].find((e) => e.tenant === tenant && e.network === network && (e.ip === ip || e.ip6 === ip));

function concernOf({ cluster }: TrialParts, question: TrialQuestion, network: NetworkState) {
  const { mirror } = cluster;
  const { tenant, ip, peer } = question;
  const other = question.peerNetwork === undefined ? undefined : mirror.networks.get(networkKey(tenant, question.peerNetwork));
  const networks = [...new Set([network, ...(other ? [other] : [])])];
  const ends = networks.flatMap((n) =>
    [ip, peer].flatMap((address) => endpointWith(mirror.endpoints.values(), tenant, n.network, address) ?? []),
  );
  const vteps = ends.flatMap(({ host }) => mirror.hosts.get(host)?.vtepIp ?? []).map(parse);
  const groups = ends.flatMap((e) => {
    const home = networks.find((n) => n.network === e.network);
    return home ? [groupNumber(mirror.groups, e.tenant, e.group, vniOf(home))] : [];
  });
  const gateways = networks.flatMap((n) => [n.gateway, n.gateway6].flatMap((g) => g ?? []));
  return { networks: networks.map(vniOf), addresses: [ip, peer, ...gateways].map(parse), groups, vteps };
}
