/** The stored intent beside what the programs at work make of the packet: one path, and where they differ. Pure. */
import type { StageName, TraceDifference, TraceStage, TrialAnswer, TrialRun } from './answer.js';
import { STAGES } from './answer.js';
import type { Intent, IntentStage } from './evaluate.js';

/** What a host's agent found, or why it was not asked. */
export type Finding = { readonly host: string } & ({ readonly answer: TrialAnswer } | { readonly fault: string });

export interface Findings {
  /** The caller's host: the first packet, and the answer where it came back. */
  readonly caller: Finding | undefined;
  readonly called: Finding | undefined;
}

/** Which stage drops for a reason, at the caller's host. */
const STAGE_OF: Readonly<Record<string, StageName>> = {
  'unknown-port': 'source',
  'spoofed-mac': 'source',
  'spoofed-ip': 'source',
  'spoofed-arp': 'source',
  'spoofed-nd': 'source',
  'unknown-target': 'address',
  unsolicited: 'address',
  policy: 'policy',
  tunnel: 'tunnel',
  'no-uplink': 'tunnel',
  'too-big': 'mtu',
};
const ON_ARRIVAL: Readonly<Record<string, StageName>> = { policy: 'policy' };

interface Live {
  readonly host: string;
  readonly ok: boolean;
  readonly says?: string;
}

const dropText = (host: string, { reason }: TrialRun): string => `the tables of ${host} drop it: ${reason ?? 'left aside'}`;

/** What the runs say of each stage that they reached. */
function liveStages(intent: Intent, { caller, called }: Findings): Map<StageName, Live> {
  const live = new Map<StageName, Live>();
  const { way } = intent;
  const runs = caller && 'answer' in caller ? caller.answer.runs : [];
  const host = caller?.host ?? '';
  const pass = (...stages: readonly StageName[]) => {
    for (const stage of stages) if (!live.has(stage)) live.set(stage, { host, ok: true });
  };
  const fail = (stage: StageName, at: string, says: string) => void live.set(stage, { host: at, ok: false, says });
  const question = runs.find(({ what }) => what === 'question');
  // Left aside without a reason: in a network that floods the question itself travels.
  if (question?.reason !== undefined) {
    fail(STAGE_OF[question.reason ?? ''] ?? 'address', host, dropText(host, question));
    return live;
  }
  if (question) pass('address');
  const packet = runs.find(({ what }) => what === 'packet');
  if (!packet) return live;
  if (packet.reason !== undefined || packet.to === 'nowhere') {
    const stage = STAGE_OF[packet.reason ?? ''] ?? 'route';
    pass(...STAGES.slice(0, STAGES.indexOf(stage)));
    fail(stage, host, dropText(host, packet));
    return live;
  }
  pass('source', 'address');
  const expected = { local: 'container', tunnel: 'tunnel', uplink: 'uplink', outside: 'outside', gateway: 'sender', itself: 'nowhere' }[
    way?.by ?? 'local'
  ];
  const astray = packet.to !== expected || (way?.by === 'tunnel' && packet.vtep !== way.vtep);
  if (way && astray) {
    fail('route', host, `the tables of ${host} send it ${goesText(packet)}`);
    return live;
  }
  // What the intent stops is gone on with only to see whether the tables stop it, too.
  pass('route', 'policy', 'tunnel', 'mtu');
  if (way?.by === 'local') pass('entry');
  const arrival = called && 'answer' in called ? called.answer.runs.find(({ what }) => what === 'arrival') : undefined;
  if (called && arrival) {
    if (arrival.to !== 'container') {
      fail(ON_ARRIVAL[arrival.reason ?? ''] ?? 'entry', called.host, dropText(called.host, arrival));
      return live;
    }
    live.set('entry', { host: called.host, ok: true });
  }
  const back = called && 'answer' in called ? called.answer.runs.find(({ what }) => what === 'reply') : undefined;
  if (called && back && (back.to === 'nowhere' || back.reason !== undefined)) {
    fail('answer', called.host, dropText(called.host, back));
    return live;
  }
  const home = runs.find(({ what }) => what === 'reply');
  if (!home) return live;
  if (home.to === 'container') pass('answer');
  else fail('answer', host, dropText(host, home));
  return live;
}

function goesText({ to, vtep, vlan }: TrialRun): string {
  if (to === 'tunnel') return `through the tunnel to ${vtep ?? 'nobody'}`;
  if (to === 'uplink') return `out on VLAN ${vlan ?? 0}`;
  if (to === 'outside') return 'out of the tenant';
  if (to === 'sender') return 'back to its sender';
  return to === 'container' ? 'to a container of this host' : `to the ${to}`;
}

export interface Combined {
  readonly reachable: boolean;
  readonly stages: readonly TraceStage[];
  readonly differences: readonly TraceDifference[];
  readonly unasked: readonly { readonly host: string; readonly reason: string }[];
}

export const repairCommand = (host: string): string => `netctl host repair ${host}`;

export function combine(intent: Intent, findings: Findings): Combined {
  const live = liveStages(intent, findings);
  const stages: TraceStage[] = [];
  const mends = new Set<string>();
  for (const stage of intent.stages) {
    const found = live.get(stage.stage);
    stages.push(merge(stage, found));
    if (found && found.ok !== stage.ok) mends.add(found.ok ? stage.host : found.host);
    if (!stage.ok || found?.ok === false) break;
  }
  const both = [findings.caller, findings.called].filter((f) => f !== undefined);
  const differences = both.flatMap((f): TraceDifference[] => {
    const entries = 'answer' in f ? f.answer.differs : [];
    return entries.length > 0 || mends.has(f.host) ? [{ host: f.host, entries: [...entries], command: repairCommand(f.host) }] : [];
  });
  const unasked = both.flatMap((f) => {
    const reason = 'answer' in f ? f.answer.fault : f.fault;
    return reason === undefined ? [] : [{ host: f.host, reason }];
  });
  return { reachable: stages.every(({ ok }) => ok), stages, differences: unique(differences), unasked };
}

function merge(stage: IntentStage, found: Live | undefined): TraceStage {
  const { ok, host, ...rest } = stage;
  const base = { ...rest, intent: ok };
  if (!found) return { ...base, host, ok };
  const agrees = found.ok === ok;
  const liveSays = agrees ? {} : { liveSays: found.says ?? `the tables of ${found.host} let it pass` };
  return { ...base, host: agrees || found.ok ? host : found.host, ok: ok && found.ok, live: found.ok, ...liveSays };
}

/** Both ends may be on one host. */
function unique(differences: readonly TraceDifference[]): TraceDifference[] {
  const byHost = new Map<string, TraceDifference>();
  for (const d of differences) byHost.set(d.host, { ...d, entries: [...new Set([...(byHost.get(d.host)?.entries ?? []), ...d.entries])] });
  return [...byHost.values()];
}
