import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findInits, startTime } from './effects/processes.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const LAB = 'kernel-t';
const OUTER = `contiv-${LAB}-${process.pid}`;

/** In a network namespace of the test's own, so that nothing here meets a lab that is up. */
const outer = (...argv: string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${OUTER}`, 'env', `CONTIV_LAB=${LAB}`, ...argv], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const lab = (...argv: string[]): string => outer(`${ROOT}/bin/lab`, ...argv);
const inside = (host: string, ...argv: string[]): string => lab('exec', host, '--', ...argv);
const failing = (...argv: string[]): string => {
  try {
    lab(...argv);
  } catch (error) {
    if (error instanceof Error && 'stderr' in error) return String(error.stderr);
    throw error;
  }
  return expect.fail(`lab ${argv.join(' ')} succeeded`);
};

interface Service {
  name: string;
  state: string;
  pid?: number;
}
const services = (host: string): Service[] => {
  const status = JSON.parse(lab('status', '--json')) as { hosts: { name: string; services: Service[] }[] };
  return status.hosts.find((h) => h.name.endsWith(host))?.services ?? [];
};

/** Everything of this lab the machine could still have. */
async function traces(): Promise<string[]> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const cgroups = readdirSync('/sys/fs/cgroup').map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/contiv-lab/${LAB}`);
  const processes = readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`/labs/${LAB}/`);
    } catch {
      return false;
    }
  });
  return [
    ...readdirSync('/run/netns').filter((name) => name.startsWith(`${LAB}-`)),
    ...outer('ip', '-o', 'link')
      .split('\n')
      .filter((line) => line !== '' && !/ lo:/.test(line)),
    ...outer('ip', 'route').split('\n').filter(Boolean),
    ...mounts.filter((line) => line.includes(`/labs/${LAB}`) || line.includes(`/netns/${LAB}-`)),
    ...[`/sys/fs/cgroup/contiv-lab/${LAB}`, ...cgroups, `/var/lib/contiv-lab/labs/${LAB}`, `/var/lib/contiv-lab/${LAB}.lock`].filter(
      (path) => existsSync(path),
    ),
    ...processes.map((pid) => `process ${pid}`),
    ...(await findInits()).filter((init) => init.lab === LAB).map((init) => `init ${init.pid}`),
  ];
}

beforeAll(() => {
  execFileSync('ip', ['netns', 'add', OUTER]);
  execFileSync('ip', ['-n', OUTER, 'link', 'set', 'lo', 'up']);
});
afterAll(() => {
  try {
    lab('down', '--quiet');
  } finally {
    execFileSync('ip', ['netns', 'del', OUTER]);
  }
});

