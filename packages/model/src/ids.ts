import type { Brand } from './brand.js';

/** Name of a tenant, network, group, …: NAME of spec/contiv §1.2, at most 64 characters. */
export type TenantName = Brand<string, 'TenantName'>;
export type NetworkName = Brand<string, 'NetworkName'>;
export type GroupName = Brand<string, 'GroupName'>;
/** A host's label, unique in the cluster (`--host`, default: the host name). */
export type HostName = Brand<string, 'HostName'>;
/** Docker's endpoint id (64 hex digits) or a caller's own unique text. */
export type EndpointId = Brand<string, 'EndpointId'>;
/** `tenant:network`, the key of the network object. */
export type NetworkKey = Brand<string, 'NetworkKey'>;
/** `tenant:group`, the key of the endpoint group object. */
export type GroupKey = Brand<string, 'GroupKey'>;
/** 802.1Q VLAN id, 1–4094. */
export type VlanId = Brand<number, 'VlanId'>;
/** VXLAN network identifier, 1–16,777,215 (RFC 7348). */
export type Vni = Brand<number, 'Vni'>;
/** Stands above all VNIs: the data path numbers VLANs with this bit, so that networks of both kinds share its tables. */
const VLAN_BIT = 0x0100_0000;
/** The data path's number of a VLAN. */
export const vlanVni = (vlan: VlanId): Vni => (VLAN_BIT | vlan) as Vni;
/** The VLAN behind a number of the data path, where it is one's. */
export const vlanOf = (vni: number): VlanId | undefined => ((vni & VLAN_BIT) === 0 ? undefined : ((vni & 0xfff) as VlanId));
/** For sentences. */
export const segmentText = (vni: number): string => (vlanOf(vni) === undefined ? `VNI ${vni}` : `VLAN ${vlanOf(vni)}`);
/** Number of an endpoint group in the data path; never reused. 0 means "no group". */
export type GroupId = Brand<number, 'GroupId'>;
/** Position in the store's history; grows with every committed transaction. */
export type Revision = Brand<number, 'Revision'>;

export const networkKey = (tenant: string, network: string): NetworkKey => `${tenant}:${network}` as NetworkKey;
export const groupKey = (tenant: string, group: string): GroupKey => `${tenant}:${group}` as GroupKey;

/** Name of the Docker network of a network or group: the tenant `default` has no suffix (spec/contiv §5.6). */
export function dockerNetworkName(tenant: string, name: string): string {
  return tenant === 'default' ? name : `${name}/${tenant}`;
}
