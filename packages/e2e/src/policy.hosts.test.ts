/** Policies between real containers on two hosts: TestPolicyBasic, AddDeleteRule, FromEPG and Features of spec/contiv §13, and what holds beyond them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually } from './rig/run.js';

type Group = 'web' | 'client' | 'common';
interface Box {
  readonly name: string;
  readonly host: string;
  readonly group: Group;
  readonly last: number;
}
const BOXES: readonly Box[] = [
  { name: 'web1', host: MASTER, group: 'web', last: 11 },
  { name: 'web2', host: WORKER, group: 'web', last: 12 },
  { name: 'client1', host: MASTER, group: 'client', last: 21 },
  { name: 'client2', host: WORKER, group: 'client', last: 22 },
  { name: 'common1', host: WORKER, group: 'common', last: 31 },
];
const GROUPS = ['web', 'client', 'common'] as const;
const ip = (box: Box): string => `10.1.2.${box.last}`;
/** Docker and netmaster hand out the lowest free IPv6 address: what each got is asked for. */
const ip6 = new Map<Box, string>();
const PORTS = [8000, 8001] as const;
const SERVE = PORTS.map((port) => `httpd -p ${port} -h /tmp`).join('; ');

/** One way to reach a container: a port by TCP, over either family, or an echo. */
type Probe = '8000' | '8001' | '8001v6' | 'ping' | 'ping6';
const PROBES: readonly Probe[] = ['8000', '8001', '8001v6', 'ping', 'ping6'];
/** A busy machine is slow to answer what is open; what is closed is silent at once. */
const OPEN_S = 6;
const CLOSED_S = 1;
type Expectation = (from: Box, to: Box, probe: Probe) => boolean;
const isTcp = (probe: Probe): boolean => !probe.startsWith('ping');
const portOf = (probe: Probe): number => Number.parseInt(probe, 10);

