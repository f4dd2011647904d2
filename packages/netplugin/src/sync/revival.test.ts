import { serveEngine } from '@contiv/docker/testing';
import { afterEach, expect, test } from 'vitest';
import { AGENT_AWAY } from '../doorkeeper.js';
import { openRig } from '../testing/rig.js';
import { isOwed, Revival } from './revival.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const NO_MASTER =
  'failed to set up container networking: IpamDriver.RequestAddress: no netmaster answers at http://192.0.2.1:9999 (refused); start it';
const detail = (Id: string, policy: string, reason: string, state: { Running?: boolean; ExitCode?: number } = {}) => ({
  Id,
  Name: `/${Id}`,
  State: { Running: false, Pid: 0, ExitCode: 137, ...state, Error: reason },
  HostConfig: { RestartPolicy: { Name: policy } },
});

test('owed is what a policy asks for and only we prevented', () => {
  expect(['always', 'unless-stopped', 'on-failure', 'no', ''].map((policy) => isOwed(detail('c', policy, NO_MASTER)))).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(isOwed(detail('c', 'always', `NetworkDriver.CreateEndpoint: ${AGENT_AWAY}; start it`))).toBe(true);
  expect(isOwed(detail('c', 'on-failure', NO_MASTER, { ExitCode: 0 }))).toBe(false);
  expect(isOwed(detail('c', 'always', NO_MASTER, { Running: true }))).toBe(false);
  for (const reason of ['', 'IpamDriver.RequestAddress: address exhaustion in subnet 10.1.1.0/24'])
    expect(isOwed(detail('c', 'always', reason)), reason).toBe(false);
});

test('once netmaster is back they are started, others are not, and one that went meanwhile is no matter', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  const containers = [
    detail('owed', 'always', NO_MASTER),
    detail('gone', 'always', NO_MASTER),
    detail('stopped', 'always', ''),
    detail('too', 'unless-stopped', NO_MASTER),
  ];
  const started: string[] = [];
  const { engine, close } = await serveEngine((path, res, method) => {
    const id = /containers\/(\w+)\/(?:json|start)$/.exec(path)?.[1] ?? '';
    if (path.includes('/containers/json')) res.end(JSON.stringify(containers.map(({ Id }) => ({ Id, State: 'exited' }))));
    else if (method === 'POST' && id === 'gone') res.writeHead(404).end('{"message":"No such container"}');
    else if (method === 'POST') {
      started.push(id);
      res.writeHead(204).end();
    } else res.end(JSON.stringify(containers.find(({ Id }) => Id === id)));
  });
  cleanups.push(close);
  const revival = new Revival(engine, rig.context);
  cleanups.push(() => revival.stop());
  revival.soon();
  await expect.poll(() => started.toSorted(), { timeout: 10_000 }).toEqual(['owed', 'too']);
});
