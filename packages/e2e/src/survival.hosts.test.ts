/** Traffic outlives every program of ours and of Docker's: nothing is lost while one of them is killed, and new containers work afterwards. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { difference, ENGINES, eventually, MASTER, type Outcome, type Place, Rig, reaching, Traffic, WORKER } from './index.js';
import { countersOf } from './rig/evidence.js';
import { OTHER, upgrade, withPrograms } from './rig/upgrade.js';

/** How long the store is away. A minute where the engines too hang on it, by their cluster store. */
const OUTAGE_MS: Readonly<Record<string, number>> = { system: 60_000, modern: 10_000 };
const HOSTS = [MASTER, WORKER] as const;

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`live-${engine}`.slice(0, 11));
  let from: Place;
  let to: Place;

  const snapshot = async (host: string): Promise<string> => join(await rig.dir(host), 'netplugin', 'snapshot.json');

  async function container(host: string, name: string): Promise<Place> {
    await rig.docker(host, 'run', '-d', '--name', name, '--net', 'live', 'bench', 'sleep', '3600');
    const ip = await rig.docker(host, 'inspect', '-f', '{{.NetworkSettings.Networks.live.IPAddress}}', name);
    return { host, container: name, ip };
  }

  beforeAll(async () => {
    await rig.up('--engine', engine, '--store', 'etcd');
    for (const host of HOSTS) {
      const file = await snapshot(host);
      await eventually('the first snapshot is written', () => copyFile(file, `${file}.old`));
    }
    await rig.netctl('net', 'create', '--subnet', '10.1.1.0/24', '--gateway', '10.1.1.254', 'live');
    for (const host of HOSTS) await eventually('the Docker network', () => rig.docker(host, 'network', 'inspect', 'live'));
    from = await container(MASTER, 'from');
    to = await container(WORKER, 'to');
  });
  afterAll(() => rig.down());

  async function during(fault: () => Promise<void>): Promise<Outcome> {
    const [traffic, before] = await Promise.all([Traffic.start(rig, from, to), countersOf(rig, [from, to])]);
    let outcome: Outcome;
    try {
      await fault();
      await sleep(1_500);
    } finally {
      outcome = await traffic.stop();
    }
    expect(outcome.answered).toBeGreaterThan(200);
    const counted = outcome.misses.length === 0 ? '' : difference(before, await countersOf(rig, [from, to]));
    expect(outcome.misses, `what was counted meanwhile:\n${counted}`).toEqual([]);
    expect(outcome.stream.length).toBeGreaterThan(1);
    expect(Math.min(...outcome.stream), `megabits per second: ${outcome.stream.join(' ')}`).toBeGreaterThan(5);
    return outcome;
  }

  /** A container on each host reaches the one that was there before, on the other. */
  async function newContainersWork(): Promise<void> {
    await Promise.all(
      HOSTS.map((host) => rig.docker(host, 'run', '--rm', '--net', 'live', 'alpine', ...reaching(host === MASTER ? 'to' : 'from'))),
    );
  }

  test('kill -9 of netplugin on both hosts', async () => {
    await during(async () => {
      await Promise.all(HOSTS.map((host) => rig.service(host, 'netplugin', 'kill')));
      await sleep(2_000);
      await Promise.all(HOSTS.map((host) => rig.service(host, 'netplugin', 'start')));
      await newContainersWork();
    });
  });

  // What has nothing to do with the engine is tried with one of them.
  test.runIf(engine === ENGINES[0])('netplugin ended by every signal a program may be sent', async () => {
    await during(async () => {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGSEGV', 'SIGABRT'] as const) {
        const pid = await rig.pid(WORKER, 'netplugin');
        process.kill(pid, signal);
        await eventually(`netplugin ends by ${signal}`, async () => {
          expect(await rig.tryOn(WORKER, 'service', 'netplugin', 'status')).toMatchObject({ code: 3 });
        });
        await rig.service(WORKER, 'netplugin', 'start');
      }
      await newContainersWork();
    });
  });

  test.runIf(engine === ENGINES.at(-1))('netplugin starts from a snapshot that is older than the containers', async () => {
    await during(async () => {
      await Promise.all(HOSTS.map((host) => rig.service(host, 'netplugin', 'kill')));
      for (const host of HOSTS) await copyFile(`${await snapshot(host)}.old`, await snapshot(host));
      await Promise.all(HOSTS.map((host) => rig.service(host, 'netplugin', 'start')));
      await newContainersWork();
    });
  });

  test('kill -9 of netmaster', async () => {
    await during(async () => {
      await rig.service(MASTER, 'netmaster', 'kill');
      await sleep(2_000);
      await rig.service(MASTER, 'netmaster', 'start');
      await newContainersWork();
    });
  });

  test('engines killed, and restarted as an administrator does', async () => {
    await during(async () => {
      await Promise.all(HOSTS.map((host) => rig.service(host, 'docker', 'kill')));
      await sleep(1_000);
      await Promise.all(HOSTS.map((host) => rig.service(host, 'docker', 'start')));
      await newContainersWork();
      await Promise.all(HOSTS.map((host) => rig.service(host, 'docker', 'restart')));
      await newContainersWork();
    });
    for (const { host, container: name } of [from, to])
      expect(await rig.docker(host, 'inspect', '-f', '{{.State.Running}}', name)).toBe('true');
  });

  test.runIf(engine === ENGINES.at(-1))('upgrade and downgrade of the data path, tables of another layout included', async () => {
    await withPrograms(rig, HOSTS, [OTHER.code, OTHER.tables], (objects) =>
      during(async () => {
        for (const object of [...objects, undefined]) {
          await upgrade(rig, HOSTS, object);
          await newContainersWork();
        }
      }),
    );
  });

  test('etcd away', async () => {
    await during(async () => {
      await rig.service(MASTER, 'etcd', 'kill');
      await sleep(OUTAGE_MS[engine] ?? 60_000);
      await rig.service(MASTER, 'etcd', 'start');
      await newContainersWork();
    });
  });
});
