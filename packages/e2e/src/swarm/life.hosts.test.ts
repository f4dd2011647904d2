import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, ENGINES, MASTER, WORKER } from '../rig/rig.js';
import { eventually } from '../rig/run.js';
import { HOSTILE_CLIENT, SLOW_CLIENT } from './hostile.js';
import { nodesUrl, QUICK, SwarmRig } from './swarm-rig.js';

/** Engines that die, freeze, are cut off and come back; several managers; TLS; hostile clients. On the newest engine asked for. */
const rig = new SwarmRig('swarm-life');
const cli = rig.through(2375);
const HANGS = 30_000;

/** Where containers of this name are, as the engines themselves say: `host name state`. */
async function copies(name: string, hosts: readonly string[] = [MASTER, WORKER]): Promise<string[]> {
  const rows = await Promise.all(
    hosts.map(async (host) => {
      const { stdout } = await rig.tryOn(
        host,
        'docker',
        'ps',
        '-a',
        '--filter',
        `name=^/?${name}$`,
        '--format',
        `${host} {{.Names}} {{.State}}`,
      );
      return stdout.split('\n').filter((line) => line !== '');
    }),
  );
  return rows.flat();
}

const movable = (name: string): Promise<string> =>
  cli.sleeper(name, '-e', 'reschedule:on-node-failure', '-e', `constraint:node==~${WORKER}`);

