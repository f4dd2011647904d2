import { CompactedError, StoreClosedError, type WatchBatch } from '../store.js';
import type { EtcdConnection } from './connection.js';
import { type Codec, interval, revisionOf } from './convert.js';
import { api, type WatchResponse } from './proto.js';

const MAX_PAUSE_MS = 1000;

/**
 * A watch that outlives its stream: after any failure it goes on, at whichever endpoint answers, from the revision after
 * the last one delivered. `signal` ends it, `closing` ends it with `StoreClosedError`.
 */
export async function* watchPrefix(
  connection: EtcdConnection,
  codec: Codec,
  prefix: string,
  fromRevision: number,
  signal: AbortSignal,
  closing: AbortSignal,
): AsyncGenerator<WatchBatch> {
  const ended = AbortSignal.any([signal, closing]);
  let next = fromRevision;
  let failures = 0;
  while (!ended.aborted) {
    let failed: ((error: unknown) => void) | undefined;
    let cancel: (() => void) | undefined;
    try {
      const opened = await connection.open(api.watch);
      failed = opened.failed;
      const { stream } = opened;
      cancel = () => stream.cancel();
      // After a cancel nobody reads the error any more, but an error without a listener would end the process.
      stream.on('error', () => undefined);
      ended.addEventListener('abort', cancel, { once: true });
      if (ended.aborted) break;
      // One revision early: etcd then says "compacted" also for the compacted revision itself, whose deletions are gone.
      const start = String(Math.max(1, next - 1));
      stream.write({ create_request: { ...interval(codec.key(prefix)), start_revision: start, progress_notify: true, prev_kv: true } });
      for await (const response of stream as AsyncIterable<WatchResponse>) {
        failures = 0;
        if (response.canceled) {
          if (response.compact_revision !== '0') throw new CompactedError(revisionOf(response.compact_revision));
          throw new Error(response.cancel_reason);
        }
        if (response.created) continue;
        const revision = revisionOf(response.header.revision);
        const fresh = response.events.filter((event) => revisionOf(event.kv.mod_revision) >= next);
        const last = response.events.at(-1);
        // A response while catching up may carry a later header than its events.
        const reached = last === undefined ? revision : revisionOf(last.kv.mod_revision);
        if (reached < next) continue;
        next = reached + 1;
        yield { revision: revisionOf(String(reached)), events: fresh.map((event) => codec.event(event)) };
      }
    } catch (error) {
      if (error instanceof CompactedError || error instanceof StoreClosedError) throw error;
      if (!ended.aborted) failed?.(error);
    } finally {
      if (cancel !== undefined) {
        ended.removeEventListener('abort', cancel);
        cancel();
      }
    }
    if (!ended.aborted) await pause(failures++, ended);
  }
  if (!signal.aborted) throw new StoreClosedError('the store is closed');
}

async function pause(failures: number, ended: AbortSignal): Promise<void> {
  const ms = Math.min(MAX_PAUSE_MS, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      ended.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    ended.addEventListener('abort', done, { once: true });
  });
}
