/** Bad input on real hosts: a clear error, an exit code that says so, and no trace of it afterwards. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES, MASTER, Rig, WORKER } from './rig/rig.js';
import { eventually, reaching } from './rig/run.js';

const LONG = 'a'.repeat(65);

/** Arguments of netctl, exit code, and what is said. */
const NETCTL: readonly (readonly [line: string, code: number, said: string])[] = [
  ['net create -s 10.1.2.128/25 new', 3, 'network contiv-net conflicts with subnet 10.1.2.128/25'],
  ['net create -s 10.1.0.0/16 new', 3, 'network contiv-net conflicts with subnet 10.1.0.0/16'],
  ['net create -s 10.4.0.0/31 new', 3, 'subnet 10.4.0.0/31 is too small: it has no address for a container'],
  ['net create -s 10.4.0.0/32 new', 3, 'subnet string invalid format'],
  ['net create -s 10.4.0.0/24 -g 10.5.0.1 new', 3, 'hostIP 10.5.0.1 is exceeding beyond subnet 10.4.0.0/24'],
  ['net create -s 10.4.0.0/24 -g nonsense new', 1, 'Invalid gateway - Enter in A.B.C.D format'],
  ['net create -s 10.4.0.0/24 -p 1 new', 3, 'network default:contiv-net has it'],
  ['net create -s 10.4.0.0/24 -p 16777217 new', 3, 'pktTag Value Out of bound'],
  ['net create -s 10.4.0.0/24 -e vlan -p 4095 new', 3, 'requested vlan not available - vlan:4095'],
  ['net create -s 10.4.0.0/24 -e gre new', 3, 'encap string invalid format'],
  [`net create -s 10.4.0.0/24 ${LONG}`, 3, 'networkName string too long'],
  ['net create -s 10.4.0.0/24 un_der', 3, 'no underscore, no slash'],
  ['net create -s 10.4.0.0/24 contiv-net', 3, 'Cant change network parameters after its created'],
  ['net create new', 1, 'Subnet is required'],
  ['net create -t green -s 10.4.0.0/24 new', 3, 'Tenant not found'],
  ['net rm contiv-net', 3, 'Error: Network has active endpoints'],
  ['net rm nosuch', 3, 'network not found'],
  ['tenant rm blue', 3, 'cannot delete blue has 1 networks'],
  ['tenant create un_der', 3, 'tenantName string invalid format'],
  [`tenant create ${LONG}`, 3, 'tenantName string too long'],
  ['group create nosuch g', 3, 'Network nosuch not found'],
  ['group create -r 10.1.9.1-10.1.9.9 contiv-net g', 3, 'EPG ip-pool must be a subset of network 10.1.2.0/24'],
  ['net create --subnt=10.4.0.0/24 new', 1, 'flag provided but not defined: --subnt'],
  ['nett ls', 1, "No help topic for 'nett'"],
];

/** Options of `docker network create`, and what is said. */
const CREATE: readonly (readonly [options: string, said: string])[] = [
  ['--subnet 10.4.0.0/24 -o tenant=green', 'Tenant not found: green; make it with: netctl tenant create green'],
  ['--subnet 10.1.2.0/25', 'network contiv-net conflicts with subnet 10.1.2.0/25'],
  ['--subnet 10.4.0.0/24 -o encap=gre', 'option encap=gre is wrong: use vxlan or vlan'],
  ['--subnet 10.4.0.0/24 -o colour=red', 'option "colour" is not known to netplugin; known are tenant, encap'],
  ['--subnet 10.4.0.0/24 -o pkt-tag=1', 'requested vxlan not available; network default:contiv-net has it'],
  ['', 'netplugin needs to know the addresses: docker network create -d netplugin --subnet'],
];

