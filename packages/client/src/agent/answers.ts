/** The agent's end of netmaster's questions: asks whoever knows, and posts what comes, piece by piece, as fast as the master takes it. */
import {
  type AnswerChunk,
  type AnswerPost,
  type AnswerReceipt,
  answerReceipt,
  isQuestionKind,
  type QuestionBody,
  type QuestionKind,
  questions,
} from '@contiv/model';
import { MasterPool } from './masters.js';

/** Who answers: one function per kind of question. It ends when the answer is complete, and has to end soon after the signal. */
export type Answerers = {
  readonly [K in QuestionKind]: (body: QuestionBody<K>, signal: AbortSignal) => AsyncIterable<AnswerChunk<K>>;
};

/** A line of the stream. */
export interface AskedQuestion {
  readonly id: string;
  readonly kind: string;
  readonly body: unknown;
}

/** Questions answered at once; what comes on top is told to come back. */
const MAX_OPEN = 32;
/** Pieces are collected so long, or to so many characters. */
const COLLECT_MS = 50;
const MAX_POST = 256 * 1024;
const MAX_PIECES = 2_048;
const POST_DEADLINE_MS = 30_000;

export class AnswerDesk {
  readonly #host: string;
  readonly #answerers: Answerers;
  readonly #open = new Map<string, AbortController>();

  constructor(host: string, answerers: Answerers) {
    this.#host = host;
    this.#answerers = answerers;
  }

  get open(): number {
    return this.#open.size;
  }

  /** @param url the master that asks; @param session aborted when its stream ends. */
  take(question: AskedQuestion, url: string, session: AbortSignal): void {
    const stop = new AbortController();
    if (this.#open.has(question.id)) return;
    const end = () => stop.abort();
    session.addEventListener('abort', end, { once: true });
    if (session.aborted) return;
    const full = this.#open.size >= MAX_OPEN;
    this.#open.set(question.id, stop);
    const pool = new MasterPool([url]);
    const pieces = full ? fail('the agent is answering too many questions already') : this.#pieces(question, stop.signal);
    this.#answer(question.id, pool, pieces, stop)
      // The master went away: it has noticed by itself.
      .catch(() => undefined)
      .finally(() => {
        stop.abort();
        session.removeEventListener('abort', end);
        this.#open.delete(question.id);
        pool.close();
      });
  }

  withdraw(id: string): void {
    this.#open.get(id)?.abort();
  }

  #pieces({ kind, body }: AskedQuestion, signal: AbortSignal): AsyncIterable<unknown> {
    if (!isQuestionKind(kind))
      return fail(`the agent does not know questions of kind ${kind.slice(0, 32)}; install the master's version there`);
    return this.#known(kind, body, signal);
  }

  #known<K extends QuestionKind>(kind: K, body: unknown, signal: AbortSignal): AsyncIterable<unknown> {
    const parsed = questions[kind].body.safeParse(body);
    if (!parsed.success) return fail(`the question is not understood: ${parsed.error.issues[0]?.message ?? 'unknown'}`);
    return this.#answerers[kind](parsed.data as QuestionBody<K>, signal);
  }

  async #answer(id: string, pool: MasterPool, pieces: AsyncIterable<unknown>, stop: AbortController): Promise<void> {
    const { signal } = stop;
    const send = async (content: Omit<AnswerPost, 'host'>): Promise<AnswerReceipt> => {
      const body = { host: this.#host, ...content };
      const receipt = answerReceipt.safeParse(
        await pool.request({ method: 'POST', path: `/agent/v1/answers/${id}`, body, deadlineMs: POST_DEADLINE_MS, once: true }),
      );
      return receipt.success ? receipt.data : { open: false };
    };
    const post = async (content: Omit<AnswerPost, 'host'>): Promise<boolean> => {
      let open = false;
      try {
        let receipt = await send(content);
        // However slowly somebody reads: what comes meanwhile waits here.
        while (receipt.open && receipt.full && !content.end && !signal.aborted) receipt = await send({ chunks: [], end: false });
        ({ open } = receipt);
      } finally {
        // Whoever answers may be waiting for something to tell, perhaps for ever.
        if (!open) stop.abort();
      }
      return open;
    };
    try {
      for await (const chunks of collected(pieces, signal)) {
        if (signal.aborted || !(await post({ chunks, end: false }))) return;
      }
      if (!signal.aborted) await post({ chunks: [], end: true });
    } catch (error) {
      if (signal.aborted) return;
      await post({ chunks: [], end: true, error: (error instanceof Error ? error.message : String(error)).slice(0, 2_000) });
    }
  }
}

function fail(sentence: string): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error(sentence)) }) };
}

/** Pieces in groups: what comes within a moment travels together. */
async function* collected(pieces: AsyncIterable<unknown>, signal: AbortSignal): AsyncGenerator<unknown[], void, undefined> {
  const iterator = pieces[Symbol.asyncIterator]();
  let group: unknown[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  let due: Promise<'due'> | undefined;
  const take = () => {
    clearTimeout(timer);
    const full = group;
    group = [];
    size = 0;
    due = undefined;
    return full;
  };
  try {
    let next = iterator.next();
    while (!signal.aborted) {
      let first: 'due' | IteratorResult<unknown>;
      try {
        first = await (due ? Promise.race([next, due]) : next);
      } catch (error) {
        if (group.length > 0) yield take();
        throw error;
      }
      if (first === 'due') {
        yield take();
        continue;
      }
      if (first.done) break;
      group.push(first.value);
      size += JSON.stringify(first.value).length;
      due ??= new Promise((resolve) => {
        timer = setTimeout(() => resolve('due'), COLLECT_MS);
      });
      if (size >= MAX_POST || group.length >= MAX_PIECES) yield take();
      next = iterator.next();
    }
    if (group.length > 0) yield take();
  } finally {
    clearTimeout(timer);
    await iterator.return?.();
  }
}
