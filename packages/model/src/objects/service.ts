import { z } from 'zod';
import { link } from './links.js';
import { name, nameList, optionalIp4, postedKey } from './primitives.js';

/** What a client posts to `serviceLBs/{tenantName:serviceName}`. */
export const serviceInput = z.object({
  key: postedKey,
  /** The address the service would like to have. */
  ipAddress: optionalIp4('ipAddress'),
  networkName: name('networkName'),
  /** `port:targetPort:protocol` */
  ports: nameList('ports'),
  /** `label=value` of the containers that provide it. */
  selectors: nameList('selectors'),
  serviceName: name('serviceName', 256),
  tenantName: name('tenantName'),
});
export type ServiceInput = z.infer<typeof serviceInput>;

/** A service as `GET` answers it. */
export const serviceObject = z.object({
  key: z.string(),
  ipAddress: z.string().optional(),
  networkName: z.string(),
  ports: z.array(z.string()).optional(),
  selectors: z.array(z.string()).optional(),
  serviceName: z.string(),
  tenantName: z.string(),
  links: z.object({ Network: link, Tenant: link }),
});
export type Service = z.infer<typeof serviceObject>;

/** A port of a service. */
export interface ServicePort {
  readonly port: number;
  readonly target: number;
  readonly protocol: 'TCP' | 'UDP';
}

/** `80:8080:TCP`, the protocol in any case; `undefined` when malformed. */
export function parseServicePort(text: string): ServicePort | undefined {
  const [port = '', target = '', protocol = '', ...more] = text.split(':');
  const number = (digits: string) => (/^[1-9][0-9]{0,4}$/.test(digits) && Number(digits) <= 65_535 ? Number(digits) : undefined);
  const [from, to, word] = [number(port), number(target), protocol.toUpperCase()];
  if (from === undefined || to === undefined || more.length > 0 || (word !== 'TCP' && word !== 'UDP')) return undefined;
  return { port: from, target: to, protocol: word };
}
