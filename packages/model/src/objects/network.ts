import { z } from 'zod';
import { link, linkSet } from './links.js';
import {
  freeText,
  name,
  optionalHost,
  optionalIp4,
  optionalIp6,
  optionalName,
  optionalSubnet6,
  postedKey,
  subnet4,
  whole,
  word,
} from './primitives.js';

/** Highest VNI (RFC 7348 §4: 24 bits). */
export const MAX_VNI = 16_777_215;
/** Highest VLAN id that carries frames (IEEE 802.1Q: 4095 is reserved). */
export const MAX_VLAN = 4094;

/** What a client posts to `networks/{tenantName:networkName}`. */
export const networkInput = z.object({
  key: postedKey,
  cfgdTag: optionalName('cfgdTag', 128),
  /** Docker network's name on the engine of `origin`. Set by an agent for `docker network create -d netplugin`. */
  dockerName: freeText('dockerName', 200),
  encap: word('encap', ['vlan', 'vxlan'], false),
  /** The engine of `origin` hands out addresses with an IPAM of its own; others allocate from the top down. */
  foreignIpam: z.boolean({ error: 'foreignIpam must be true or false' }).prefault(false),
  gateway: optionalIp4('gateway'),
  ipv6Gateway: optionalIp6('ipv6Gateway'),
  ipv6Subnet: optionalSubnet6('ipv6Subnet'),
  networkName: name('networkName'),
  nwType: word('nwType', ['infra', 'data'], true),
  /** Host on whose engine the network was made. */
  origin: optionalHost('origin'),
  /** VLAN id or VNI; 0 chooses the lowest free one. */
  pktTag: whole('pktTag', 0, MAX_VNI),
  subnet: subnet4('subnet'),
  tenantName: name('tenantName'),
});
export type NetworkInput = z.infer<typeof networkInput>;

/** A network as `GET` answers it. `pktTag` is the *requested* tag; the allocated one is in the inspection. */
export const networkObject = z.object({
  key: z.string(),
  cfgdTag: z.string().optional(),
  dockerName: z.string().optional(),
  encap: z.string(),
  foreignIpam: z.boolean().optional(),
  gateway: z.string().optional(),
  ipv6Gateway: z.string().optional(),
  ipv6Subnet: z.string().optional(),
  networkName: z.string(),
  nwType: z.string().optional(),
  origin: z.string().optional(),
  pktTag: z.number().optional(),
  subnet: z.string(),
  tenantName: z.string(),
  'link-sets': z.object({ EndpointGroups: linkSet.optional(), Servicelbs: linkSet.optional() }),
  links: z.object({ Tenant: link }),
});
export type Network = z.infer<typeof networkObject>;
