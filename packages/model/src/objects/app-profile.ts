import { z } from 'zod';
import { link, linkSet } from './links.js';
import { name, nameList, postedKey } from './primitives.js';

/** What a client posts to `appProfiles/{tenantName:appProfileName}`. */
export const appProfileInput = z.object({
  key: postedKey,
  appProfileName: name('appProfileName'),
  /** Names of groups of the tenant. */
  endpointGroups: nameList('endpointGroups'),
  tenantName: name('tenantName'),
});
export type AppProfileInput = z.infer<typeof appProfileInput>;

/** An application profile as `GET` answers it: groups that belong together. */
export const appProfileObject = z.object({
  key: z.string(),
  appProfileName: z.string(),
  endpointGroups: z.array(z.string()).optional(),
  tenantName: z.string(),
  'link-sets': z.object({ EndpointGroups: linkSet.optional() }),
  links: z.object({ Tenant: link }),
});
export type AppProfile = z.infer<typeof appProfileObject>;
