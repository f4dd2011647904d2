import { execFileSync } from 'node:child_process';
import { decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerOutside } from '../outside-server.js';
import { CONTAINERS, demoSummary } from './demo.js';
import { etcHosts, hostFiles, initScript } from './files.js';
import { hostPlans } from './hosts.js';
import { imageConfig, librariesOf } from './image.js';
import { macOf } from './mac.js';
import { DEFAULT_LAB, hostName, INIT_MARKER, initMarker, isOwnNamespace, labNames, namespaceOf } from './names.js';
import { checkedOptions, DEFAULT_OPTIONS, LabError, type LabOptions, MAX_HOSTS } from './options.js';
import { OUTSIDE, STATION_PORTS, STATIONS, stationCables, stationLines, stationNamespace } from './outside.js';
import { engineFacts, hostServices, type Programs } from './services.js';
import { CABLES, cableLines, fabricLines, fabricPort, hostLines, uplinkLines } from './topology.js';

const labName = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const programs: Programs = {
  node: '/usr/bin/node',
  root: '/repo',
  built: new Set(['netmaster', 'netplugin', 'netctl', 'swarm', 'lab']),
  engine: { binary: '/usr/sbin/dockerd', clusterStore: true },
};
const options = (some: Partial<LabOptions> = {}): LabOptions => ({ ...DEFAULT_OPTIONS, ...some });
const names = labNames(DEFAULT_LAB);
const servicesOf = (some: Partial<LabOptions>, index: number, having = programs) => {
  const hosts = hostPlans(names, options(some));
  const host = hosts[index];
  if (!host) throw new Error('no such host');
  return hostServices(options(some), names.lab, host, hosts, having);
};
const flagsOf = (some: Partial<LabOptions>, index: number, service: string, having = programs): readonly string[] =>
  servicesOf(some, index, having).find((s) => s.name === service)?.argv ?? [];

describe('names', () => {
  test('the hosts of the default lab are those of the tutorial', () => {
    expect(hostPlans(names, options({ hosts: 3 })).map((h) => [h.name, h.namespace, h.ip])).toEqual([
      ['legacy-swarm-master', 'legacy-swarm-master', '192.168.2.50'],
      ['legacy-swarm-worker0', 'legacy-swarm-worker0', '192.168.2.51'],
      ['legacy-swarm-worker1', 'legacy-swarm-worker1', '192.168.2.52'],
    ]);
  });

  test('a lab knows its own namespaces from those of every other lab', () => {
    fc.assert(
      fc.property(labName, labName, fc.nat(MAX_HOSTS - 1), (one, other, index) => {
        const name = namespaceOf(one, hostName(index).replace('legacy-swarm-', ''));
        expect(isOwnNamespace(one, name)).toBe(true);
        expect(isOwnNamespace(other, name)).toBe(one === other);
      }),
    );
    expect(isOwnNamespace(DEFAULT_LAB, 'legacy-swarm-notes')).toBe(false);
  });

  test('interface names fit the kernel, for the longest names too', () => {
    fc.assert(
      fc.property(labName, (lab) => {
        expect(labNames(lab).uplink.length).toBeLessThanOrEqual(15);
      }),
    );
    for (const host of hostPlans(names, options({ hosts: MAX_HOSTS })))
      for (const { device } of CABLES) expect(fabricPort(host, device).length).toBeLessThanOrEqual(15);
  });

  test("a host's first process tells lab and host", () => {
    fc.assert(
      fc.property(labName, fc.nat(MAX_HOSTS - 1), (lab, index) => {
        expect(INIT_MARKER.exec(initMarker(lab, hostName(index)))?.slice(1)).toEqual([lab, hostName(index)]);
      }),
    );
  });

  test.each(['', 'Upper', '-a', 'a/b', '..', 'a b', 'abcdefghijkl'])('%j is no name of a lab', (lab) => {
    expect(() => labNames(lab)).toThrow(LabError);
  });
});

describe('options', () => {
  test.each([
    [{ hosts: 0 }, '--hosts'],
    [{ hosts: MAX_HOSTS + 1 }, '--hosts'],
    [{ mtu: 500 }, '--mtu'],
    [{ ipPrefix: '192.168.2' }, '--ip-prefix'],
    [{ masters: 2 }, '--store etcd'],
    [{ masters: 3, store: 'etcd' as const }, '--hosts 3'],
    [{ swarmMode: true, store: 'etcd' as const }, '--engine modern'],
  ])('%j is refused with the way out', (some, hint) => {
    expect(() => checkedOptions(options(some))).toThrow(hint);
  });

  test('what the tutorial and the tests use is accepted', () => {
    expect(checkedOptions(options({ hosts: 5, masters: 3, store: 'etcd' }))).toMatchObject({ hosts: 5, masters: 3 });
    expect(checkedOptions(options({ engine: 'modern', swarmMode: true, store: 'etcd' }))).toMatchObject({ swarmMode: true });
  });
});

