/** Containers come and go while programs of ours are killed: in the end nothing is left that should be gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { atRest, ENGINES, eventually, MASTER, NETMASTER, Rig, SETTLES_MS, settled, traces, WORKER } from './index.js';

const HOSTS = [MASTER, WORKER] as const;
/** Containers that come and go on each engine: 200 on all of them together, or as many as `E2E_RUNS` says. */
const RUNS = Number(process.env.E2E_RUNS ?? Math.ceil(200 / ENGINES.length));
/** What a container's start may say while agents and masters are being killed. */
const BECAUSE_AWAY =
  /netplugin is not running|netplugin was restarted|no netmaster answers|netplugin could not finish in time|not known to netplugin/;

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`leak-${engine}`.slice(0, 11));
  const store = engine === 'modern' ? 'etcd' : 'embedded';
  const stays = (host: string): string => `stays-${host.slice(-7)}`;
  let before: readonly string[];

  beforeAll(async () => {
    await rig.up('--engine', engine, '--store', store);
    await rig.netctl('net', 'create', '--subnet', '10.1.1.0/24', '--gateway', '10.1.1.254', 'leak');
    for (const host of HOSTS) {
      await eventually('the Docker network', () => rig.docker(host, 'network', 'inspect', 'leak'));
      await rig.docker(host, 'run', '-d', '--name', stays(host), '--net', 'leak', 'alpine', 'sleep', '3600');
    }
    before = await atRest(rig);
  });
  afterAll(() => rig.down());

  test(`${RUNS} containers come and go while agents and master are killed`, async () => {
    const failures: string[] = [];
    let left = RUNS;
    let slowest = 0;
    const lane = async (host: string): Promise<void> => {
      while (left-- > 0) {
        const began = performance.now();
        const { code, text } = await rig.tryDocker(host, ['run', '--rm', '--net', 'leak', 'alpine', 'true'], { timeoutMs: 120_000 });
        slowest = Math.max(slowest, performance.now() - began);
        if (code === 0) continue;
        // Told at once that a program is away, whoever wants a container waits a little.
        failures.push(text.trim());
        left++;
        await sleep(500);
      }
    };
    const lanes = Promise.all(Array.from({ length: 8 }, (_, i) => lane(HOSTS[i % 2] ?? MASTER)));
    let over = false;
    void lanes.finally(() => {
      over = true;
    });
    const victims = [
      [MASTER, 'netplugin', `${rig.agent(MASTER)}/debug/state`],
      [MASTER, 'netmaster', `${NETMASTER}/api/v1/tenants/`],
      [WORKER, 'netplugin', `${rig.agent(WORKER)}/debug/state`],
    ] as const;
    for (let round = 0; !over; round++) {
      const [host, service, url] = victims[round % victims.length] ?? victims[0];
      await rig.service(host, service, 'kill');
      await sleep(round % 2 === 0 ? 0 : 300);
      await rig.service(host, service, 'start');
      // However slow the machine: each of them is there for a while before the next one goes.
      await eventually(`${service} is back`, () => rig.get(url));
      await sleep(300);
    }
    await lanes;
    // All succeed in the end, and whoever does not at first is told that it is a program of ours that was away.
    for (const text of failures) expect(text).toMatch(BECAUSE_AWAY);
    expect(slowest).toBeLessThan(60_000);
    await settled(rig, before);
  });

  test('networks removed leave nothing either', async () => {
    for (const host of HOSTS) await rig.docker(host, 'rm', '-f', stays(host));
    await eventually('the network goes', () => rig.netctl('net', 'rm', 'leak'));
    const bare = async (): Promise<void> => {
      const rest = (await traces(rig)).filter((line) =>
        /docker network leak|default:leak|link cv|link cp|agent (networks|pools|reservations|endpoints) [1-9]|: (endpoints|ports|networks|members) /.test(
          line,
        ),
      );
      expect(rest).toEqual([]);
    };
    await eventually('bare hosts', bare, SETTLES_MS);
  });
});