describe('policies', () => {
  const rig = new Rig('policy');
  const rule = (id: string, ...words: string[]) => rig.netctl('policy', 'rule-add', ...words, 'p', id);
  const unrule = (...ids: string[]) => Promise.all(ids.map((id) => rig.netctl('policy', 'rule-rm', 'p', id)));

  function command(to: Box, probe: Probe, seconds: number): string {
    const six = ip6.get(to) ?? '';
    if (!isTcp(probe)) return `ping -c 1 -W ${seconds} ${probe === 'ping' ? ip(to) : six}`;
    return `timeout ${seconds} wget -qO- http://${probe.endsWith('v6') ? `[${six}]` : ip(to)}:${portOf(probe)}/ok`;
  }

  /** Everything that is reached, by everybody. What should be open gets time to answer. */
  async function observed(reaches: Expectation): Promise<string[]> {
    const lines = await Promise.all(
      BOXES.map(async (from) => {
        const others = BOXES.filter((to) => to !== from);
        const script = others.flatMap((to) =>
          PROBES.map(
            (probe) =>
              `(${command(to, probe, reaches(from, to, probe) ? OPEN_S : CLOSED_S)} >/dev/null 2>&1 && echo ${from.name} ${to.name} ${probe}) &`,
          ),
        );
        const said = await rig.docker(from.host, 'exec', from.name, 'sh', '-c', `${script.join(' ')} wait`);
        return said.split('\n').filter((line) => line !== '');
      }),
    );
    return lines.flat().sort();
  }

  function expected(reaches: Expectation): string[] {
    const all = BOXES.flatMap((from) =>
      BOXES.filter((to) => to !== from).flatMap((to) =>
        PROBES.filter((probe) => reaches(from, to, probe)).map((probe) => `${from.name} ${to.name} ${probe}`),
      ),
    );
    return all.sort();
  }

  const holds = (reaches: Expectation) => eventually('the matrix', async () => expect(await observed(reaches)).toEqual(expected(reaches)));

  beforeAll(async () => {
    await rig.up('--engine', 'modern');
    await rig.netctl('net', 'create', '-s', '10.1.2.0/24', '-s6', '2001:db8:2::/64', 'contiv-net');
    await rig.netctl('policy', 'create', 'p');
    for (const group of GROUPS) await rig.netctl('group', 'create', 'contiv-net', group, ...(group === 'web' ? ['-p', 'p'] : []));
    for (const host of [MASTER, WORKER]) await eventually('networks', () => rig.docker(host, 'network', 'inspect', ...GROUPS));
    await Promise.all(
      BOXES.map(async (box) => {
        const { name, host, group } = box;
        const serve = `echo ok >/tmp/ok; ${SERVE}; exec sleep 1d`;
        await rig.docker(host, 'run', '-d', '--name', name, '--net', group, '--ip', ip(box), 'alpine', 'sh', '-c', serve);
        const six = await rig.docker(host, 'inspect', '--format', '{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}', name);
        ip6.set(box, six);
      }),
    );
  });
  afterAll(() => rig.down());

  test('without rules everybody reaches everybody, by either family', () => holds(() => true));

  test('Basic: TCP is denied but for one port; other protocols and groups go on', async () => {
    await rule('1', '-d', 'in', '-l', 'tcp', '-j', 'deny');
    await rule('2', '-d', 'in', '-l', 'tcp', '-P', '8000', '-p', '100', '-j', 'allow');
    await holds((_from, to, probe) => to.group !== 'web' || portOf(probe) !== 8001);
  });

  test('AddDeleteRule: a rule opens and closes a port', async () => {
    await rule('3', '-d', 'in', '-l', 'tcp', '-P', '8001', '-p', '10', '-j', 'allow');
    await holds(() => true);
    await unrule('3');
    await holds((_from, to, probe) => to.group !== 'web' || portOf(probe) !== 8001);
  });

  const onlyFrom =
    (who: (from: Box) => boolean): Expectation =>
    (from, to, probe) =>
      to.group !== 'web' || portOf(probe) !== 8001 || who(from);

  test.each<[string, string[], Expectation]>([
    ['FromEPG', ['-g', 'common'], onlyFrom((from) => from.group === 'common')],
    ['from the group itself', ['-g', 'web'], onlyFrom((from) => from.group === 'web')],
    ['from a network', ['-n', 'contiv-net'], onlyFrom(() => true)],
    [
      'from an address',
      ['-i', '10.1.2.21'],
      (from, to, probe) => onlyFrom((f) => f.name === 'client1' && probe === '8001')(from, to, probe),
    ],
    [
      'from a range',
      ['-i', '10.1.2.20-25'],
      (from, to, probe) => onlyFrom((f) => f.group === 'client' && probe === '8001')(from, to, probe),
    ],
    ['from an IPv6 subnet', ['-i', '2001:db8:2::/64'], (from, to, probe) => onlyFrom(() => probe === '8001v6')(from, to, probe)],
    [
      'from a group at addresses',
      ['-g', 'client', '-i', '10.1.2.22/31'],
      (from, to, probe) => onlyFrom((f) => f.name === 'client2' && probe === '8001')(from, to, probe),
    ],
  ])('Features: a port that is open %s', async (_what, peer, reaches) => {
    await rule('3', '-d', 'in', '-l', 'tcp', '-P', '8001', '-p', '10', '-j', 'allow', ...peer);
    await holds(reaches);
    await unrule('3');
  });

  test('Features: rules on what the group may open do not touch what it is asked', async () => {
    await unrule('1', '2');
    await rule('1', '-d', 'out', '-l', 'tcp', '-j', 'deny');
    await holds((from, _to, probe) => from.group !== 'web' || !isTcp(probe));
    await rule('2', '-d', 'out', '-l', 'tcp', '-P', '8000', '-e', 'client', '-p', '10', '-j', 'allow');
    await rule('3', '-d', 'out', '-l', 'tcp', '-s', '10.1.2.31', '-p', '10', '-j', 'allow');
    await holds((from, to, probe) => {
      if (from.group !== 'web' || !isTcp(probe)) return true;
      return to.group === 'client' ? portOf(probe) === 8000 : to.group === 'common' && !probe.endsWith('v6');
    });
    await unrule('1', '2', '3');
  });

  test('Features: echo requests are denied, over both families, but for one address; the group itself may ask', async () => {
    await rule('1', '-d', 'in', '-l', 'icmp', '-j', 'deny');
    await rule('2', '-d', 'in', '-l', 'icmp', '-i', '10.1.2.22', '-p', '10', '-j', 'allow');
    await holds((from, to, probe) => to.group !== 'web' || isTcp(probe) || (from.name === 'client2' && probe === 'ping'));
    await unrule('1', '2');
    await holds(() => true);
  });

  test('a connection that new rules deny stops within a second, and no other', async () => {
    // A listener whose standard input ends forgets to read.
    await rig.docker(MASTER, 'exec', '-d', 'web1', 'sh', '-c', 'sleep 1d | nc -l -p 9000 >/tmp/got');
    await rig.docker(MASTER, 'exec', '-d', 'web1', 'sh', '-c', 'sleep 1d | nc -l -p 9001 >/tmp/kept');
    const ticks = (nc: string) => `while sleep 0.05; do echo tick; done | nc ${nc}`;
    // What is called may be who speaks.
    await rig.docker(MASTER, 'exec', '-d', 'web1', 'sh', '-c', ticks('-l -p 9002'));
    // 9000 to 9002, as the kernel writes them.
    const listening = ['sh', '-c', 'cat /proc/net/tcp /proc/net/tcp6 | grep -c ":232[89A] .* 0A "'];
    await eventually('all listen', async () => expect(await rig.docker(MASTER, 'exec', 'web1', ...listening)).toBe('3'));
    for (const port of [9000, 9001]) await rig.docker(WORKER, 'exec', '-d', 'client2', 'sh', '-c', ticks(`10.1.2.11 ${port}`));
    await rig.docker(WORKER, 'exec', '-d', 'client2', 'sh', '-c', 'sleep 1d | nc 10.1.2.11 9002 >/tmp/told');
    const sizes = async () => {
      const said = await rig.docker(MASTER, 'exec', 'web1', 'sh', '-c', 'wc -c </tmp/got; wc -c </tmp/kept');
      const [got = 0, kept = 0] = said.split('\n').map(Number);
      return { got, kept, told: Number(await rig.docker(WORKER, 'exec', 'client2', 'sh', '-c', 'wc -c </tmp/told')) };
    };
    await eventually('all flow', async () => {
      const { got, kept, told } = await sizes();
      expect(Math.min(got, kept, told)).toBeGreaterThan(0);
    });
    await rule('1', '-d', 'in', '-l', 'tcp', '-P', '9000', '-j', 'deny');
    await rule('2', '-d', 'in', '-l', 'tcp', '-P', '9002', '-j', 'deny');
    await new Promise((wake) => setTimeout(wake, 1_000));
    const before = await sizes();
    await new Promise((wake) => setTimeout(wake, 700));
    const after = await eventually('the other one goes on', async () => {
      const now = await sizes();
      expect(now.kept).toBeGreaterThan(before.kept);
      return now;
    });
    expect([after.got, after.told]).toEqual([before.got, before.told]);
    await unrule('1', '2');
    await eventually('they go on', async () => {
      const { got, told } = await sizes();
      expect(got).toBeGreaterThan(after.got);
      expect(told).toBeGreaterThan(after.told);
    });
  });

  test('a container that starts is never reachable before its rules are in', async () => {
    await rule('1', '-d', 'in', '-l', 'tcp', '-P', '8001', '-j', 'deny');
    const loop = `until [ -e /tmp/done ]; do timeout SECONDS wget -qO- http://10.1.2.13:PORT/ok 2>/dev/null | tee -a /tmp/said; done`;
    const probe = (host: string, name: string, port: string) =>
      rig.tryDocker(host, ['exec', name, 'sh', '-c', loop.replace('PORT', port).replace('SECONDS', port === '8000' ? '3' : '0.3')], {
        timeoutMs: 300_000,
      });
    const probing = [probe(MASTER, 'client1', '8001'), probe(WORKER, 'client2', '8001'), probe(WORKER, 'common1', '8000')];
    // The neighbour answers from its first moment on; who asks in vain before asks again after a second only.
    for (const { name, host } of BOXES.filter(({ group }) => group !== 'web')) {
      const neighbour = ['ip', 'neigh', 'replace', '10.1.2.13', 'lladdr', '02:02:0a:01:02:0d', 'dev', 'eth0', 'nud', 'permanent'];
      await rig.on(host, 'nsenter', '-t', await rig.pidOf(host, name), '-n', ...neighbour);
    }
    const open = async () => Number(await rig.docker(WORKER, 'exec', 'common1', 'sh', '-c', 'wc -c <>/tmp/said'));
    for (let round = 0; round < 3; round++) {
      const before = await open();
      const serve = `echo ok >/tmp/ok; ${SERVE}; exec sleep 1d`;
      await rig.docker(MASTER, 'run', '-d', '--name', 'web3', '--net', 'web', '--ip', '10.1.2.13', 'alpine', 'sh', '-c', serve);
      await new Promise((wake) => setTimeout(wake, 1_000));
      await eventually('what is open is reached', async () => expect(await open()).toBeGreaterThan(before));
      await rig.docker(MASTER, 'rm', '-f', 'web3');
    }
    await Promise.all(BOXES.map((box) => rig.docker(box.host, 'exec', box.name, 'touch', '/tmp/done')));
    const [denied1, denied2] = await Promise.all(probing);
    expect([denied1, denied2]).toEqual([
      expect.objectContaining({ code: 0, stdout: '' }),
      expect.objectContaining({ code: 0, stdout: '' }),
    ]);
    await unrule('1');
  });

  test('verdicts stay while the agent is dead, and rules made meanwhile come in when it is back', async () => {
    await rule('1', '-d', 'in', '-l', 'tcp', '-P', '8001', '-j', 'deny');
    const closed: Expectation = (_from, to, probe) => to.group !== 'web' || portOf(probe) !== 8001;
    await holds(closed);
    for (const host of [MASTER, WORKER]) await rig.service(host, 'netplugin', 'kill');
    await holds(closed);
    for (const host of [MASTER, WORKER]) await rig.service(host, 'netplugin', 'start');
    await holds(closed);
    await unrule('1');
    await holds(() => true);
  });

  test('a policy that is detached does not count any more, one that is attached does at once', async () => {
    await rule('1', '-d', 'in', '-l', 'tcp', '-j', 'deny');
    await rig.netctl('group', 'create', 'contiv-net', 'client', '-p', 'p');
    await holds((_from, to, probe) => to.group === 'common' || !isTcp(probe));
    await rig.netctl('group', 'create', 'contiv-net', 'web');
    await holds((_from, to, probe) => to.group !== 'client' || !isTcp(probe));
    await rig.netctl('group', 'create', 'contiv-net', 'client');
    await holds(() => true);
  });
});
