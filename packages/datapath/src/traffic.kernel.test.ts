/** Real packets between containers of two tenants on two hosts. */
import { type Ipv4, type Ipv6, type Mac, macBytes, parseMac } from '@contiv/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublishedPort } from './contract.js';
import { linkLocal } from './maps/layout.js';
import { type Container, ip, Namespace, Wire } from './testing/hosts.js';
import { arp, BROADCAST, ETHERTYPE, echo, ethernet, ipv4, ipv6, nd, PROTOCOL, udp } from './testing/packets.js';
import { BLUE, Pair, RED, STRANGER, VTEPS } from './testing/pair.js';

let pair: Pair;
let red: Container[];
let blue: Container[];
beforeAll(async () => {
  pair = await Pair.make('dptraffic', [
    [RED, 1, 'one'],
    [RED, 2, 'one'],
    [RED, 3, 'two'],
    [BLUE, 1, 'one'],
    [BLUE, 2, 'two'],
    [BLUE, 3, 'two'],
  ]);
  red = [1, 2, 3].map((n) => pair.at(RED, n));
  blue = [1, 2, 3].map((n) => pair.at(BLUE, n));
});
afterAll(() => pair.destroy());

const dropsOf = async (side: 'one' | 'two', reason: string): Promise<bigint> => (await pair.workers[side].call('drops'))[reason] ?? 0n;
const settle = () => new Promise((resolve) => setTimeout(resolve, 60));

/** Answers which of the others' own interfaces saw an echo request from `from`, by listening there. */
async function reaches(from: Container, address: string, options = '-c 1 -W 10'): Promise<boolean> {
  return (await from.ping(address, options)) > 0;
}