describe('network plan', () => {
  test('every address and every MAC exists once', () => {
    const hosts = hostPlans(names, options({ hosts: MAX_HOSTS }));
    const addresses = hosts.flatMap((h) => [h.ip, h.mgmtIp]);
    expect(new Set(addresses).size).toBe(addresses.length);
    const macs = hosts.flatMap((h) => CABLES.map(({ device }) => macOf(names.lab, `${h.name}/${device}`)));
    expect(new Set(macs).size).toBe(macs.length);
    // Locally administered, unicast.
    for (const mac of macs) expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
  });

  test('the namespace `up` runs in gets one interface and a connected route, no default route', () => {
    const lines = uplinkLines(names, options());
    expect(lines).toContain('addr add 192.168.2.1/24 dev contiv-lab');
    expect(lines.every((line) => line.includes(names.uplink))).toBe(true);
    expect(lines.join('\n')).not.toContain('route');
  });

  test('the fabric answers what nobody carries, so a host’s default route leads to the outside world or nowhere', () => {
    expect(fabricLines(options())).toContain('route add unreachable default');
    expect(hostLines(hostPlans(names, options())[0] ?? expect.fail())).toContain('route add default via 10.0.2.2 dev eth0');
  });

  test('the MTU is that of both ends of eth1 and eth2', () => {
    const lines = cableLines(names, options({ mtu: 9000 }), hostPlans(names, options())[0] ?? expect.fail());
    for (const device of ['eth1', 'eth2']) {
      const line = lines.find((l) => l.startsWith('link add') && l.includes(` name ${device} `));
      expect(line?.match(/mtu 9000/g)).toHaveLength(2);
    }
  });
});

