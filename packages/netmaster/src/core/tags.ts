/** Tag ranges of the global settings and the texts of their refusals (spec/contiv §6.4). */
import { MAX_VLAN, MAX_VNI, Refusal, toRanges } from '@contiv/model';

export interface TagRange {
  readonly min: number;
  readonly max: number;
}

/** Parses `min-max` of `vlans` or `vxlans`. VLAN 4095 may be written, as in Contiv, and is never handed out. */
export function tagRange(encap: 'vlan' | 'vxlan', text: string): TagRange {
  const [a = '', b = ''] = text.split('-');
  const min = Number(a);
  const max = Number(b);
  if (min > max) throw new Refusal('invalid', `invalid range ${text}, min is greater than max`);
  if (min < 1) throw new Refusal('invalid', `invalid range ${text}, values less than 1`);
  if (encap === 'vlan' && max > 4095) throw new Refusal('invalid', `invalid range ${text}, vlan values exceed 4095 max allowed`);
  if (encap === 'vxlan' && max > MAX_VNI) throw new Refusal('invalid', `invalid range ${text}, vxlan values exceed ${MAX_VNI} max allowed`);
  return { min, max: encap === 'vlan' ? Math.min(max, MAX_VLAN) : max };
}

/** `1-3, 10` */
export const tagText = (tags: Iterable<number>): string =>
  toRanges([...tags].toSorted((x, y) => x - y))
    .map((r) => (r.first === r.last ? String(r.first) : `${r.first}-${r.last}`))
    .join(', ');