describe('reachability', () => {
  it('every pair of a tenant reaches each other, here and there, IPv4 and IPv6', async () => {
    for (const group of [red, blue]) {
      const pairs = group.flatMap((a) => group.filter((b) => b !== a).map((b) => [a, b] as const));
      const answers = await Promise.all(
        pairs.flatMap(([a, b]) => [b.port.ip, b.port.ip6 ?? '', `${linkLocal(b.port.mac)}%eth0`].map((to) => reaches(a, to))),
      );
      expect(answers).toEqual(answers.map(() => true));
    }
  });

  it('a ping to an address that both tenants have stays in the tenant', async () => {
    const wires = [...red, ...blue].map((container) => new Wire(container));
    await settle();
    for (const wire of wires) wire.frames();
    await reaches(pair.at(RED, 1), '10.1.0.3', '-c 3 -i 0.01');
    const seen = wires.map((wire) => wire.frames().filter((f) => f.readUInt16BE(12) === ETHERTYPE.ipv4 && f[23] === PROTOCOL.icmp).length);
    for (const wire of wires) wire.close();
    expect(seen).toEqual([6, 0, 6, 0, 0, 0]);
  });

  it('TCP and UDP arrive whole', async () => {
    const [a, c] = [pair.at(RED, 1), pair.at(RED, 3)];
    const serving = c.sh(
      `node -e "
        const sum = require('crypto').createHash('sha256');
        require('net').createServer({ allowHalfOpen: true }, (s) => {
          s.on('data', (part) => sum.update(part)).on('end', () => s.end(sum.digest('hex'))).on('close', () => process.exit());
        }).listen(5201);"`,
    );
    const whole = await a.sh(
      `node -e "
        const data = require('crypto').randomBytes(20 * 1024 * 1024);
        const sum = require('crypto').createHash('sha256').update(data).digest('hex');
        const send = () => {
          let said = '';
          const s = require('net').connect(5201, '10.1.0.3', () => s.end(data));
          s.on('error', () => setTimeout(send, 100)).on('data', (part) => { said += part; }).on('end', () => console.log(said === sum));
        };
        send();"`,
    );
    await serving;
    expect(whole).toBe('true\n');

    const bytes = 2 * 1024 * 1024;
    const arrived = async () => Number((await pair.workers.two.call('counters')).get(c.port.name)?.txBytes ?? 0n);
    const before = await arrived();
    await c.sh('iperf3 -s -1 -D -p 5201 >/dev/null');
    await a.sh(`for i in $(seq 100); do iperf3 -c 10.1.0.3 -u -b 30M -l 1400 -n ${bytes} >/dev/null 2>&1 && break; sleep 0.2; done`);
    await expect.poll(async () => (await arrived()) - before).toBeGreaterThan(bytes * 0.95);
  });

  it('a datagram larger than the MTU travels in fragments, one that may not be cut is refused at its sender', async () => {
    const a = pair.at(RED, 1);
    for (const to of ['10.1.0.2', '10.1.0.3']) {
      expect(await reaches(a, to, '-c 1 -W 10 -s 4000')).toBe(true);
      expect(await reaches(a, to, '-c 1 -W 10 -M do -s 1422')).toBe(true);
      const refused = await a.sh(`ping -c 1 -W 1 -M do -s 1423 ${to} 2>&1 || true`);
      expect(refused).toMatch(/message too long, mtu=1450/i);
    }
    expect(await reaches(a, '2001:db8:1::3', '-c 1 -W 10 -M do -s 1402')).toBe(true);
    expect(await reaches(a, '2001:db8:1::3', '-c 1 -W 10 -s 4000')).toBe(true);
    expect(await a.sh('ping -c 1 -W 1 -M do -s 1403 2001:db8:1::3 2>&1 || true')).toMatch(/message too long/i);
  });

  it('another MTU of the underlay is that of the networks within moments, and nothing is lost', async () => {
    const { one, two } = pair.hosts;
    const a = pair.at(RED, 1);
    const mtuOf = async (device: string) => `${device} ${/ mtu (\d+)/.exec(await one.sh(`ip -o link show ${device}`))?.[1]}`;
    const become = async (underlay: number, inner: number) => {
      for (const host of [one, two]) await host.sh(`ip link set eth1 mtu ${underlay}`);
      const devices = ['contivvx', 'contivdns', a.port.name];
      await expect.poll(() => Promise.all(devices.map(mtuOf))).toEqual(devices.map((device) => `${device} ${inner}`));
      // It was no drift, and so nothing is left to repair.
      expect(await pair.apply('one')).toEqual({ written: 0, repaired: [], failed: [] });
    };
    const ping = a.pinging('10.1.0.3');
    await ping.answered(1);
    await become(1600, 1550);
    await become(1500, 1450);
    await ping.answered(1);
    expect(await ping.stop()).toMatchObject({ lost: 0 });

    await one.sh('ip link set eth1 mtu 1300');
    const told = /the MTU of eth1 is 1300, and the tunnel needs at least 1330/;
    const failed = async () => (await pair.apply('one')).failed.join();
    await expect.poll(failed).toMatch(told);
    await one.sh('ip link set eth1 mtu 1500');
    await expect.poll(failed).toBe('');
  });

  it('the tunnel follows its address to another interface, and back', async () => {
    const { one } = pair.hosts;
    const address = `${VTEPS[4].one}/24`;
    const move = async (from: string, to: string) => {
      ip(one.name, `address del ${address} dev ${from}`, `address add ${address} dev ${to}`);
      const rules = () => one.sh('nft list table inet contiv_dptraffic');
      await expect.poll(async () => ((await pair.apply('one')).failed.length === 0 ? rules() : '')).toContain(`iifname "${to}"`);
      // IPv6 takes the way through the tunnel device, where the firewall is asked.
      expect(await reaches(pair.at(RED, 3), '2001:db8:1::1')).toBe(true);
    };
    ip(one.name, 'link add uplink type bridge', 'link set eth1 master uplink', 'link set uplink up');
    await move('eth1', 'uplink');
    ip(one.name, 'link set eth1 nomaster');
    await move('uplink', 'eth1');
    ip(one.name, 'link del uplink');
  });

  it('nobody answers for an address that nobody has', async () => {
    expect(await reaches(pair.at(RED, 1), '10.1.0.77', '-c 1 -W 1')).toBe(false);
    expect(await dropsOf('one', 'unknown-target')).toBeGreaterThan(0n);
  });

  it('counts exactly what a container sends and gets', async () => {
    const a = pair.at(RED, 1);
    const wire = new Wire(a);
    await reaches(a, '10.1.0.3');
    await settle();
    wire.frames();
    const before = (await pair.workers.one.call('counters')).get(a.port.name);
    const there = (await pair.workers.two.call('counters')).get(pair.at(RED, 3).port.name);
    expect(await a.ping('10.1.0.3', '-c 20 -i 0.01 -W 10')).toBe(20);
    const after = (await pair.workers.one.call('counters')).get(a.port.name);
    const thereAfter = (await pair.workers.two.call('counters')).get(pair.at(RED, 3).port.name);
    const isRequest = (frame: Buffer) => frame.readUInt16BE(12) === ETHERTYPE.ipv4 && frame[23] === PROTOCOL.icmp && frame[34] === 8;
    const sent = wire.frames().filter((frame) => frame.subarray(6, 12).equals(macBytes(a.port.mac)));
    wire.close();
    expect(sent.filter(isRequest).length).toBe(20);
    // Neighbours may be asked for again in between.
    expect(Number((after?.rxPackets ?? 0n) - (before?.rxPackets ?? 0n))).toBe(sent.length);
    expect((after?.txPackets ?? 0n) - (before?.txPackets ?? 0n)).toBe(20n);
    expect((after?.txBytes ?? 0n) - (before?.txBytes ?? 0n)).toBe(20n * 98n);
    expect((thereAfter?.txPackets ?? 0n) - (there?.txPackets ?? 0n)).toBe(20n);
    expect(after?.dropped['unknown-target'] ?? 0n).toBeGreaterThan(0n);
  });

  it('tells the DNS service who asks, and the answer finds its way back', async () => {
    await pair.workers.one.call('serveDns');
    for (const container of [pair.at(RED, 1), pair.at(BLUE, 1)]) {
      const ask = "timeout 20 bash -c 'exec 3<>/dev/udp/169.254.20.10/53; printf who >&3; head -c 7 <&3'";
      expect(await container.sh(ask)).toBe(container.port.name);
    }
  });

  it('is asked also where the host takes in nothing that it is not told to, and the chain for it is kept', async () => {
    const { one } = pair.hosts;
    const ask = () => pair.at(RED, 1).sh("timeout 5 bash -c 'exec 3<>/dev/udp/169.254.20.10/53; printf who >&3; head -c 7 <&3' || true");
    await one.sh('iptables -P INPUT DROP');
    try {
      expect(await ask()).toBe(pair.at(RED, 1).port.name);
      await one.sh('iptables -F INPUT');
      expect((await pair.apply('one')).repaired).toEqual(['the chain CONTIV-INPUT of iptables was missing or changed']);
      expect(await ask()).toBe(pair.at(RED, 1).port.name);
    } finally {
      await one.sh('iptables -P INPUT ACCEPT');
    }
  });

  it("leaves the host those who serve a cloud's hosts by link-local addresses", async () => {
    const { one, two } = pair.hosts;
    await two.sh('ip address add 169.254.169.254/32 dev eth1');
    await one.sh(`ip route add default via ${VTEPS[4].two}`);
    expect(await one.ping('169.254.169.254', '-c 2 -i 0.2 -W 2')).toBe(2);
    await one.sh('ip route del default');
    await two.sh('ip address del 169.254.169.254/32 dev eth1');
  });
});

