import { z } from 'zod';
import { matching, name, postedKey, word } from './primitives.js';

const PATH = 'topology/pod-[0-9]+/paths-[0-9]+/pathep-\\[eth[0-9]+/[0-9]+\\]';
const NODE = 'topology/pod-[0-9]+/node-[0-9]+';
const list = (item: string) => new RegExp(`^(${item}(,${item})*)?$`);

/** What a client posts to `aciGws/aciGw`. */
export const aciGwInput = z.object({
  key: postedKey,
  enforcePolicies: word('enforcePolicies', ['yes', 'no'], false),
  includeCommonTenant: word('includeCommonTenant', ['yes', 'no'], false),
  name: word('name', ['aciGw'], false),
  nodeBindings: matching('nodeBindings', list(NODE), 2048, 'topology/pod-1/node-101, several with commas between'),
  pathBindings: matching('pathBindings', list(PATH), 2048, 'topology/pod-1/paths-101/pathep-[eth1/1], several with commas between'),
  physicalDomain: name('physicalDomain', 128),
});
export type AciGwInput = z.infer<typeof aciGwInput>;

/** Settings of the gateway to an ACI fabric as `GET` answers them. */
export const aciGwObject = z.object({
  key: z.string(),
  enforcePolicies: z.string(),
  includeCommonTenant: z.string(),
  name: z.string(),
  nodeBindings: z.string().optional(),
  pathBindings: z.string().optional(),
  physicalDomain: z.string(),
});
export type AciGw = z.infer<typeof aciGwObject>;
