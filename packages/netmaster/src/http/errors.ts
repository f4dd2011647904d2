/** Refusals as clients expect them (spec/contiv §1.1): the old ones a 500 and a sentence, ours RFC 9457. */
import { type Problem, Refusal } from '@contiv/model';
import type { Logger } from '@contiv/observe';
import { StoreUnavailableError } from '@contiv/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { storeDown } from '../effects/writer.js';

const TITLES: Readonly<Record<string, string>> = {
  invalid: 'The request is not valid',
  denied: 'Not allowed',
  'not-found': 'No such object',
  conflict: 'In conflict with what is there',
  'in-use': 'Still in use',
  exhausted: 'Nothing left to give',
  'too-large': 'The request is too large',
  unavailable: 'Not possible at the moment',
  internal: 'Internal error',
};

/** Characters of a sentence that repeats what was sent. */
const MOST = 500;

/** The refusal an error stands for; `undefined` for a fault of our own. */
export function refusalOf(error: unknown, bodyLimit?: number): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreUnavailableError) return storeDown(error.message);
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  const message = error instanceof Error ? error.message : 'malformed request';
  const status = error.statusCode;
  if (status === 413)
    return new Refusal(
      'too-large',
      'the request body is too large',
      bodyLimit === undefined ? '' : `at most ${bodyLimit} bytes are taken here`,
    );
  return typeof status === 'number' && status >= 400 && status < 500 ? new Refusal('invalid', message.slice(0, MOST)) : undefined;
}

export async function sendError(logger: Logger, request: FastifyRequest, reply: FastifyReply, error: unknown): Promise<void> {
  const refusal = refusalOf(error, request.routeOptions.bodyLimit);
  if (!refusal) logger.error({ err: error, method: request.method, url: request.url.slice(0, 200) }, 'request failed');
  const message = refusal?.message ?? 'internal error; netmaster wrote the cause to its log';
  const code = refusal?.code ?? 'internal';
  const lines = refusal?.hint ? `${message}\n${refusal.hint}` : message;
  if (!acceptsProblem(request)) {
    await reply.code(500).type('text/plain; charset=utf-8').send(`${lines}\n`);
    return;
  }
  const status = refusal?.status ?? 500;
  const problem: Problem = { type: 'about:blank', title: TITLES[code] ?? code, status, code, detail: lines };
  await reply.code(status).type('application/problem+json').send(JSON.stringify(problem));
}

const acceptsProblem = (request: FastifyRequest): boolean => (request.headers.accept ?? '').includes('application/problem+json');
