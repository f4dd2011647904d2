/** Two tenants with the same names, subnets and addresses on the same hosts: each is alone in its world, whatever the other sends. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arpReply, BROADCAST, type Ends, taggedFrame, udpFrame, vxlanPayload } from './rig/frames.js';
import { type Place, sendRaw, sendUdp, watchRaw } from './rig/raw.js';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';

const HOSTS = [MASTER, WORKER] as const;
const TENANTS = ['default', 'blue'] as const;
type Tenant = (typeof TENANTS)[number];
const NUMBERS = [1, 2, 3, 4, 5, 6] as const;

/** c1 … c6 of both tenants, three on each host; those of one name are never on one host, where Docker allows a name only once. */
const hostOf = (tenant: Tenant, n: number): string => HOSTS[(n + TENANTS.indexOf(tenant)) % 2] ?? MASTER;
const network = (tenant: Tenant): string => (tenant === 'default' ? 'contiv-net' : `contiv-net/${tenant}`);
const ip = (n: number): string => `10.1.2.${n}`;
const mac = (n: number): string => `02:02:0a:01:02:0${n}`;
/** Addresses that only one of the two has. */
const ALONE: Readonly<Record<Tenant, number>> = { default: 7, blue: 8 };
const VNI: Readonly<Record<Tenant, number>> = { default: 1, blue: 2 };
const MARK = Buffer.from('forged by a container');