describe('stations', () => {
  test('no address exists twice, and none is a host’s', () => {
    const lines = STATIONS.flatMap(stationLines).concat(stationCables(names, options()));
    const addresses = lines.flatMap((line) => /^addr add (\S+)\//.exec(line)?.[1] ?? []);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const { ip, mgmtIp } of hostPlans(names, options({ hosts: MAX_HOSTS })))
      expect(addresses.filter((address) => address === ip || address === mgmtIp)).toEqual([]);
  });

  test('every port that is cabled is taken away again, and its name fits the kernel', () => {
    const made = stationCables(names, options()).flatMap((line) => /^link add (\S+) mtu/.exec(line)?.[1] ?? []);
    expect(made.toSorted()).toEqual(STATION_PORTS.toSorted());
    for (const port of made) expect(port.length).toBeLessThanOrEqual(15);
  });

  test('their namespaces are the lab’s own', () => {
    for (const station of STATIONS) expect(isOwnNamespace(names.lab, stationNamespace(names, station))).toBe(true);
  });

  test.each([
    ['contiv.com', 'A', [OUTSIDE.web], 'NOERROR'],
    ['CONTIV.com', 'AAAA', [OUTSIDE.web6], 'NOERROR'],
    ['contiv.com', 'TXT', [], 'NOERROR'],
    ['nobody.example', 'A', [], 'NXDOMAIN'],
  ] as const)('the outside answers %s %s', (name, type, data, rcode) => {
    const question = encode({ type: 'query', id: 7, questions: [{ name, type }] });
    const answer = decode(answerOutside(question) ?? expect.fail('no answer'));
    expect(answer).toMatchObject({ id: 7, rcode, answers: data.map((value) => ({ type, data: value })) });
  });

  test('what is no question gets no answer', () => {
    expect(answerOutside(Buffer.alloc(0))).toBeUndefined();
    expect(answerOutside(encode({ type: 'response', id: 7 }))).toBeUndefined();
  });
});

test('an IPv6 underlay is beside the IPv4 one, and VXLAN goes by it', () => {
  const host = hostPlans(names, options({ underlay: 'ipv6' }))[0] ?? expect.fail();
  expect(hostLines(host)).toContain('addr add fd00:192:168:2::50/64 dev eth1 nodad');
  const flags = flagsOf({ underlay: 'ipv6' }, 0, 'netplugin');
  expect(flags[flags.indexOf('--vtep-ip') + 1]).toBe('fd00:192:168:2::50');
  expect(flags[flags.indexOf('--ctrl-ip') + 1]).toBe('192.168.2.50');
});

describe('services', () => {
  test('a bare lab has engines, and the store when asked for', () => {
    expect(servicesOf({ bare: true }, 0).map((s) => s.name)).toEqual(['docker']);
    expect(servicesOf({ bare: true, store: 'etcd' }, 0).map((s) => s.name)).toEqual(['etcd', 'docker']);
  });

  test('netmaster and swarm run on the first host, netplugin on every one', () => {
    expect(servicesOf({}, 0).map((s) => s.name)).toEqual(['docker', 'netmaster', 'netplugin', 'swarm']);
    expect(servicesOf({}, 1).map((s) => s.name)).toEqual(['docker', 'netplugin']);
  });

  test('with several masters a swarm manager runs on each, and every engine registers itself', () => {
    const three = { hosts: 4, masters: 3, store: 'etcd' } as const;
    expect(servicesOf(three, 2).map((s) => s.name)).toEqual(['docker', 'netmaster', 'netplugin', 'swarm-join', 'swarm']);
    expect(servicesOf(three, 3).map((s) => s.name)).toEqual(['docker', 'netplugin', 'swarm-join']);
    expect(flagsOf(three, 1, 'swarm').slice(-4)).toEqual(['--replication', '--advertise', '192.168.2.51:2375', 'etcd://192.168.2.50:2379']);
  });

  test('what has not been built is not started', () => {
    expect(servicesOf({}, 0, { ...programs, built: new Set(['netmaster']) }).map((s) => s.name)).toEqual(['docker', 'netmaster']);
  });

  test('engine and agent agree on whether networks are shared through the cluster store', () => {
    for (const engine of ['system', 'modern'] as const)
      for (const store of ['embedded', 'etcd'] as const)
        for (const clusterStore of [true, false]) {
          const having = { ...programs, engine: { ...programs.engine, clusterStore } };
          const shared = flagsOf({ engine, store }, 1, 'docker', having).includes('--cluster-store=etcd://192.168.2.50:2379');
          expect(shared).toBe(engine === 'system' && store === 'etcd' && clusterStore);
          const agent = flagsOf({ engine, store }, 1, 'netplugin', having);
          expect(agent[agent.indexOf('--docker-scope') + 1]).toBe(shared ? 'global' : 'local');
        }
  });

  test('every agent knows every netmaster', () => {
    const flags = flagsOf({ hosts: 3, masters: 3, store: 'etcd' }, 2, 'netplugin');
    expect(flags.filter((flag) => flag.startsWith('http://'))).toEqual([
      'http://192.168.2.50:9999',
      'http://192.168.2.51:9999',
      'http://192.168.2.52:9999',
    ]);
    expect(flagsOf({ hosts: 3, masters: 3, store: 'etcd' }, 2, 'netmaster')).toContain('etcd://192.168.2.50:2379');
  });

  test.each([
    ['Docker version 20.10.24+dfsg1, build 5d6db84', true],
    ['Docker version 23.0.0, build x', false],
    ['Docker version 28.5.2, build x', false],
    ['something else', false],
  ])('%s: cluster store %s', (output, clusterStore) => {
    expect(engineFacts('/d', output)).toEqual({ binary: '/d', clusterStore });
  });
});

describe('files', () => {
  test('/etc/hosts names all hosts, and netmaster', () => {
    const hosts = hostPlans(names, options());
    expect(etcHosts(hosts[1] ?? expect.fail(), hosts)).toBe(
      '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n192.168.2.50 legacy-swarm-master netmaster\n192.168.2.51 legacy-swarm-worker0\n',
    );
  });

  test.each(['system', 'modern'] as const)('every script of a host with the %s engine is one that sh can read', (engine) => {
    const hosts = hostPlans(names, options());
    const host = hosts[0] ?? expect.fail();
    const scripts = hostFiles(names.lab, options({ engine }), host, hosts, programs).filter((file) => file.mode === 0o755);
    expect(scripts.map((s) => s.path)).toContain(initScript(host));
    for (const { text } of scripts) execFileSync('sh', ['-n'], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
  });
});

describe('images', () => {
  test('libraries are read from what ldd prints', () => {
    const ldd = [
      '\tlinux-vdso.so.1 (0x00007ffc)',
      '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)',
      '\t/lib64/ld-linux-x86-64.so.2 (0x00007f)',
      '\tnot a dynamic executable',
    ];
    expect(librariesOf(ldd.join('\n'))).toEqual(['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
  });

  test('the same layer makes the same image on every engine', () => {
    expect(imageConfig('ab', 'amd64')).toBe(imageConfig('ab', 'amd64'));
    expect(JSON.parse(imageConfig('ab', 'amd64'))).toMatchObject({ rootfs: { diff_ids: ['sha256:ab'] } });
  });
});

test('the closing summary of the demo fits 80 columns and names every container', () => {
  const summary = demoSummary(hostPlans(names, options()), new Map(CONTAINERS.map((c) => [c.name, '10.1.2.254'])));
  expect(Math.max(...summary.split('\n').map((line) => line.length))).toBeLessThanOrEqual(79);
  for (const { name } of CONTAINERS) expect(summary).toContain(name);
});
