/** What a trace is worked out from: the stored intent, as agents know it. */
import { type NetworkKey, networkKey, type VlanId, type Vni, vlanVni } from '../ids.js';
import type {
  EndpointState,
  GlobalState,
  GroupState,
  HostState,
  NetworkState,
  PolicyState,
  RuleState,
  TenantState,
} from '../wire/agent.js';

/** Of one moment: what is worked out from it is kept with it. */
export interface TraceView {
  readonly global: Pick<GlobalState, 'fwdMode'> | undefined;
  readonly hosts: ReadonlyMap<string, HostState>;
  readonly networks: ReadonlyMap<string, NetworkState>;
  readonly tenants: ReadonlyMap<string, TenantState>;
  readonly policies: ReadonlyMap<string, PolicyState>;
  readonly rules: ReadonlyMap<string, RuleState>;
  readonly groups: ReadonlyMap<string, GroupState>;
  readonly endpoints: ReadonlyMap<string, EndpointState>;
}

export const keyOfNetwork = ({ tenant, network }: { readonly tenant: string; readonly network: string }): NetworkKey =>
  networkKey(tenant, network);

export const networkOf = (view: TraceView, endpoint: EndpointState): NetworkState | undefined => view.networks.get(keyOfNetwork(endpoint));

/** The data path's number of a network. */
export const segmentOf = ({ encap, tag }: NetworkState): Vni => (encap === 'vlan' ? vlanVni(tag as VlanId) : (tag as Vni));

/** `tenant/network`, for people. */
export const placeText = ({ tenant, network }: { readonly tenant: string; readonly network: string }): string => `${tenant}/${network}`;

/** What tells containers apart: one may have several endpoints. */
export const containerOf = ({ containerId, endpointId }: EndpointState): string => containerId ?? endpointId;

/** Its container's name, or else a part of its id that tells it from others. */
export const nameOfEndpoint = ({ containerName, containerId, endpointId }: EndpointState): string =>
  containerName || (containerId ?? endpointId).slice(0, 12);