const ends = (from: number, to: number): Ends => ({ srcMac: mac(from), dstMac: mac(to), srcIp: ip(from), dstIp: ip(to) });
const PORTS = { src: 4000, dst: 9 };

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`iso-${engine.slice(0, 3)}`);
  const start = (tenant: Tenant, n: number, name: string, host: string) =>
    rig.docker(host, 'run', '-d', '--name', name, '--net', network(tenant), '--ip', ip(n), 'alpine', 'sh', '-c', serving(tenant, n));
  const serving = (tenant: Tenant, n: number) => `echo ${tenant} ${ip(n)} >/tmp/index.html; exec httpd -f -p 80 -h /tmp`;

  beforeAll(async () => {
    await rig.up('--engine', engine);
    await rig.netctl('tenant', 'create', 'blue');
    for (const tenant of TENANTS) await rig.netctl('net', 'create', '-t', tenant, '--subnet=10.1.2.0/24', 'contiv-net');
    for (const host of HOSTS) await eventually('networks', () => rig.docker(host, 'network', 'inspect', ...TENANTS.map(network)));
    await Promise.all(
      TENANTS.flatMap((tenant) => [
        ...NUMBERS.map((n) => start(tenant, n, `c${n}`, hostOf(tenant, n))),
        start(tenant, ALONE[tenant], `only-${tenant}`, MASTER),
      ]),
    );
  });
  afterAll(() => rig.down());

  test.each(TENANTS)('every pair of tenant %s reaches each other, by address and by name, and meets only its own', async (tenant) => {
    await Promise.all(
      NUMBERS.map(async (from) => {
        const probes = NUMBERS.flatMap((to) => [
          `timeout 20 wget -qO- http://${ip(to)}/ 2>&1 &`,
          `timeout 20 wget -qO- http://c${to}/ 2>&1 &`,
        ]);
        // Names of those started last are on their way to the other host.
        await eventually(`c${from} reaches all`, async () => {
          const said = await rig.docker(hostOf(tenant, from), 'exec', `c${from}`, 'sh', '-c', `${probes.join(' ')} wait`);
          expect(said.split('\n').sort(), `c${from}`).toEqual(NUMBERS.flatMap((n) => [`${tenant} ${ip(n)}`, `${tenant} ${ip(n)}`]));
        });
      }),
    );
  });

  test.each(TENANTS)('tenant %s reaches no address that only the other has', async (tenant) => {
    const [own, other] = [ALONE[tenant], ALONE[tenant === 'default' ? 'blue' : 'default']];
    await Promise.all(
      NUMBERS.map(async (from) => {
        const fetch = (n: number, seconds: number) =>
          rig.tryDocker(hostOf(tenant, from), ['exec', `c${from}`, 'timeout', `${seconds}`, 'wget', '-qO-', `http://${ip(n)}/`]);
        const [allowed, refused] = await Promise.all([fetch(own, 30), fetch(other, 2)]);
        expect(allowed.text).toBe(`${tenant} ${ip(own)}\n`);
        expect(refused.code, refused.text).not.toBe(0);
        const ping = await rig.tryDocker(hostOf(tenant, from), ['exec', `c${from}`, 'ping', '-c', '2', '-i', '0.2', '-W', '1', ip(other)]);
        expect(ping.text).toContain('100% packet loss');
      }),
    );
  });

  describe('a container of blue that forges frames', () => {
    // blue's c2 is on the master's other host, c1 is beside it on none; default's c2 sits where blue's c1 does.
    const attacker: Place = { host: hostOf('blue', 2), container: 'c2' };
    const places = TENANTS.flatMap((tenant) => [
      ...NUMBERS.map((n) => ({ host: hostOf(tenant, n), container: `c${n}` })),
      { host: MASTER, container: `only-${tenant}` },
    ]).filter((p) => p.host !== attacker.host || p.container !== attacker.container);
    const neighbours = NUMBERS.filter((n) => n !== 2);
    const inner = (vni: number) => [
      vxlanPayload(vni, udpFrame(ends(3, 1), PORTS, MARK)),
      vxlanPayload(vni, udpFrame(ends(3, 2), PORTS, MARK)),
      vxlanPayload(vni, arpReply({ mac: mac(2), ip: ip(3) }, { mac: mac(1), ip: ip(1) }, MARK)),
    ];
    const VTEPS = ['192.168.2.50', '192.168.2.51'];

    const EVIL: Readonly<Record<string, readonly Buffer[]>> = {
      'another MAC': neighbours.flatMap((to) => [
        udpFrame({ ...ends(2, to), srcMac: mac(to === 3 ? 1 : 3) }, PORTS, MARK),
        udpFrame({ ...ends(2, to), srcMac: '02:02:0a:01:02:77' }, PORTS, MARK),
      ]),
      'another address': neighbours.flatMap((to) => [
        udpFrame({ ...ends(2, to), srcIp: ip(to === 3 ? 1 : 3) }, PORTS, MARK),
        udpFrame({ ...ends(2, to), srcIp: '192.168.2.50' }, PORTS, MARK),
        udpFrame({ ...ends(2, to), srcIp: '127.0.0.1' }, PORTS, MARK),
      ]),
      'another MAC and its address': neighbours.map((to) => udpFrame(ends(to === 3 ? 1 : 3, to), PORTS, MARK)),
      'ARP in the name of others': neighbours.flatMap((to) => [
        arpReply({ mac: mac(2), ip: ip(to === 3 ? 1 : 3) }, { mac: mac(to), ip: ip(to) }, MARK),
        arpReply({ mac: mac(3), ip: ip(3) }, { mac: mac(to), ip: ip(to) }, MARK),
        arpReply({ mac: mac(3), ip: ip(3) }, { mac: mac(to), ip: ip(to) }, MARK, mac(2)),
        arpReply({ mac: mac(2), ip: ip(3) }, { mac: BROADCAST, ip: ip(3) }, MARK),
      ]),
      'VLAN tags': [0, 1, 2, 112].flatMap((vlan) => [
        taggedFrame(udpFrame(ends(2, 1), PORTS, MARK), vlan),
        taggedFrame(udpFrame(ends(3, 1), PORTS, MARK), vlan),
      ]),
      'VXLAN packets, from its interface to the VTEPs': VTEPS.flatMap((dstIp) =>
        Object.values(VNI).flatMap((vni) =>
          inner(vni).flatMap((payload) =>
            [mac(1), mac(3), BROADCAST].flatMap((dstMac) => [
              udpFrame({ srcMac: mac(2), srcIp: ip(2), dstMac, dstIp }, { src: 5000, dst: 8472 }, payload),
              udpFrame({ srcMac: mac(2), srcIp: '192.168.2.51', dstMac, dstIp }, { src: 5000, dst: 8472 }, payload),
            ]),
          ),
        ),
      ),
    };

    test('an honest frame of the same making arrives where it is sent to', async () => {
      const frames = [
        udpFrame(ends(2, 1), PORTS, MARK),
        // Addressed to the MAC of another container: who has the IP address gets it, under its own MAC.
        udpFrame({ ...ends(2, 4), dstMac: mac(3) }, PORTS, MARK),
      ];
      const seen = await watchRaw(rig, places, MARK, () => sendRaw(rig, attacker, 'eth0', frames), { expected: frames.length });
      expect(seen.map((s) => `${s.container} ${s.frame.toString('hex', 0, 12)}`).sort()).toEqual([
        'c1 02020a01020102020a010202',
        'c4 02020a01020402020a010202',
      ]);
    });

    test('none of the forged ones does, from its interface or by the host', async () => {
      const seen = await watchRaw(rig, places, MARK, async () => {
        await sendRaw(rig, attacker, 'eth0', Object.values(EVIL).flat());
        // By eth1, docker_gwbridge and the host, whose address the packets then bear: small ones, and such as go in fragments.
        const payloads = Object.values(VNI).flatMap((vni) => [
          ...inner(vni),
          vxlanPayload(vni, udpFrame(ends(3, 1), PORTS, Buffer.concat([MARK, Buffer.alloc(3000)]))),
        ]);
        for (const address of VTEPS)
          await Promise.all([4000, 8472].map((from) => sendUdp(rig, attacker, from, { address, port: 8472 }, payloads)));
      });
      expect(seen.map((s) => `${s.container}: ${s.frame.toString('hex')}`)).toEqual([]);
      // They did come as far as the host.
      const dropped = (await rig.on(attacker.host, 'nft', 'list', 'ruleset')).matchAll(/udp dport 8472 counter packets (\d+) .*drop/g);
      expect([...dropped].map((match) => Number(match[1]) > 0)).toEqual([true, true, false]);
    });

    test('and nobody is misled: neighbours keep their MACs, the forger its own peers', async () => {
      const shown = await rig.docker(hostOf('blue', 1), 'exec', 'c1', 'sh', '-c', `ping -c 1 -W 20 ${ip(3)} && arp -n`);
      expect(shown).toContain('1 packets received');
      expect(shown.toLowerCase()).toMatch(new RegExp(`10\\.1\\.2\\.3.*${mac(3)}`));
      const status = JSON.parse(await rig.on(attacker.host, 'netplugin', 'status', '--json')) as {
        datapath: { drops: Record<string, string> };
      };
      for (const reason of ['spoofed-mac', 'spoofed-ip', 'spoofed-arp', 'tagged'])
        expect(Number(status.datapath.drops[reason]), reason).toBeGreaterThan(0);
    });
  });
});