/** How long a command that is under way lasts from now on. */
async function endsWithin(what: string, running: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} still hangs after ${ms / 1000} s`)), ms);
  });
  await Promise.race([running, late]).finally(() => clearTimeout(timer));
}

beforeAll(async () => {
  await rig.up('--bare', '--engine', ENGINES.at(-1) ?? 'modern');
  rig.manage(2375, ...QUICK, nodesUrl(MASTER, WORKER));
  await cli.healthy(2);
});
afterAll(() => rig.down());

describe('engines', () => {
  afterEach(async () => {
    await cli.healthy(2);
    await cli.removeContainers();
  });

  test('drained: containers move and none comes; active: it is taken back', async () => {
    await cli.sleeper('m1', '--stop-timeout=1', '-e', `constraint:node==~${MASTER}`);
    await cli.sleeper('m2', '--stop-timeout=1', '-e', `constraint:node==${MASTER}`);
    expect(await cli.nodeOf('m1')).toBe(MASTER);
    const { text } = await rig.swarm('node', 'drain', MASTER);
    expect(text).toContain(`container m1 moved from ${MASTER} to ${WORKER}`);
    expect(text).toMatch(/container m2 stays on legacy-swarm-master: [\s\S]*\[node==legacy-swarm-master\]/);
    expect(await cli.nodeOf('m1')).toBe(WORKER);
    expect(await copies('m2')).toEqual([`${MASTER} m2 running`]);
    expect((await rig.swarm('list', '--health')).text).toMatch(/legacy-swarm-master +192\.168\.2\.50:2385 +Healthy \(drained\)/);
    await cli.sleeper('m3');
    expect(await cli.nodeOf('m3')).toBe(WORKER);
    expect((await rig.swarm('node', 'active', MASTER)).code).toBe(0);
    expect((await rig.swarm('node', 'drain', 'nowhere')).text).toContain('No such node: nowhere');
  });

  test('killed: what may move moves once, the rest is shown as down; restarted: one copy is left', async () => {
    await movable('r1');
    await cli.sleeper('r2', '-e', `constraint:node==${WORKER}`);
    expect(await cli.nodeOf('r1')).toBe(WORKER);
    await rig.on(WORKER, 'service', 'docker', 'kill');
    await eventually('moved', async () => expect(await copies('r1', [MASTER])).toEqual([`${MASTER} r1 running`]), HANGS);
    expect(await cli.ok('ps', '-a')).toMatch(/Host Down +legacy-swarm-worker0\/r2/);
    expect(await cli.ok('ps')).not.toContain('r2');
    expect(await cli.refused('logs', 'r2')).toContain(`running on unhealthy node ${WORKER}`);
    expect((await rig.swarm('list', '--health')).text).toMatch(/legacy-swarm-worker0 +192\.168\.2\.51:2385 +Unhealthy .*Cannot connect/);
    await rig.on(WORKER, 'service', 'docker', 'start');
    await cli.healthy(2);
    await eventually('one copy is left', async () => expect(await copies('r1')).toEqual([`${MASTER} r1 running`]));
    expect(await copies('r2')).toEqual([`${WORKER} r2 running`]);
    // `--until` is told in whole seconds, so what has just happened is not among it.
    await eventually('both are told', async () => {
      const events = await cli.ok('events', '--since', '15m', '--until', '0s', '--filter', 'type=swarm', '--format', '{{.Action}}');
      expect(events.split('\n').slice(-2)).toEqual(['engine_disconnect', 'engine_reconnect']);
    });
  });

  test('cut off and healed: streams end, nothing moves twice, and no event of the time between is lost', async () => {
    await movable('c1');
    await cli.sleeper('c2', '-e', `constraint:node==${WORKER}`);
    const following = cli.try(['exec', 'c2', 'sleep', '600'], { timeoutMs: 90_000 });
    await eventually('the command runs', async () =>
      expect(await rig.docker(WORKER, 'inspect', '--format', '{{len .ExecIDs}}', 'c2')).toBe('1'),
    );
    const listener = rig.spawn([
      'docker',
      '-H',
      'tcp://127.0.0.1:2375',
      'events',
      '--filter',
      'container=quiet',
      '--format',
      '{{.Action}}',
    ]);
    let heard = '';
    listener.stdout?.on('data', (chunk) => (heard += String(chunk)));
    await rig.lab('link', WORKER, 'down');
    const begun = Math.trunc(Date.now() / 1000);
    await endsWithin('docker exec', following, HANGS);
    await eventually('moved', async () => expect(await copies('c1', [MASTER])).toEqual([`${MASTER} c1 running`]), HANGS);
    await rig.on(WORKER, 'docker', 'run', '--name', 'quiet', 'alpine', 'true');
    await rig.lab('link', WORKER, 'up');
    await cli.healthy(2);
    await eventually('one copy is left', async () => expect(await copies('c1')).toEqual([`${MASTER} c1 running`]));
    await eventually('told afterwards', async () => {
      const past = await cli.ok(
        'events',
        '--since',
        String(begun),
        '--until',
        '0s',
        '--filter',
        'container=quiet',
        '--format',
        '{{.Action}}',
      );
      expect(past.split('\n')).toEqual(expect.arrayContaining(['create', 'start', 'die']));
    });
    const count = (action: string): number => heard.split('\n').filter((one) => one === action).length;
    await eventually('who listened all the time is told, too', async () =>
      expect(['create', 'start', 'die'].map(count)).toEqual([1, 1, 1]),
    );
    listener.kill('SIGKILL');
  });

  test('frozen for 60 s: nothing hangs, nothing is made twice, and it is taken back', async () => {
    await movable('f1');
    await cli.sleeper('f2', '-e', `constraint:node==${WORKER}`);
    const pid = await rig.pid(WORKER, 'docker');
    const following = cli.try(['logs', '-f', 'f2'], { timeoutMs: 90_000 });
    const thaw = new Promise((wake) => setTimeout(wake, 60_000));
    process.kill(pid, 'SIGSTOP');
    try {
      const creating = cli.try(['create', '--name', 'f3', '-e', `constraint:node==${WORKER}`, 'alpine', 'true'], { timeoutMs: 90_000 });
      await endsWithin('docker create', creating, HANGS);
      expect((await creating).code).not.toBe(0);
      await endsWithin('docker logs -f', following, HANGS);
      await eventually('moved', async () => expect(await copies('f1', [MASTER])).toEqual([`${MASTER} f1 running`]), HANGS);
      await endsWithin('docker info', cli.ok('info'), 5000);
      await endsWithin('docker run', cli.sleeper('f4'), 10_000);
      await cli.ok('create', '--name', 'f3', '-e', `constraint:node==~${WORKER}`, 'alpine', 'true');
      await thaw;
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await cli.healthy(2);
    await eventually('one copy is left of each', async () => {
      expect(await copies('f1')).toEqual([`${MASTER} f1 running`]);
      expect(await copies('f3')).toEqual([`${MASTER} f3 created`]);
    });
    await cli.ok('exec', 'f2', 'true');
  });

  test('lost with its host and restored', async () => {
    await movable('l1');
    await rig.lab('host', 'destroy', WORKER);
    await eventually('moved', async () => expect(await copies('l1', [MASTER])).toEqual([`${MASTER} l1 running`]), HANGS);
    await rig.lab('host', 'restore', WORKER);
    await cli.healthy(2);
    await eventually('one copy is left', async () => expect(await copies('l1')).toEqual([`${MASTER} l1 running`]));
  });
});

describe('several managers on a store', () => {
  test('one primary at any time: replicas proxy, take over within the TTL, and none is made by a lost store', async () => {
    const data = await mkdtemp(join(tmpdir(), 'swarm-etcd-'));
    const client = 'http://127.0.0.1:23790';
    const store = () =>
      rig.spawn([
        'etcd',
        '--data-dir',
        data,
        '--listen-client-urls',
        client,
        '--advertise-client-urls',
        client,
        '--listen-peer-urls',
        'http://127.0.0.1:23800',
        '--log-level',
        'error',
      ]);
    let etcd = store();
    const discovery = 'etcd://127.0.0.1:23790/t';
    for (const host of [MASTER, WORKER]) rig.join(`${ADDRESS[host]}:2385`, discovery);
    const ports = [4001, 4002, 4003];
    const managers = new Map<number, ReturnType<typeof rig.manage>>();
    /** Asked without the CLI, whose start takes longer than a lead changes hands. */
    const role = async (port: number) =>
      /\["Role","(\w+)"\]/.exec((await rig.inside(['curl', '-s', '--max-time', '10', `http://127.0.0.1:${port}/info`])).stdout)?.[1];
    const primaries = async () => (await Promise.all(ports.map(async (port) => ((await role(port)) === 'primary' ? [port] : [])))).flat();
    for (const port of ports) {
      managers.set(port, rig.manage(port, '--replication', '--replication-ttl', '4s', '--addr', `127.0.0.1:${port}`, discovery));
      if (port === 4001) await eventually('the first leads', async () => expect(await role(4001)).toBe('primary'));
    }
    for (const port of ports) await rig.through(port).healthy(2);
    for (const port of [4002, 4003])
      await eventually('a replica knows who leads', async () =>
        expect(await rig.through(port).ok('info')).toContain('Role: replica\n Primary: 127.0.0.1:4001'),
      );
    const keys = await rig.inside(['etcdctl', '--endpoints', client, 'get', '--prefix', '', '--keys-only'], { env: { ETCDCTL_API: '3' } });
    expect(keys.stdout.split('\n').filter((key) => key !== '')).toEqual([
      '/t/docker/swarm/leader',
      `/t/docker/swarm/nodes/${ADDRESS[MASTER]}:2385`,
      `/t/docker/swarm/nodes/${ADDRESS[WORKER]}:2385`,
    ]);
    expect((await rig.swarm('list', discovery)).stdout.trim().split('\n')).toEqual([MASTER, WORKER].map((host) => `${ADDRESS[host]}:2385`));
    const replica = rig.through(4002);
    expect((await replica.try(['run', '--rm', '-i', 'alpine', 'cat'], { input: 'by way of the replica' })).stdout).toBe(
      'by way of the replica',
    );

    // The primary dies in the middle of everything a client may be doing through a replica.
    const input = rig.spawn(['docker', '-H', 'tcp://127.0.0.1:4003', 'run', '-i', '--name', 'once', 'alpine', 'cat']);
    const running = new Promise((ended) => input.once('exit', ended));
    const listening = rig.through(4003).try(['events'], { timeoutMs: 90_000 });
    const building = rig.through(4003).try(['build', '-t', 'slow:1', '-'], { input: 'FROM alpine\nRUN sleep 60\n', timeoutMs: 90_000 });
    await eventually('under way', async () => expect((await copies('once')).length).toBe(1));
    const creating = Promise.all(
      Array.from({ length: 8 }, (_, i) => rig.through(4002).try(['run', '-d', '--name', `n${i}`, 'alpine', 'sleep', '600'])),
    );
    managers.get(4001)?.kill('SIGKILL');
    ports.shift();
    const killed = performance.now();
    for (const [what, one] of Object.entries({ 'docker run -i': running, 'docker events': listening, 'docker build': building, creating }))
      await endsWithin(what, one, HANGS);
    await eventually('another leads', async () => expect(await primaries()).toHaveLength(1), 10_000);
    expect(performance.now() - killed).toBeLessThan(HANGS);
    for (const name of ['once', ...Array.from({ length: 8 }, (_, i) => `n${i}`)])
      expect((await copies(name)).length, name).toBeLessThanOrEqual(1);
    for (const port of ports)
      await eventually('it goes on', async () => expect(await rig.through(port).ok('run', '--rm', 'alpine', 'echo', 'on')).toBe('on'));

    // A primary that is told to end gives the lead away at once.
    const [leading = 0] = await primaries();
    managers.get(leading)?.kill('SIGTERM');
    ports.splice(ports.indexOf(leading), 1);
    await eventually('the last leads', async () => expect(await primaries()).toEqual(ports), 3000);
    ports.push(4004);
    managers.set(4004, rig.manage(4004, '--replication', '--replication-ttl', '4s', '--addr', '127.0.0.1:4004', discovery));
    await eventually('a replica joins', async () => expect(await role(4004)).toBe('replica'));

    etcd.kill('SIGKILL');
    await eventually('nobody leads without the store', async () => expect(await primaries()).toEqual([]), 15_000);
    await new Promise((wake) => setTimeout(wake, 3000));
    expect(await primaries()).toEqual([]);
    etcd = store();
    await eventually('one leads again', async () => expect(await primaries()).toHaveLength(1), 30_000);
    for (const port of ports) await rig.through(port).healthy(2);
    await cli.removeContainers();
    for (const manager of managers.values()) manager.kill('SIGKILL');
    etcd.kill('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });
});

