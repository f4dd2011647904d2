/** Names of containers, aliases and groups over hosts, both ways and both families; other names go on to the host's resolver; tenants stay apart. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';

const NETWORK = ['-s', '10.1.2.0/24', '-s6', 'fd00:1:2::/64'];
/** Where the agents answer, behind the engine's own resolver. */
const SERVICE = '169.254.20.10';

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`dns-${engine.slice(0, 3)}`);
  const run = (host: string, name: string, network: string, ...options: readonly string[]) =>
    rig.docker(host, 'run', '-d', '--name', name, '--net', network, ...options, 'alpine', 'sleep', '10000');
  /** Addresses or names a container is told, sorted; empty when there is no such name or nothing of that type. */
  const ask = async (host: string, asker: string, type: 'A' | 'AAAA' | 'PTR', name: string, server = '') => {
    const argv = ['exec', asker, 'nslookup', `-type=${type}`, name, ...(server === '' ? [] : [server])];
    const { stdout } = await rig.tryDocker(host, argv);
    // What stands before the empty line is the resolver's own address.
    const answer = stdout.slice(stdout.indexOf('\n\n'));
    const found = type === 'PTR' ? answer.matchAll(/name = (\S+?)\.?$/gm) : answer.matchAll(/^Address: (\S+)$/gm);
    return [...found].map((match) => match[1] ?? '').sort();
  };
  const told = (host: string, asker: string, type: 'A' | 'AAAA' | 'PTR', name: string, expected: readonly string[], server = '') =>
    eventually(`${asker} asks for ${type} of ${name}`, async () => expect(await ask(host, asker, type, name, server)).toEqual(expected));

  beforeAll(async () => {
    await rig.up('--engine', engine);
    await rig.netctl('tenant', 'create', 'blue');
    for (const tenant of ['default', 'blue']) await rig.netctl('net', 'create', '-t', tenant, ...NETWORK, 'contiv-net');
    await rig.netctl('net', 'create', '-s', '10.1.3.0/24', 'other-net');
    await rig.netctl('group', 'create', 'contiv-net', 'web');
    for (const host of [MASTER, WORKER])
      await eventually('networks', () => rig.docker(host, 'network', 'inspect', 'contiv-net', 'contiv-net/blue', 'other-net', 'web'));
    const fixed = (n: number) => ['--ip', `10.1.2.${n}`, '--ip6', `fd00:1:2::${n}`];
    await Promise.all([
      run(MASTER, 'a1', 'web', ...fixed(1), '--network-alias', 'front'),
      run(WORKER, 'a2', 'web', ...fixed(2), '--network-alias', 'front', '--network-alias', 'Second'),
      run(WORKER, 'a3', 'contiv-net', ...fixed(3)),
      run(MASTER, 'secret', 'contiv-net/blue', ...fixed(9), '--network-alias', 'front'),
      run(WORKER, 'spy', 'contiv-net/blue', ...fixed(1)),
      run(MASTER, 'o1', 'other-net', '--ip', '10.1.3.1'),
      run(WORKER, 'plain', 'bridge'),
    ]);
  });
  afterAll(() => rig.down());

  test.each([
    [MASTER, 'a1'],
    [WORKER, 'a3'],
  ])('on %s, %s is told names, aliases and groups of its network', async (host, asker) => {
    await Promise.all([
      told(host, asker, 'A', 'a1', ['10.1.2.1']),
      told(host, asker, 'A', 'a2', ['10.1.2.2']),
      told(host, asker, 'A', 'a3', ['10.1.2.3']),
      told(host, asker, 'AAAA', 'a1', ['fd00:1:2::1']),
      told(host, asker, 'AAAA', 'a2', ['fd00:1:2::2']),
      told(host, asker, 'A', 'second', ['10.1.2.2']),
    ]);
    // Docker's own resolver knows aliases of its engine's containers and answers with those; the rest is ours.
    await told(host, asker, 'A', 'web', ['10.1.2.1', '10.1.2.2'], SERVICE);
    await told(host, asker, 'A', 'front', ['10.1.2.1', '10.1.2.2'], SERVICE);
    await told(host, asker, 'AAAA', 'FRONT', ['fd00:1:2::1', 'fd00:1:2::2'], SERVICE);
    await told(host, asker, 'A', 'web', ['10.1.2.1', '10.1.2.2']);
    await eventually('an alias', async () => expect(await ask(host, asker, 'A', 'front')).not.toEqual([]));
  });

  test('addresses lead back to names', async () => {
    const reverse6 = (n: number) => `${`${n}${'0'.repeat(15)}`.split('').join('.')}.0.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa`;
    await told(MASTER, 'a1', 'PTR', '2.2.1.10.in-addr.arpa', ['a2'], SERVICE);
    await told(MASTER, 'a1', 'PTR', reverse6(2), ['a2'], SERVICE);
    await told(WORKER, 'a3', 'PTR', '1.2.1.10.in-addr.arpa', ['a1']);
    await told(WORKER, 'a3', 'PTR', reverse6(1), ['a1']);
    // The same address is somebody else for the other tenant, and nobody where only the other has it.
    await told(MASTER, 'secret', 'PTR', '1.2.1.10.in-addr.arpa', ['spy']);
    expect(await ask(MASTER, 'a1', 'PTR', '9.2.1.10.in-addr.arpa')).toEqual([]);
  });

  test('a name without addresses of a family is known all the same', async () => {
    await told(MASTER, 'o1', 'A', 'o1', ['10.1.3.1'], SERVICE);
    const { stdout } = await rig.tryDocker(MASTER, ['exec', 'o1', 'nslookup', '-type=AAAA', 'o1', SERVICE]);
    expect(stdout).not.toContain('NXDOMAIN');
    expect(await ask(MASTER, 'o1', 'AAAA', 'o1', SERVICE)).toEqual([]);
  });

  test('nothing of another tenant or network is told', async () => {
    const unknown = async (host: string, asker: string, name: string, server?: string) =>
      expect(await ask(host, asker, 'A', name, server), `${asker}: ${name}`).toEqual([]);
    await Promise.all([
      ...['secret', 'spy'].flatMap((name) => [
        unknown(MASTER, 'a1', name),
        unknown(WORKER, 'a3', name, SERVICE),
        unknown(MASTER, 'o1', name, SERVICE),
      ]),
      ...['a1', 'a2', 'a3', 'web', 'second', 'o1'].flatMap((name) => [
        unknown(MASTER, 'secret', name, SERVICE),
        unknown(WORKER, 'spy', name),
      ]),
      unknown(MASTER, 'o1', 'a1', SERVICE),
      unknown(WORKER, 'plain', 'a1'),
    ]);
    await told(WORKER, 'spy', 'A', 'secret', ['10.1.2.9']);
    await told(WORKER, 'spy', 'A', 'front', ['10.1.2.9'], SERVICE);
  });

  test("other names are the host's resolver's business, for our containers and for others", async () => {
    for (const [host, asker] of [
      [MASTER, 'a1'],
      [WORKER, 'spy'],
      [WORKER, 'plain'],
    ] as const) {
      // A resolver that is slow for once is asked again.
      await told(host, asker, 'A', 'contiv.com', ['203.0.113.80']);
      await told(host, asker, 'AAAA', 'www.example.com', ['2001:db8:113::80']);
      await eventually(`${asker} is told that a name does not exist`, async () =>
        expect((await rig.tryDocker(host, ['exec', asker, 'nslookup', 'nowhere.example'])).text).toContain('NXDOMAIN'),
      );
    }
  });

  test('a container in two networks knows the names of both, and those in each know it', async () => {
    await rig.docker(WORKER, 'network', 'connect', '--ip', '10.1.3.2', 'other-net', 'a3');
    await told(WORKER, 'a3', 'A', 'o1', ['10.1.3.1']);
    await told(WORKER, 'a3', 'A', 'a1', ['10.1.2.1']);
    await told(MASTER, 'o1', 'A', 'a3', ['10.1.3.2']);
    await told(MASTER, 'a1', 'A', 'a3', ['10.1.2.3']);
    await rig.docker(WORKER, 'network', 'disconnect', 'other-net', 'a3');
    await told(MASTER, 'o1', 'A', 'a3', []);
    await told(WORKER, 'a3', 'A', 'o1', []);
    await told(WORKER, 'a3', 'A', 'a1', ['10.1.2.1']);
  });

  test('names follow their containers: renamed, and gone', async () => {
    await rig.docker(WORKER, 'rename', 'a2', 'renamed');
    await told(MASTER, 'a1', 'A', 'renamed', ['10.1.2.2']);
    await rig.docker(WORKER, 'rm', '-f', 'renamed');
    await told(MASTER, 'a1', 'A', 'renamed', []);
    await told(MASTER, 'a1', 'A', 'web', ['10.1.2.1']);
  });
});
