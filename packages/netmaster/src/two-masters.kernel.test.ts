/** Several real netmaster processes on a real etcd, killed and paused in the middle of allocations. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort, startEtcd, type TestEtcd } from '@contiv/store';
import { afterEach, beforeEach, expect, test } from 'vitest';

interface Process {
  readonly url: string;
  readonly child: ChildProcess;
}

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
let etcd: TestEtcd;
let masters: Process[] = [];

beforeEach(async () => {
  etcd = await startEtcd();
});
afterEach(async () => {
  for (const { child } of masters) {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
  }
  masters = [];
  await etcd.close();
});

async function startMaster(): Promise<Process> {
  const port = await freePort();
  const flags = ['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', '--log-level', 'ERROR'];
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', MAIN, ...flags, '--external-address', `127.0.0.1:${port}`, '--store', etcd.url],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const started = { url: `http://127.0.0.1:${port}`, child };
  masters.push(started);
  await eventually(async () => (await fetch(`${started.url}/readyz`)).ok);
  return started;
}

async function eventually(check: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await check().catch(() => false)) return;
    if (performance.now() > deadline) throw new Error('did not happen in time');
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Asks the masters in turn until one answers, as an agent does. */
async function ask(urls: readonly string[], first: number, path: string, body: unknown): Promise<unknown> {
  for (let i = first; i < first + 60; i++) {
    try {
      const response = await fetch(`${urls[i % urls.length]}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { accept: 'application/problem+json', 'content-type': 'application/json' },
        signal: AbortSignal.timeout(3_500),
      });
      if (response.ok) return await response.json();
      const text = await response.text();
      if (response.status !== 503) throw new TypeError(`refused: ${text}`);
    } catch (error) {
      if (error instanceof TypeError && error.message.startsWith('refused')) throw error;
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`no master answered ${path}`);
}

const COUNT = 2_000;

test('2,000 addresses from two masters, one killed and one paused: none twice, none lost', async () => {
  const a = await startMaster();
  const b = await startMaster();
  const c = await startMaster();
  const urls = [a.url, b.url, c.url];
  await ask(urls, 0, '/api/v1/networks/default:n/', {
    tenantName: 'default',
    networkName: 'n',
    encap: 'vxlan',
    subnet: '10.8.0.0/20',
    ipv6Subnet: '2001:db8:8::/64',
  });

  const addresses = new Map<string, string>();
  let next = 0;
  let done = 0;
  const worker = async (lane: number) => {
    while (next < COUNT) {
      const id = `ep-${next++}`;
      const answer = await ask(urls, lane % 2, '/plugin/createEndpoint', {
        TenantName: 'default',
        NetworkName: 'n',
        EndpointID: id,
        ConfigEP: { Host: `h${lane % 4}` },
      });
      const { EndpointConfig } = answer as { EndpointConfig: { ipAddress: string } };
      addresses.set(id, EndpointConfig.ipAddress);
      done++;
    }
  };
  const lanes = Promise.all(Array.from({ length: 32 }, (_, lane) => worker(lane)));
  await eventually(async () => done > 400);
  b.child.kill('SIGSTOP');
  await eventually(async () => done > 900);
  a.child.kill('SIGKILL');
  setTimeout(() => b.child.kill('SIGCONT'), 2_000);
  await lanes;

  expect(addresses.size).toBe(COUNT);
  expect(new Set(addresses.values()).size).toBe(COUNT);
  // What the survivors say agrees with what the clients were told, and the addresses are the lowest ones without a gap.
  for (const url of [b.url, c.url]) {
    await eventually(async () =>
      JSON.stringify(await (await fetch(`${url}/api/v1/inspect/networks/default:n/`)).json()).includes(`"numEndpoints":${COUNT}`),
    );
    const inspection = await (await fetch(`${url}/api/v1/inspect/networks/default:n/`)).json();
    expect(inspection).toMatchObject({
      Oper: { allocatedAddressesCount: COUNT, allocatedIPAddresses: '10.8.0.1-10.8.7.208', availableIPAddresses: '10.8.7.209-10.8.15.254' },
    });
    const { Oper } = inspection as { Oper: { endpoints: { endpointID: string; ipAddress: string[] }[] } };
    for (const { endpointID, ipAddress } of Oper.endpoints) expect(ipAddress[0]).toBe(addresses.get(endpointID));
    expect(new Set(Oper.endpoints.map((e) => e.ipAddress[1])).size).toBe(COUNT);
  }

  // Everything given back leaves nothing.
  for (const host of ['h0', 'h1', 'h2', 'h3'])
    await ask([c.url], 0, '/plugin/reconcileHost', { Host: host, EndpointIDs: [], Reservations: [], Before: Number.MAX_SAFE_INTEGER });
  await eventually(async () => {
    const state = (await (await fetch(`${b.url}/debug/state`)).json()) as { objects: { address: number; endpoint: number } };
    return state.objects.address === 0 && state.objects.endpoint === 0;
  });
}, 300_000);

test('tags, tenants and group ids of two masters do not clash', async () => {
  const urls = [(await startMaster()).url, (await startMaster()).url];
  await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      ask(urls, i, `/api/v1/networks/default:n${i}/`, {
        tenantName: 'default',
        networkName: `n${i}`,
        encap: 'vxlan',
        subnet: `10.20.${i}.0/24`,
      }),
    ),
  );
  const tags = new Set<number>();
  for (let i = 0; i < 60; i++) {
    // It may have been the other one that made it.
    await eventually(async () => {
      const inspection = await (await fetch(`${urls[i % 2]}/api/v1/inspect/networks/default:n${i}/`)).json();
      tags.add((inspection as { Oper: { externalPktTag: number } }).Oper.externalPktTag);
      return true;
    });
  }
  expect(tags.size).toBe(60);
  // The same subnet asked of both at once: one gets it.
  const race = await Promise.allSettled(
    [0, 1].map((i) =>
      ask(urls, i, `/api/v1/networks/default:race${i}/`, {
        tenantName: 'default',
        networkName: `race${i}`,
        encap: 'vxlan',
        subnet: '10.30.0.0/24',
      }),
    ),
  );
  expect(race.map((r) => r.status).toSorted()).toEqual(['fulfilled', 'rejected']);
});

test('a store that is away at start and later is waited for', async () => {
  const master = await startMaster();
  const put = (name: string) =>
    fetch(`${master.url}/api/v1/tenants/${name}/`, {
      method: 'POST',
      body: JSON.stringify({ tenantName: name }),
      headers: { accept: 'application/problem+json' },
    });
  expect((await put('before')).status).toBe(200);
  await etcd.kill();
  const refused = await put('during');
  expect(refused.status).toBe(503);
  expect(await refused.text()).toMatch(/the store/);
  expect((await fetch(`${master.url}/api/v1/tenants/before/`)).status).toBe(200);
  expect((await fetch(`${master.url}/healthz`)).status).toBe(200);
  await eventually(async () => (await fetch(`${master.url}/readyz`)).status === 503);

  const port = await freePort();
  const late = spawn(
    process.execPath,
    [
      '--conditions=source',
      '--import',
      'tsx',
      MAIN,
      '--mode',
      'docker',
      '--netmode',
      'vxlan',
      '--fwdmode',
      'bridge',
      '--log-level',
      'ERROR',
      '--external-address',
      `127.0.0.1:${port}`,
      '--store',
      etcd.url,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  masters.push({ url: `http://127.0.0.1:${port}`, child: late });
  await eventually(async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  const early = await fetch(`http://127.0.0.1:${port}/api/v1/tenants/`, { headers: { accept: 'application/problem+json' } });
  expect(early.status).toBe(503);

  await etcd.restart();
  await eventually(async () => (await put('after')).status === 200);
  await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
  expect(await (await fetch(`http://127.0.0.1:${port}/api/v1/tenants/`)).text()).toContain('"after"');
});
