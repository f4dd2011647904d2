/** netmaster's REST API for people's programs: typed objects, typed refusals, several masters. */
export * from './rest/client.js';
export * from './rest/errors.js';
export { type HttpAnswer, parseUrls, Transport, type TransportOptions } from './rest/transport.js';
