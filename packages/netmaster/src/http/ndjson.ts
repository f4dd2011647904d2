/** Answers that come line by line, one JSON value each, as fast as the reader takes them. */
import type { FastifyReply } from 'fastify';

/** An empty line is sent after so long without another one: who reads knows that we are there, and we learn whether he is. */
const KEEP_ALIVE_MS = 5_000;

/** Sends what `lines` gives until it ends or the reader goes; then the signal it was given is aborted. What fails before the first value is refused as usual. */
export async function sendLines(reply: FastifyReply, lines: (signal: AbortSignal) => AsyncIterable<unknown>): Promise<void> {
  const gone = new AbortController();
  const response = reply.raw;
  response.once('close', () => gone.abort());
  const iterator = lines(gone.signal)[Symbol.asyncIterator]();
  let next = iterator.next();
  // Refusals come before anything is waited for.
  await Promise.race([next, new Promise<void>((resolve) => setImmediate(resolve))]);
  reply.hijack();
  response.on('error', () => gone.abort());
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  response.flushHeaders();
  const beat = setInterval(() => {
    if (response.writableLength === 0) response.write('\n');
  }, KEEP_ALIVE_MS);
  try {
    for (;;) {
      const { done, value } = await next;
      if (done || gone.signal.aborted) break;
      if (!response.write(`${JSON.stringify(value)}\n`)) await drained(response, gone.signal);
      next = iterator.next();
    }
    response.end();
  } catch {
    // The status is out already; a connection that breaks says it.
    response.destroy();
  } finally {
    clearInterval(beat);
    gone.abort();
    await iterator.return?.();
  }
}

function drained(response: FastifyReply['raw'], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
