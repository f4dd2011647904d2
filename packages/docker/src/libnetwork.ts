/**
 * What the engine sends to network and IPAM drivers (libnetwork's remote driver protocol, engines 20.10 to 29). Sizes are bounded, extra
 * members are ignored: newer engines add some. Go encodes empty maps as null and leaves empty texts in.
 */
import { z } from 'zod';

const id = z.string().min(1).max(128);
const address = z.string().max(64);
const options = z.record(z.string().max(1024), z.unknown()).nullish();
const texts = z.record(z.string().max(1024), z.string().max(8192)).nullish();

export const ipamData = z.object({
  AddressSpace: z.string().max(256).default(''),
  Pool: address.default(''),
  /** `a.b.c.d/len`, or empty. */
  Gateway: address.default(''),
  AuxAddresses: z.record(z.string().max(1024), address).nullish(),
});
export type IpamData = z.infer<typeof ipamData>;
const pools = z.array(ipamData).max(16).nullish();

export const none = z.unknown();
export const createNetwork = z.object({ NetworkID: id, Options: options, IPv4Data: pools, IPv6Data: pools });
export type CreateNetwork = z.infer<typeof createNetwork>;
export const allocateNetwork = z.object({ NetworkID: id, Options: texts, IPv4Data: pools, IPv6Data: pools });
export const networkId = z.object({ NetworkID: id });
export const endpointId = z.object({ NetworkID: id, EndpointID: id });
export const createEndpoint = z.object({
  NetworkID: id,
  EndpointID: id,
  Interface: z
    .object({ Address: address.default(''), AddressIPv6: address.default(''), MacAddress: z.string().max(32).default('') })
    .nullish(),
  Options: options,
});
export type CreateEndpoint = z.infer<typeof createEndpoint>;
export const join = z.object({ NetworkID: id, EndpointID: id, SandboxKey: z.string().max(4096).default(''), Options: options });
export const externalConnectivity = z.object({ NetworkID: id, EndpointID: id, Options: options });
export const gwAllocCheck = z.object({ Options: options });
export const discover = z.object({ DiscoveryType: z.number().optional(), DiscoveryData: z.unknown() });

export const requestPool = z.object({
  AddressSpace: z.string().max(256).default(''),
  Pool: address.default(''),
  SubPool: address.default(''),
  Options: texts,
  V6: z.boolean().default(false),
});
export type RequestPool = z.infer<typeof requestPool>;
export const poolId = z.object({ PoolID: z.string().max(512) });
export const requestAddress = z.object({ PoolID: z.string().min(1).max(512), Address: address.default(''), Options: texts });
export const releaseAddress = z.object({ PoolID: z.string().max(512), Address: address.default('') });

/** Labels the engine uses inside `Options` (libnetwork `netlabel`). */
export const netlabel = {
  generic: 'com.docker.network.generic',
  enableIpv6: 'com.docker.network.enable_ipv6',
  internal: 'com.docker.network.internal',
  requestAddressType: 'RequestAddressType',
  gateway: 'com.docker.network.gateway',
  portMap: 'com.docker.network.portmap',
} as const;

/** Kinds of static routes in a `Join` answer (libnetwork `types`). */
export const routeType = { nextHop: 0, connected: 1 } as const;

export interface JoinAnswer {
  readonly InterfaceName: { readonly SrcName: string; readonly DstPrefix: string };
  readonly Gateway?: string;
  readonly GatewayIPv6?: string;
  readonly StaticRoutes?: readonly { readonly Destination: string; readonly RouteType: number; readonly NextHop?: string }[];
}
