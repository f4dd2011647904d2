/** Questions to one host's agent whose answer is a single piece. */
import { type AnswerChunk, type QuestionBody, type QuestionKind, Refusal } from '@contiv/model';
import type { Questions } from './questions.js';

const LIMIT_MS = 5_000;

export async function askOne<K extends QuestionKind>(
  questions: Questions,
  host: string,
  kind: K,
  body: QuestionBody<K>,
  limitMs: number = LIMIT_MS,
): Promise<AnswerChunk<K>> {
  const signal = AbortSignal.timeout(2 * limitMs);
  let reason = 'it said nothing';
  for await (const answer of questions.ask(kind, body, { hosts: [host], deadlineMs: limitMs, signal })) {
    if ('chunk' in answer) return answer.chunk;
    reason = answer.error ?? reason;
  }
  throw new Refusal('unavailable', `the agent of host ${host} gives no answer (${reason}); is netplugin running there?`);
}
