/**
 * Questions to agents, wherever they are connected: down the stream of those that are here, through the other masters for the rest. The
 * answers come back in pieces, mixed as they arrive; agents wait while the asker reads slowly.
 */
import { randomBytes } from 'node:crypto';
import {
  type AnswerChunk,
  type AnswerPost,
  type AnswerReceipt,
  type ForwardedQuestion,
  hostAnswer,
  MAX_ANSWER_POST,
  type QuestionBody,
  type QuestionKind,
  questions,
  Refusal,
} from '@contiv/model';
import { Channel } from './channel.js';
import type { Hub } from './hub.js';
import type { Mirror } from './mirror.js';

/** Answers awaited at once for every host there is, however many questions they are to: who follows asks hosts anew, one by one, as they come. */
const MAX_AWAITED = 64;
const MAX_QUEUED = 1_024;
/** A piece, and whose it is. */
const MAX_LINE = MAX_ANSWER_POST + 1_024;
/** A master that passes answers on sends something every 5 s; after this it hangs. */
const SILENCE_MS = 15_000;
/** An agent that waits for room hears so often that somebody is there. */
const RECEIPT_MS = 2_000;

/** What comes back: pieces, and once per host its end, with a sentence if something is missing. */
export type HostAnswer<K extends QuestionKind> =
  | { readonly host: string; readonly chunk: AnswerChunk<K> }
  | { readonly host: string; readonly end: true; readonly error?: string };

export interface AskOptions {
  /** Those to ask; all hosts of the cluster when absent. */
  readonly hosts?: readonly string[];
  /** Milliseconds after which a host that has not finished is given up; absent: never (followed until `signal`). */
  readonly deadlineMs?: number;
  readonly signal: AbortSignal;
  /** Only agents whose stream is here: for questions that came from another master. */
  readonly local?: boolean;
}

interface Open {
  readonly waiting: Map<string, () => void>;
  readonly accept: (host: string, post: AnswerPost) => Promise<boolean>;
}

export class Questions {
  readonly #hub: Hub;
  readonly #mirror: Mirror;
  readonly #self: string;
  readonly #open = new Map<string, Open>();
  #awaited = 0;

  /** @param self this master's id. */
  constructor(hub: Hub, mirror: Mirror, self: string) {
    this.#hub = hub;
    this.#mirror = mirror;
    this.#self = self;
  }

  get open(): number {
    return this.#open.size;
  }

