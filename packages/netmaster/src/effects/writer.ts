/**
 * Group commit: requests that wait are planned one after the other on the mirror, each seeing the ones before it, and
 * written in one transaction. When the store says that something the plans rest on has changed, all are planned anew.
 * A plan that is too big for one transaction is made alone (`big-change.ts`).
 */
import { randomUUID } from 'node:crypto';
import { Refusal } from '@contiv/model';
import { backoffMs, sleep } from '@contiv/observe';
import { type Store, StoreRequestError, StoreUnavailableError } from '@contiv/store';
import { audited, type Cause } from '../core/history.js';
import { spelledOut } from '../core/intent/together.js';
import { type Plan, toCompare, toOp, type Write } from '../core/plan.js';
import type { Entry } from '../core/records.js';
import type { State } from '../core/state.js';
import { abandon, begin, carryOut, decide, NOBODY } from './big-change.js';
import type { Mirror } from './mirror.js';

/** etcd takes 128 operations and 128 comparisons by default, … */
const MAX_OPS = 120;
/** … and the store 1.4 million bytes at once. */
const MAX_BYTES = 1_300_000;
/** Longest a request waits before it is told to come again. */
const DEADLINE_MS = 3_000;

export interface SubmitOptions {
  readonly cause?: Cause;
  /** Milliseconds until the request is told to come again. */
  readonly deadlineMs?: number;
}

interface Request {
  readonly plan: (state: State) => Plan<unknown>;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (reason: unknown) => void;
  readonly deadline: number;
  /** Times an answer that changes nothing was checked against a newer revision. */
  checks: number;
  /** The store refused it together with others: whose fault that was shows when each is written by itself. */
  alone: boolean;
}

type Outcome = { readonly request: Request; readonly reply: unknown } | { readonly request: Request; readonly refusal: unknown };

interface Batch {
  readonly expects: Map<string, number>;
  readonly writes: Map<string, Write>;
  readonly cleared: string[];
  readonly written: Outcome[];
  /** Replies and refusals that write nothing: valid only if the mirror was current. */
  readonly readings: Outcome[];
  /** The plan, where it is too big for one transaction. */
  readonly big: Plan<unknown> | undefined;
}

export interface WriterFigures {
  commits: number;
  conflicts: number;
  requests: number;
}

export class Writer {
  readonly #store: Store;
  readonly #mirror: Mirror;
  readonly #owner: string;
  #queue: Request[] = [];
  #running: Promise<void> | undefined;
  #closed = false;
  readonly figures: WriterFigures = { commits: 0, conflicts: 0, requests: 0 };

  /** `owner`: this master's id, by which others know whether it is still there. */
  constructor(store: Store, mirror: Mirror, owner: string) {
    this.#store = store;
    this.#owner = owner;
    this.#mirror = mirror;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves to the plan's reply when it is written and readable here; rejects with its refusal. With a cause it is in the history too. */
  submit<T>(plan: (state: State) => Plan<T>, { cause, deadlineMs = DEADLINE_MS }: SubmitOptions = {}): Promise<T> {
    if (this.#closed) return Promise.reject(new Refusal('unavailable', 'netmaster is stopping; ask another one or again in a moment'));
    this.figures.requests++;
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({
        plan: cause ? (state) => audited(state, plan(state), cause) : plan,
        resolve: (reply) => resolve(reply as T),
        reject,
        deadline: performance.now() + deadlineMs,
        checks: 0,
        alone: false,
      });
      this.#running ??= this.#run();
    });
  }

