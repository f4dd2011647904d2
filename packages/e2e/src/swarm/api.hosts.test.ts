import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, ENGINES, MASTER, WORKER } from '../rig/rig.js';
import { eventually } from '../rig/run.js';
import { nodesUrl, QUICK, SwarmRig } from './swarm-rig.js';
import { tarOf } from './tar.js';

/** The acceptance rows of classic Swarm that need no registry, as tests of our own: two real engines, the current CLI. */
describe.each(ENGINES)('one Docker API over two %s engines', (engine) => {
  const rig = new SwarmRig('swarm');
  const cli = rig.through(2375);
  const names = async (...filters: string[]): Promise<string[]> =>
    (await cli.ok('ps', '--format', '{{.Names}}', ...filters.flatMap((one) => ['--filter', one])))
      .split('\n')
      .filter((name) => name !== '');

  beforeAll(async () => {
    await rig.up('--bare', '--engine', engine);
    rig.manage(2375, ...QUICK, nodesUrl(MASTER, WORKER));
    await cli.healthy(2);
  });
  afterEach(() => cli.removeContainers());
  afterAll(() => rig.down());

  describe('streams', () => {
    test('64 MB through stdin of run -i arrive byte for byte, and come back', async () => {
      const input = randomBytes(64 * 1024 * 1024);
      const digest = createHash('sha256').update(input).digest('hex');
      const there = await cli.try(['run', '--rm', '-i', 'alpine', 'sha256sum'], { input, timeoutMs: 120_000 });
      expect(there.text).toContain(digest);
      const back = await cli.try(['run', '--rm', '-i', 'alpine', 'cat'], { input, timeoutMs: 120_000, encoding: 'latin1' });
      expect(createHash('sha256').update(Buffer.from(back.stdout, 'latin1')).digest('hex')).toBe(digest);
    });

    test('exec passes both streams, the end of one of them, and the exit code', async () => {
      await cli.sleeper('e1');
      const script = ['exec', '-i', 'e1', 'sh', '-c', 'cat; echo err >&2; exit 7'];
      expect(await cli.try(script, { input: 'through' })).toMatchObject({ code: 7, stdout: 'through', stderr: 'err\n' });
      await cli.ok('exec', '-d', 'e1', 'touch', '/tmp/made');
      await eventually('the detached command has run', async () => expect(await cli.ok('exec', 'e1', 'ls', '/tmp')).toBe('made'));
      expect(await cli.ok('diff', 'e1')).toContain('A /tmp/made');
      // The modern engine's root has no `ps` for it.
      if (engine === 'system') expect(await cli.ok('top', 'e1')).toContain('sleep 3600');
      expect(await cli.ok('stats', '--no-stream', 'e1')).toMatch(/CPU %.*MEM USAGE \/ LIMIT/);
    });

    test('attach reaches stdin; logs show what was said', async () => {
      await cli.ok('create', '-i', '--name', 'at1', 'alpine', 'sh', '-c', 'while read line; do echo got $line; done');
      const attached = await cli.try(['start', '-ai', 'at1'], { input: 'one\ntwo\n' });
      expect(attached.stdout).toBe('got one\ngot two\n');
      expect(await cli.ok('logs', 'at1')).toBe('got one\ngot two');
    });

    test('cp in and out, export, commit, logs, wait', async () => {
      await cli.sleeper('e1');
      await cli.try(['cp', '-', 'e1:/tmp'], { input: tarOf('copied', 'text') });
      expect(await cli.ok('exec', 'e1', 'cat', '/tmp/copied')).toBe('text');
      expect((await cli.try(['cp', 'e1:/tmp/copied', '-'])).stdout).toContain('copied');
      expect((await cli.try(['export', 'e1'], { encoding: 'latin1' })).stdout.length).toBeGreaterThan(100_000);
      await cli.ok('commit', 'e1', 'committed:1');
      expect(await cli.ok('images', '-q', 'committed')).not.toBe('');
      await cli.ok('rmi', 'committed:1');
      await cli.ok('run', '-d', '--name', 'l1', 'alpine', 'sh', '-c', 'echo 1; echo 2; echo 3');
      expect(await cli.ok('wait', 'l1')).toBe('0');
      await eventually('shown as ended', async () =>
        expect(await cli.ok('ps', '-a', '--filter', 'name=l1', '--format', '{{.Status}}')).toMatch(/^Exited \(0\)/),
      );
      expect(await cli.ok('logs', 'l1')).toBe('1\n2\n3');
    });

    test('a client that goes away ends its connection to the engine', async () => {
      const upstream = async (): Promise<number> =>
        Number((await rig.inside(['sh', '-c', `ss -Htn state established dst ${ADDRESS[MASTER]}:2385 | wc -l`])).stdout);
      await cli.ok('run', '-d', '--name', 'a1', '-e', `constraint:node==${MASTER}`, 'alpine', 'sh', '-c', 'while sleep 1; do echo x; done');
      const before = await upstream();
      const followers = Array.from({ length: 5 }, () => rig.spawn(['docker', '-H', 'tcp://127.0.0.1:2375', 'logs', '-f', 'a1']));
      for (const { stdout } of followers) stdout?.resume();
      await eventually('followers have a connection each', async () => expect(await upstream()).toBeGreaterThanOrEqual(before + 5));
      for (const follower of followers) follower.kill('SIGKILL');
      await eventually('no connection of theirs is left', async () => expect(await upstream()).toBeLessThanOrEqual(before + 1));
    });

    test('thirty rounds of run, inspect, logs and rm leave no connection behind', async () => {
      for (let i = 0; i < 30; i += 6) {
        await Promise.all(
          Array.from({ length: 6 }, async (_, k) => {
            const name = `round-${i + k}`;
            await cli.ok('run', '--name', name, 'alpine', 'true');
            await cli.ok('inspect', name);
            await cli.ok('logs', name);
            await cli.ok('rm', name);
          }),
        );
      }
      for (const host of [MASTER, WORKER]) {
        await eventually('what is idle is closed', async () => {
          const { stdout } = await rig.inside(['sh', '-c', `ss -Htn state established dst ${ADDRESS[host]}:2385 | wc -l`]);
          expect(Number(stdout)).toBeLessThanOrEqual(10);
        });
      }
    });
  });

  describe('containers', () => {
    test('create, start, pause, rename, restart, update, kill, rm', async () => {
      await cli.ok('create', '--name', 'k1', 'alpine', 'sleep', '3600');
      expect(await cli.ok('ps', '-l')).toContain('Created');
      await cli.ok('start', 'k1');
      await cli.ok('start', 'k1');
      await cli.ok('pause', 'k1');
      expect(await cli.ok('ps', '--filter', 'status=paused', '-q')).not.toBe('');
      expect(await cli.ok('info')).toContain('1 (0 Running, 1 Paused, 0 Stopped)');
      await cli.ok('unpause', 'k1');
      await cli.ok('rename', 'k1', 'k2');
      expect(await cli.refused('inspect', 'k1')).toMatch(/no such object/i);
      const started = await cli.ok('inspect', '-f', '{{.State.StartedAt}}', 'k2');
      await cli.ok('restart', '-t', '0', 'k2');
      expect(await cli.ok('inspect', '-f', '{{.State.StartedAt}}', 'k2')).not.toBe(started);
      await cli.ok('update', '-m', '100M', '--memory-swap', '200M', 'k2');
      expect(await cli.ok('info')).toContain('Reserved Memory: 100 MiB');
      await cli.ok('kill', 'k2');
      await eventually('shown as killed', async () => expect(await cli.ok('ps', '-a')).toContain('Exited (137)'));
      expect(await cli.refused('exec', 'k2', 'true')).toContain('is not running');
      await cli.ok('rm', 'k2');
      expect(await cli.ok('ps', '-aq')).toBe('');
      for (const _ of [1, 2, 3]) await cli.ok('run', '--rm', 'alpine', 'true');
      await eventually('--rm leaves nothing', async () => expect(await cli.ok('ps', '-aq')).toBe(''));
    });

    test('a name is given once, also to six who ask at once; an id prefix is a name like any other', async () => {
      const tries = await Promise.all(Array.from({ length: 6 }, () => cli.try(['create', '--name', 'same', 'alpine', 'true'])));
      expect(tries.filter((one) => one.code === 0)).toHaveLength(1);
      const conflict = 'Conflict: The name same is already assigned. You have to delete (or rename)';
      expect(tries.find((one) => one.code !== 0)?.text).toContain(conflict);
      const id = await cli.ok('inspect', '-f', '{{.Id}}', 'same');
      await cli.ok('create', '--name', id.slice(0, 5), 'alpine', 'true');
      expect(await cli.refused('rename', id.slice(0, 12), 'same')).toContain(conflict);
      await cli.ok('rename', 'same', 'other');
      expect(await cli.refused('rename', 'same', 'new')).toMatch(/no such container/i);
    });

    test('the swarm id names a container', async () => {
      await cli.sleeper('s1');
      const id = await cli.ok('inspect', '-f', '{{index .Config.Labels "com.docker.swarm.id"}}', 's1');
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect(await cli.ok('inspect', '-f', '{{.Name}}', id)).toBe('/s1');
      await cli.ok('logs', id.slice(0, 12));
      expect(await names(`label=com.docker.swarm.id=${id}`)).toHaveLength(1);
      const inspected = await cli.ok('inspect', 's1');
      for (const part of ['"Node": {', '"Name": "legacy-swarm-', '"Addr": "192.168.2.5', '"Domainname": ""'])
        expect(inspected).toContain(part);
      expect(await cli.ok('inspect', '-f', '{{.Node.IP}}', 's1')).toMatch(/^192\.168\.2\.5[01]$/);
    });

    test('options survive the way to the engine', async () => {
      const options = [
        '--hostname=hostname',
        '--user=1000',
        '--memory=20m',
        '--memory-reservation=10m',
        '--env=TEST=true',
        '--cap-add=NET_ADMIN',
      ];
      const more = [
        '--device=/dev/null:/dev/zzz',
        '--ulimit=nofile=1024',
        '--dns-opt=use-vc',
        '--add-host=host:1.2.3.4',
        '--init',
        '--workdir=/tmp',
      ];
      const last = ['--annotation=a=b', '--cgroupns=private', '--health-cmd=true', '--health-start-period=1s', '--stop-timeout=3'];
      const set = engine === 'modern' ? [...options, ...more, ...last] : [...options, ...more, ...last.slice(1)];
      await cli.sleeper('o1', ...set);
      const text = await cli.ok('inspect', 'o1');
      const expected = [
        '"Hostname": "hostname"',
        '"User": "1000"',
        '"Memory": 20971520',
        '"TEST=true"',
        'NET_ADMIN"',
        '"/dev/zzz"',
        '"use-vc"',
      ];
      for (const part of [...expected, '"host:1.2.3.4"', '"Init": true', '"WorkingDir": "/tmp"', '"StopTimeout": 3', '"CgroupnsMode"'])
        expect(text).toContain(part);
      expect(await cli.ok('inspect', '-f', '{{json .Config.Labels}}', 'o1')).not.toContain('swarm.constraints');
    });

    test('ps filters', async () => {
      await cli.sleeper('f1', '--label', 'a=b', '-v', '/data', '-e', `constraint:node==${MASTER}`);
      await cli.try(['run', '--name', 'f2', '-e', `constraint:node==${WORKER}`, 'alpine', 'false']);
      await cli.ok('create', '--name', 'f3', '-e', `constraint:node==${WORKER}`, 'alpine', 'true');
      const id = await cli.ok('inspect', '-f', '{{.Id}}', 'f1');
      expect(await names('label=a=b')).toEqual([`${MASTER}/f1`]);
      expect(await names('label=a=c')).toEqual([]);
      await eventually('shown as ended', async () => expect(await names('status=exited')).toEqual([`${WORKER}/f2`]));
      expect(await names('status=created')).toEqual([`${WORKER}/f3`]);
      expect(await names('exited=1', 'status=exited')).toEqual([`${WORKER}/f2`]);
      expect(await names(`node=${MASTER}`)).toEqual([`${MASTER}/f1`]);
      expect(await names('ancestor=alpine')).toEqual([`${MASTER}/f1`]);
      expect(await names(`id=${id.slice(0, 8)}`)).toEqual([`${MASTER}/f1`]);
      expect(await names('name=^f1$')).toEqual([`${MASTER}/f1`]);
      expect(await names('volume=/data')).toEqual([`${MASTER}/f1`]);
      expect(await names('volume=nothing')).toEqual([]);
      expect(await names('network=bridge')).toEqual([`${MASTER}/f1`]);
      expect(await names('health=none')).toEqual([`${MASTER}/f1`]);
      expect(await names('is-task=true')).toEqual([]);
      expect(await names('since=f2', 'status=created')).toEqual([`${WORKER}/f3`]);
      expect((await cli.ok('ps', '-n', '2', '-q')).split('\n')).toHaveLength(2);
      expect(await cli.ok('ps', '-l', '--format', '{{.Names}}')).toBe(`${WORKER}/f3`);
      expect(await cli.ok('ps', '-s', '--filter', 'name=f1')).toMatch(/virtual/);
    });

    test('health is shown and found', async () => {
      await cli.sleeper('h1', '--health-cmd', 'true', '--health-interval', '1s');
      await cli.sleeper('h2', '--health-cmd', 'false', '--health-interval', '500ms', '--health-retries', '1');
      await eventually('healthy', async () => expect(await cli.ok('ps', '--filter', 'health=healthy')).toMatch(/\(healthy\).*h1/));
      await eventually('unhealthy', async () => expect(await cli.ok('ps', '--filter', 'health=unhealthy')).toMatch(/\(unhealthy\).*h2/));
    });
  });

  describe('placement', () => {
    test('constraint:node== places, is a label afterwards, and says what it missed', async () => {
      await cli.ok('run', '-itd', '--name=c1', '-e', `constraint:node==${WORKER}`, '-e', 'KEPT=1', 'alpine', '/bin/sh');
      expect(await cli.nodeOf('c1')).toBe(WORKER);
      const label = await cli.ok('inspect', '-f', '{{index .Config.Labels "com.docker.swarm.constraints"}} {{.Config.Env}}', 'c1');
      expect(label).toMatch(/^\["node==legacy-swarm-worker0"\] \[KEPT=1/);
      await cli.sleeper('c2', '-e', 'constraint:storagedriver==~not_exist', '-e', `constraint:node==${MASTER}`);
      expect(await cli.nodeOf('c2')).toBe(MASTER);
      await cli.sleeper('c3', '--label', `com.docker.swarm.constraints=["node==${WORKER}"]`);
      expect(await cli.nodeOf('c3')).toBe(WORKER);
      expect(await cli.refused('run', '-d', '-e', 'constraint:node==node-9', 'alpine', 'true')).toContain(
        'Unable to find a node that satisfies the following conditions \n[available container slots]\n[node==node-9]',
      );
      expect(await cli.refused('run', '-d', '-e', 'constraint:node=node-9', 'alpine', 'true')).toContain(
        'error from constraint filter: One of operator ==, != is expected',
      );
    });

    test('ports, dependencies, affinities', async () => {
      await cli.sleeper('p1', '-p', '8080:80');
      await cli.sleeper('p2', '-p', '8080:80');
      expect(new Set([await cli.nodeOf('p1'), await cli.nodeOf('p2')]).size).toBe(2);
      expect(await cli.refused('run', '-d', '-p', '8080:80', 'alpine', 'true')).toContain('[port 8080 (Bridge mode)]');
      expect(await cli.ok('ps')).toMatch(/192\.168\.2\.5[01]:8080->80\/tcp/);
      expect(await cli.ok('port', 'p1')).toMatch(/80\/tcp -> 192\.168\.2\.5[01]:8080/);
      for (const i of [1, 2]) await cli.sleeper(`hm${i}`, '--net=host', '--expose=81');
      expect(await cli.refused('run', '-d', '--net=host', '--expose=81', 'alpine', 'true')).toContain('[port 81/tcp (Host mode)]');
      await cli.sleeper('d1', '--volumes-from', 'p2:ro');
      await cli.sleeper('d2', '-e', 'affinity:container==p1');
      await cli.sleeper('d3', '--net', 'container:p1');
      await cli.sleeper('d4', '--link', '/p2:foo');
      await cli.sleeper('d5', '-e', 'affinity:container!=p1');
      await cli.sleeper('d6', '--pid', 'container:p2');
      for (const name of ['d1', 'd4', 'd5', 'd6']) expect(await cli.nodeOf(name), name).toBe(await cli.nodeOf('p2'));
      for (const name of ['d2', 'd3']) expect(await cli.nodeOf(name), name).toBe(await cli.nodeOf('p1'));
      expect(await cli.ok('inspect', '-f', '{{.HostConfig.VolumesFrom}} {{.HostConfig.Links}}', 'd1')).toContain('[p2:ro]');
      expect(await cli.ok('inspect', '-f', '{{.HostConfig.Links}}', 'd4')).toBe('[/p2:/d4/foo]');
      expect(await cli.refused('run', '-d', '--volumes-from', 'p1', '--link', 'p2', 'alpine', 'true')).toContain(
        '[--volumes-from=p1 --link=p2]',
      );
    });

    test('label affinities under concurrency; image affinity; soft ones give way', async () => {
      const tries = await Promise.all(
        Array.from({ length: 3 }, () =>
          cli.try(['run', '-d', '--label', 'test.label=true', '-e', 'affinity:test.label!=true', 'alpine', 'sleep', '3600']),
        ),
      );
      expect(tries.filter((one) => one.code === 0)).toHaveLength(2);
      expect(tries.find((one) => one.code !== 0)?.text).toContain('[test.label!=true (soft=false)]');
      await cli.removeContainers();
      await rig.docker(WORKER, 'tag', 'alpine', 'only:1');
      await eventually('the image is known', async () => expect(await cli.ok('images', '-q', 'only:1')).not.toBe(''));
      await cli.sleeper('i1', '-e', 'affinity:image==only:1');
      await cli.sleeper('i2', '-e', 'affinity:image!=only:1');
      await cli.sleeper('i3', '-e', 'affinity:image==~no-such', '-e', 'affinity:image==only');
      expect([await cli.nodeOf('i1'), await cli.nodeOf('i2'), await cli.nodeOf('i3')]).toEqual([WORKER, MASTER, WORKER]);
      await cli.removeContainers();
      await cli.ok('rmi', 'only:1');
    });

    test('an image that one node holds is run there; a hard constraint elsewhere is not overridden', async () => {
      await rig.docker(WORKER, 'tag', 'alpine', 'here:1');
      await eventually('the image is known', async () => expect(await cli.ok('images', '-q', 'here:1')).not.toBe(''));
      await cli.ok('run', '-d', '--name', 'w1', '-e', `constraint:node==~${MASTER}`, 'here:1', 'sleep', '3600');
      expect(await cli.nodeOf('w1')).toBe(WORKER);
      expect(await cli.ok('inspect', '-f', '{{json .Config.Labels}}', 'w1')).not.toContain('swarm.affinities');
      const refused = await cli.refused('run', '-d', '-e', `constraint:node==${MASTER}`, 'here:1', 'true');
      expect(refused).not.toContain('Unable to find a node');
      await cli.removeContainers();
      await cli.ok('rmi', 'here:1');
    });

    test('resources: refused beyond the cluster, reserved within', async () => {
      expect(await cli.refused('run', '-d', '-m', '1000G', 'alpine', 'true')).toContain('no resources available to schedule container');
      expect(await cli.refused('run', '-d', '--cpu-shares', '10240', 'alpine', 'true')).toContain('no resources available');
      await cli.sleeper('m1', '-m', '20m', '--cpu-shares', '1');
      expect(await cli.ok('info')).toMatch(/Reserved CPUs: 1 \/ 2[\s\S]*Reserved Memory: 20 MiB/);
      await cli.sleeper('m2', '-m', '22m', '--cpus', '1');
      expect(new Set([await cli.nodeOf('m1'), await cli.nodeOf('m2')]).size).toBe(2);
      await cli.removeContainers();
      expect(await cli.refused('run', '-d', '-e', 'reschedule:false', 'alpine', 'true')).toContain('invalid reschedule policy: false');
      const two = ['-e', 'reschedule:off', '--label', 'com.docker.swarm.reschedule-policies=["on-node-failure"]'];
      expect(await cli.refused('run', '-d', ...two, 'alpine', 'true')).toContain('too many reschedule policies');
    });

    test('binpack fills one node first; container slots are a limit', async () => {
      const packed = rig.through(2377);
      rig.manage(2377, '--strategy', 'binpack', nodesUrl(MASTER, WORKER));
      await packed.healthy(2);
      for (const name of ['b1', 'b2']) await packed.sleeper(name, '--cpu-shares', '1');
      expect(await packed.nodeOf('b1')).toBe(await packed.nodeOf('b2'));
      await packed.removeContainers();
    });
  });

  describe('networks and volumes', () => {
    test('networks of one engine are node/name', async () => {
      expect((await cli.ok('network', 'ls', '-q')).split('\n')).toHaveLength(6);
      expect((await cli.ok('network', 'ls', '-q', '--filter', `node=${WORKER}`)).split('\n')).toHaveLength(3);
      expect((await cli.ok('network', 'ls', '-q', '--filter', 'type=builtin')).split('\n')).toHaveLength(6);
      await cli.ok('network', 'create', '--subnet', '10.77.0.0/24', `${WORKER}/only`);
      expect(await cli.ok('network', 'ls')).toContain(`${WORKER}/only`);
      await cli.sleeper('n1', '--net', `${WORKER}/only`, '--network-alias', 'alias', '--ip', '10.77.0.9');
      expect(await cli.nodeOf('n1')).toBe(WORKER);
      expect(await cli.ok('inspect', 'n1')).toMatch(/"alias"[\s\S]*"10\.77\.0\.9"/);
      const direct = await rig.docker(WORKER, 'network', 'inspect', 'only');
      expect(await cli.ok('network', 'inspect', `${WORKER}/only`)).toBe(direct.trim());
      expect(await cli.ok('network', 'inspect', 'only')).toContain('"n1"');
      await cli.ok('network', 'disconnect', 'only', 'n1');
      expect(await cli.ok('network', 'inspect', 'only')).not.toContain('"n1"');
      await cli.ok('network', 'connect', '--alias', 'x', '--ip', '10.77.0.8', `${WORKER}/only`, 'n1');
      expect(await cli.ok('network', 'inspect', 'only')).toContain('10.77.0.8');
      expect(await cli.refused('network', 'rm', 'only')).toMatch(/active endpoints/);
      await cli.ok('rm', '-f', 'n1');
      expect(await cli.refused('network', 'inspect', 'bridge')).toMatch(/not found|no such network/i);
      expect(await cli.refused('network', 'create', 'node-2/x')).toContain('[node==node-2]');
      expect(await cli.ok('network', 'ls', '--filter', 'type=custom', '-q')).toMatch(/^\w{12}$/);
      expect(await cli.ok('network', 'ls', '--filter', 'name=onl', '--format', '{{.Name}}')).toBe(`${WORKER}/only`);
      expect(await cli.refused('network', 'ls', '--filter', 'type=foo')).toContain("Invalid filter: 'type'='foo'");
      await cli.ok('network', 'rm', `${WORKER}/only`);
      expect(await cli.ok('network', 'ls')).not.toContain('only');
    });

    test('a shared network is one network whatever id each engine gave it', async () => {
      // The bridge driver stands in for ours: two engines, one name, two ids.
      const shared = rig.through(2376);
      rig.manage(2376, '--cluster-opt', 'swarm.shareddrivers=bridge', nodesUrl(MASTER, WORKER));
      const ids = await Promise.all([MASTER, WORKER].map((host) => rig.docker(host, 'network', 'create', 'contiv-net/blue')));
      expect(new Set(ids).size).toBe(2);
      await shared.healthy(2);
      await eventually('it is listed once', async () => {
        const listed = (await shared.ok('network', 'ls', '--format', '{{.Name}}')).split('\n').filter((name) => name.includes('blue'));
        expect(listed).toEqual(['contiv-net/blue']);
      });
      for (const [i, node] of [MASTER, WORKER].entries()) {
        await shared.sleeper(`s${i}`, '--net', 'contiv-net/blue', '-e', `constraint:node==${node}`);
        expect(await shared.nodeOf(`s${i}`)).toBe(node);
      }
      await shared.sleeper('s2', '--net', ids[1] ?? '', '-e', `constraint:node==${MASTER}`);
      const inspected = await shared.ok('network', 'inspect', 'contiv-net/blue');
      for (const name of ['s0', 's1', 's2']) expect(inspected).toContain(`"Name": "${name}"`);
      await shared.ok('network', 'disconnect', 'contiv-net/blue', 's1');
      await shared.ok('network', 'connect', ids[0] ?? '', 's1');
      await shared.removeContainers();
      await shared.ok('network', 'rm', 'contiv-net/blue');
      for (const host of [MASTER, WORKER]) expect(await rig.docker(host, 'network', 'ls')).not.toContain('blue');
    });

    test('volumes', async () => {
      await cli.ok('volume', 'create', '--label', 'k=v', 'v1');
      const all = [`${MASTER}/v1`, `${WORKER}/v1`];
      expect((await cli.ok('volume', 'ls', '-q', '--filter', 'name=v1')).split('\n').sort()).toEqual(all);
      expect((await cli.ok('volume', 'ls', '-q', '--filter', 'label=k=v')).split('\n')).toHaveLength(2);
      expect(await cli.ok('volume', 'ls', '-q', '--filter', 'label=k=w')).toBe('');
      await cli.ok('volume', 'create', `${WORKER}/v2`);
      const local = await cli.ok('volume', 'inspect', `${WORKER}/v2`);
      expect(local).toBe((await rig.docker(WORKER, 'volume', 'inspect', 'v2')).trim());
      expect(await cli.refused('volume', 'create', 'node-9/v3')).toContain('[node==node-9]');
      await cli.ok('volume', 'create', '--label', `com.docker.swarm.whitelists=["node==${WORKER}"]`, 'v4');
      expect(await cli.ok('volume', 'ls', '-q', '--filter', 'name=v4')).toBe(`${WORKER}/v4`);
      await cli.sleeper('vu', '-v', 'v1:/data');
      expect(await cli.refused('volume', 'rm', 'v1')).toMatch(/in use/);
      await cli.removeContainers();
      await cli.ok('volume', 'create', 'v1');
      await cli.ok('volume', 'rm', 'v1', `${WORKER}/v2`, 'v4');
      expect(await cli.refused('volume', 'rm', 'v1')).toMatch(/no such volume/i);
      // The engine looks for the plugin for a quarter of a minute.
      if (engine === ENGINES.at(-1))
        expect(await cli.refused('run', '-d', '--volume-driver', 'nothere', '-v', 'x:/x', 'alpine', 'true')).toContain('not found');
    });
  });

  describe('images', () => {
    test('build, run, tag, history, save, load, rmi', async () => {
      const built = await cli.try(['build', '-t', 'built:1', '--build-arg', `constraint:node==${WORKER}`, '--build-arg', 'WORD=x', '-'], {
        input: 'FROM alpine\nARG WORD\nRUN echo $WORD > /x\n',
      });
      expect(built.text).toContain(`${WORKER}: Step 1/3`);
      expect(built.code).toBe(0);
      const impossible = await cli.try(['build', '--build-arg', 'constraint:node==node-9', '-'], { input: 'FROM alpine\n' });
      expect(impossible.code).not.toBe(0);
      expect(impossible.text).toMatch(/Unable to find a node that satisfies the following conditions[\s\S]*\[node==node-9\]/);
      expect(await cli.ok('run', '--rm', 'built:1', 'cat', '/x')).toBe('x');
      await cli.ok('tag', 'built:1', 'built:2');
      expect(await cli.ok('history', 'built:2')).toContain('echo $WORD');
      const saved = await cli.try(['save', 'built:2'], { encoding: 'latin1' });
      await cli.ok('rmi', 'built:1', 'built:2');
      expect(await cli.refused('rmi', 'built:2')).toMatch(/no such image/i);
      const loaded = await cli.try(['load'], { input: Buffer.from(saved.stdout, 'latin1') });
      expect(loaded.text).toContain(`${MASTER}: Loading Image...`);
      for (const host of [MASTER, WORKER]) expect(await rig.docker(host, 'images', '-q', 'built:2')).not.toBe('');
      await cli.ok('rmi', 'built:2');
      expect((await cli.try(['load'], { input: Buffer.from('no archive') })).code).not.toBe(0);
    });

    test('one row for an image of several engines; filters; import; several in one archive', async () => {
      const imported = await cli.try(['import', '-', 'imported:1'], { input: tarOf('file', 'content') });
      expect(imported.code, imported.text).toBe(0);
      for (const host of [MASTER, WORKER]) expect(await rig.docker(host, 'images', '-q', 'imported:1')).not.toBe('');
      expect((await cli.try(['import', '-', 'bad:1'], { input: 'no archive' })).code).not.toBe(0);
      expect((await cli.ok('images', '-q', 'alpine')).split('\n')).toHaveLength(1);
      await rig.docker(WORKER, 'tag', 'alpine', 'there:1');
      await eventually('an image tagged at the engine is known', async () => expect(await cli.ok('images', '-q', 'there')).not.toBe(''));
      expect(await cli.ok('images', '-q', '--filter', 'reference=the*')).not.toBe('');
      expect(await cli.ok('images', '--format', '{{.Repository}}', '--filter', `node=${MASTER}`, '--filter', 'reference=there')).toBe('');
      expect(await cli.refused('images', '--filter', 'since=no-such')).toContain('no such image found');
      expect(await cli.refused('save', 'there:1', 'imported:1', 'no-such:1')).toContain(
        'Unable to find a healthy engine containing all images',
      );
      expect(await cli.refused('rmi', 'bus')).toContain('No such image');
      await cli.ok('tag', 'there:1', 'there:latest');
      await cli.ok('rmi', 'there');
      expect(await cli.ok('images', '--format', '{{.Tag}}', 'there')).toBe('1');
      await cli.ok('rmi', '--force', 'there:1');
      // Each engine dates what it imports, so that there may be two of them.
      const ids = (await cli.ok('images', '-q', 'imported:1')).split('\n');
      await cli.ok('rmi', ...ids);
      expect(await cli.ok('images', '-q', 'imported')).toBe('');
      expect(await cli.refused('pull', 'no-such-image-here')).toMatch(/no-such-image-here|dial|lookup/);
      expect(await cli.refused('run', 'a'.repeat(64))).toContain('cannot specify 64-byte hexadecimal strings');
    });

    test('df and prune over all engines', async () => {
      await cli.ok('create', 'alpine', 'true');
      expect(await cli.ok('system', 'df')).toMatch(/Images[\s\S]*Containers +1[\s\S]*Local Volumes/);
      expect(await cli.ok('container', 'prune', '-f')).toContain('Total reclaimed space');
      expect(await cli.ok('ps', '-aq')).toBe('');
      for (const kind of ['network', 'volume', 'image']) await cli.ok(kind, 'prune', '-f');
    });
  });

  describe('the rest of the table', () => {
    test('info, version, what cannot be in a cluster, headers', async () => {
      expect(await cli.ok('info')).toMatch(
        /Server Version: swarm\/1\.2\.9\n Role: primary\n Strategy: spread\n Filters: health, port, containerslots, dependency, affinity, constraint, whitelist\n Nodes: 2\n {2}legacy-swarm-master: 192\.168\.2\.50:2385\n {3}└ ID: /,
      );
      expect(await cli.ok('version')).toContain('swarm/1.2.9');
      expect(await cli.ok('plugin', 'ls')).toContain('NAME');
      expect(await cli.refused('node', 'ls')).toContain('This node is not a swarm manager');
      const status = async (...args: string[]) =>
        (await rig.inside(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', ...args])).stdout;
      expect(await status('-I', 'http://127.0.0.1:2375/_ping')).toBe('200');
      expect(await status('http://127.0.0.1:2375/v1.24/images/viz')).toBe('501');
      expect(await status('http://127.0.0.1:2375/v9.99/info')).toBe('400');
      expect(await status('http://127.0.0.1:2375/nothing')).toBe('404');
      expect((await rig.inside(['curl', '-s', 'http://127.0.0.1:2375/metrics'])).stdout).toContain('swarm_engines{state="healthy"} 2');
      expect((await rig.swarm('-v')).stdout).toMatch(/version \d+\.\d+\.\d+/);
      expect((await rig.swarm('create', 'x')).code).not.toBe(0);
    });

    test('events carry their node; since, until and filters', async () => {
      const begun = Math.trunc(Date.now() / 1000) - 1;
      await cli.ok('run', '--name', 'ev1', '-e', `constraint:node==${MASTER}`, 'alpine', 'true');
      const past = ['events', '--since', String(begun), '--until', String(Math.trunc(Date.now() / 1000) + 1), '--filter', 'container=ev1'];
      await eventually('all of its life is told', async () => {
        const text = await cli.ok(...past);
        for (const action of ['create', 'start', 'die']) expect(text).toMatch(new RegExp(`container ${action} .*node.name=${MASTER}`));
      });
      expect(await cli.ok('events', '--until', '1', '--filter', 'container=ev1')).toBe('');
      const only = await cli.ok(...past, '--filter', 'event=start', '--format', '{{.Action}}');
      expect(only).toBe('start');
    });
  });
});
