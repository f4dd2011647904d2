/** Routing mode: tenants as routers' domains over two hosts, the ways outside and in, the hosts' own access; and nothing left in the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, ENGINES, eventually, MASTER, type Place, Rig, Traffic, WORKER } from './index.js';

const HOSTS = [MASTER, WORKER] as const;
/** Red and blue have the same addresses. Of the three networks of a tenant one is a VLAN. */
const TENANTS = [
  { tenant: 'red', octet: 1 },
  { tenant: 'blue', octet: 1 },
  { tenant: 'green', octet: 2 },
] as const;
const NETWORKS = [1, 2, 3] as const;
const WEB = '203.0.113.80';
const WEB6 = '2001:db8:113::80';
const PORT = '9000';

interface Container extends Place {
  readonly tenant: string;
  readonly network: number;
}

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`rt-${engine.slice(0, 3)}`);
  const containers: Container[] = [];
  const inside = (at: Place, script: string) => rig.docker(at.host, 'exec', at.container, 'sh', '-c', script);
  const find = (tenant: string, network: number, host: string): Container => {
    const found = containers.find((c) => c.tenant === tenant && c.network === network && c.host === host);
    if (!found) throw new Error(`${tenant} n${network} has nobody on ${host}`);
    return found;
  };
  const ask = (host: string, target: string, port: number) => rig.on(host, 'sh', '-c', `nc -w 3 ${target} ${port} </dev/null`);
  const rules = async (host: string) =>
    `${await rig.on(host, 'nft', 'list', 'tables')}\n${await rig.on(host, 'iptables', '-S')}\n${await rig.on(host, 'ip', '-br', 'link')}`;

  beforeAll(async () => {
    await rig.up('--engine', engine);
  });
  afterAll(() => rig.down());

  test('the mode is switched where nothing is in its way, on all hosts at once, and with a flag that differs', async () => {
    await rig.netctl('net', 'create', '-s', '10.9.9.0/24', 'early');
    expect((await rig.tryNetctl('global', 'set', '--fwd-mode', 'routing')).text).toContain(
      'Unable to update forwarding mode due to existing 1 vxlans',
    );
    expect((await rig.tryNetctl('global', 'set', '--private-subnet', '172.20.0.0/16')).text).toContain(
      'Unable to update private subnet due to existing 1 vxlans',
    );
    await rig.netctl('net', 'rm', 'early');
    await rig.netctl('global', 'set', '--fwd-mode', 'routing');
    for (const host of HOSTS)
      await eventually('the agent knows', async () =>
        expect((await rig.tryOn(host, 'netplugin', 'status')).text).toContain(
          'local forward mode "bridge" doesn\'t match global settings "routing"',
        ),
      );
    expect((await rig.tryNetctl('net', 'create', '-s', '10.9.9.0/24', 'early')).text).toContain('network early needs a gateway');
    expect((await rig.tryNetctl('global', 'set', '--private-subnet', '192.168.0.0/16')).text).toContain('which is an address of host');
    // netmaster knows the hosts' own addresses, but not those of the engines' bridges.
    await rig.netctl('global', 'set', '--private-subnet', '172.17.0.0/16');
    await rig.netctl('net', 'create', '-s', '10.9.9.0/24', '-g', '10.9.9.254', 'early');
    await eventually('the Docker network', () => rig.docker(MASTER, 'network', 'inspect', 'early'));
    const published = ['run', '-d', '--name', 'early', '--net', 'early', '-p', `9096:${PORT}`, 'alpine', 'sleep', '60'];
    expect((await rig.tryDocker(MASTER, published)).text).toContain(
      'the private subnet 172.17.0.0/16 collides with 172.17.0.1/16 of docker0 on this host',
    );
    await rig.docker(MASTER, 'rm', '-f', 'early');
    await eventually('the network goes', () => rig.netctl('net', 'rm', 'early'));
    await rig.netctl('global', 'set', '--private-subnet', '172.19.0.0/16');
  });

  test('three tenants, three networks, two hosts: everybody reaches their own, and nobody another tenant', async () => {
    // As Docker does sooner or later, this host uses a part of the default private subnet.
    await rig.on(WORKER, 'sh', '-c', 'ip link add taken0 type bridge && ip addr add 172.19.4.1/24 dev taken0 && ip link set taken0 up');
    for (const { tenant, octet } of TENANTS) {
      await rig.netctl('tenant', 'create', tenant);
      for (const n of NETWORKS) {
        const encap = n === 3 ? ['-e', 'vlan'] : [];
        await rig.netctl('net', 'create', '-t', tenant, ...encap, '-s', `10.${octet}.${n}.0/24`, '-g', `10.${octet}.${n}.254`, `n${n}`);
      }
    }
    await Promise.all(
      HOSTS.map(async (host, index) => {
        for (const { tenant, octet } of TENANTS) {
          for (const n of NETWORKS) {
            const name = `${tenant}${n}${index}`;
            const network = `n${n}/${tenant}`;
            await eventually('the Docker network', () => rig.docker(host, 'network', 'inspect', network));
            const ip = `10.${octet}.${n}.${index + 1}`;
            const options = ['--name', name, '-h', name, '--net', network, '--ip', ip];
            await rig.docker(host, 'run', '-d', ...options, 'bench', 'nc', '-ll', '-p', PORT, '-e', 'hostname');
            containers.push({ host, container: name, ip, tenant, network: n });
          }
        }
      }),
    );
    await Promise.all(
      HOSTS.map(async (host) => {
        for (const from of containers.filter((c) => c.host === host)) {
          const own = containers.filter((c) => c.tenant === from.tenant);
          // The endpoints of the last ones are on their way to the other host.
          await eventually(`${from.container} reaches its own`, async () => {
            const said = await inside(from, own.map(({ ip }) => `nc -w 3 ${ip} ${PORT} </dev/null`).join('; '));
            expect(said.split('\n'), from.container).toEqual(own.map((c) => c.container));
          });
        }
      }),
    );
    const strangers = [
      [find('red', 1, MASTER), find('green', 1, WORKER)],
      [find('green', 3, WORKER), find('blue', 3, MASTER)],
      [find('green', 2, MASTER), find('red', 2, MASTER)],
    ] as const;
    await Promise.all(
      strangers.map(async ([from, to]) => {
        const { code } = await rig.tryDocker(from.host, ['exec', from.container, 'ping', '-c', '2', '-W', '1', to.ip]);
        expect(code, `${from.container} reaches ${to.container}`).toBe(1);
      }),
    );
  });

  test('the way between two networks has one hop, and what leads nowhere is told', async () => {
    const from = find('red', 1, MASTER);
    for (const to of [find('red', 2, WORKER), find('red', 3, WORKER)]) {
      await eventually('each hop answers in time', async () => {
        const hops = (await inside(from, `traceroute -n -q 1 -w 2 ${to.ip}`)).split('\n').filter((line) => /^ *\d+ /.test(line));
        expect(hops.map((line) => line.trim().split(/\s+/)[1])).toEqual(['10.1.1.254', to.ip]);
      });
    }
    expect(await inside(from, 'ping -c 1 -W 2 10.1.2.254')).toContain(' 0% packet loss');
    const to = find('red', 2, WORKER);
    expect(await inside(from, `ping -c 1 -W 2 -M do -s 1422 ${to.ip}`)).toContain(' 0% packet loss');
    expect(await inside(from, `ping -c 1 -W 2 -s 4000 ${to.ip}`)).toContain(' 0% packet loss');
    expect((await rig.tryDocker(MASTER, ['exec', 'red10', 'ping', '-c', '1', '-W', '2', '-M', 'do', '-s', '1423', to.ip])).text).toContain(
      'message too long',
    );
    expect((await rig.tryDocker(MASTER, ['exec', 'red10', 'nc', '-w', '3', '10.1.2.77', PORT])).text).toContain('No route to host');
    expect((await rig.tryDocker(MASTER, ['exec', 'red10', 'nc', '-w', '3', '10.1.2.254', PORT])).text).toContain('refused');
  });

  test('tenants with one address both reach the outside and get their own replies', async () => {
    const [red, blue] = [find('red', 1, MASTER), find('blue', 1, MASTER)];
    expect(red.ip).toBe(blue.ip);
    const bytes = { red: 300_000, blue: 500_000 };
    const fetch = (at: Place, path: string) => inside(at, `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${WEB} 80 | wc -c`);
    const both = await Promise.all([fetch(red, `/bytes/${bytes.red}`), fetch(blue, `/bytes/${bytes.blue}`)]);
    for (const [i, size] of [bytes.red, bytes.blue].entries()) {
      expect(Number(both[i])).toBeGreaterThan(size);
      expect(Number(both[i])).toBeLessThan(size + 1_000);
    }
    for (const at of [find('green', 3, WORKER), find('red', 2, WORKER)])
      expect(await inside(at, `ping -c 1 -W 2 ${WEB}`), at.container).toContain(' 0% packet loss');
    const rules = (host: string) => rig.netctl('host', 'rules', host);
    expect(await rules(MASTER)).toMatch(/ip saddr 172\.19\.0\.0\/16 counter .*masquerade/);
    expect(await rules(MASTER)).toContain('-A FORWARD -j CONTIV-FORWARD');
    expect(await rules(WORKER)).toMatch(/ip saddr 198\.19\.0\.0\/16 counter .*masquerade/);
    await rig.on(WORKER, 'ip', 'link', 'del', 'taken0');
    // By its private address nobody is reached, neither from inside nor from the next host.
    expect((await rig.tryDocker(MASTER, ['exec', 'red10', 'ping', '-c', '1', '-W', '1', '172.19.0.1'])).code).toBe(1);
    expect((await rig.tryDocker(MASTER, ['exec', 'red10', 'ping', '-c', '1', '-W', '1', ADDRESS[WORKER] ?? ''])).code).toBe(0);
  });

  test('published ports are reached from everywhere, refused when taken, and gone with their container', async () => {
    const publish = (name: string, port: string) =>
      rig.tryDocker(MASTER, [
        'run',
        '-d',
        '--name',
        name,
        '--net',
        'n1/blue',
        '-p',
        port,
        'bench',
        'nc',
        '-ll',
        '-p',
        PORT,
        '-e',
        'hostname',
      ]);
    expect(await publish('pub', `9099:${PORT}`)).toMatchObject({ code: 0 });
    const name = (await rig.docker(MASTER, 'exec', 'pub', 'hostname')).trim();
    const own = ADDRESS[MASTER] ?? '';
    const reached = async () => {
      expect(await ask(MASTER, '127.0.0.1', 9099), 'from localhost').toBe(name);
      expect(await ask(MASTER, own, 9099), 'from this host').toBe(name);
      expect(await ask(WORKER, own, 9099), 'from the other host').toBe(name);
      for (const [at, where] of [
        [find('red', 1, MASTER), 'from another tenant here'],
        [find('green', 1, WORKER), 'from another tenant there'],
        [{ host: MASTER, container: 'pub', ip: '' }, 'from itself'],
      ] as const)
        expect((await inside(at, `nc -w 3 ${own} 9099 </dev/null`)).trim(), where).toBe(name);
    };
    // Its program begins to listen a moment after the container's start.
    await eventually('it listens', async () => expect(await ask(MASTER, '127.0.0.1', 9099)).toBe(name));
    await reached();
    expect(await rig.netctl('host', 'rules', MASTER)).toMatch(/^# \*:9099\/tcp -> 10\.1\.1\.\d+:9000, .*n1 of tenant blue$/m);
    expect((await publish('second', `9099:${PORT}`)).text).toContain('port 9099/tcp of this host is taken by the container with');
    expect((await publish('third', `2385:${PORT}`)).text).toContain('port 2385/tcp of this host is taken by another program');
    await rig.service(MASTER, 'netplugin', 'kill');
    await reached();
    await rig.service(MASTER, 'netplugin', 'start');
    await eventually('the port is held again', async () => expect(await rig.on(MASTER, 'ss', '-ltnH')).toContain(':9099 '));
    await reached();
    await rig.docker(MASTER, 'rm', '-f', 'pub');
    await rig.tryDocker(MASTER, ['rm', '-f', 'second', 'third']);
    expect((await rig.tryOn(WORKER, 'sh', '-c', `nc -w 2 ${own} 9099 </dev/null`)).code).not.toBe(0);
    expect(await rig.on(MASTER, 'ss', '-ltnH')).not.toContain(':9099 ');
    expect(await rig.on(MASTER, 'nft', 'list', 'ruleset')).not.toContain('9099');
  });

  test('IPv6 leads out by the host’s address and in by published ports', async () => {
    const net = ['-s', '10.1.6.0/24', '-g', '10.1.6.254', '-s6', '2001:db8:6::/64', '-g6', '2001:db8:6::fe'];
    await rig.netctl('net', 'create', '-t', 'red', ...net, 'six');
    await eventually('the Docker network', () => rig.docker(MASTER, 'network', 'inspect', 'six/red'));
    const options = ['--name', 'six', '-h', 'six', '--net', 'six/red', '-p', `9097:${PORT}`];
    await rig.docker(MASTER, 'run', '-d', ...options, 'bench', 'nc', '-ll', '-p', PORT, '-e', 'hostname');
    containers.push({ host: MASTER, container: 'six', ip: '10.1.6.1', tenant: 'red', network: 6 });
    const own = /inet6 (fd00:[0-9a-f:]+)/.exec(await rig.on(MASTER, 'ip', '-6', '-o', 'addr', 'show', 'eth0'))?.[1] ?? '';
    const six = find('red', 6, MASTER);
    // Another network of the tenant, on the other host.
    await rig.netctl(
      'net',
      'create',
      '-t',
      'red',
      '-s',
      '10.1.7.0/24',
      '-g',
      '10.1.7.254',
      '-s6',
      '2001:db8:7::/64',
      '-g6',
      '2001:db8:7::fe',
      'seven',
    );
    await eventually('the Docker network', () => rig.docker(WORKER, 'network', 'inspect', 'seven/red'));
    await rig.docker(WORKER, 'run', '-d', '--name', 'seven', '--net', 'seven/red', 'bench', 'sleep', '3600');
    containers.push({ host: WORKER, container: 'seven', ip: '10.1.7.1', tenant: 'red', network: 7 });
    const seven = await rig.docker(WORKER, 'inspect', '-f', '{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}', 'seven');
    const hops = await eventually('the other network', async () => {
      const said = await inside(six, `ping -c 2 -W 2 ${seven}`);
      expect(said).toContain(' 0% packet loss');
      return said;
    });
    expect(hops).toContain('ttl=63');
    expect(await inside(six, `ping -c 2 -W 2 ${WEB6}`)).toContain(' 0% packet loss');
    expect(await inside(six, `printf 'GET /client HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${WEB6} 80`)).toContain(`"address":"${own}"`);
    expect(await ask(WORKER, own, 9097), 'from the other host').toBe('six');
    expect(await ask(MASTER, own, 9097), 'from this host').toBe('six');
    expect((await inside(six, `nc -w 3 ${own} 9097 </dev/null`)).trim(), 'from itself').toBe('six');
    expect(await ask(WORKER, ADDRESS[MASTER] ?? '', 9097), 'by IPv4').toBe('six');
    // By its own or its private address nobody outside comes in.
    for (const target of ['2001:db8:6::1', 'fd63:6f6e:7469:ac13::1'])
      expect((await rig.tryOn(WORKER, 'ping', '-c', '1', '-W', '1', target)).code, target).not.toBe(0);
  });

  // What the engines have no part in is looked at with one of them.
  test.runIf(engine === ENGINES[0])(
    'established flows lose nothing while the agents are killed: routed, out by NAT, in by a port',
    async () => {
      const own = ADDRESS[MASTER] ?? '';
      const ports = ['-p', '9098:5201', '-p', '9098:5201/udp'];
      await rig.docker(MASTER, 'run', '-d', '--name', 'sink', '--net', 'n1/blue', ...ports, 'bench', 'iperf3', '-s');
      const traffic = await Traffic.start(rig, find('red', 1, MASTER), find('red', 2, WORKER));
      const count = 600;
      const pings = [
        inside(find('red', 1, MASTER), `ping -q -i 0.02 -c ${count} -W 5 ${WEB}`),
        inside(find('red', 6, MASTER), `ping -q -i 0.02 -c ${count} -W 5 ${WEB6}`),
      ];
      // As many small packets as fit into a socket's buffer while its program waits for a processor.
      const stream = rig.on(WORKER, 'iperf3', '-u', '-l', '64', '-b', '44K', '-t', '12', '-c', own, '-p', '9098');
      await sleep(1_000);
      await Promise.all(HOSTS.map((host) => rig.service(host, 'netplugin', 'kill')));
      await sleep(1_000);
      await Promise.all(HOSTS.map((host) => rig.service(host, 'netplugin', 'start')));
      for (const text of await Promise.all(pings)) expect(text).toContain(`${count} received`);
      expect(/([1-9]\d*|0)\/(\d+) \([^)]*\)\s+receiver/.exec(await stream)?.[1]).toBe('0');
      const outcome = await traffic.stop();
      expect(outcome.answered).toBeGreaterThan(200);
      expect(outcome.misses).toEqual([]);
      await rig.docker(MASTER, 'rm', '-f', 'sink');
    },
  );

  test.runIf(engine === ENGINES[0])(
    'infra networks give each host an address; by contivh1 it reaches the vxlan networks of the default tenant, and they it',
    async () => {
      expect((await rig.tryNetctl('net', 'create', '-n', 'infra', '-s', '132.1.2.0/24', 'sixteen-letters1')).text).toContain(
        'longer than 15 characters',
      );
      await rig.netctl('net', 'create', '-n', 'infra', '-s', '132.1.1.0/24', '-g', '132.1.1.1', 'contivh1');
      await rig.netctl('net', 'create', '-s', '20.1.1.0/24', '-g', '20.1.1.254', 'pods');
      await eventually('the Docker network', () => rig.docker(WORKER, 'network', 'inspect', 'pods'));
      await rig.docker(WORKER, 'run', '-d', '--name', 'pod', '--net', 'pods', 'bench', 'sleep', '3600');
      const addresses: string[] = [];
      for (const host of HOSTS) {
        const route = await eventually('the route', async () => {
          const line = await rig.on(host, 'ip', 'route', 'show', '20.1.1.0/24');
          expect(line).toContain('dev contivh1');
          return line;
        });
        const own = /via (\S+)/.exec(route)?.[1] ?? '';
        expect(await rig.on(host, 'ip', '-o', 'addr', 'show', 'contivh1')).toContain(`${own}/24`);
        addresses.push(own);
      }
      expect(addresses.toSorted()).toEqual(['132.1.1.2', '132.1.1.3']);
      for (const host of HOSTS)
        for (const target of [...addresses, '20.1.1.1'])
          await eventually(`${host} reaches ${target}`, () => rig.on(host, 'ping', '-c', '1', '-W', '1', target));
      for (const address of addresses)
        await eventually(`pod reaches ${address}`, () => rig.docker(WORKER, 'exec', 'pod', 'ping', '-c', '1', '-W', '2', address));
      // Another tenant is not let in by the host's own route.
      expect((await rig.tryDocker(MASTER, ['exec', 'red10', 'ping', '-c', '1', '-W', '1', '20.1.1.1'])).code).toBe(1);
      await rig.docker(WORKER, 'rm', '-f', 'pod');
      await eventually('the network goes', () => rig.netctl('net', 'rm', 'pods'));
      for (const host of HOSTS)
        await eventually('no route', async () => expect(await rig.on(host, 'ip', 'route')).not.toContain('20.1.1.0/24'));
      await rig.netctl('net', 'rm', 'contivh1');
      for (const host of HOSTS)
        await eventually('no interface', async () => expect(await rig.on(host, 'ip', '-br', 'link')).not.toContain('contivh1'));
    },
  );

  test('tear-down leaves nothing', async () => {
    expect(await rules(MASTER)).toMatch(/contiv_.*_nat[\s\S]*CONTIV-FORWARD[\s\S]*contivh0/);
    await Promise.all(
      HOSTS.map(async (host) => {
        await rig.docker(host, 'rm', '-f', ...containers.filter((c) => c.host === host).map((c) => c.container));
        await rig.service(host, 'netplugin', 'stop');
        await rig.on(host, 'netplugin', 'teardown', '--yes');
        expect(await rules(host)).not.toMatch(/contiv|CONTIV/);
      }),
    );
  });
});
