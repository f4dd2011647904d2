import { z } from 'zod';
import { link, linkSet } from './links.js';
import { listOfAddresses, listOfNames, listOfPorts } from './lists.js';
import { name, postedKey, protocol, whole, word } from './primitives.js';

/** What a client posts to `policys/{tenantName:policyName}`. */
export const policyInput = z.object({
  key: postedKey,
  /** Applies to all containers of the tenant, and comes before the policies of groups. */
  admin: z.boolean({ error: 'admin must be true or false' }).prefault(false),
  policyName: name('policyName'),
  tenantName: name('tenantName'),
});
export type PolicyInput = z.infer<typeof policyInput>;

/** A policy as `GET` answers it: a named set of rules. */
export const policyObject = z.object({
  key: z.string(),
  admin: z.boolean().optional(),
  policyName: z.string(),
  tenantName: z.string(),
  'link-sets': z.object({ EndpointGroups: linkSet.optional(), Rules: linkSet.optional() }),
  links: z.object({ Tenant: link }),
});
export type Policy = z.infer<typeof policyObject>;

/** What a client posts to `rules/{tenantName:policyName:ruleId}`. Groups, networks and addresses may be lists: `app,ops`. */
export const ruleInput = z.object({
  key: postedKey,
  action: word('action', ['allow', 'deny'], false),
  direction: word('direction', ['in', 'out'], false),
  /** Last port of a range that begins with `port`. */
  endPort: whole('endPort', 0, 65_535),
  fromEndpointGroup: listOfNames('fromEndpointGroup'),
  fromIpAddress: listOfAddresses('fromIpAddress'),
  fromNetwork: listOfNames('fromNetwork'),
  /** Connections it decides are always recorded, and written to the log of the agent. */
  log: z.boolean({ error: 'log must be true or false' }).prefault(false),
  policyName: name('policyName'),
  port: whole('port', 0, 65_535),
  /** Several ports and ranges: `80,443,8000-8099`. `port` and `endPort` are the first of them then, or left out. */
  ports: listOfPorts('ports'),
  /** 1–100, the higher one wins; 0 is 1. */
  priority: whole('priority', 0, 100),
  protocol: protocol('protocol'),
  ruleId: name('ruleId'),
  tenantName: name('tenantName'),
  toEndpointGroup: listOfNames('toEndpointGroup'),
  toIpAddress: listOfAddresses('toIpAddress'),
  toNetwork: listOfNames('toNetwork'),
});
export type RuleInput = z.infer<typeof ruleInput>;

/** A rule as `GET` answers it. */
export const ruleObject = z.object({
  key: z.string(),
  action: z.string(),
  direction: z.string(),
  endPort: z.number().optional(),
  fromEndpointGroup: z.string().optional(),
  fromIpAddress: z.string().optional(),
  fromNetwork: z.string().optional(),
  log: z.boolean().optional(),
  policyName: z.string(),
  port: z.number().optional(),
  ports: z.string().optional(),
  priority: z.number().optional(),
  protocol: z.string().optional(),
  ruleId: z.string(),
  tenantName: z.string(),
  toEndpointGroup: z.string().optional(),
  toIpAddress: z.string().optional(),
  toNetwork: z.string().optional(),
  /** `MatchEndpointGroups` where there are several. */
  'link-sets': z.object({ MatchEndpointGroups: linkSet.optional(), Policies: linkSet.optional() }),
  links: z.object({ MatchEndpointGroup: link }),
});
export type Rule = z.infer<typeof ruleObject>;
