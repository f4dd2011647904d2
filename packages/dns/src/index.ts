export type { Question } from './message.js';
export { createDnsServer, type DnsServer, type DnsServerOptions, type Resolve } from './server.js';
