/** A netmaster on a store in memory, spoken to without a socket. For tests. */
import { createMetrics, silentLogger } from '@contiv/observe';
import { MemoryStore, type Store } from '@contiv/store';
import { expect } from 'vitest';
import { defaultGlobal } from './core/global.js';
import { createMaster, type Master } from './master.js';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** First line of a refusal. */
  readonly line: string;
  // Parsed body; tests look into it as they expect it to be.
  readonly body: unknown;
}

export interface TestMaster {
  readonly store: Store;
  readonly master: Master;
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(url: string): Promise<Answer>;
  post(url: string, body: unknown): Promise<Answer>;
  remove(url: string): Promise<Answer>;
  tenant(name: string): Promise<Answer>;
  network(key: string, fields: Record<string, unknown>): Promise<Answer>;
  group(key: string, networkName: string, fields?: Record<string, unknown>): Promise<Answer>;
  endpoint(networkKey: string, id: string, fields?: Record<string, unknown>, group?: string): Promise<Answer>;
  /** `false` leaves the store open for others. */
  stop(withStore?: boolean): Promise<void>;
}

export async function startTestMaster(
  store: Store = new MemoryStore(),
  hostTimeoutMs = 86_400_000,
  address = '127.0.0.1:9999',
): Promise<TestMaster> {
  const master = await createMaster({
    store,
    logger: silentLogger(),
    metrics: createMetrics('netmaster', { processMetrics: false }),
    boot: defaultGlobal,
    clusterMode: 'docker',
    address,
    hostTimeoutMs,
  });
  for (const service of master.services) await service.start?.();
  while (!master.context.background.bootstrapped) await new Promise((wake) => setTimeout(wake, 2));

  const call: TestMaster['call'] = async (method, url, body, headers = {}) => {
    const answer = await master.app.inject({
      method,
      url,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = answer.body;
    const isJson = String(answer.headers['content-type'] ?? '').includes('json');
    return { status: answer.statusCode, text, line: text.split('\n')[0] ?? '', body: isJson ? JSON.parse(text) : undefined };
  };
  const pair = (key: string): [string, string] => [key.split(':')[0] ?? '', key.split(':')[1] ?? ''];
  const post = (url: string, body: unknown) => call('POST', url, body);
  return {
    store,
    master,
    call,
    get: (url) => call('GET', url),
    post,
    remove: (url) => call('DELETE', url),
    tenant: (name) => post(`/api/v1/tenants/${name}/`, { tenantName: name }),
    network: (key, fields) => {
      const [tenantName, networkName] = pair(key);
      return post(`/api/v1/networks/${key}/`, { tenantName, networkName, ...fields });
    },
    group: (key, networkName, fields = {}) => {
      const [tenantName, groupName] = pair(key);
      return post(`/api/v1/endpointGroups/${key}/`, { tenantName, groupName, networkName, ...fields });
    },
    endpoint: (networkKey, id, fields = {}, group = '') => {
      const [TenantName, NetworkName] = pair(networkKey);
      return post('/plugin/createEndpoint', {
        TenantName,
        NetworkName,
        EndpointID: id,
        ...(group === '' ? {} : { ServiceName: group }),
        ConfigEP: { Host: 'h1', ...fields },
      });
    },
    stop: async (withStore = true) => {
      await master.app.close();
      for (const service of master.services.toReversed()) await service.stop?.();
      if (withStore) await store.close();
    },
  };
}

/** The body of a VXLAN network. */
export const vxlan = (subnet: string, more: Record<string, unknown> = {}) => ({ encap: 'vxlan', subnet, ...more });

/** What the inspection of a network says of its addresses; `undefined` where that does not matter. */
export const ranges = (allocated: string | undefined, available: string | undefined) =>
  expect.objectContaining({
    Oper: expect.objectContaining({
      ...(allocated === undefined ? {} : { allocatedIPAddresses: allocated }),
      ...(available === undefined ? {} : { availableIPAddresses: available }),
    }),
  });
