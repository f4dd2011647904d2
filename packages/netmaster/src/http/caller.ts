/** Who asks, as far as it can be told: where from and with what. */
import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Cause } from '../core/history.js';

const MAX_CLIENT = 120;
/** Requests so far: those of one millisecond stay in their order. */
let count = 0;

export function causeOf(request: FastifyRequest, source?: string): Cause {
  const client = (request.headers['user-agent'] ?? '').slice(0, MAX_CLIENT).replaceAll(/\p{Cc}/gu, '?');
  const id = `${(count++).toString(16).padStart(8, '0')}${randomBytes(4).toString('hex')}`;
  return { from: request.ip, client, ...(source === undefined ? {} : { source }), at: new Date(), id };
}
