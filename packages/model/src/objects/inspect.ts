/** Answers of `GET /api/v1/inspect/…`: `Config` is the object, `Oper` what became of it. Members with a zero value are absent. */
import { z } from 'zod';
import { stagedPolicy } from '../policy/staged.js';
import { aciGwObject } from './aci-gw.js';
import { appProfileObject } from './app-profile.js';
import { bgpObject } from './bgp.js';
import { endpointGroupObject } from './endpoint-group.js';
import { extContractsGroupObject } from './external-contracts.js';
import { globalObject } from './global.js';
import { netprofileObject } from './netprofile.js';
import { networkObject } from './network.js';
import { policyObject, ruleObject } from './policy.js';
import { serviceObject } from './service.js';
import { tenantObject } from './tenant.js';

export const endpointOper = z.object({
  key: z.string().optional(),
  containerID: z.string().optional(),
  containerName: z.string().optional(),
  endpointGroupId: z.number().optional(),
  /** `group:tenant` */
  endpointGroupKey: z.string().optional(),
  endpointID: z.string().optional(),
  homingHost: z.string().optional(),
  intfName: z.string().optional(),
  /** Always two: IPv4 and IPv6, empty when there is none. */
  ipAddress: z.array(z.string()).optional(),
  /** A Go map's text: `map[k1:v1 k2:v2]`, `map[]`. */
  labels: z.string().optional(),
  macAddress: z.string().optional(),
  /** `network.tenant` */
  network: z.string().optional(),
  /** The group's name. */
  serviceName: z.string().optional(),
  virtualPort: z.string().optional(),
  vtepIP: z.string().optional(),
});
export type EndpointOper = z.infer<typeof endpointOper>;

export const networkOper = z.object({
  allocatedAddressesCount: z.number().optional(),
  /** Range text: `10.1.1.1-10.1.1.3, 10.1.1.254`. */
  allocatedIPAddresses: z.string().optional(),
  availableIPAddresses: z.string().optional(),
  endpoints: z.array(endpointOper).optional(),
  /** VNI of a vxlan network. */
  externalPktTag: z.number().optional(),
  /** What its containers can send in one piece to any host; absent while no host can carry it. */
  mtu: z.number().optional(),
  networkTag: z.string().optional(),
  numEndpoints: z.number().optional(),
  /** VLAN id of a vlan network, VNI of a vxlan network. */
  pktTag: z.number().optional(),
});
export type NetworkOper = z.infer<typeof networkOper>;

export const endpointGroupOper = z.object({
  allocatedIPAddresses: z.string().optional(),
  availableIPAddresses: z.string().optional(),
  endpoints: z.array(endpointOper).optional(),
  externalPktTag: z.number().optional(),
  groupTag: z.string().optional(),
  numEndpoints: z.number().optional(),
  pktTag: z.number().optional(),
});
export type EndpointGroupOper = z.infer<typeof endpointGroupOper>;

export const policyOper = z.object({
  /** Of all groups it is attached to. */
  endpoints: z.array(endpointOper).optional(),
  numEndpoints: z.number().optional(),
  /** Its staged version, where it has one. */
  staged: stagedPolicy.optional(),
});
export type PolicyOper = z.infer<typeof policyOper>;

/** What acts on the object. */
const effect = z.string();
/** A service as it runs: who would provide it at present. */
export const serviceOper = z.object({ effect, numProviders: z.number().optional(), providers: z.array(endpointOper).optional() });
export type ServiceOper = z.infer<typeof serviceOper>;
export const bgpOper = z.object({ effect });
export type BgpOper = z.infer<typeof bgpOper>;
export const aciGwOper = z.object({ effect, numAppProfiles: z.number().optional() });
export type AciGwOper = z.infer<typeof aciGwOper>;

export const tenantOper = z.object({
  endpointGroups: z.array(endpointGroupOper).optional(),
  endpoints: z.array(endpointOper).optional(),
  networks: z.array(networkOper).optional(),
  policies: z.array(policyOper).optional(),
  servicelbs: z.array(serviceOper).optional(),
  totalAppProfiles: z.number().optional(),
  totalEPGs: z.number().optional(),
  totalEndpoints: z.number().optional(),
  totalNetprofiles: z.number().optional(),
  totalNetworks: z.number().optional(),
  totalPolicies: z.number().optional(),
  totalServicelbs: z.number().optional(),
});
export type TenantOper = z.infer<typeof tenantOper>;

export const globalOper = z.object({
  clusterMode: z.string().optional(),
  defaultNetwork: z.string().optional(),
  freeVXLANsStart: z.number().optional(),
  numNetworks: z.number().optional(),
  vlansInUse: z.string().optional(),
  vxlansInUse: z.string().optional(),
});
export type GlobalOper = z.infer<typeof globalOper>;

export const tenantInspect = z.object({ Config: tenantObject, Oper: tenantOper });
export const networkInspect = z.object({ Config: networkObject, Oper: networkOper });
export const endpointGroupInspect = z.object({ Config: endpointGroupObject, Oper: endpointGroupOper });
export const policyInspect = z.object({ Config: policyObject, Oper: policyOper });
export const ruleInspect = z.object({ Config: ruleObject });
export const netprofileInspect = z.object({ Config: netprofileObject });
export const appProfileInspect = z.object({ Config: appProfileObject });
export const extContractsGroupInspect = z.object({ Config: extContractsGroupObject });
export const serviceInspect = z.object({ Config: serviceObject, Oper: serviceOper });
export const bgpInspect = z.object({ Config: bgpObject, Oper: bgpOper });
export const aciGwInspect = z.object({ Config: aciGwObject, Oper: aciGwOper });
export const globalInspect = z.object({ Config: globalObject, Oper: globalOper });
export const endpointInspect = z.object({ Oper: endpointOper });
export type TenantInspect = z.infer<typeof tenantInspect>;
export type NetworkInspect = z.infer<typeof networkInspect>;
export type EndpointGroupInspect = z.infer<typeof endpointGroupInspect>;
export type PolicyInspect = z.infer<typeof policyInspect>;
export type RuleInspect = z.infer<typeof ruleInspect>;
export type NetprofileInspect = z.infer<typeof netprofileInspect>;
export type AppProfileInspect = z.infer<typeof appProfileInspect>;
export type ExtContractsGroupInspect = z.infer<typeof extContractsGroupInspect>;
export type ServiceInspect = z.infer<typeof serviceInspect>;
export type BgpInspect = z.infer<typeof bgpInspect>;
export type AciGwInspect = z.infer<typeof aciGwInspect>;
export type GlobalInspect = z.infer<typeof globalInspect>;
export type EndpointInspect = z.infer<typeof endpointInspect>;

/** What a client posts to `endpoints/ENDPOINT/group`. */
export const relabelRequest = z.object({
  /** Group of the endpoint's network; empty for none. */
  group: z.string().max(64),
  /** Narrow the search for the endpoint. */
  tenantName: z.string().max(64).optional(),
  networkName: z.string().max(64).optional(),
});
export type RelabelRequest = z.infer<typeof relabelRequest>;
