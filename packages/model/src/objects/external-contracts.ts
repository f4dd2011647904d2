import { z } from 'zod';
import { linkSet } from './links.js';
import { freeText, name, nameList, postedKey } from './primitives.js';

/** What a client posts to `extContractsGroups/{tenantName:contractsGroupName}`. */
export const extContractsGroupInput = z.object({
  key: postedKey,
  /** Distinguished names of an ACI fabric, `uni/tn-common/brc-default`. */
  contracts: nameList('contracts'),
  contractsGroupName: name('contractsGroupName'),
  contractsType: freeText('contractsType', 64),
  tenantName: name('tenantName'),
});
export type ExtContractsGroupInput = z.infer<typeof extContractsGroupInput>;

/** A group of contracts of an ACI fabric as `GET` answers it. */
export const extContractsGroupObject = z.object({
  key: z.string(),
  contracts: z.array(z.string()).optional(),
  contractsGroupName: z.string(),
  contractsType: z.string(),
  tenantName: z.string(),
  'link-sets': z.object({ EndpointGroups: linkSet.optional() }),
});
export type ExtContractsGroup = z.infer<typeof extContractsGroupObject>;
