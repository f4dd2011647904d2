/** Documents of thousands of rules on real stores: whole or not at all, also when the master that writes is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, startEtcd, type TestEtcd } from '@contiv/store';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
interface Process {
  readonly url: string;
  readonly child: ChildProcess;
}
let etcd: TestEtcd;
let directory: string;
let masters: Process[] = [];

beforeAll(async () => {
  etcd = await startEtcd();
  directory = await mkdtemp(join(tmpdir(), 'intent-'));
});
afterEach(() => {
  for (const { child } of masters) child.kill('SIGKILL');
  masters = [];
});
afterAll(async () => {
  await etcd.close();
  await rm(directory, { recursive: true });
});

async function start(store: string): Promise<Process> {
  const port = await freePort();
  const flags = ['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', '--log-level', 'ERROR', '--store', store];
  const args = ['--conditions=source', '--import', 'tsx', MAIN, ...flags, '--external-address', `127.0.0.1:${port}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const started = { url: `http://127.0.0.1:${port}`, child };
  masters.push(started);
  await eventually(async () => (await fetch(`${started.url}/readyz`)).ok);
  return started;
}

async function eventually(check: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await check().catch(() => false))) {
    if (performance.now() > deadline) throw new Error('did not happen in time');
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

const document = (port: number, count: number) => ({
  apiVersion: 'contiv/v1',
  tenants: [
    {
      tenantName: 'blue',
      policies: [
        {
          policyName: 'web',
          rules: Array.from({ length: count }, (_, i) => ({
            ruleId: `r${i}`,
            direction: 'in',
            action: 'allow',
            protocol: 'tcp',
            port,
            fromIpAddress: `10.${i >> 8}.${i & 255}.0/24`,
          })),
        },
      ],
    },
  ],
});

async function apply({ url }: Process, intent: object): Promise<{ status: number; steps: number }> {
  const answer = await fetch(`${url}/api/v1/intent`, {
    method: 'POST',
    headers: { accept: 'application/problem+json' },
    body: JSON.stringify({ intent }),
  });
  const text = await answer.text();
  return { status: answer.status, steps: answer.status === 200 ? (JSON.parse(text) as { steps: unknown[] }).steps.length : -1 };
}

/** Ports of the rules there are, each with how many have it. */
async function ports({ url }: Process): Promise<Record<string, number>> {
  const rules = (await (await fetch(`${url}/api/v1/rules/`)).json()) as { port: number }[];
  const counts: Record<string, number> = {};
  for (const { port } of rules) counts[port] = (counts[port] ?? 0) + 1;
  return counts;
}

test('3,000 rules on LMDB, again after a restart, and once more there is nothing to do', async () => {
  const store = `lmdb://${join(directory, 'lmdb')}`;
  const first = await start(store);
  expect(await apply(first, document(80, 3_000))).toEqual({ status: 200, steps: 3_002 });
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const second = await start(store);
  expect(await ports(second)).toEqual({ 80: 3_000 });
  expect(await apply(second, document(80, 3_000))).toEqual({ status: 200, steps: 0 });
}, 120_000);

test('on etcd with two masters, the one that writes killed at any moment: the other has all or nothing, and goes on', async () => {
  const COUNT = 3_000;
  const one = await start(etcd.url);
  expect(await apply(one, document(80, COUNT))).toMatchObject({ status: 200 });
  const survivor = await start(etcd.url);
  let port = 80;
  for (const [round, delay] of [150, 350, 600].entries()) {
    const writer = round === 0 ? one : await start(etcd.url);
    const next = port + 1;
    const answered = apply(writer, document(next, COUNT)).catch(() => undefined);
    await new Promise((wake) => setTimeout(wake, delay));
    writer.child.kill('SIGKILL');
    await answered;
    // Taken back or finished by the survivor; until then other writes wait.
    await eventually(
      async () => (await apply(survivor, { apiVersion: 'contiv/v1', tenants: [{ tenantName: `t${round}` }] })).status === 200,
    );
    const seen = await ports(survivor);
    expect([{ [port]: COUNT }, { [next]: COUNT }]).toContainEqual(seen);
    port = seen[next] === undefined ? port : next;
  }
  expect(await apply(survivor, document(99, COUNT))).toEqual({ status: 200, steps: COUNT });
  expect(await ports(survivor)).toEqual({ 99: COUNT });
}, 240_000);
