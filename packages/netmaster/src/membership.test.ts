/** Which group an endpoint is in: by its network or an option, by a label, by an operator's word. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
  const vxlan = (subnet: string) => ({ encap: 'vxlan', subnet, gateway: '' });
  await m.network('default:n', vxlan('10.1.1.0/24'));
  await m.network('default:other', vxlan('10.1.2.0/24'));
  for (const [group, network] of [
    ['web', 'n'],
    ['db', 'n'],
    ['far', 'other'],
  ] as const)
    expect((await m.group(`default:${group}`, network)).status).toBe(200);
});
afterEach(() => m.stop());

const started = (id: string, label: string | undefined, container = `container-${id}`) =>
  m.post('/plugin/updateEndpoint', {
    EndpointID: id,
    ContainerID: container,
    EPCommonName: `c-${id}`,
    Labels: label === undefined ? {} : { 'io.contiv.group': label },
    Event: 'start',
    Tenant: 'default',
    Network: 'n',
  });
const inspection = z.object({ Oper: z.object({ serviceName: z.string().optional() }) });
const groupOf = async (id: string): Promise<string | undefined> =>
  inspection.parse((await m.get(`/api/v1/inspect/endpoints/${id}/`)).body).Oper.serviceName;
/** All that is stored, with revisions, but what masters write of themselves. */
const stored = async () => (await m.store.range('/')).kvs.filter(({ key }) => !/\/(masters|locks)\//.test(key));
const relabel = (key: string, group: string, more: object = {}) => m.post(`/api/v1/endpoints/${key}/group/`, { group, ...more });

describe('a label', () => {
  test('puts an endpoint without a group into the one it names, when its container is first told of', async () => {
    await m.endpoint('default:n', 'e1');
    expect(await groupOf('e1')).toBeUndefined();
    expect((await started('e1', 'web')).status).toBe(200);
    expect(await groupOf('e1')).toBe('web');
    expect((await m.remove('/api/v1/endpointGroups/default:web/')).line).toBe('Error: EPG web has active endpoints');
  });

  test('counts less than a network or an option, and no more once an operator has spoken', async () => {
    await m.endpoint('default:n', 'e1', {}, 'db');
    await started('e1', 'web');
    expect(await groupOf('e1')).toBe('db');
    await m.endpoint('default:n', 'e2');
    await started('e2', 'web');
    expect((await relabel('e2', '')).body).toEqual({ endpointID: 'e2', group: '' });
    await started('e2', 'web');
    expect(await groupOf('e2')).toBeUndefined();
  });

  test('of a group elsewhere means another endpoint of the container; one that nobody knows keeps this one out of all groups there are', async () => {
    await m.endpoint('default:n', 'e1');
    await started('e1', 'far');
    expect(await groupOf('e1')).toBeUndefined();
    await m.endpoint('default:n', 'e2');
    await started('e2', 'tomorrow');
    // Agents cut off whoever is in a group they do not know.
    expect(await groupOf('e2')).toBe('tomorrow');
    await m.endpoint('default:n', 'e3');
    await started('e3', 'x'.repeat(5_000));
    expect(await groupOf('e3')).toBe('x'.repeat(64));
  });
});

describe('an operator', () => {
  test('moves an endpoint within its network, found by a name; the same again changes nothing', async () => {
    await m.endpoint('default:n', 'e1');
    await started('e1', 'web');
    expect((await relabel('c-e1', 'db')).body).toEqual({ endpointID: 'e1', group: 'db' });
    expect(await groupOf('e1')).toBe('db');
    const before = await stored();
    expect((await relabel('c-e1', 'db')).status).toBe(200);
    expect(await stored()).toEqual(before);
    expect((await m.remove('/api/v1/endpointGroups/default:web/')).status).toBe(200);
  });

  test('is refused what cannot be, with a sentence', async () => {
    await m.endpoint('default:n', 'e1');
    await started('e1', undefined, 'both');
    await m.endpoint('default:other', 'e2');
    await m.post('/plugin/updateEndpoint', {
      EndpointID: 'e2',
      ContainerID: 'both',
      EPCommonName: 'both',
      Event: 'start',
      Tenant: 'default',
    });
    expect((await relabel('e1', 'far')).line).toBe('endpoint group default:far belongs to network other');
    expect((await relabel('e1', 'none')).line).toBe('EndpointGroup default:none not found');
    expect((await relabel('nobody', 'web')).line).toBe('endpoint not found');
    expect((await relabel('both', 'web')).line).toBe(
      'both means more than one endpoint, in n of tenant default and other of tenant default; name the network, or the endpoint by its id',
    );
    expect((await relabel('both', 'web', { networkName: 'n' })).body).toEqual({ endpointID: 'e1', group: 'web' });
    expect((await relabel('e1', 'web', { tenantName: 'blue' })).line).toBe('endpoint not found');
    expect((await relabel('e1', 'w'.repeat(65))).status).toBeGreaterThanOrEqual(400);
    expect((await m.post('/api/v1/endpoints/e1/group/', [])).status).toBeGreaterThanOrEqual(400);
  });
});