describe.each(ENGINES)('engine %s', (engine) => {
  const rig = new Rig(`bad-${engine.slice(0, 3)}`);
  const state = async () => ({
    networks: await rig.netctl('net', 'ls', '-a'),
    groups: await rig.netctl('group', 'ls', '-a'),
    tenants: await rig.netctl('tenant', 'ls'),
    docker: await rig.docker(MASTER, 'network', 'ls', '--format', '{{.Name}} {{.Driver}}'),
  });
  /** A script on the worker in which NETPLUGIN is its agent's command line and PLACE what says which data path is meant. */
  const onWorker = (script: string) => {
    const place = `--vtep-ip 192.168.2.51 --state-dir /var/lib/contiv-lab/labs/${rig.name}/hosts/${WORKER}/netplugin --instance ${rig.name}-${WORKER}`;
    const netplugin = 'netplugin --mode docker --netmode vxlan --fwdmode bridge --ctrl-ip 192.168.2.51 PLACE';
    return rig.tryOn(WORKER, 'sh', '-c', script.replaceAll('NETPLUGIN', netplugin).replaceAll('PLACE', place));
  };
  /** What has nothing to do with the engine is tried beside one of them. */
  const once = test.runIf(engine === ENGINES[0]);

  beforeAll(async () => {
    await rig.up('--engine', engine);
    await rig.netctl('net', 'create', '-s', '10.1.2.0/24', 'contiv-net');
    await rig.netctl('tenant', 'create', 'blue');
    await rig.netctl('net', 'create', '-t', 'blue', '-s', '10.1.2.0/24', 'contiv-net');
    await eventually('networks', () => rig.docker(MASTER, 'network', 'inspect', 'contiv-net', 'contiv-net/blue'));
    await rig.docker(MASTER, 'run', '-d', '--name', 'c1', '--net', 'contiv-net', 'alpine', 'sleep', '10000');
  });
  afterAll(() => rig.down());

  once('netctl says what is wrong, and nothing has changed', async () => {
    const before = await state();
    await Promise.all(
      NETCTL.map(async ([line, code, said]) => {
        const result = await rig.tryNetctl(...line.split(' '));
        expect(result.code, line).toBe(code);
        expect(result.stderr, line).toContain(said);
        expect(result.text, line).not.toMatch(/\bat .*\.ts:\d+/);
      }),
    );
    expect(await state()).toEqual(before);
  });

  test('so does docker network create', async () => {
    const before = await state();
    for (const [options, said] of CREATE) {
      const argv = [
        'network',
        'create',
        '-d',
        'netplugin',
        '--ipam-driver',
        'netplugin',
        ...options.split(' ').filter((o) => o !== ''),
        'new',
      ];
      const result = await rig.tryDocker(MASTER, argv);
      expect(result.code, options).toBe(1);
      expect(result.stderr, options).toContain(said);
    }
    expect(await state()).toEqual(before);
  });

  once('netplugin does not start where it cannot work, and leaves nothing in the kernel', async () => {
    await rig.service(WORKER, 'netplugin', 'stop');
    const devices = async () => (await rig.on(WORKER, 'ls', '/sys/class/net')).split(/\s+/).filter((name) => !name.startsWith('docker'));
    // Nothing of the last agent's may be there: what is in place is kept, whoever else would like the port.
    expect((await onWorker('netplugin teardown --yes PLACE')).text).toContain('Removed.');
    const before = await devices();
    const cases = [
      ['timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups NETPLUGIN', 'netplugin has to run as root'],
      [
        'ip link set eth1 mtu 1000; timeout 60 NETPLUGIN; code=$?; ip link set eth1 mtu 1500; exit $code',
        'the MTU of eth1 is 1000, and the tunnel needs at least 1330',
      ],
      [
        `perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => "udp", LocalPort => 8472) or die; sleep 600' & until ss -Hunl | grep -q :8472; do sleep 0.1; done; timeout 60 NETPLUGIN; code=$?; kill $!; exit $code`,
        'UDP port 8472 of this host is taken',
      ],
      ['timeout 60 NETPLUGIN --netmaster 192.168.2.50:9999', 'is not of the form http://HOST:PORT'],
    ] as const;
    for (const [script, said] of cases) {
      const { code, text } = await onWorker(script);
      expect(text, script).toContain(said);
      expect([1, 22], script).toContain(code);
      expect(await devices(), script).toEqual(before);
    }
    // Something else than a netmaster of this version answers at the address.
    const foreign = await onWorker(
      'NETPLUGIN --netmaster http://192.168.2.50:2385 >/tmp/said 2>&1 & ' +
        'timeout 60 sh -c "until grep -q \'is of version\' /tmp/said; do sleep 0.2; done"; kill $!; wait $!; cat /tmp/said; rm /tmp/said',
    );
    expect(foreign.text).toMatch(/is of version \d+\.\S+ and this agent of \S+; install the same major version on both/);
    await rig.service(WORKER, 'netplugin', 'start');
    await rig.docker(WORKER, 'run', '--rm', '--net', 'contiv-net', 'alpine', ...reaching('c1'));
  });

  once('a netmaster whose store is out of reach says so, and netctl passes it on', async () => {
    const flags = '--mode docker --netmode vxlan --fwdmode bridge --store etcd://192.168.2.51:2379 --internal-address 192.168.2.51:9999';
    const netmaster = `timeout 70 netmaster ${flags} --external-address 0.0.0.0:9999 >/dev/null 2>&1`;
    const ask = "netctl --netmaster http://192.168.2.51:9999 net ls 2>&1 | grep 'the store'";
    const { stdout } = await rig.tryOn(WORKER, 'sh', '-c', `${netmaster} & timeout 60 sh -c "until ${ask}; do sleep 0.5; done"; kill $!`);
    expect(stdout).toContain('the store cannot be reached');
    expect(stdout).toMatch(/(nothing was changed|is tried again)/);
  });
});
