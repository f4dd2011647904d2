/** netmaster's calls for agents (spec/contiv §2.1), typed. Every call may be repeated. */
import {
  type AllocAddressRequest,
  allocAddressResponse,
  type CreateEndpointRequest,
  type DeleteEndpointRequest,
  type HostRegistration,
  type NetworkInput,
  type ReconcileHostRequest,
  type ReconcileHostResponse,
  type ReleaseAddressRequest,
  reconcileHostResponse,
  type UpdateEndpointRequest,
  type VersionInfo,
  versionInfo,
} from '@contiv/model';
import { z } from 'zod';
import { MasterError, type MasterPool } from './masters.js';

/** What of the endpoint record (spec/contiv, appendix A) an agent needs. */
const createdEndpoint = z.object({
  EndpointConfig: z.object({ ipAddress: z.ipv4(), ipv6Address: z.string().optional(), macAddress: z.string() }),
});
export interface CreatedEndpoint {
  readonly ip: string;
  /** Empty when the network has no IPv6 subnet. */
  readonly ip6: string;
  readonly mac: string;
}

/** Fields of a network object a client may post; the rest has defaults. */
export type NetworkPost = Partial<NetworkInput> & Pick<NetworkInput, 'tenantName' | 'networkName'>;

/** Milliseconds a driver call may wait for netmaster: the engine's user gets an answer within 5 s. */
export const CALL_DEADLINE_MS = 3_500;

export class AgentCalls {
  readonly #pool: MasterPool;
  readonly #deadlineMs: number;

  constructor(pool: MasterPool, deadlineMs: number = CALL_DEADLINE_MS) {
    this.#pool = pool;
    this.#deadlineMs = deadlineMs;
  }

  /** Why nothing comes back, while netmaster has not answered one of these calls for `ms`. */
  silentFor(ms: number): string | undefined {
    return this.#pool.silentFor(ms);
  }

  async #post<T extends z.ZodType>(schema: T, path: string, body: unknown): Promise<z.output<T>> {
    const answer = schema.safeParse(await this.#pool.request({ method: 'POST', path, body, deadlineMs: this.#deadlineMs }));
    if (answer.success) return answer.data;
    throw new MasterError('internal', `netmaster's answer to ${path} is not understood; are netmaster and netplugin of the same version?`);
  }

  /** `a.b.c.d/len` or its IPv6 counterpart. */
  async allocAddress(request: AllocAddressRequest): Promise<string> {
    return (await this.#post(allocAddressResponse, '/plugin/allocAddress', request)).IPv4Address;
  }

  async releaseAddress(request: ReleaseAddressRequest): Promise<void> {
    await this.#post(z.unknown(), '/plugin/releaseAddress', request);
  }

  async createEndpoint(request: CreateEndpointRequest): Promise<CreatedEndpoint> {
    const { EndpointConfig: made } = await this.#post(createdEndpoint, '/plugin/createEndpoint', request);
    return { ip: made.ipAddress, ip6: made.ipv6Address ?? '', mac: made.macAddress };
  }

  async deleteEndpoint(request: DeleteEndpointRequest): Promise<void> {
    await this.#post(z.unknown(), '/plugin/deleteEndpoint', request);
  }

  async updateEndpoint(request: UpdateEndpointRequest): Promise<void> {
    await this.#post(z.unknown(), '/plugin/updateEndpoint', request);
  }

  reconcileHost(request: ReconcileHostRequest): Promise<ReconcileHostResponse> {
    return this.#post(reconcileHostResponse, '/plugin/reconcileHost', request);
  }

  async register(host: string, registration: HostRegistration): Promise<void> {
    const path = `/agent/v1/hosts/${encodeURIComponent(host)}`;
    await this.#pool.request({ method: 'POST', path, body: registration, deadlineMs: this.#deadlineMs, once: true });
  }

  async createNetwork(network: NetworkPost): Promise<void> {
    const key = `${network.tenantName}:${network.networkName}`;
    await this.#post(z.unknown(), `/api/v1/networks/${encodeURIComponent(key)}/`, { key, ...network });
  }

  /** A network that is not there is no error. */
  async deleteNetwork(tenant: string, network: string): Promise<void> {
    const path = `/api/v1/networks/${encodeURIComponent(`${tenant}:${network}`)}/`;
    try {
      await this.#pool.request({ method: 'DELETE', path, deadlineMs: this.#deadlineMs });
    } catch (error) {
      if (!(error instanceof MasterError && error.code === 'not-found')) throw error;
    }
  }

  async version(): Promise<VersionInfo> {
    const answer = versionInfo.safeParse(
      await this.#pool.request({ method: 'GET', path: '/version', deadlineMs: this.#deadlineMs, once: true }),
    );
    if (answer.success) return answer.data;
    throw new MasterError('internal', 'what answers at the netmaster address is not a netmaster');
  }
}
