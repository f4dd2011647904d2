import { z } from 'zod';
import { badFormat, postedKey, privateSubnet, word } from './primitives.js';

const range = (field: string, digits: number) => {
  const pattern = new RegExp(`^[0-9]{1,${digits}}-[0-9]{1,${digits}}$`);
  return z
    .string({ error: `${field} must be a string` })
    .refine((v) => v === '' || pattern.test(v), badFormat(field, 'first-last, such as 100-199'))
    .prefault('');
};

/** Contiv's. Docker gives it away to networks of its own, so a host that uses it otherwise takes another one while this stands. */
export const DEFAULT_PRIVATE_SUBNET = '172.19.0.0/16';

/** What a client posts to `globals/global`; an empty or absent member leaves the setting as it is. */
export const globalInput = z.object({
  key: postedKey,
  arpMode: word('arpMode', ['proxy', 'flood'], true),
  fwdMode: word('fwdMode', ['bridge', 'routing'], true),
  name: word('name', ['global'], false),
  networkInfraType: word('networkInfraType', ['aci', 'aci-opflex', 'default'], true),
  pvtSubnet: privateSubnet('pvtSubnet'),
  vlans: range('vlans', 4),
  vxlans: range('vxlans', 8),
});
export type GlobalInput = z.infer<typeof globalInput>;

/** The settings as `GET` answers them. */
export const globalObject = z.object({
  key: z.string(),
  arpMode: z.string().optional(),
  fwdMode: z.string().optional(),
  name: z.string(),
  networkInfraType: z.string().optional(),
  pvtSubnet: z.string().optional(),
  vlans: z.string().optional(),
  vxlans: z.string().optional(),
});
export type Global = z.infer<typeof globalObject>;
