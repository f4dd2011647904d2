import { type NetworkState, type VlanId, type Vni, vlanVni } from '@contiv/model';

/** The data path's number of a network. */
export function vniOf({ encap, tag }: NetworkState): Vni {
  return encap === 'vlan' ? vlanVni(tag as VlanId) : (tag as Vni);
}
