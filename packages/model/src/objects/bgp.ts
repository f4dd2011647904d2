import { z } from 'zod';
import { freeText, matching, name, optionalIp4, postedKey, ROUTER_IP } from './primitives.js';

/** What a client posts to `Bgps/{hostname}`. */
export const bgpInput = z.object({
  key: postedKey,
  as: freeText('as', 64),
  /** Label of the host that speaks BGP. */
  hostname: name('hostname', 256),
  neighbor: optionalIp4('neighbor'),
  'neighbor-as': freeText('neighbor-as', 64),
  /** `50.1.1.1/24` */
  routerip: matching('routerip', ROUTER_IP, 64, 'an address with its length, such as 50.1.1.1/24'),
});
export type BgpInput = z.infer<typeof bgpInput>;

/** BGP settings of a host as `GET` answers them. */
export const bgpObject = z.object({
  key: z.string(),
  as: z.string().optional(),
  hostname: z.string(),
  neighbor: z.string().optional(),
  'neighbor-as': z.string().optional(),
  routerip: z.string(),
});
export type Bgp = z.infer<typeof bgpObject>;
