/** One container opens connections as fast as it can, to fill the tables it shares with everybody; nobody else is to notice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentMemory, connectionsFill } from './rig/agent.js';
import { sendSyns } from './rig/raw.js';
import { MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';
import { type Outcome, type Place, Traffic } from './rig/traffic.js';

const rig = new Rig('flood');
const HOSTS = [MASTER, WORKER] as const;
/** Many times what the table of connections holds. */
const CONNECTIONS = 1_000_000;
const SOURCE_PORTS = 60_000;
const PORTS = 65_535;
/** What an agent remembers of connections at most, and what its heap differs by anyway: a million of them would be a gigabyte. */
const FLAT_MIB = 80;
/** The flood and everybody else share two processors. */
const SLOWER_MS = 2;
/** Of the stream's 50 Mbit/s. */
const KEPT_MBITS = 40;

// Two tenants with the same addresses.
const attacker: Place = { host: MASTER, container: 'attacker', ip: '10.1.1.11' };
const victim: Place = { host: WORKER, container: 'victim', ip: '10.1.1.12' };
const client: Place = { host: MASTER, container: 'client', ip: '10.1.1.11' };
const server: Place = { host: WORKER, container: 'server', ip: '10.1.1.12' };

const memory = (): Promise<number[]> => Promise.all(HOSTS.map((host) => agentMemory(rig, host)));
const received = (): Promise<string> => rig.docker(server.host, 'exec', server.container, 'cat', '/tmp/received');

/** Ordinary traffic of the other tenant meanwhile, and what became of it. */
async function during(work: () => Promise<void>): Promise<Outcome> {
  const traffic = await Traffic.start(rig, client, server);
  await work();
  return traffic.stop();
}

function expectUnharmed(outcome: Outcome, calm: Outcome): void {
  // A packet may be lost to a queue that is full for a moment; a connection that is cut loses all of them.
  expect(outcome.lost / (outcome.answered + outcome.lost)).toBeLessThan(0.01);
  expect(outcome.longestGapMs).toBeLessThan(1_000);
  expect(outcome.rttMs).toBeLessThan(calm.rttMs + SLOWER_MS);
  const { stream } = outcome;
  expect(stream.reduce((sum, rate) => sum + rate, 0) / stream.length).toBeGreaterThan(KEPT_MBITS);
}

describe('a flood from inside a container', () => {
  let calm: Outcome;
  let before: number[];

  beforeAll(async () => {
    await rig.up('--engine', 'modern');
    for (const [tenant, from, to] of [
      ['wild', attacker, victim],
      ['calm', client, server],
    ] as const) {
      await rig.netctl('tenant', 'create', tenant);
      await rig.netctl('net', 'create', '-t', tenant, '-s', '10.1.1.0/24', 'net');
      await rig.netctl('policy', 'create', '-t', tenant, 'p');
      await rig.netctl('group', 'create', '-t', tenant, '-p', 'p', 'net', 'called');
      for (const [place, network] of [
        [from, 'net'],
        [to, 'called'],
      ] as const) {
        const net = `${network}/${tenant}`;
        await eventually('the network', () => rig.docker(place.host, 'network', 'inspect', net));
        const options = ['--name', place.container, '--net', net, '--ip', place.ip];
        await rig.docker(place.host, 'run', '-d', ...options, 'alpine', 'sleep', '1d');
      }
    }
    // Only who calls may speak first: when its entry is gone, a connection lives by being judged anew.
    await rig.netctl('policy', 'rule-add', '-t', 'calm', '-d', 'out', '-l', 'tcp', '-j', 'deny', 'p', '1');
    const listens = 'sleep 1d | nc -l -p 9000 >/tmp/received';
    await rig.docker(server.host, 'exec', '-d', server.container, 'sh', '-c', listens);
    const says = `(echo before; until [ -e /tmp/over ]; do sleep 0.1; done; echo after; sleep 1d) | nc ${server.ip} 9000`;
    await eventually('an idle connection', async () => {
      await rig.docker(client.host, 'exec', '-d', client.container, 'sh', '-c', says);
      await new Promise((wake) => setTimeout(wake, 300));
      expect(await received()).toBe('before');
    });
    calm = await during(() => new Promise((wake) => setTimeout(wake, 3_000)));
    before = await memory();
  });
  afterAll(() => rig.down());

  test(`${CONNECTIONS} connections over a table of 131,072 do not harm those of another tenant`, async () => {
    const outcome = await during(() => sendSyns(rig, attacker, victim, CONNECTIONS, SOURCE_PORTS));
    expectUnharmed(outcome, calm);
    for (const host of HOSTS)
      await eventually('the table is full', async () => expect(await connectionsFill(rig, host)).toBeGreaterThan(0.9));
  });

  test('neither does a scan of all ports, most of which are refused by a rule', async () => {
    await rig.netctl('policy', 'rule-add', '-t', 'wild', '-d', 'in', '-l', 'tcp', '-j', 'deny', 'p', '1');
    await rig.netctl('policy', 'rule-add', '-t', 'wild', '-d', 'in', '-l', 'tcp', '-P', '80', '-p', '10', '-j', 'allow', 'p', '2');
    expectUnharmed(await during(() => sendSyns(rig, attacker, victim, PORTS, 1)), calm);
  });

  test('a connection that was silent all the time goes on', async () => {
    await rig.docker(client.host, 'exec', client.container, 'touch', '/tmp/over');
    await eventually('the rest', async () => expect(await received()).toBe('before\nafter'));
  });

  test('and the agents have not grown with the number of connections', async () => {
    const after = await memory();
    for (const [i, mib] of after.entries()) expect(mib - (before[i] ?? 0)).toBeLessThan(FLAT_MIB);
  });
});