describe('broadcast and multicast', () => {
  /** Who hears how many frames to a group; those who should are waited for. */
  const hear = async (from: Container, command: string, should: readonly boolean[]) => {
    const wires = [...red, ...blue].map((container) => new Wire(container));
    await from.sh(`${command} || true`);
    const heard = wires.map(() => 0);
    for (let i = 0; i === 0 || (i < 200 && should.some((each, n) => each && heard[n] === 0)); i++) {
      await settle();
      for (const [n, wire] of wires.entries())
        for (const f of wire.frames())
          if (f.subarray(6, 12).equals(macBytes(from.port.mac)) && ((f[0] ?? 0) & 1) === 1) heard[n] = (heard[n] ?? 0) + 1;
    }
    for (const wire of wires) wire.close();
    return heard;
  };

  it('go nowhere in proxy mode, and to every container of the network in flood mode', async () => {
    const ping4 = 'ping -c 1 -W 1 -b 10.1.0.255 >/dev/null 2>&1';
    const ping6 = 'ping -c 1 -W 1 ff02::1%eth0 >/dev/null 2>&1';
    const [own, ofRed, ofBlue] = [
      [true, false, false, false, false, false],
      [true, true, true],
      [false, false, false, true, true, true],
    ] as const;
    for (const command of [ping4, ping6]) expect((await hear(pair.at(RED, 1), command, own)).map((n) => n > 0)).toEqual(own);
    pair.arpMode = 'flood';
    await pair.applyAll();
    for (const command of [ping4, ping6, 'ping -c 1 -W 1 -I eth0 224.0.0.1 >/dev/null 2>&1']) {
      expect((await hear(pair.at(RED, 1), command, ofRed)).slice(0, 3).map((n) => n > 0)).toEqual(ofRed);
      expect((await hear(pair.at(BLUE, 2), command, ofBlue)).map((n) => n > 0)).toEqual(ofBlue);
    }
  });

  it('each container gets one copy and answers', async () => {
    // An answer may take longer than one waits for it.
    for (let tries = 1, all = false; !all; tries++) {
      const out = await pair.at(RED, 1).sh('ping -n -w 1 -i 2 -b 10.1.0.255 2>/dev/null; ping -n -w 1 -i 2 ff02::1%eth0 2>/dev/null; true');
      const answers = [...out.matchAll(/bytes from ([0-9a-f:.]+)/g)].map(([, ip]) => ip);
      expect(new Set(answers).size).toBe(answers.length);
      all = [2, 3].every((container) => answers.includes(`10.1.0.${container}:`));
      if (!all) expect(tries, out).toBeLessThan(5);
    }
  });

  it('ARP and neighbour discovery travel, and everybody still reaches everybody', async () => {
    for (const container of red) await container.sh('ip neigh flush all');
    expect(await Promise.all([reaches(red[0] as Container, '10.1.0.3'), reaches(red[2] as Container, '2001:db8:1::2')])).toEqual([
      true,
      true,
    ]);
    pair.arpMode = 'proxy';
    await pair.applyAll();
    expect((await hear(pair.at(RED, 1), 'ping -c 1 -W 1 -b 10.1.0.255 >/dev/null 2>&1', [true])).slice(1)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('forgery', () => {
  it('nothing with another sender or a tag leaves a container', async () => {
    const [a, b] = [pair.at(RED, 1).port, pair.at(RED, 3).port];
    const stranger = '02:02:0a:01:00:63' as Mac;
    const to = { src: a.mac, dst: b.mac };
    const ping = (src: Ipv4) => ipv4({ src, dst: b.ip, protocol: PROTOCOL.icmp }, echo(8, 7));
    const claim = { operation: 2, senderMac: a.mac, targetMac: b.mac, targetIp: b.ip };
    const cases: readonly (readonly [reason: string, frame: Buffer])[] = [
      ['spoofed-mac', ethernet({ ...to, src: stranger }, ETHERTYPE.ipv4, ping(a.ip))],
      ['spoofed-ip', ethernet(to, ETHERTYPE.ipv4, ping('10.1.0.2' as Ipv4))],
      [
        'spoofed-ip',
        ethernet(
          to,
          ETHERTYPE.ipv6,
          ipv6({ src: '2001:db8:1::2' as Ipv6, dst: '2001:db8:1::3' as Ipv6, next: PROTOCOL.icmp6 }, echo(128, 7)),
        ),
      ],
      ['spoofed-arp', ethernet({ ...to, dst: BROADCAST }, ETHERTYPE.arp, arp({ ...claim, senderIp: '10.1.0.2' as Ipv4 }))],
      [
        'spoofed-nd',
        ethernet(
          to,
          ETHERTYPE.ipv6,
          nd({
            type: 136,
            src: '2001:db8:1::1' as Ipv6,
            dst: '2001:db8:1::3' as Ipv6,
            target: '2001:db8:1::2' as Ipv6,
            option: [2, a.mac],
          }),
        ),
      ],
      ['tagged', ethernet(to, ETHERTYPE.vlan, Buffer.concat([Buffer.of(0, 100, 8, 0), ping(a.ip)]))],
      ['tagged', ethernet(to, 0x88a8, Buffer.concat([Buffer.of(0, 100, 8, 0), ping(a.ip)]))],
      ['not-ip', ethernet(to, 0x88cc, Buffer.alloc(46))],
      ['malformed', ethernet(to, ETHERTYPE.ipv4, Buffer.of(0x45))],
      ['malformed', ethernet(to, ETHERTYPE.ipv4, ping(a.ip).subarray(0, 19))],
      ['malformed', ethernet(to, ETHERTYPE.ipv6, Buffer.alloc(39, 0x60))],
      [
        'no-route',
        ethernet(to, ETHERTYPE.ipv4, ipv4({ src: a.ip, dst: VTEPS[4].one, protocol: PROTOCOL.udp }, udp(9999, 8472, Buffer.alloc(60)))),
      ],
      [
        'no-route',
        ethernet(to, ETHERTYPE.ipv4, ipv4({ src: a.ip, dst: VTEPS[4].two, protocol: PROTOCOL.udp }, udp(9999, 8472, Buffer.alloc(60)))),
      ],
    ];
    const [out, into] = [new Wire(pair.at(RED, 1)), new Wire(pair.at(RED, 3))];
    try {
      for (const [reason, frame] of cases) {
        into.frames();
        const dropped = async () => (await pair.workers.one.call('counters')).get(a.name)?.dropped[reason] ?? 0n;
        const before = await dropped();
        out.send(frame);
        await expect.poll(dropped, { message: `${reason} ${frame.toString('hex')}` }).toBe(before + 1n);
        expect(into.frames().filter((f) => f.subarray(0, 6).equals(macBytes(b.mac)))).toEqual([]);
      }
      // The same wire with an honest frame: it does carry.
      out.send(ethernet(to, ETHERTYPE.ipv4, ping(a.ip)));
      await expect.poll(() => into.frames().filter((f) => f.subarray(6, 12).equals(macBytes(a.mac))).length).toBe(1);
    } finally {
      out.close();
      into.close();
    }
  });

  it('the host itself sends nothing into a container by its own routes', async () => {
    const a = pair.at(RED, 1);
    const before = await dropsOf('one', 'from-host');
    await pair.hosts.one.sh(`ip route add 10.1.0.1/32 dev ${a.port.name}; ping -c 1 -W 1 10.1.0.1 || true; ip route del 10.1.0.1/32`);
    expect(await dropsOf('one', 'from-host')).toBeGreaterThan(before);
  });

  describe('at the VTEP', () => {
    /** A frame for the container behind the VTEP, wrapped as any program could. */
    const wrapped = () => {
      const [a, c] = [pair.at(RED, 1).port, pair.at(RED, 3).port];
      const inner = ethernet(
        { src: c.mac, dst: a.mac },
        ETHERTYPE.ipv4,
        ipv4({ src: c.ip, dst: a.ip, protocol: PROTOCOL.icmp }, echo(8, 99)),
      );
      return Buffer.concat([Buffer.of(8, 0, 0, 0, 0, 0, RED, 0), inner]);
    };
    const sendFrom = (namespace: Namespace, source: string, to: string) =>
      namespace.sh(
        `node -e "const s=require('dgram').createSocket('udp4');s.bind(0,'${source}',()=>s.send(Buffer.from('${wrapped().toString('hex')}','hex'),8472,'${to}',()=>s.close()))"`,
      );
    /** How many arrive; one that should is waited for. */
    const arrives = async (send: () => Promise<unknown>, should = 0) => {
      const wire = new Wire(pair.at(RED, 1));
      await send();
      let got = 0;
      for (let i = 0; i === 0 || (i < 200 && got < should); i++) {
        await settle();
        got += wire.frames().filter((f) => f[23] === PROTOCOL.icmp && f.readUInt16BE(38) === 99 && f[34] === 8).length;
      }
      wire.close();
      return got;
    };

    it('a frame of a known VTEP arrives, of an unknown one not, with the firewall and without', async () => {
      expect(await arrives(() => sendFrom(pair.hosts.two, VTEPS[4].two, VTEPS[4].one), 1)).toBe(1);
      expect(await arrives(() => sendFrom(pair.hosts.two, STRANGER, VTEPS[4].one))).toBe(0);
      await pair.hosts.one.sh('nft delete table inet contiv_dptraffic');
      const before = await dropsOf('one', 'unknown-vtep');
      expect(await arrives(() => sendFrom(pair.hosts.two, STRANGER, VTEPS[4].one))).toBe(0);
      await expect.poll(() => dropsOf('one', 'unknown-vtep')).toBe(before + 1n);
      await pair.applyAll();
      expect(await arrives(() => sendFrom(pair.hosts.two, STRANGER, VTEPS[4].one))).toBe(0);
      expect(await dropsOf('one', 'unknown-vtep')).toBe(before + 1n);
    });

    it('the host tracks no connection of the tunnel, and whatever else it tracks', async () => {
      const { one, two } = pair.hosts;
      const tracked = async () =>
        (await one.sh('cat /proc/net/nf_conntrack')).split('\n').filter((line) => / dport=84(72|73) /.test(line)).length;
      await one.sh(
        'nft add table ip watch; nft add chain ip watch in "{ type filter hook input priority 0; }"; nft add rule ip watch in ct state new accept',
      );
      try {
        // IPv6 and large packets take the tunnel device, both ways.
        expect(await pair.at(RED, 1).ping('2001:db8:1::3', '-c 2 -i 0.02 -W 10')).toBe(2);
        expect(await pair.at(RED, 3).ping('2001:db8:1::1', '-c 2 -i 0.02 -W 10')).toBe(2);
        expect(await tracked()).toBe(0);
        await two.sh(`bash -c 'echo x >/dev/udp/${VTEPS[4].one}/8473'`);
        await expect.poll(tracked).toBe(1);
      } finally {
        await one.sh('nft delete table ip watch');
      }
    });

    it("a container on one of the engine's own bridges gets no frame in, not even under a peer's address", async () => {
      const { one } = pair.hosts;
      const foreign = new Namespace('f');
      try {
        await one.sh(
          `ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up; echo 1 >/proc/sys/net/ipv4/ip_forward
           for i in all docker0; do echo 0 >/proc/sys/net/ipv4/conf/$i/rp_filter; done
           ip link add vethf master docker0 type veth peer name eth0 netns ${foreign.name}; ip link set vethf up`,
        );
        await foreign.sh(
          `ip addr add 172.17.0.2/16 dev eth0; ip addr add ${VTEPS[4].two}/32 dev eth0; ip link set eth0 up; ip route add default via 172.17.0.1`,
        );
        expect(await foreign.ping(VTEPS[4].one)).toBe(1);
        for (const [source, to] of [
          ['172.17.0.2', VTEPS[4].one],
          [VTEPS[4].two, VTEPS[4].one],
        ] as const)
          expect(await arrives(() => sendFrom(foreign, source, to)), `${source} → ${to}`).toBe(0);
        // Towards other hosts' VTEPs neither.
        const wire = new Wire(pair.hosts.two, 'eth1');
        await foreign.sh(`ip addr del ${VTEPS[4].two}/32 dev eth0`);
        await sendFrom(foreign, '172.17.0.2', VTEPS[4].two);
        await settle();
        const left = wire
          .frames()
          .filter(
            (f) => f[23] === PROTOCOL.udp && f.readUInt16BE(36) === 8472 && f.includes(Buffer.from(macBytes(pair.at(RED, 1).port.mac))),
          );
        wire.close();
        expect(left).toEqual([]);
      } finally {
        foreign.remove();
        await one.sh('ip link del docker0');
      }
    });
  });
});

describe('a published port of UDP', () => {
  const GATEWAY = { 4: '10.1.0.254' as Ipv4, 6: '2001:db8:1::fe' as Ipv6 };
  const PORT = 5514;
  const led = ({ port }: Container): PublishedPort => ({ port: port.name, protocol: 'udp', hostPort: PORT, containerPort: 514 });
  const publish = async (...published: readonly PublishedPort[]): Promise<void> => {
    const desired = pair.desired('one');
    const report = await pair.workers.one.call('apply', {
      ...desired,
      networks: desired.networks.map((network) => ({ ...network, gateway: GATEWAY[4], gateway6: GATEWAY[6] })),
      outside: { privateSubnet: { address: '172.19.0.0' as Ipv4, length: 16 }, ipv6: true, published },
    });
    expect(report.failed).toEqual([]);
  };
  /** Who answers somebody on the other host who has sent from one and the same port all the time; nobody within a second: an empty text. */
  const ask = (family: 4 | 6, patience = 1_000) =>
    pair.hosts.two.sh(`node -e "
      const s = require('dgram').createSocket('udp${family}');
      const timer = setInterval(() => s.send('who', ${PORT}, '${VTEPS[family].one}'), 50);
      const end = (text) => { clearInterval(timer); s.close(); process.stdout.write(text); };
      setTimeout(() => end(''), ${patience}).unref();
      s.on('message', (text) => end(String(text))).on('error', () => {}).bind(40000);"`);

  it('leads to the container that has it now, also for those who never pause', async () => {
    const answerers = [pair.at(RED, 1), pair.at(RED, 2)];
    const processes: number[] = [];
    for (const container of answerers) {
      const pid = await container.sh(
        `ip route add default via ${GATEWAY[4]}; ip -6 route add default via ${GATEWAY[6]}
         node -e "
           const s = require('dgram').createSocket('udp6');
           s.on('message', (_, from) => s.send('${container.port.name}', from.port, from.address)).bind(514);
           setTimeout(() => process.exit(), 120000);" >/dev/null 2>&1 &
         echo $!`,
      );
      processes.push(Number(pid));
    }
    for (const family of [4, 6] as const) {
      await publish();
      expect(await ask(family, 300), `${family}: before it is published`).toBe('');
      for (const container of answerers) {
        await publish(led(container));
        expect(await ask(family, 20_000), `${family}`).toBe(container.port.name);
      }
      await publish();
      expect(await ask(family, 300), `${family}: no longer`).toBe('');
    }
    for (const pid of processes) process.kill(pid);
    await pair.applyAll();
  });

  it("on 127.0.0.1 is the host's own: a neighbour on the wire does not get there", async () => {
    const container = pair.at(RED, 1);
    await container.sh(`ip route replace default via ${GATEWAY[4]}`);
    const macOf = async (side: 'one' | 'two') =>
      parseMac(/ (\S+:\S+) </.exec(await pair.hosts[side].sh('ip -br link show eth1'))?.[1] ?? '');
    const [src, dst] = await Promise.all([macOf('two'), macOf('one')]);
    if (src === undefined || dst === undefined) throw new Error('eth1 has no address');
    const frame = (to: Ipv4, text: string) =>
      ethernet(
        { src, dst },
        ETHERTYPE.ipv4,
        ipv4({ src: VTEPS[4].two, dst: to, protocol: PROTOCOL.udp }, udp(40_001, PORT, Buffer.from(text))),
      );
    const [wire, ear] = [new Wire(pair.hosts.two, 'eth1'), new Wire(container)];
    const heard = (text: string) => ear.frames().some((f) => f.includes(text));
    try {
      await publish({ ...led(container), hostIp: '127.0.0.1' as Ipv4 });
      await pair.hosts.one.sh(`bash -c 'printf itself >/dev/udp/127.0.0.1/${PORT}'`);
      await expect.poll(() => heard('itself')).toBe(true);
      wire.send(frame('127.0.0.1' as Ipv4, 'neighbour'));
      await settle();
      expect(heard('neighbour')).toBe(false);
      await publish({ ...led(container), hostIp: VTEPS[4].one });
      wire.send(frame(VTEPS[4].one, 'allowed'));
      await expect.poll(() => heard('allowed')).toBe(true);
    } finally {
      wire.close();
      ear.close();
    }
    await container.sh('ip route del default');
    await pair.applyAll();
  });

  it('is told from the packet filter alone, whatever it is published on', async () => {
    const published = [
      led(pair.at(RED, 1)),
      ...(['127.0.0.1', '0.0.0.0', '::', '2001:db8::1'] as const).map((hostIp, i) => ({
        ...led(pair.at(RED, 2)),
        protocol: i % 2 === 0 ? ('tcp' as const) : ('sctp' as const),
        hostIp: hostIp as Ipv4 | Ipv6,
        hostPort: 9_100 + i,
      })),
    ];
    await publish(...published);
    await pair.restart('one');
    const order = (ports: readonly PublishedPort[]) => [...ports].sort((a, b) => a.hostPort - b.hostPort);
    expect(order(await pair.workers.one.call('listPublished'))).toEqual(order(published));
    await pair.applyAll();
    expect(await pair.workers.one.call('listPublished')).toEqual([]);
  });
});

it("containers get out by a bridge that is called like Docker's, and into none of Docker's", async () => {
  const { one } = pair.hosts;
  const gateway = '10.1.0.254' as Ipv4;
  const behind = { 'br-lan': '10.98.0', 'br-0123456789ab': '10.99.0' };
  const places = Object.entries(behind).map(([bridge, net]) => {
    const place = new Namespace('b');
    ip(one.name, `link add ${bridge} type bridge`, `address add ${net}.1/24 dev ${bridge}`, `link set ${bridge} up`);
    ip(one.name, `link add v${place.name.slice(-6)} type veth peer name eth0 netns ${place.name}`);
    ip(one.name, `link set v${place.name.slice(-6)} master ${bridge} up`);
    ip(place.name, `address add ${net}.2/24 dev eth0`, 'link set eth0 up');
    return place;
  });
  try {
    // What a host's own bridge is for.
    ip(one.name, 'link add nic type vxlan id 7 dstport 4711', 'link set nic master br-lan up');
    const desired = pair.desired('one');
    const networks = desired.networks.map((network) => ({ ...network, gateway }));
    const outside = { privateSubnet: { address: '172.19.0.0' as Ipv4, length: 16 }, ipv6: false, published: [] };
    expect((await pair.workers.one.call('apply', { ...desired, networks, outside })).failed).toEqual([]);
    const container = pair.at(RED, 1);
    await container.sh(`ip route replace default via ${gateway}`);
    expect(await container.ping(`${behind['br-lan']}.2`)).toBe(1);
    expect(await container.ping(`${behind['br-0123456789ab']}.2`, '-c 2 -i 0.2 -W 1')).toBe(0);
    await container.sh('ip route del default');
  } finally {
    for (const place of places) place.remove();
    for (const name of ['nic', ...Object.keys(behind)]) await one.sh(`ip link del ${name} || true`);
    await pair.applyAll();
  }
});

it('carries the same over an IPv6 underlay', async () => {
  await Promise.all([pair.workers.one.call('teardown'), pair.workers.two.call('teardown')]);
  await Promise.all((['one', 'two'] as const).map((side) => pair.workers[side].kill()));
  const ports = pair.placed.splice(0);
  for (const { container } of ports) container.remove();
  pair.family = 6;
  pair.workers.one = pair.hosts.one.worker();
  pair.workers.two = pair.hosts.two.worker();
  expect(await pair.open()).toBe(1430);
  await pair.applyAll();
  for (const [vni, last, on] of [
    [RED, 1, 'one'],
    [RED, 3, 'two'],
    [BLUE, 1, 'two'],
  ] as const)
    await pair.add(vni, last, on);
  await pair.applyAll();
  const [a, c] = [pair.at(RED, 1), pair.at(RED, 3)];
  expect(
    await Promise.all([reaches(a, '10.1.0.3'), reaches(c, '2001:db8:1::1'), reaches(a, '10.1.0.3', '-c 1 -W 10 -M do -s 1402')]),
  ).toEqual([true, true, true]);
  expect(await a.sh('ping -c 1 -W 1 -M do -s 1403 10.1.0.3 2>&1 || true')).toMatch(/message too long, mtu=1430/i);
  expect(await reaches(pair.at(BLUE, 1), '10.1.0.3', '-c 1 -W 1')).toBe(false);
});