  async stop(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Let requests of the same turn gather.
    await Promise.resolve();
    let attempt = 0;
    while (this.#queue.length > 0) {
      this.#dropLate();
      if (!this.#mirror.healthy && !this.#closed) {
        await sleep(50);
        continue;
      }
      const revision = this.#mirror.revision;
      const batch = this.#gather();
      const outcomes = [...batch.written, ...batch.readings];
      try {
        const [only] = batch.written;
        const conflict = batch.big && only ? await this.#commitBig(only.request, batch.big, revision) : await this.#commit(batch, revision);
        if (conflict) {
          this.#queue.unshift(...outcomes.map((o) => o.request));
          await this.#mirror.waitFor(revision + 1, 100);
          await sleep(backoffMs(attempt++, { baseMs: 2, maxMs: 60 }));
        } else {
          attempt = 0;
          if (batch.big) this.#queue.push(...batch.readings.map((o) => o.request));
        }
      } catch (error) {
        if (error instanceof StoreRequestError) this.#refused(batch, error);
        else {
          if (error instanceof StoreUnavailableError) this.#mirror.failed(error);
          for (const { request } of outcomes) request.reject(error instanceof StoreUnavailableError ? unknownOutcome(error) : error);
        }
      }
    }
    this.#running = undefined;
  }

