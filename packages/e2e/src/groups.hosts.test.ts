/** Groups of real containers: joined by network, option or label, moved while they run; and what their profiles allow of the network. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';

const IMAGE = 'bench';
const NET = 'contiv-net';
const OTHER: Readonly<Record<string, string>> = { [MASTER]: WORKER, [WORKER]: MASTER };

describe('groups', () => {
  const rig = new Rig('groups');
  const address = new Map<string, string>();
  const hostOf = new Map<string, string>();

  async function start(host: string, name: string, network: readonly string[], ...options: readonly string[]): Promise<void> {
    // An engine gives a driver's call five seconds, which a busy machine may not have.
    await eventually(`${name} runs`, async () => {
      await rig.tryDocker(host, ['rm', '-f', name]);
      await rig.docker(host, 'run', '-d', '--name', name, ...network, ...options, IMAGE, 'iperf3', '-s');
    });
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    address.set(name, await rig.docker(host, 'inspect', '--format', format, name));
    hostOf.set(name, host);
  }
  const inside = (name: string, ...argv: readonly string[]) => rig.tryDocker(hostOf.get(name) ?? MASTER, ['exec', name, ...argv]);
  const reaches = async (from: string, to: string): Promise<boolean> =>
    (await inside(from, 'ping', '-c', '1', '-W', '2', address.get(to) ?? '')).code === 0;
  const becomes = (from: string, to: string, open: boolean) =>
    eventually(`${from} ${open ? 'reaches' : 'does not reach'} ${to}`, async () => expect(await reaches(from, to)).toBe(open));
  const groupOf = async (name: string): Promise<string> => {
    const inspection = JSON.parse(await rig.netctl('endpoint', 'inspect', name)) as { Oper: { serviceName?: string } };
    return inspection.Oper.serviceName ?? '';
  };
  /** Mbit/s of payload. */
  async function throughput(from: string, to: string, seconds = 4): Promise<number> {
    // A server that has just ended a test takes no other one for a moment.
    return eventually(`${to} takes a test`, async () => {
      const { text } = await inside(from, 'iperf3', '-J', '-c', address.get(to) ?? '', '-t', String(seconds));
      const rate = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([\d.e+]+)/.exec(text)?.[1];
      if (rate === undefined) throw new Error(text);
      return Number(rate) / 1e6;
    });
  }

  beforeAll(async () => {
    await rig.up('--engine', 'modern');
    await rig.netctl('global', 'set', '--fwd-mode', 'routing');
    await rig.netctl('net', 'create', '-s', '10.1.2.0/24', '-g', '10.1.2.254', NET);
    await rig.netctl('policy', 'create', 'closed');
    await rig.netctl('policy', 'rule-add', '-d', 'in', '-j', 'deny', 'closed', '1');
    await rig.netctl('group', 'create', '-p', 'closed', NET, 'vault');
    await rig.netctl('group', 'create', NET, 'hall');
    for (const host of [MASTER, WORKER]) await eventually('networks', () => rig.docker(host, 'network', 'inspect', NET, 'vault', 'hall'));
    await start(MASTER, 'caller', ['--net', 'hall']);
    await start(WORKER, 'labelled', ['--net', NET], '--label', 'io.contiv.group=vault');
    await start(WORKER, 'optioned', ['--network', `name=${NET},driver-opt=io.contiv.group=vault`]);
    await start(WORKER, 'plain', ['--net', NET]);
  });
  afterAll(() => rig.down());

  test('are joined by label and by option like by network, and whoever is in none is open as ever', async () => {
    await becomes('caller', 'plain', true);
    await eventually('netmaster knows the names and groups', async () =>
      expect(await Promise.all(['caller', 'labelled', 'optioned', 'plain'].map(groupOf))).toEqual(['hall', 'vault', 'vault', '']),
    );
    for (const name of ['labelled', 'optioned']) {
      expect(await reaches('caller', name), name).toBe(false);
      await becomes(name, 'caller', true);
    }
    const refused = await rig.tryDocker(WORKER, [
      'run',
      '--rm',
      '--network',
      `name=${NET},driver-opt=io.contiv.group=nobody`,
      IMAGE,
      'true',
    ]);
    expect(refused.text).toContain('tenant default has no endpoint group nobody');
  });

  test('a running container moves: what the new group denies is cut, what both allow loses nothing', async () => {
    await becomes('plain', 'caller', true);
    const pings = inside('plain', 'ping', '-c', '150', '-i', '0.02', '-W', '1', address.get('caller') ?? '');
    expect(await rig.netctl('endpoint', 'relabel', 'plain', 'vault')).toContain('Moving endpoint plain to EndpointGroup default:vault');
    await becomes('caller', 'plain', false);
    expect(await groupOf('plain')).toBe('vault');
    expect((await pings).stdout).toContain(' 0% packet loss');
    await rig.netctl('endpoint', 'relabel', 'labelled', 'hall');
    await becomes('caller', 'labelled', true);
    // Not only until its container is looked at again.
    await rig.service(WORKER, 'netplugin', 'restart');
    await becomes('caller', 'plain', false);
    await becomes('caller', 'labelled', true);
    await rig.netctl('endpoint', 'relabel', 'plain', 'hall');
    await becomes('caller', 'plain', true);
  });

  test('a profile holds a group to its bandwidth either way, another one at once, and none leaves no trace', async () => {
    await rig.netctl('policy', 'rule-rm', 'closed', '1');
    await becomes('caller', 'optioned', true);
    const slow = (bandwidth: string) => rig.netctl('netprofile', 'create', '-b', bandwidth, '-s', '80', 'slow');
    await slow('16Mbps');
    await rig.netctl('group', 'create', '-n', 'slow', NET, 'hall');
    const tc = (host: string) => rig.tryOn(host, 'tc', 'class', 'show', 'dev', 'contivq');
    for (const host of [MASTER, WORKER]) await eventually('classes', async () => expect((await tc(host)).text).toContain('rate 16777Kbit'));
    for (const [from, to] of [
      ['caller', 'optioned'],
      ['optioned', 'caller'],
    ] as const) {
      const got = await throughput(from, to);
      expect(got).toBeGreaterThan(16 * 0.75);
      expect(got).toBeLessThan(16 * 1.15);
    }
    // Two containers of the group on one host share, whoever else they speak to.
    const shares = await Promise.all([throughput('plain', 'caller'), throughput('labelled', 'optioned')]);
    expect(shares[0] + shares[1]).toBeLessThan(16 * 1.2);
    expect(Math.min(...shares)).toBeGreaterThan(16 * 0.25);
    await slow('4Mbps');
    for (const host of [MASTER, WORKER]) await eventually('classes', async () => expect((await tc(host)).text).toContain('rate 4194Kbit'));
    expect(await throughput('caller', 'optioned')).toBeLessThan(4 * 1.3);
    await rig.netctl('group', 'create', NET, 'hall');
    for (const host of Object.keys(OTHER)) await eventually('no classes', async () => expect((await tc(host)).code).not.toBe(0));
    expect(await throughput('caller', 'optioned', 2)).toBeGreaterThan(40);
  });
});