describe('TLS', () => {
  test('clients, engines and managers show certificates of the CA for the address used; each refusal says why', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'swarm-tls-'));
    const made = await rig.inside([
      'sh',
      '-ec',
      `cd ${dir}
      key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
      for ca in ca other; do openssl req -x509 $key -days 2 -subj /CN=$ca -keyout $ca-key.pem -out $ca.pem 2>/dev/null; done
      issue() { openssl req $key -subj "/CN=$4" -keyout $1-key.pem -out $1.csr 2>/dev/null; printf "%s" "$3" > $1.ext
        openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2-key.pem -CAcreateserial -days 2 -extfile $1.ext -out $1-cert.pem 2>/dev/null; }
      eku='extendedKeyUsage=serverAuth,clientAuth'
      issue good ca "$(printf 'subjectAltName=IP:127.0.0.1\\n%s' "$eku")" swarm
      issue elsewhere ca "$(printf 'subjectAltName=IP:10.0.0.1\\n%s' "$eku")" elsewhere
      issue cnonly ca "$eku" 127.0.0.1
      issue foreign other "$(printf 'subjectAltName=IP:127.0.0.1\\n%s' "$eku")" foreign`,
    ]);
    expect(made.code, made.text).toBe(0);
    // A TLS end in front of the engine: what the manager checks is the certificate, what it talks to is the real engine.
    const front = (port: number, name: string) =>
      rig.spawn([
        'node',
        '-e',
        `
        const tls = require('node:tls'), net = require('node:net'), fs = require('node:fs');
        const read = (file) => fs.readFileSync('${dir}/' + file);
        const server = tls.createServer({ cert: read('${name}-cert.pem'), key: read('${name}-key.pem'), ca: read('ca.pem'), requestCert: true, rejectUnauthorized: true, allowHalfOpen: true }, (a) => {
          const b = net.connect({ host: '${ADDRESS[MASTER]}', port: 2385, allowHalfOpen: true });
          a.pipe(b); b.pipe(a);
          for (const s of [a, b]) s.on('error', () => { a.destroy(); b.destroy(); });
        });
        server.on('tlsClientError', () => {});
        server.listen(${port}, '127.0.0.1');`,
      ]);
    const certificates = { 2801: 'good', 2802: 'elsewhere', 2803: 'cnonly', 2804: 'foreign' };
    for (const [port, name] of Object.entries(certificates)) front(Number(port), name);
    const tls = (name: string) => [`--tlscacert=${dir}/ca.pem`, `--tlscert=${dir}/${name}-cert.pem`, `--tlskey=${dir}/${name}-key.pem`];
    rig.manage(3376, '--tlsverify', ...tls('good'), ...QUICK, 'nodes://127.0.0.1:2801');
    rig.manage(3377, '--tlsverify', ...tls('good'), ...QUICK, 'nodes://127.0.0.1:[2802:2804]');
    const secure = (port: number, name: string, ...args: string[]) => rig.through(port).try(['--tlsverify', ...tls(name), ...args]);
    await eventually('the engine is healthy', async () => expect((await secure(3376, 'good', 'info')).text).toContain('Status: Healthy'));
    const echoed = await rig
      .through(3376)
      .try(['--tlsverify', ...tls('good'), 'run', '--rm', '-i', 'alpine', 'cat'], { input: 'half-closed over TLS' });
    expect(echoed.stdout).toBe('half-closed over TLS');
    await eventually('each refusal says why', async () => {
      const { text } = await secure(3377, 'good', 'info');
      expect(text).toMatch(
        /127\.0\.0\.1:2802[\s\S]*Status: Pending[\s\S]*Error: .*not in the cert's list[\s\S]*127\.0\.0\.1:2803[\s\S]*Error: .*cert[\s\S]*127\.0\.0\.1:2804[\s\S]*Error: /,
      );
      expect(text).not.toContain('Healthy');
    });
    const operators = ['--host', 'tcp://127.0.0.1:3376', '--tlsverify'];
    expect((await rig.swarm('list', '--health', ...operators, ...tls('good'))).text).toMatch(/127\.0\.0\.1:2801 +Healthy/);
    expect((await rig.swarm('node', 'active', MASTER, ...operators, ...tls('good'))).text).toContain(`node ${MASTER} is active`);
    expect((await rig.swarm('list', '--health', '--host', 'tcp://127.0.0.1:3376')).text).toContain('--tlsverify if it asks for TLS');
    expect((await secure(3376, 'foreign', 'ps')).code).not.toBe(0);
    expect((await rig.through(3376).try(['ps'])).code).not.toBe(0);
    expect((await rig.inside(['curl', '-sk', '--max-time', '3', 'https://127.0.0.1:3376/_ping'])).code).not.toBe(0);
    await rm(dir, { recursive: true, force: true });
  });

  test('plain TCP that others can reach is warned of once, on loopback never', async () => {
    const begun = rig.logs.length;
    const manager = rig.spawn([
      'node',
      join(import.meta.dirname, '../../../../build/swarm.cjs'),
      'manage',
      '-H',
      ':2399',
      '-H',
      ':2398',
      nodesUrl(MASTER),
    ]);
    let said = '';
    manager.stdout?.on('data', (chunk) => (said += String(chunk)));
    await eventually('it warns', async () => expect(said.match(/level=warning .*there is no TLS/g)).toHaveLength(1));
    manager.kill('SIGTERM');
    expect(rig.logs.slice(0, begun)).not.toContain('there is no TLS');
  });
});

