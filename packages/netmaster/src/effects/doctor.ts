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
  const askedAt = Date.now();
  await Promise.all(
    hosts.map(async ({ place: { first: host } }) => {
      const body = { peers: peers.filter((peer) => peer.host !== host) };
      for await (const answer of questions.ask('checkup', body, { hosts: [host], deadlineMs: LIMIT_MS, signal })) {
        if ('chunk' in answer) answers.set(host, { checkup: answer.chunk, askedAt, answeredAt: Date.now() });
        else if (!answers.has(host)) answers.set(host, { fault: answer.error ?? 'it said nothing' });
      }
    }),
  );
  return diagnose(state, answers, self);
}
