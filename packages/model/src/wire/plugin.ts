/**
 * The agent's calls to netmaster (spec/contiv §2.1: POST, Content-Type application/json, Go-style member names).
 * All are idempotent: an agent that lost the answer asks again with the same `EndpointID` or `RequestID`.
 */
import { z } from 'zod';

const text = (max: number) => z.string().max(max);

/** `/plugin/allocAddress`. `NetworkID` is `net.tenant` or `net:group.tenant`. */
export const allocAddressRequest = z.object({
  NetworkID: text(200).optional(),
  AddressPool: text(200).optional(),
  /** An IPv4 or IPv6 address the user asked for; refused when taken. */
  PreferredIPv4Address: text(64).optional(),
  /** Allocate from the IPv6 subnet. */
  IPv6: z.boolean().optional(),
  /** Host that asks; the reservation is its own until an endpoint takes it over or it is released. */
  Host: text(253).optional(),
  /** What the caller calls this reservation; a release that names it ends no other one of the same address. */
  Reservation: text(64).optional(),
  /** Mark the network's gateway instead of allocating (idempotent). */
  Gateway: z.boolean().optional(),
});
export type AllocAddressRequest = z.infer<typeof allocAddressRequest>;
export const allocAddressResponse = z.object({ NetworkID: z.string(), IPv4Address: z.string() });
export type AllocAddressResponse = z.infer<typeof allocAddressResponse>;

/** `/plugin/releaseAddress`: answers `"success"`, also when nothing was held, or only by another host or under another `Reservation`. */
export const releaseAddressRequest = z.object({
  NetworkID: text(200),
  IPv4Address: text(64),
  Host: text(253).optional(),
  Reservation: text(64).optional(),
});
export type ReleaseAddressRequest = z.infer<typeof releaseAddressRequest>;

/** `/plugin/createEndpoint`: takes reserved addresses over (or allocates), answers the endpoint. */
export const createEndpointRequest = z.object({
  TenantName: text(64),
  NetworkName: text(64),
  /** Endpoint group. */
  ServiceName: text(64).optional(),
  EndpointID: text(128),
  EPCommonName: text(256).optional(),
  ConfigEP: z.object({
    Container: text(128).optional(),
    Host: text(253),
    IPAddress: text(64).optional(),
    IPv6Address: text(64).optional(),
    MacAddress: text(17).optional(),
    ServiceName: text(64).optional(),
  }),
});
export type CreateEndpointRequest = z.infer<typeof createEndpointRequest>;

/** `/plugin/deleteEndpoint`: releases the endpoint and its addresses; unknown endpoints are no error. */
export const deleteEndpointRequest = z.object({
  TenantName: text(64).optional(),
  NetworkName: text(64).optional(),
  EndpointID: text(128),
  IPv4Address: text(64).optional(),
});
export type DeleteEndpointRequest = z.infer<typeof deleteEndpointRequest>;

/** `/plugin/updateEndpoint`: what a container's start made known. */
export const updateEndpointRequest = z.object({
  EndpointID: text(128),
  ContainerID: text(128).optional(),
  EPCommonName: text(256).optional(),
  Aliases: z.array(text(256)).max(64).optional(),
  Labels: z.record(text(1024), text(8192)).optional(),
  Event: z.enum(['start', 'die']),
  Tenant: text(64).optional(),
  Network: text(64).optional(),
  IPAddress: text(64).optional(),
});
export type UpdateEndpointRequest = z.infer<typeof updateEndpointRequest>;

/**
 * `/plugin/reconcileHost`: everything the host's engine still has. Endpoints and reservations of this host that are not
 * listed and were made before `Before` (store revision) are released; answers what was released.
 */
export const reconcileHostRequest = z.object({
  Host: text(253),
  EndpointIDs: z.array(text(128)).max(100_000),
  /** `net.tenant|address` held by the engine's IPAM but not yet by an endpoint. */
  Reservations: z.array(text(300)).max(100_000),
  Before: z.number().int().nonnegative(),
});
export type ReconcileHostRequest = z.infer<typeof reconcileHostRequest>;
export const reconcileHostResponse = z.object({ Endpoints: z.array(z.string()), Addresses: z.array(z.string()) });
export type ReconcileHostResponse = z.infer<typeof reconcileHostResponse>;
