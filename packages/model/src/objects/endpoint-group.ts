import { z } from 'zod';
import { link, linkSet } from './links.js';
import { addressPool, freeText, name, nameList, optionalName, postedKey } from './primitives.js';

/** What a client posts to `endpointGroups/{tenantName:groupName}`. */
export const endpointGroupInput = z.object({
  key: postedKey,
  cfgdTag: optionalName('cfgdTag', 128),
  extContractsGrps: nameList('extContractsGrps'),
  groupName: name('groupName'),
  /** `a` or `a-b`: the group's own part of its network's addresses. */
  ipPool: addressPool('ipPool'),
  netProfile: freeText('netProfile', 64),
  networkName: name('networkName'),
  policies: nameList('policies'),
  tenantName: name('tenantName'),
});
export type EndpointGroupInput = z.infer<typeof endpointGroupInput>;

/** An endpoint group as `GET` answers it. */
export const endpointGroupObject = z.object({
  key: z.string(),
  cfgdTag: z.string().optional(),
  extContractsGrps: z.array(z.string()).optional(),
  groupName: z.string(),
  ipPool: z.string().optional(),
  netProfile: z.string().optional(),
  networkName: z.string(),
  policies: z.array(z.string()).optional(),
  tenantName: z.string(),
  'link-sets': z.object({ ExtContractsGrps: linkSet.optional(), MatchRules: linkSet.optional(), Policies: linkSet.optional() }),
  links: z.object({ AppProfile: link, NetProfile: link, Network: link, Tenant: link }),
});
export type EndpointGroup = z.infer<typeof endpointGroupObject>;