  /** What no store would take concerns the one who asked for it, and nobody who came at the same time. */
  #refused({ written, readings }: Batch, error: StoreRequestError): void {
    const again = readings.map(({ request }) => request);
    if (written.length > 1) {
      for (const { request } of written) request.alone = true;
      again.unshift(...written.map(({ request }) => request));
    } else for (const { request } of written) request.reject(new Refusal('invalid', `this cannot be stored: ${error.message}`));
    this.#queue.unshift(...again);
  }

  #dropLate(): void {
    const now = performance.now();
    const late = this.#queue.filter((r) => r.deadline <= now || (this.#closed && !this.#mirror.healthy));
    if (late.length === 0) return;
    this.#queue = this.#queue.filter((r) => !late.includes(r));
    const reason = this.#mirror.healthy
      ? new Refusal('unavailable', 'too many changes at once; nothing was changed, ask again')
      : storeDown(this.#mirror.lastError);
    for (const request of late) request.reject(reason);
  }

  /** Plans as many requests as fit into one transaction, then takes everything back. */
  #gather(): Batch {
    const { state } = this.#mirror;
    const batch: Omit<Batch, 'big'> = { expects: new Map(), writes: new Map(), cleared: [], written: [], readings: [] };
    let big: Plan<unknown> | undefined;
    const undo: [string, Entry | undefined][] = [];
    let taken = 0;
    let bytes = 0;
    for (const request of this.#queue) {
      let plan: Plan<unknown>;
      try {
        plan = request.plan(state);
        this.#refuseUnreadable(plan);
      } catch (refusal) {
        batch.readings.push({ request, refusal });
        taken++;
        continue;
      }
      if (plan.writes.size === 0) batch.readings.push({ request, reply: plan.reply });
      else {
        const size = bytesOf(plan);
        const large = plan.writes.size > MAX_OPS || plan.expects.size > MAX_OPS || size > MAX_BYTES;
        const alone = plan.cleared.length > 0 || large || request.alone;
        const full =
          batch.expects.size + plan.expects.size > MAX_OPS || batch.writes.size + plan.writes.size > MAX_OPS || bytes + size > MAX_BYTES;
        if (batch.written.length > 0 && (alone || full)) break;
        bytes += size;
        if (!large) this.#add(batch, plan, undo);
        batch.written.push({ request, reply: plan.reply });
        if (alone) {
          if (large) big = plan;
          taken++;
          break;
        }
      }
      taken++;
    }
    for (const [key, before] of undo.toReversed()) state.set(key, before);
    this.#queue = this.#queue.slice(taken);
    return { ...batch, big };
  }

  /** To who plans, such a record is not there; the store knows better, and would refuse again and again. */
  #refuseUnreadable({ expects }: Plan<unknown>): void {
    const key = [...this.#mirror.malformed].find((malformed) => expects.has(malformed));
    if (key !== undefined)
      throw new Refusal('conflict', `the store's record ${key} cannot be read`, 'delete it or restore it from a backup');
  }

  #add(batch: Omit<Batch, 'big'>, plan: Plan<unknown>, undo: [string, Entry | undefined][]): void {
    for (const [key, revision] of plan.expects) {
      // What this batch wrote itself was compared when it was first seen.
      if (!batch.writes.has(key) && !batch.expects.has(key)) batch.expects.set(key, revision);
    }
    for (const [key, write] of plan.writes) {
      undo.push([key, this.#mirror.state.set(key, write.entry)]);
      batch.writes.set(key, write);
    }
    batch.cleared.push(...plan.cleared);
  }

  /** True when the plans must be made anew. */
  async #commit(batch: Batch, revision: number): Promise<boolean> {
    const compares = [...[...batch.expects].map(toCompare), NOBODY];
    const ops = [...[...batch.writes.values()].map(toOp), ...batch.cleared.map((deletePrefix) => ({ deletePrefix }))];
    const result = await this.#store.txn(compares, ops);
    this.#mirror.answered();
    if (!result.succeeded) {
      this.figures.conflicts++;
      return true;
    }
    await this.#mirror.waitFor(result.revision, 1_000);
    if (ops.length > 0) this.figures.commits++;
    for (const outcome of batch.written) settle(outcome);
    const current = result.revision === (ops.length > 0 ? revision + 1 : revision);
    for (const outcome of batch.readings) {
      if (current || outcome.request.checks++ >= 3) settle(outcome);
      else this.#queue.push(outcome.request);
    }
    return false;
  }

  async #commitBig(request: Request, planned: Plan<unknown>, revision: number): Promise<boolean> {
    const id = randomUUID();
    try {
      return await this.#makeBig(id, request, planned, revision);
    } catch (error) {
      // This master lives, but nobody works on the change any more.
      this.#mirror.disown(id);
      throw error;
    }
  }

  /**
   * True when another big change is under way. Nobody else writes from its beginning on; what came in between makes the plan anew, so what
   * is planned is what is written.
   */
  async #makeBig(id: string, request: Request, planned: Plan<unknown>, revision: number): Promise<boolean> {
    const begun = await begin(this.#store, id, this.#owner);
    this.#mirror.answered();
    if (!begun) {
      this.figures.conflicts++;
      return true;
    }
    let plan = planned;
    try {
      if (!(await this.#mirror.waitFor(begun.revision, 10_000))) throw storeDown('its changes do not arrive here');
      if (begun.revision !== revision + 1) plan = request.plan(this.#mirror.state);
    } catch (refusal) {
      await abandon(this.#store, begun);
      settle({ request, refusal });
      return false;
    }
    const writes = [...spelledOut(this.#mirror.state, plan).writes.values()].map(({ key, entry }) => ({ key, value: entry?.text }));
    const decided = await decide(this.#store, begun, writes).catch(async (error: unknown) => {
      if (error instanceof StoreRequestError) await abandon(this.#store, begun);
      throw error;
    });
    const seen = await carryOut(this.#store, decided, writes);
    await this.#mirror.waitFor(seen ?? decided.revision + 1, 30_000);
    this.figures.commits++;
    settle({ request, reply: plan.reply });
    return false;
  }
}

function bytesOf(plan: Plan<unknown>): number {
  let bytes = 0;
  for (const { key, entry } of plan.writes.values()) bytes += key.length + (entry === undefined ? 0 : Buffer.byteLength(entry.text));
  return bytes;
}

function settle(outcome: Outcome): void {
  if ('refusal' in outcome) outcome.request.reject(outcome.refusal);
  else outcome.request.resolve(outcome.reply);
}

export const storeDown = (reason: string): Refusal =>
  new Refusal('unavailable', `the store cannot be reached (${reason}); nothing was changed, it is tried again by itself`);

const unknownOutcome = (error: Error): Refusal =>
  new Refusal('unavailable', `the store did not confirm the change (${error.message}); look whether it was made and ask again`);
