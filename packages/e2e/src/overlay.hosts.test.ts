/** Beside Docker's own overlay networks, and what stopping, a wrong port and teardown do to either. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES, MASTER, NETMASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';
import { type Place, pingDuring } from './rig/traffic.js';
import { OTHER, upgrade, withPrograms } from './rig/upgrade.js';

const HOSTS = [MASTER, WORKER] as const;
const CLUSTER = 'tcp://192.168.2.50:2375';

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`overlay-${engine[0]}`);
  const docker = async (...args: string[]) => {
    const { code, text } = await rig.tryDocker(CLUSTER, args, { timeoutMs: 120_000 });
    expect(code, `docker ${args.join(' ')}: ${text}`).toBe(0);
    return text;
  };
  const ping = (from: string, to: string, count = 3) => docker('exec', from, 'ping', '-i', '0.1', '-W', '2', '-c', String(count), to);
  const oursReached = async () => expect(await ping('ours-1', 'ours-2')).toContain(' 0% packet loss');
  const overlayReached = async () => expect(await ping('overlay-1', 'overlay-2')).toContain(' 0% packet loss');
  const place = (container: string): Place => ({ host: MASTER, container, ip: '' });
  const addressOf = (container: string, network: string) =>
    rig.docker(WORKER, 'inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
  const service = (host: string, action: string) => rig.lab('service', host, 'netplugin', action);

  beforeAll(async () => {
    await rig.up('--engine', engine, ...(engine === 'modern' ? ['--swarm-mode'] : ['--store', 'etcd']));
    await rig.netctl('net', 'create', '--subnet=10.1.2.0/24', 'ours');
    await docker(
      'network',
      'create',
      '-d=overlay',
      ...(engine === 'modern' ? ['--attachable'] : []),
      '--subnet=30.1.1.0/24',
      'overlay-net',
    );
    // The manager lists a network that one of the engines has.
    for (const host of HOSTS) await eventually('our network', () => rig.docker(host, 'network', 'inspect', 'ours'));
    await eventually('our network by swarm', () => docker('network', 'inspect', 'ours'));
    for (const [network, name] of [
      ['ours', 'ours'],
      ['overlay-net', 'overlay'],
    ])
      for (const [n, host] of [MASTER, WORKER].entries())
        await docker('run', '-itd', `--name=${name}-${n + 1}`, `--net=${network}`, '-e', `constraint:node==${host}`, 'alpine', 'sh');
    // Either host hears of the other's containers a moment later.
    for (const reached of [oursReached, overlayReached]) await eventually('they meet', reached);
  });
  afterAll(() => rig.down());

  /** What pings on either network lose meanwhile, 200 a second on each. */
  async function lostDuring(work: () => Promise<void>): Promise<{ ours: number; overlay: number }> {
    // The one runs within the other, so both are on the way all the time. What the last of them cost, when ping is ended, is not counted.
    let overlay = 0;
    const ours = await pingDuring(rig, place('ours-1'), await addressOf('ours-2', 'ours'), async () => {
      const { lost } = await pingDuring(rig, place('overlay-1'), await addressOf('overlay-2', 'overlay-net'), work);
      overlay = lost;
    });
    return { ours: ours.lost, overlay };
  }

  test('both kinds carry at once, also while netplugin stops, is killed and starts, is upgraded and downgraded', async () => {
    await Promise.all([oursReached(), overlayReached()]);
    // Programs are the same for all engines: they are exchanged beside one.
    await withPrograms(rig, HOSTS, engine === ENGINES[0] ? [OTHER.tables] : [], async (objects) => {
      const lost = await lostDuring(async () => {
        for (const [host, end] of [
          [MASTER, 'stop'],
          [WORKER, 'kill'],
        ] as const) {
          await service(host, end);
          await service(host, 'start');
        }
        for (const object of objects) for (const next of [object, undefined]) await upgrade(rig, HOSTS, next);
        await Promise.all([oursReached(), overlayReached()]);
      });
      expect(lost).toEqual({ ours: 0, overlay: 0 });
    });
  });

  test('the port of the overlay is refused in one sentence, and what was there before goes on', async () => {
    await service(WORKER, 'stop');
    const flags = ['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', '--netmaster', NETMASTER, '--vxlan-port', '4789'];
    const { code, text } = await rig.tryOn(WORKER, 'netplugin', ...flags);
    expect(code).not.toBe(0);
    expect(text).toContain("UDP port 4789 of this host is taken by Docker's own overlay networks");
    expect(text).toContain('choose another one with --vxlan-port on all hosts');
    expect(text).not.toMatch(/\n\s+at /);
    await Promise.all([oursReached(), overlayReached()]);
    await service(WORKER, 'start');
  });

  test('teardown says what it cuts, does it when told to, and leaves the overlay alone', async () => {
    const early = await rig.tryOn(WORKER, 'netplugin', 'teardown', '--yes');
    expect(early.code).toBe(1);
    expect(early.text).toContain('stop it first');
    await service(WORKER, 'stop');
    const asked = await rig.tryOn(WORKER, 'netplugin', 'teardown');
    expect(asked.code).toBe(1);
    expect(asked.text).toContain('10.1.2.2 in ours of tenant default');
    expect(asked.text).toContain('Nothing was removed.');
    await Promise.all([oursReached(), overlayReached()]);

    expect(await rig.on(WORKER, 'netplugin', 'teardown', '--yes')).toMatch(/Removed\.$/);
    expect(await rig.on(WORKER, 'ip', '-br', 'link')).not.toMatch(/^(contiv|cv[0-9a-f])/m);
    expect(await rig.on(WORKER, 'nft', 'list', 'tables')).not.toContain('contiv');
    expect(await rig.on(WORKER, 'sh', '-c', 'ls /sys/fs/bpf')).not.toContain('contiv');
    await overlayReached();
    expect(await rig.on(WORKER, 'netplugin', 'teardown')).toBe('There is no data path on this host.');

    await service(WORKER, 'start');
    await docker('restart', '-t', '0', 'ours-2');
    await eventually('our network again', oursReached);
  });
});
