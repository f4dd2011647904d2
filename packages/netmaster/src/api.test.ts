/** Global settings, and what all requests have in common (spec/contiv §1.4, §2). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestMaster, type TestMaster, vxlan } from './test-support.js';

let m: TestMaster;
beforeEach(async () => {
  m = await startTestMaster();
});
afterEach(() => m.stop());

const oper = async (key: string) => (await m.get(`/api/v1/inspect/networks/${key}/`)).body;

describe('global settings', () => {
  const set = (fields: Record<string, unknown>) => m.post('/api/v1/globals/global/', { name: 'global', ...fields });

  test('have their boot values, and empty members leave them', async () => {
    const boot = {
      key: 'global',
      name: 'global',
      networkInfraType: 'default',
      fwdMode: 'bridge',
      arpMode: 'proxy',
      pvtSubnet: '172.19.0.0/16',
      vlans: '1-4094',
      vxlans: '1-10000',
    };
    expect((await m.get('/api/v1/globals/global/')).body).toEqual(boot);
    expect((await set({ arpMode: 'flood' })).status).toBe(200);
    expect((await m.get('/api/v1/globals/global/')).body).toEqual({ ...boot, arpMode: 'flood' });
  });

  test.each([
    [{ networkInfraType: 'xyz' }, 'networkInfraType string invalid format'],
    [{ networkInfraType: 'aci' }, 'invalid fabric mode'],
    [{ vlans: '1-5000' }, 'invalid range 1-5000, vlan values exceed 4095 max allowed'],
    [{ vlans: '0-4094' }, 'invalid range 0-4094, values less than 1'],
    [{ vlans: '1' }, 'vlans string invalid format'],
    [{ vlans: '1?2' }, 'vlans string invalid format'],
    [{ vlans: 'abcd' }, 'vlans string invalid format'],
    [{ vlans: '20-10' }, 'invalid range 20-10, min is greater than max'],
    [{ vxlans: '1-16777216' }, 'invalid range 1-16777216, vxlan values exceed 16777215 max allowed'],
    [{ pvtSubnet: '172.19.0.0/24' }, 'pvtSubnet string invalid format'],
    [{ fwdMode: 'x' }, 'fwdMode string invalid format'],
  ])('%j is refused', async (fields, line) => {
    expect((await set(fields)).line).toBe(line);
  });

  test('forwarding mode and private subnet stay while networks are there', async () => {
    await m.network('default:a', vxlan('10.1.1.0/24'));
    expect((await set({ fwdMode: 'routing' })).line).toBe('Unable to update forwarding mode due to existing 1 vxlans');
    expect((await set({ pvtSubnet: '172.20.0.0/16' })).line).toBe('Unable to update private subnet due to existing 1 vxlans');
    await m.network('default:b', { encap: 'vlan', subnet: '10.1.2.0/24' });
    expect((await set({ fwdMode: 'routing' })).line).toBe('Unable to update forwarding mode due to existing 1 vlans and 1 vxlans');
    await m.remove('/api/v1/networks/default:a/');
    await m.remove('/api/v1/networks/default:b/');
    expect((await set({ fwdMode: 'routing', pvtSubnet: '172.20.0.0/16' })).status).toBe(200);
  });

  test('a private subnet that holds an address of a host is refused', async () => {
    const registration = { vtepIp: '172.25.0.7', control: '192.0.2.7:9090', vxlanPort: 8472, mtu: 1500, version: '2.0.0' };
    expect((await m.post('/agent/v1/hosts/node7', registration)).status).toBe(200);
    expect((await set({ pvtSubnet: '172.25.0.0/16' })).line).toBe(
      'private subnet 172.25.0.0/16 holds 172.25.0.7, which is an address of host node7; choose another one',
    );
    expect((await set({ pvtSubnet: '172.24.0.0/16' })).status).toBe(200);
  });

  test('a network that is routed needs a gateway; an infra network a name that an interface can have', async () => {
    expect((await set({ fwdMode: 'routing' })).status).toBe(200);
    expect((await m.network('default:a', vxlan('10.1.1.0/24'))).line).toBe(
      'network a needs a gateway, for networks are routed to each other; name one with --gateway',
    );
    expect((await m.network('default:a', vxlan('10.1.1.0/24', { gateway: '10.1.1.254' }))).status).toBe(200);
    expect((await m.network('default:contivh1', vxlan('132.1.1.0/24', { nwType: 'infra' }))).status).toBe(200);
    expect((await m.network('default:sixteen.letters1', vxlan('132.1.2.0/24', { nwType: 'infra' }))).line).toBe(
      'infra network name sixteen.letters1 is longer than 15 characters, and every host names an interface after it; choose a shorter one',
    );
    for (const name of ['a', 'contivh1']) await m.remove(`/api/v1/networks/default:${name}/`);
  });

  test('ranges move only around what is in use', async () => {
    await set({ vxlans: '1000-2000', vlans: '100-200' });
    await m.network('default:a', vxlan('10.1.1.0/24', { pktTag: 1500 }));
    await m.network('default:b', vxlan('10.1.2.0/24'));
    expect(await oper('default:b')).toMatchObject({ Oper: { externalPktTag: 1000 } });
    expect((await set({ vxlans: '1001-2000' })).line).toBe('cannot update the vxlan range due to existing vxlans 1000, 1500');
    expect((await set({ vxlans: '1000-16777215' })).status).toBe(200);
    expect((await m.network('default:c', vxlan('10.1.3.0/24', { pktTag: 16777215 }))).status).toBe(200);
    expect((await m.get('/api/v1/inspect/globals/global/')).body).toMatchObject({
      Oper: { clusterMode: 'docker', freeVXLANsStart: 999, numNetworks: 3, vxlansInUse: '1000, 1500, 16777215' },
    });
  });

  test('exhausted tags say so', async () => {
    await set({ vlans: '7-7' });
    await m.network('default:a', { encap: 'vlan', subnet: '10.1.1.0/24' });
    expect((await m.network('default:b', { encap: 'vlan', subnet: '10.1.2.0/24' })).line).toBe('no vlans available');
  });

  test('are not deleted under networks', async () => {
    await set({ arpMode: 'flood' });
    await m.network('default:a', vxlan('10.1.1.0/24'));
    expect((await m.remove('/api/v1/globals/global/')).line).toBe('Unable to delete global settings due to existing 1 vxlans');
  });
});

describe('transport', () => {
  test('a client that accepts problems gets an honest status and a stable code', async () => {
    const problem = (url: string, method: 'GET' | 'POST' | 'DELETE' = 'GET', body?: unknown) =>
      m.call(method, url, body, { accept: 'application/problem+json, */*' });
    expect(await problem('/api/v1/tenants/none/')).toMatchObject({
      status: 404,
      body: { code: 'not-found', status: 404, detail: 'tenant not found' },
    });
    expect(await problem('/api/v1/tenants/a/', 'POST', { tenantName: 'b' })).toMatchObject({ status: 400, body: { code: 'invalid' } });
    await m.network('default:n', vxlan('10.1.1.0/24'));
    await m.endpoint('default:n', 'a');
    expect(await problem('/api/v1/networks/default:n', 'DELETE')).toMatchObject({ status: 409, body: { code: 'in-use' } });
  });

  test('bodies are JSON whatever their type says; others are refused in one line', async () => {
    const send = (body: string) => m.call('POST', '/api/v1/tenants/t/', body, { 'content-type': 'text/plain' });
    expect((await send('{"tenantName":"t","unknown":1}')).status).toBe(200);
    for (const body of ['', '{', '[]', '"t"', 'null', '1']) {
      const answer = await send(body);
      expect(answer).toMatchObject({ status: 500 });
      expect(answer.text).not.toMatch(/\n\s+at /);
    }
    expect((await send(JSON.stringify({ tenantName: 't', x: 'y'.repeat(70_000) }))).text).toBe(
      'the request body is too large\nat most 65536 bytes are taken here\n',
    );
  });

  test('a path that cannot be read is refused like anything else', async () => {
    for (const key of ['%ZZ', 'a'.repeat(1_100)]) {
      const { status, text } = await m.get(`/api/v1/tenants/${key}/`);
      expect([status, text.includes('FST_'), text.length < 600]).toEqual([500, false, true]);
    }
    const problem = await m.call('GET', '/api/v1/tenants/%ZZ/', undefined, { accept: 'application/problem+json' });
    expect(problem).toMatchObject({
      status: 400,
      body: { code: 'invalid', detail: "'/api/v1/tenants/%ZZ/' is not a valid url component" },
    });
  });

  test('unknown paths are 404; lists that cannot fill are empty', async () => {
    expect(await m.get('/api/v1/nothing/')).toMatchObject({ status: 404 });
    for (const plural of ['volumes', 'volumeProfiles']) expect((await m.get(`/api/v1/${plural}/`)).body).toEqual([]);
  });

  test('version, info, health, metrics and the description of itself', async () => {
    expect((await m.get('/version')).body).toMatchObject({ Version: '2.0.0' });
    expect((await m.get('/info')).body).toMatchObject({ 'local-ip': '127.0.0.1' });
    expect((await m.get('/healthz')).status).toBe(200);
    expect(await m.get('/readyz')).toMatchObject({ status: 200, body: { ready: true } });
    const head = (url: string) => m.master.app.inject({ method: 'HEAD', url });
    expect([await head('/healthz'), await head('/readyz')]).toMatchObject([
      { statusCode: 200, body: '' },
      { statusCode: 200, body: '' },
    ]);
    expect((await m.get('/metrics')).text).toContain('netmaster_networks 0');
    const { body } = await m.get('/openapi.json');
    expect(body).toMatchObject({ openapi: '3.1.0', paths: { '/api/v1/networks/{key}': { post: {}, delete: {} } } });
  });
});