describe('a bare lab', () => {
  beforeAll(() => {
    lab('up', '--bare');
  });

  test('has two hosts that reach each other and are reached from here', () => {
    expect(inside('master', 'hostname').trim()).toBe('legacy-swarm-master');
    expect(inside('worker0', 'ping', '-c1', '-W10', 'netmaster')).toContain('1 received');
    expect(outer('ping', '-c1', '-W10', '192.168.2.51')).toContain('1 received');
    expect(inside('master', 'ip', '-4', '-o', 'addr', 'show', 'eth2')).toBe('');
  });

  test('lets nothing out', () => {
    expect(() => inside('master', 'ping', '-c1', '-W2', '198.51.100.1')).toThrow();
    expect(inside('master', 'ip', 'route', 'get', '198.51.100.1')).toContain('via 10.0.2.2 dev eth0');
  });

  test('has an outside world behind the default route, with names, web pages and both kinds of addresses', () => {
    expect(inside('master', 'curl', '-sS', '-m20', 'http://contiv.com/')).toBe('the outside world\n');
    expect(JSON.parse(inside('worker0', 'curl', '-sS', '-m20', 'http://203.0.113.80/client'))).toMatchObject({ address: '10.0.2.16' });
    expect(JSON.parse(inside('worker0', 'curl', '-gsS', '-m20', 'http://[2001:db8:113::80]/client'))).toMatchObject({
      address: 'fd00:10:0:2::16',
    });
    expect(() => outer('ping', '-c1', '-W1', '203.0.113.80')).toThrow();
  });

  test('has a server and a router on the tagged VLAN, which reach each other and the outside', () => {
    expect(inside('server', 'ping', '-c1', '-W10', '10.1.3.254')).toContain('1 received');
    expect(inside('server', 'ping', '-c1', '-W10', 'fd00:1:3::254')).toContain('1 received');
    expect(JSON.parse(inside('server', 'curl', '-sS', '-m20', 'http://203.0.113.80/client'))).toMatchObject({ address: '10.1.3.200' });
    const dump = outer(
      'nsenter',
      `--net=/run/netns/${LAB}-legacy-swarm-worker0`,
      'sh',
      '-c',
      `timeout 60 tcpdump -lnec1 -i eth2 arp 2>/dev/null & dump=$!
       while kill -0 $dump; do nsenter --net=/run/netns/${LAB}-legacy-swarm-server ping -c1 -W1 10.1.3.77 >/dev/null; done; wait`,
    );
    expect(dump).toMatch(/ethertype 802\.1Q.* vlan 112,.* who-has 10\.1\.3\.77/);
  });

  test('has an engine per host, each with its own socket, port, identity and images', () => {
    const id = (host: string) => inside(host, 'docker', 'info', '--format', '{{.ID}} {{.Name}} {{.LiveRestoreEnabled}}').trim();
    expect(id('master')).toMatch(/ legacy-swarm-master true$/);
    expect(id('worker0')).toMatch(/ legacy-swarm-worker0 true$/);
    expect(id('master').split(' ')[0]).not.toBe(id('worker0').split(' ')[0]);
    expect(outer('docker', '-H', 'tcp://192.168.2.51:2385', 'image', 'ls', '-q').trim().split('\n')).toHaveLength(2);
    expect(inside('worker0', 'docker', 'run', '--rm', 'alpine', 'sh', '-c', 'id -u && nslookup 2>&1 | head -1')).toMatch(/^0\n/);
    expect(inside('worker0', 'docker', 'run', '--rm', 'bench', 'sh', '-c', 'iperf3 --version && ping -V')).toContain('iputils');
  });

  test('a second up changes nothing', () => {
    const before = services('master').concat(services('worker0'));
    lab('up');
    expect(services('master').concat(services('worker0'))).toEqual(before);
    expect(failing('up', '--hosts', '3')).toContain('with hosts 2 and not 3; take it down first (bin/lab down), or');
    expect(failing('up', '--swarm-mode')).toMatch(/with swarm-mode false and not true; .* \(bin\/lab down\)\n/);
    expect(failing('demo')).toContain('this lab is bare');
  });

  test('a service is killed, started and stopped alone; its containers live through it', () => {
    inside('master', 'docker', 'run', '-d', '--name', 'keeps-on', 'alpine', 'sleep', '1000');
    const pid = services('master')[0]?.pid ?? expect.fail('no engine');
    lab('service', 'master', 'docker', 'kill');
    expect(services('master')[0]).toMatchObject({ state: 'stopped' });
    expect(services('worker0')[0]).toMatchObject({ state: 'serving' });
    lab('service', 'master', 'docker', 'start');
    expect(services('master')[0]).toMatchObject({ state: 'serving' });
    expect(services('master')[0]?.pid).not.toBe(pid);
    expect(inside('master', 'docker', 'ps', '--format', '{{.Names}}').trim()).toBe('keeps-on');
    inside('worker0', 'sudo', 'service', 'docker', 'stop');
    expect(services('worker0')[0]).toMatchObject({ state: 'stopped' });
    inside('worker0', 'service', 'docker', 'restart');
    expect(failing('service', 'master', 'nonsense', 'start')).toContain('this host has docker');
  });

  test('a cable is pulled and plugged in again', () => {
    lab('link', 'worker0', 'down');
    expect(inside('worker0', 'cat', '/proc/net/dev')).toContain('eth1');
    expect(() => inside('master', 'ping', '-c1', '-W1', '192.168.2.51')).toThrow();
    lab('link', 'worker0', 'up');
    expect(inside('master', 'ping', '-c3', '-i0.2', '-W10', '192.168.2.51')).not.toContain('100% packet loss');
  });

  test('a lost host is gone with all its processes, and comes back with its disk', async () => {
    inside('worker0', 'docker', 'run', '-d', '--name', 'lost', 'alpine', 'sleep', '1000');
    const engine = services('worker0')[0]?.pid ?? expect.fail('no engine');
    lab('host', 'destroy', 'worker0');
    expect(await startTime(engine)).toBeUndefined();
    expect(readdirSync('/run/netns')).not.toContain(`${LAB}-legacy-swarm-worker0`);
    expect(failing('exec', 'worker0', '--', 'true')).toContain('host restore');
    lab('up');
    expect(failing('exec', 'worker0', '--', 'true')).toContain('host restore');
    lab('host', 'restore', 'worker0');
    expect(inside('worker0', 'docker', 'ps', '-a', '--format', '{{.Names}}').trim()).toBe('lost');
  });

  test('a host joins and leaves', () => {
    lab('host', 'add');
    expect(inside('master', 'ping', '-c1', '-W10', 'legacy-swarm-worker1')).toContain('1 received');
    lab('host', 'rm', 'worker1');
    expect(lab('status')).toContain(': 2 hosts, ');
    expect(failing('exec', 'worker1', '--', 'true')).toContain('no host is called');
    expect(failing('host', 'rm', 'master')).toContain('netmaster');
  });

  test('an exit code comes through', () => {
    expect(() => inside('master', 'sh', '-c', 'exit 7')).toThrow(expect.objectContaining({ status: 7 }));
  });

  test('the first processes die and the state is lost: down removes everything all the same', async () => {
    for (const init of await findInits()) if (init.lab === LAB && init.host.endsWith('worker0')) process.kill(init.pid, 'SIGKILL');
    execFileSync('rm', ['-f', `/var/lib/contiv-lab/labs/${LAB}/lab.json`]);
    lab('down');
    expect(await traces()).toEqual([]);
    expect(lab('down')).toContain('there was no lab');
  });
});

