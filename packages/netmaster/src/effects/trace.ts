/** A trace: worked out from the stored intent, tried on the hosts concerned, and one laid beside the other. */
import {
  combine,
  type EndpointState,
  evaluate,
  type Finding,
  type Findings,
  nameOfEndpoint,
  parseIpv4,
  parseTraceService,
  Refusal,
  resolve,
  type TraceAnswer,
  type TraceCase,
  type TracePath,
  type TraceQuery,
  type TraceSide,
  type TraceView,
  type TrialAnswer,
  type TrialQuestion,
  type TrialRun,
} from '@contiv/model';
import type { State } from '../core/state.js';
import { servicesOf, viewOf } from '../core/view.js';
import { askOne } from './ask-agent.js';
import type { Questions } from './questions.js';

/** Of a group or service so many containers are traced to. */
const MAX_PATHS = 16;

/** Throws `Refusal` when the query names nothing, or too much. */
export async function trace(state: State, questions: Questions, query: TraceQuery): Promise<TraceAnswer> {
  const view = viewOf(state);
  const { pairs } = resolve(view, query.from, query.to, query, servicesOf(state));
  const paths = await Promise.all(
    pairs.slice(0, MAX_PATHS).map(({ from, to }) => {
      const v6 = parseIpv4(to.ip) === undefined;
      const fromIp = v6 ? from.ip6 : from.ip;
      if (fromIp === undefined) throw new Refusal('invalid', `${nameOfEndpoint(from)} has no IPv6 address, and ${to.ip} is one`);
      const service = parseTraceService(query.service, v6);
      if (!service) throw new Refusal('invalid', `"${query.service}" is no service; give tcp/PORT, udp/PORT or icmp`);
      return tracePath(view, questions, { from, fromIp, to: to.endpoint, toIp: to.ip, ...service }, query.service);
    }),
  );
  const notes = pairs.length > MAX_PATHS ? [`${pairs.length - MAX_PATHS} more containers are not traced; name one of them`] : [];
  return { reachable: paths.every(({ reachable }) => reachable), paths, notes };
}

async function tracePath(view: TraceView, questions: Questions, q: TraceCase, service: string): Promise<TracePath> {
  const intent = evaluate(view, q);
  // An address of another tenant means somebody else, or nobody, to the caller's host, which hears nothing of what a container tells itself.
  const silent = intent.way?.by === 'itself' || (q.to && q.to.tenant !== q.from.tenant);
  const findings = silent ? { caller: undefined, called: undefined } : await findingsOf(view, questions, q);
  const { stages, differences, unasked, reachable } = combine(intent, findings);
  return {
    from: sideOf(q.from, q.fromIp),
    to: q.to ? sideOf(q.to, q.toIp) : { name: '', ip: q.toIp, tenant: '', network: '', group: '', host: '' },
    service,
    reachable,
    stages: [...stages],
    differences: [...differences],
    unasked: [...unasked],
  };
}

const sideOf = (e: EndpointState, ip: string): TraceSide => ({
  name: nameOfEndpoint(e),
  ip,
  tenant: e.tenant,
  network: e.network,
  group: e.group ?? '',
  host: e.host,
});

/** The first packet from the caller's host, from there into the called one's, and its answer back. */
async function findingsOf(view: TraceView, questions: Questions, q: TraceCase): Promise<Findings> {
  const { from, to } = q;
  const caller = await find(questions, from.host, questionOf(q, 'caller'));
  if (!to || to.host === from.host || 'fault' in caller) return { caller, called: undefined };
  const packet = runOf(caller.answer, 'packet');
  const arrival = packet && arrivalOf(packet, view.hosts.get(from.host)?.vtepIp);
  // What does not get there leaves the other host's entries worth a look all the same.
  const called = await find(questions, to.host, { ...questionOf(q, 'called'), ...(arrival ? { arrival } : {}) });
  if ('fault' in called) return { caller, called };
  const reply = runOf(called.answer, 'reply');
  const back = reply && arrivalOf(reply, view.hosts.get(to.host)?.vtepIp);
  if (!back) return { caller, called };
  return { caller: await find(questions, from.host, { ...questionOf(q, 'caller'), arrival: back }), called };
}

const runOf = ({ runs }: TrialAnswer, what: TrialRun['what']): TrialRun | undefined => runs.find((run) => run.what === what);

/** As it arrives at the other host, from the VTEP of the one that sent it. */
function arrivalOf({ to, frame, vni, vlan }: TrialRun, vtep: string | undefined): TrialQuestion['arrival'] {
  if (frame === undefined) return undefined;
  if (to === 'uplink' && vlan !== undefined) return { by: 'uplink', vlan, frame };
  return to === 'tunnel' && vni !== undefined && vtep !== undefined ? { by: 'tunnel', vni, vtep, frame } : undefined;
}

function questionOf({ from, fromIp, to, toIp, protocol, port }: TraceCase, role: TrialQuestion['role']): TrialQuestion {
  const service = { protocol, port, role };
  if (role === 'caller' || !to)
    return { tenant: from.tenant, network: from.network, ip: fromIp, peer: toIp, ...(to ? { peerNetwork: to.network } : {}), ...service };
  return { tenant: to.tenant, network: to.network, ip: toIp, peer: fromIp, peerNetwork: from.network, ...service };
}

async function find(
  questions: Questions,
  host: string,
  question: TrialQuestion,
): Promise<Finding & ({ answer: TrialAnswer } | { fault: string })> {
  try {
    return { host, answer: await askOne(questions, host, 'trial', question) };
  } catch (error) {
    return { host, fault: error instanceof Error ? error.message : String(error) };
  }
}