  async *ask<K extends QuestionKind>(kind: K, body: QuestionBody<K>, options: AskOptions): AsyncGenerator<HostAnswer<K>, void, undefined> {
    const all = [...this.#mirror.state.all('host')].map((h) => h.place.first).toSorted();
    const hosts = options.hosts ?? all;
    if (this.#awaited + hosts.length > MAX_AWAITED * Math.max(1, all.length))
      throw new Refusal('unavailable', 'netmaster is asking agents too many questions already; try again in a moment');
    const id = randomBytes(16).toString('hex');
    const channel = new Channel<HostAnswer<K>>(MAX_QUEUED);
    const over = new AbortController();
    const waiting = new Map<string, () => void>();
    const finish = (host: string, error?: string) => {
      const forget = waiting.get(host);
      if (!forget) return;
      forget();
      waiting.delete(host);
      this.#awaited--;
      void channel.push([error === undefined ? { host, end: true } : { host, end: true, error }]);
      if (waiting.size === 0) channel.close();
    };
    const shape = questions[kind].chunk;
    const take = async (host: string, post: AnswerPost): Promise<boolean> => {
      const good: HostAnswer<K>[] = [];
      let error = post.error;
      for (const piece of post.chunks) {
        const parsed = shape.safeParse(piece);
        if (parsed.success) good.push({ host, chunk: parsed.data as AnswerChunk<K> });
        else error ??= `its answer is not understood: ${parsed.error.issues[0]?.message ?? 'unknown'}`;
      }
      const room = (post.end && good.length === 0) || (await channel.push(good));
      if (post.end || error !== undefined) finish(host, error);
      return room && waiting.has(host);
    };
    this.#open.set(id, { waiting, accept: take });
    for (const host of hosts) waiting.set(host, () => undefined);
    this.#awaited += waiting.size;
    if (hosts.length === 0) channel.close();
    const elsewhere = new Map<string, string[]>();
    for (const host of hosts) {
      const line = { type: 'question', rev: this.#mirror.revision, id, kind, body } as const;
      const forget = this.#hub.tell(host, line, () => finish(host, 'its agent went away'));
      if (forget) {
        waiting.set(host, forget);
        continue;
      }
      const address = options.local ? undefined : this.#masterOf(host);
      if (address === undefined) finish(host, 'its agent is not connected');
      else elsewhere.set(address, [...(elsewhere.get(address) ?? []), host]);
    }
    for (const [address, those] of elsewhere)
      void this.#forward(address, { kind, body, hosts: those, deadlineMs: options.deadlineMs }, over.signal, take);
    const late = () => {
      for (const host of waiting.keys())
        finish(host, `its agent did not finish within ${Math.round((options.deadlineMs ?? 0) / 100) / 10} s`);
    };
    const timer = options.deadlineMs === undefined ? undefined : setTimeout(late, options.deadlineMs);
    const leave = () => channel.close();
    options.signal.addEventListener('abort', leave, { once: true });
    if (options.signal.aborted) leave();
    try {
      yield* channel.read();
    } finally {
      clearTimeout(timer);
      channel.close();
      over.abort();
      options.signal.removeEventListener('abort', leave);
      this.#open.delete(id);
      this.#awaited -= waiting.size;
      for (const [host, forget] of waiting) {
        forget();
        this.#hub.tell(host, { type: 'withdraw', rev: this.#mirror.revision, id }, () => undefined)?.();
      }
      waiting.clear();
    }
  }

  /** Pieces of an answer. Resolves when more may be sent, or as full: an agent whose post stays without an answer for long gives all of it up. */
  async accept(id: string, post: AnswerPost): Promise<AnswerReceipt> {
    const open = this.#open.get(id);
    if (!open?.waiting.has(post.host)) return { open: false };
    let timer: NodeJS.Timeout | undefined;
    const full = new Promise<AnswerReceipt>((resolve) => {
      timer = setTimeout(() => resolve({ open: true, full: true }), RECEIPT_MS);
    });
    const taken = open.accept(post.host, post).then((more): AnswerReceipt => ({ open: more }));
    return Promise.race([taken, full]).finally(() => clearTimeout(timer));
  }

  /** Where the host's agent is connected, unless that is here. */
  #masterOf(host: string): string | undefined {
    const { state } = this.#mirror;
    const alive = [...state.all('alive')].find((a) => a.place.first === host);
    if (!alive || alive.record.master === this.#self) return undefined;
    return [...state.all('master')].find((m) => m.record.id === alive.record.master)?.record.address;
  }

  async #forward(
    address: string,
    question: ForwardedQuestion,
    signal: AbortSignal,
    take: (host: string, post: AnswerPost) => Promise<boolean>,
  ): Promise<void> {
    let fault = 'the netmaster it is connected to ended the answer';
    const silence = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(new Error(`it has said nothing for ${SILENCE_MS / 1_000} s`)), SILENCE_MS);
    };
    heard();
    try {
      const headers = { 'content-type': 'application/json', accept: 'application/x-ndjson' };
      const response = await fetch(`http://${address}/agent/v1/questions`, {
        method: 'POST',
        headers,
        body: JSON.stringify(question),
        redirect: 'error',
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (response.status !== 200 || !response.body) throw new Error(`it answers ${response.status}`);
      for await (const text of linesOf(response.body, heard)) {
        // How long the asker takes is not the master's silence.
        clearTimeout(timer);
        const answer = hostAnswer.parse(JSON.parse(text));
        const post = 'end' in answer ? { chunks: [], end: true, error: answer.error } : { chunks: [answer.chunk], end: false };
        if (question.hosts.includes(answer.host)) await take(answer.host, { host: answer.host, ...post });
        heard();
      }
    } catch (error) {
      if (signal.aborted) return;
      fault = `netmaster at ${address}, where it is connected, does not pass the question on (${error instanceof Error ? error.message : String(error)})`;
    } finally {
      clearTimeout(timer);
    }
    for (const host of question.hosts) await take(host, { host, chunks: [], end: true, error: fault });
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>, heard: () => void): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    heard();
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > MAX_LINE) throw new Error('a line of its answer is too long');
    for (const part of parts) if (part !== '') yield part;
  }
}
