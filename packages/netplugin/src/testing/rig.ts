/** Driver server, state and stream as in the agent, above a scripted master and a data path that only remembers. */
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentCalls, MasterPool } from '@contiv/client';
import { silentLogger } from '@contiv/observe';
import { Cluster } from '../cluster.js';
import { Dataplane } from '../dataplane.js';
import type { DriverContext } from '../driver/context.js';
import { DriverServer } from '../driver/server.js';
import { Outbox } from '../outbox.js';
import { type EndpointRecord, interfaceNames, openLocalState } from '../state/records.js';
import { FakeDatapath } from './fake-datapath.js';
import { FakeMaster } from './fake-master.js';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** An endpoint as the agent keeps it, ready unless `more` says otherwise. */
export const endpointOf = (endpointId: string, more: Partial<EndpointRecord> = {}): EndpointRecord => ({
  endpointId,
  networkId: 'net1',
  ref: { tenant: 'default', network: 'n' },
  ip: '10.1.2.3',
  mac: '02:02:0a:01:02:03',
  ...interfaceNames(endpointId),
  createdAt: Date.now(),
  stage: 'ready',
  ...more,
});

export async function openRig(options: { readonly deadMaster?: boolean; readonly dir?: string; readonly deadlineMs?: number } = {}) {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'netplugin-'));
  const master = new FakeMaster();
  const url = await master.start();
  if (options.deadMaster) await master.stop();
  const log = silentLogger();
  const state = openLocalState(dir, () => undefined);
  const pool = new MasterPool([url]);
  const registration = { vtepIp: '192.0.2.1', control: '192.0.2.1:9090', vxlanPort: 8472, mtu: 1500, version: '2.0.0' };
  const cluster = new Cluster({ host: 'h1', pool, stateDir: dir, log, registration: () => registration });
  const datapath = new FakeDatapath();
  const dataplane = new Dataplane(datapath, cluster, state, 'h1', log);
  const moved: string[] = [];
  const context: DriverContext = {
    host: 'h1',
    scope: 'local',
    cluster,
    calls: new AgentCalls(pool, options.deadlineMs ?? 3_500),
    state,
    dataplane,
    outbox: new Outbox(log),
    routes: { moveTo: (sandbox, endpoint) => moved.push(`${sandbox} ${endpoint.mac}`) },
    log,
    nudge: () => undefined,
  };
  const socket = join(dir, 'plugins', 'netplugin.sock');
  const server = new DriverServer(context, { socket, log });
  await server.start();
  cluster.start();
  dataplane.start();
  if (!options.deadMaster) await cluster.until(() => cluster.synced, 30_000);

  const raw = (method: string, path: string, body: Buffer | string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const req = http.request({ socketPath: socket, method, path, agent: false }, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => resolve({ status: res.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        res.on('error', reject);
      });
      req.on('error', reject);
      req.end(body);
    });
  return {
    dir,
    master,
    cluster,
    state,
    datapath,
    dataplane,
    context,
    moved,
    raw,
    call: async (name: string, body: object = {}): Promise<Answer> => {
      const { status, text } = await raw('POST', `/${name}`, `${JSON.stringify(body)}\n`);
      return { status, body: JSON.parse(text) as Record<string, unknown> };
    },
    close: async (keep = false) => {
      await server.stop();
      context.outbox.stop();
      await dataplane.stop();
      await cluster.stop();
      if (!options.deadMaster) await master.stop();
      if (!keep) rmSync(dir, { recursive: true, force: true });
    },
  };
}