describe.each(['modern'] as const)('a bare lab with the %s engine', (engine) => {
  test('runs containers and compose, shows their sandboxes to the host, and leaves nothing', async () => {
    lab('up', '--bare', '--engine', engine);
    expect(inside('master', 'docker', 'version', '--format', '{{.Server.Version}}')).toMatch(/^2[89]\./);
    expect(inside('master', 'docker', 'compose', 'version')).toMatch(/version v?2\./);
    inside('master', 'docker', 'run', '-d', '--name', 'sandboxed', 'alpine', 'sleep', '1000');
    const key = inside('master', 'docker', 'inspect', '--format', '{{.NetworkSettings.SandboxKey}}', 'sandboxed').trim();
    expect(inside('master', 'nsenter', `--net=${key}`, 'ip', '-4', '-o', 'addr', 'show', 'eth0')).toContain('172.17.');
    // In the container's root and nowhere else, also after the engine was away.
    lab('service', 'master', 'docker', 'restart');
    expect(inside('master', 'docker', 'exec', 'sandboxed', 'ls', '/')).not.toContain('home');
    expect(inside('master', 'docker', 'exec', 'sandboxed', 'cat', '/etc/hostname')).toMatch(/^[0-9a-f]{12}$/m);
    lab('down');
    expect(await traces()).toEqual([]);
  });
});
