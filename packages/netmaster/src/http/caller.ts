/** Who asks, as far as it can be told: where from and with what. */
import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Cause } from '../core/history.js';

const MAX_CLIENT = 120;

export function causeOf(request: FastifyRequest, source?: string): Cause {
  const client = (request.headers['user-agent'] ?? '').slice(0, MAX_CLIENT).replaceAll(/\p{Cc}/gu, '?');
  return { from: request.ip, client, ...(source === undefined ? {} : { source }), at: new Date(), id: randomBytes(4).toString('hex') };
}
