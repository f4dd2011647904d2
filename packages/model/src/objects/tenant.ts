import { z } from 'zod';
import { linkSet } from './links.js';
import { name, optionalName, postedKey, word } from './primitives.js';

/** What a client posts to `tenants/{tenantName}`. */
export const tenantInput = z.object({
  key: postedKey,
  defaultNetwork: optionalName('defaultNetwork'),
  /** What becomes of connections that no rule matches; empty leaves it as it is, and at first they are allowed. */
  posture: word('posture', ['allow', 'deny'], true),
  tenantName: name('tenantName'),
});
export type TenantInput = z.infer<typeof tenantInput>;

/** A tenant as `GET` answers it: members with a zero value are absent. */
export const tenantObject = z.object({
  key: z.string(),
  defaultNetwork: z.string().optional(),
  /** `deny`, or absent. */
  posture: z.string().optional(),
  tenantName: z.string(),
  'link-sets': z.object({
    AppProfiles: linkSet.optional(),
    EndpointGroups: linkSet.optional(),
    NetProfiles: linkSet.optional(),
    Networks: linkSet.optional(),
    Policies: linkSet.optional(),
    Servicelbs: linkSet.optional(),
  }),
});
export type Tenant = z.infer<typeof tenantObject>;