describe('hostile clients', () => {
  test('5,000 requests and 200 connections that never finish: no crash, no connection left, no memory kept', async () => {
    const status = await rig.inside(['sh', '-c', "ss -Htlnp '( sport = :2375 )' | sed 's/.*pid=\\([0-9]*\\).*/\\1/'"]);
    const pid = Number(status.stdout);
    const resident = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
    const slow = rig.spawn(['node', '-e', SLOW_CLIENT, '127.0.0.1', '2375', '200']);
    let ended = 0;
    slow.stdout?.on('data', (chunk) => (ended = Number(String(chunk).trim().split('\n').at(-1))));
    const attack = (count: number) =>
      rig.inside(['node', '-e', HOSTILE_CLIENT, '127.0.0.1', '2375', String(count)], { timeoutMs: 120_000 });
    expect((await attack(2500)).code).toBe(0);
    const before = await resident();
    const second = attack(2500);
    await endsWithin('docker ps', cli.ok('ps'), 10_000);
    expect((await second).code).toBe(0);
    expect(await resident()).toBeLessThan(before + 150);
    await eventually('slow connections are ended by the server', async () => expect(ended).toBe(200), 90_000);
    slow.kill('SIGKILL');
    expect(await cli.ok('info')).toContain('Nodes: 2');
    const open = async () => Number((await rig.inside(['sh', '-c', "ss -Htn state established '( sport = :2375 )' | wc -l"])).stdout);
    await eventually('no connection is left', async () => expect(await open()).toBeLessThanOrEqual(1));
    await cli.removeContainers();
  });
});
