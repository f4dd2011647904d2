/** Asks all agents how they are, and makes one page of it. */
import type { DoctorAnswer } from '@contiv/model';
import { type Answered, diagnose, type Self } from '../core/doctor.js';
import type { State } from '../core/state.js';
import type { Questions } from './questions.js';

/** Three echo requests take two seconds; a busy host more. */
const LIMIT_MS = 12_000;

export async function examine(state: State, questions: Questions, self: Self, signal: AbortSignal): Promise<DoctorAnswer> {
  const hosts = [...state.all('host')].filter((host) => state.alive(host.place.first));
  const peers = hosts.map(({ place, record }) => ({ host: place.first, vtepIp: record.vtepIp, mtu: record.mtu }));
  const answers = new Map<string, Answered>();
  const names = peers.map(({ host }) => host);
  const askedAt = Date.now();
  // One question for all of them: as many as there are hosts would be more than are asked at once.
  for await (const answer of questions.ask('checkup', { peers }, { hosts: names, deadlineMs: LIMIT_MS, signal })) {
    const { host } = answer;
    if ('chunk' in answer) {
      const checkup = { ...answer.chunk, peers: answer.chunk.peers.filter((peer) => peer.host !== host) };
      answers.set(host, { checkup, askedAt, answeredAt: Date.now() });
    } else if (!answers.has(host)) answers.set(host, { fault: answer.error ?? 'it said nothing' });
  }
  return diagnose(state, answers, self);
}
