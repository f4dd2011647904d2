/**
 * What netmaster asks of agents while they run, and how they answer.
 *
 * The question goes down the agent's stream (`{"type":"question",…}`), the answer comes in pieces by `POST /agent/v1/answers/ID`: no agent
 * listens on an address of its own for it. `{"type":"withdraw"}` ends an answer nobody waits for any more.
 *
 * A new kind of question: its shapes below, its answer in `packages/netplugin/src/questions.ts`, and whoever asks says
 * `context.questions.ask(kind, body, …)` (`packages/netmaster/src/effects/questions.ts`).
 */
import { z } from 'zod';
import { checkup, checkupQuestion, hostRepair } from '../objects/doctor.js';
import { trialAnswer, trialQuestion } from '../trace/answer.js';
import { flowChunk, flowQuestion } from './flow.js';

/** Does the host's engine have a network's Docker network; and when that is not as wanted, why. */
export const dockerPresence = z.object({ present: z.boolean(), reason: z.string().max(2_000) });
export type DockerPresence = z.infer<typeof dockerPresence>;

/** Kinds of questions: what is asked with, and what one piece of the answer is (any number of pieces, each small enough for a post). */
export const questions = {
  /** What the data path added to the host's packet filter, line by line. One piece. */
  rules: { body: z.object({}), chunk: z.object({ rules: z.array(z.string().max(4_096)).max(65_536) }) },
  /** A connection tried with the programs at work. One piece. */
  trial: { body: trialQuestion, chunk: trialAnswer },
  /** How the host is, and its way to the others. One piece. */
  checkup: { body: checkupQuestion, chunk: checkup },
  /** Compares the tables with the intent now, and repairs them. One piece. */
  repair: { body: z.object({}), chunk: hostRepair },
  /** The Docker network of a network of ours, answered as soon as it is there (or gone, where it is not wanted), or after `waitMs`. One piece. */
  docker: {
    body: z.object({
      tenant: z.string().min(1).max(64),
      network: z.string().min(1).max(64),
      wanted: z.boolean(),
      waitMs: z.number().int().min(0).max(5_000),
    }),
    chunk: dockerPresence,
  },
  /** Connections that the host recorded, and those that go on. */
  flows: { body: flowQuestion, chunk: flowChunk },
} as const;
export type QuestionKind = keyof typeof questions;
export type QuestionBody<K extends QuestionKind> = z.output<(typeof questions)[K]['body']>;
export type AnswerChunk<K extends QuestionKind> = z.output<(typeof questions)[K]['chunk']>;

export const isQuestionKind = (text: string): text is QuestionKind => Object.hasOwn(questions, text);

/** Random, and known to the asking master and the asked agents only: who can name it may answer it. */
export const questionId = z.string().regex(/^[0-9a-f]{32}$/);

const sentence = z.string().max(2_000);

/** `POST /agent/v1/answers/ID`: the next pieces of one host's answer. */
export const answerPost = z.object({
  host: z.string().min(1).max(253),
  chunks: z.array(z.unknown()).max(4_096),
  /** Nothing follows. */
  end: z.boolean(),
  /** Why the answer is not complete. */
  error: sentence.optional(),
});
export type AnswerPost = z.infer<typeof answerPost>;
/**
 * Answered once there is room for more, or after a while with `full`: the asker reads slowly, and an empty post waits on. `open` is false when
 * nobody waits for the answer.
 */
export const answerReceipt = z.object({ open: z.boolean(), full: z.boolean().optional() });
export type AnswerReceipt = z.infer<typeof answerReceipt>;
/** A piece comes in one post, so none is longer. */
export const MAX_ANSWER_POST = 1024 * 1024;

/** `POST /agent/v1/questions`: one master asks another one for the agents that are connected there. */
export const forwardedQuestion = z.object({
  kind: z.string().max(32),
  body: z.unknown(),
  hosts: z.array(z.string().min(1).max(253)).max(4_096),
  /** Milliseconds; absent: until the asker goes. */
  deadlineMs: z.number().int().min(1).max(600_000).optional(),
});
export type ForwardedQuestion = z.infer<typeof forwardedQuestion>;

/** A line of its answer. Empty lines keep the connection. */
export const hostAnswer = z.union([
  z.object({ host: z.string().max(253), end: z.literal(true), error: sentence.optional() }),
  z.object({ host: z.string().max(253), chunk: z.unknown() }),
]);
