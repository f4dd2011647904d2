/** Agent and masters dead: the engine is none the worse, and who asks for a network of ours is told what to do. */
import { networkInspect } from '@contiv/model';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually, reaching } from './rig/run.js';

/** The promise is 5 s; a loaded machine gets twice that. */
const SOON_MS = 10_000;
const CREATE = ['network', 'create', '-d', 'netplugin', '--ipam-driver', 'netplugin', '--subnet', '10.7.0.0/24', 'new'];

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`abs-${engine.slice(0, 3)}`);
  const refused = async (host: string, ...args: readonly string[]) => {
    const began = performance.now();
    const { code, text } = await rig.tryDocker(host, args);
    expect(performance.now() - began).toBeLessThan(SOON_MS);
    expect(code, text).not.toBe(0);
    return text;
  };
  const names = (text: string) => text.split('\n').map((line) => line.split(' ')[0] ?? '');

  beforeAll(async () => {
    await rig.up('--engine', engine);
    await rig.netctl('net', 'create', '-s', '10.1.2.0/24', 'contiv-net');
    for (const host of [MASTER, WORKER]) await eventually('the network', () => rig.docker(host, 'network', 'inspect', 'contiv-net'));
    await rig.docker(MASTER, 'run', '-d', '--name', 'before', '--net', 'contiv-net', 'alpine', 'sleep', '10000');
    await rig.docker(WORKER, 'run', '-d', '--name', 'there', '--net', 'contiv-net', 'alpine', 'sleep', '10000');
    for (const host of [MASTER, WORKER])
      await rig.docker(host, 'run', '-d', '--name', 'policy', '--restart', 'always', '--net', 'contiv-net', 'alpine', 'sleep', '10000');
  });
  afterAll(() => rig.down());

  test('an agent whose engine hangs stops in time, and its successor does what it was about to do', async () => {
    const pid = await rig.pid(MASTER, 'docker');
    process.kill(pid, 'SIGSTOP');
    try {
      await rig.netctl('net', 'create', '-s', '10.1.3.0/24', 'more');
      const began = performance.now();
      await rig.service(MASTER, 'netplugin', 'stop');
      expect(performance.now() - began).toBeLessThan(6_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await rig.service(MASTER, 'netplugin', 'start');
    await eventually('the network', () => rig.docker(MASTER, 'network', 'inspect', 'more'));
    await rig.netctl('net', 'rm', 'more');
  });

  /** Its container has a restart policy, which the engine cannot follow at the moment. */
  const crashes = async (host: string, name: string) => {
    await rig.on(host, 'kill', '-9', await rig.docker(host, 'inspect', '-f', '{{.State.Pid}}', name));
    await eventually('the engine gives up', async () =>
      expect(await rig.docker(host, 'inspect', '-f', '{{.State.Status}} {{.State.Error}}', name)).toMatch(/^exited .*net(master|plugin)/),
    );
  };

  test('without a master, netplugin says which it looked for', async () => {
    await rig.service(MASTER, 'netmaster', 'kill');
    await crashes(WORKER, 'policy');
    const said = await Promise.all([
      ...[MASTER, WORKER].map((host) => refused(host, 'run', '--rm', '--net', 'contiv-net', 'alpine', 'true')),
      refused(WORKER, ...CREATE),
    ]);
    for (const text of said)
      expect(text).toMatch(
        /no netmaster answers at http:\/\/192\.168\.2\.50:9999 \(.*\); start netmaster, or give netplugin the right --netmaster address/,
      );
    expect(names(await rig.docker(WORKER, 'network', 'ls', '--format', '{{.Name}}'))).not.toContain('new');
    const asked = await rig.tryNetctl('net', 'ls');
    expect(asked.code).toBe(3);
    expect(asked.stderr).toContain('cannot reach netmaster at http://192.168.2.50:9999 (connection refused); start netmaster there');
    const status = await rig.tryOn(WORKER, 'netplugin', 'status');
    expect(status.code).toBe(2);
    expect(status.stdout).toMatch(/^Netmaster +NOT in sync since /m);
  });

  test('without the agent, the engine lists, runs, stops and starts as ever', async () => {
    await rig.service(MASTER, 'netplugin', 'kill');
    expect(names(await rig.docker(MASTER, 'ps', '--format', '{{.Names}}')).toSorted()).toEqual(['before', 'policy']);
    await rig.docker(MASTER, 'run', '--rm', 'alpine', 'true');
    await rig.service(MASTER, 'docker', 'stop');
    await rig.service(MASTER, 'docker', 'start');
    expect(names(await rig.docker(MASTER, 'ps', '--format', '{{.Names}}')).toSorted()).toEqual(['before', 'policy']);
    expect(names(await rig.docker(MASTER, 'network', 'ls', '--format', '{{.Name}}'))).toContain('contiv-net');
    await rig.docker(MASTER, 'run', '--rm', 'alpine', 'true');
    expect(await rig.docker(MASTER, 'exec', 'before', 'ping', '-c', '2', '-i', '0.2', '-W', '2', '10.1.2.2')).toContain(' 0% packet loss');
  });

  test('docker run on our network fails soon with a sentence that says what to do', async () => {
    for (const args of [['run', '--rm', '--net', 'contiv-net', 'alpine', 'true'], CREATE])
      expect(await refused(MASTER, ...args)).toContain(
        'netplugin is not running on this host; start it (systemctl start netplugin) and try again',
      );
    await crashes(MASTER, 'policy');
    const status = await rig.tryOn(MASTER, 'netplugin', 'status');
    expect(status.code).not.toBe(0);
    expect(status.stderr).toMatch(/^netplugin: no agent answers on port 9090 of this host/);
    expect(await rig.docker(MASTER, 'ps', '-aq', '--filter', 'name=before')).not.toBe('');
  });

  test('what was removed meanwhile is gone everywhere once they are back', async () => {
    await rig.docker(MASTER, 'rm', '-f', 'before');
    await rig.service(MASTER, 'netmaster', 'start');
    await rig.service(MASTER, 'netplugin', 'start');
    await rig.docker(MASTER, 'run', '--rm', '--net', 'contiv-net', 'alpine', ...reaching('there'));
    for (const host of [MASTER, WORKER]) {
      await eventually('what the engine could not start again runs', async () =>
        expect(await rig.docker(host, 'inspect', '-f', '{{.State.Status}}', 'policy')).toBe('running'),
      );
      await rig.docker(host, 'rm', '-f', 'policy');
    }
    await eventually(
      'only the other endpoint is left',
      async () => {
        const { Oper } = networkInspect.parse(JSON.parse(await rig.netctl('net', 'inspect', 'contiv-net')));
        expect(Oper.endpoints?.map((e) => e.containerName)).toEqual(['there']);
        // An endpoint younger than half a minute may be in the middle of its container's start, so it is not judged before.
      },
      60_000,
    );
  });
});
