/** What a host lacks, or somebody else holds, is told in one sentence, and nothing is left behind. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ipv4, Mac, Vni } from '@contiv/model';
import { AF_INET, bind, close, SOCK_DGRAM, socket, withNetns } from '@contiv/syscall';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PORT_GROUP } from './kernel/names.js';
import { Host, type WorkerOptions } from './testing/hosts.js';

const VTEP = '10.77.0.1' as Ipv4;
let host: Host;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'contiv-refusals-'));
  host = await Host.make('r');
  await host.sh(
    `ip link add eth1 type veth peer name eth1p; ip link set eth1p up; ip address add ${VTEP}/24 dev eth1; ip link set eth1 up`,
  );
});
afterAll(async () => {
  await host.destroy();
  rmSync(dir, { recursive: true });
});

/** The sentence with which the data path does not open. */
async function refusal(worker: WorkerOptions = {}, vtepIp = VTEP): Promise<string> {
  const process = host.worker(worker);
  try {
    await process.call('open', { vtepIp, vxlanPort: 8472, instance: 'dprefuse' });
  } catch (error) {
    if (error instanceof Error && 'kind' in error) return `${String(error.kind)}: ${error.message}`;
    throw error;
  } finally {
    await process.kill();
  }
  return 'it opened';
}

/** `name`, seen by a process without it: hidden behind something else in a mount namespace of its own. */
const hiding = (script: string): WorkerOptions => ({ prefix: ['unshare', '-m', 'sh', '-c', `${script}; exec "$@"`, 'sh'] });

describe('what the host lacks', () => {
  it('is told', async () => {
    const garbage = join(dir, 'garbage.bpf.o');
    writeFileSync(garbage, 'no program');
    const sentences = await Promise.all([
      refusal({ prefix: ['setpriv', '--reuid=65534', '--clear-groups'] }),
      refusal({ prefix: ['setarch', '--uname-2.6'] }),
      refusal(hiding('for f in /usr/lib/*/libbpf.so.1*; do mount --bind /dev/null $f; done')),
      refusal(hiding('mount -t tmpfs -o ro none /sys/fs')),
      refusal({ prefix: ['env', 'PATH=/nonexistent'] }),
      refusal({}, '10.77.0.200' as Ipv4),
      refusal({ object: '/nonexistent.bpf.o' }),
    ]);
    expect(sentences).toEqual([
      'DatapathError: netplugin has to run as root: it makes network interfaces and loads BPF programs',
      expect.stringMatching(/^DatapathError: kernel 2\.6\.\d+\S* is too old; the data path needs 5\.15 or newer$/),
      expect.stringMatching(/^DatapathError: libbpf\.so\.1 cannot be loaded \(.*\); install the package libbpf1$/),
      expect.stringMatching(
        /^DatapathError: the BPF filesystem cannot be mounted on \/sys\/fs\/bpf \(.*\); mount it: mount -t bpf bpf \/sys\/fs\/bpf$/,
      ),
      'DatapathError: nft is missing; install the package nftables',
      'DatapathError: the VTEP address 10.77.0.200 is on no interface of this host; give --vtep-ip one of its own: 10.77.0.1',
      'DatapathError: CONTIV_BPF_OBJECT names /nonexistent.bpf.o, which does not exist',
    ]);
    expect(await refusal({ object: garbage })).toMatch(/^DatapathError: the BPF programs cannot be loaded: /);
    expect(await refusal({ prefix: ['setpriv', '--bounding-set=-sys_admin,-bpf,-perfmon'] })).toMatch(
      /^DatapathError: the BPF programs cannot be loaded: .*EPERM/,
    );
  });

  it('a narrow underlay', async () => {
    await host.sh('ip link set eth1 mtu 1300');
    expect(await refusal()).toBe(
      'DatapathError: the MTU of eth1 is 1300, and the tunnel needs at least 1330; raise it: ip link set eth1 mtu 1500',
    );
    await host.sh('ip link set eth1 mtu 1500');
  });
});

describe('what somebody else holds', () => {
  it('the UDP port, a program or another vxlan device', async () => {
    const fd = withNetns(host.path, () => socket(AF_INET, SOCK_DGRAM, 0));
    const address = Buffer.alloc(16);
    address.writeUInt16LE(AF_INET, 0);
    address.writeUInt16BE(8472, 2);
    bind(fd, address);
    expect(await refusal()).toBe(
      'DatapathError: UDP port 8472 of this host is taken by a program (see: ss -ulpn sport = :8472); free it, or choose another one with --vxlan-port on all hosts',
    );
    close(fd);
    await host.sh('ip link add vx9 type vxlan id 9 dstport 8472 dev eth1; ip link set vx9 up');
    expect(await refusal()).toBe(
      'DatapathError: UDP port 8472 of this host is taken by the vxlan device vx9; free it, or choose another one with --vxlan-port on all hosts',
    );
    await host.sh('ip link del vx9');
  });

  it('an interface with a name of ours', async () => {
    for (const name of ['contivvx', 'contivdns']) {
      await host.sh(`ip link add ${name} type bridge; ip link set ${name} alias mine`);
      expect(await refusal()).toBe(
        `DatapathError: an interface ${name} exists that is not of the data path "dprefuse" (mine); remove it: ip link del ${name}`,
      );
      expect(await host.sh(`ip -o link show ${name}`)).toContain('mine');
      await host.sh(`ip link del ${name}`);
    }
  });
});

it('refusals leave no interface, no pin and no table behind', async () => {
  const links = (await host.sh('ip -o link'))
    .trim()
    .split('\n')
    .map((line) => line.split(': ')[1]?.split('@')[0]);
  // What was made before the refusal of a foreign DNS device is ours and is adopted by the next start.
  expect(new Set(links.filter((name) => name !== 'contivvx'))).toEqual(new Set(['lo', 'eth1', 'eth1p']));
  const worker = host.worker();
  await worker.call('open', { vtepIp: VTEP, vxlanPort: 8472, instance: 'dprefuse' });
  const port = { name: 'cvx', vni: 5 as Vni, ip: '10.1.0.1' as Ipv4, mac: '02:02:0a:01:00:01' as Mac, group: 0 };
  await host.sh('ip link add cvx type bridge');
  await expect(worker.call('addPort', port, 'cvxp')).rejects.toThrow(
    'an interface cvx exists that is not ours; remove it: ip link del cvx',
  );
  await host.sh('ip link del cvx');
  await expect(worker.call('addPort', { ...port, name: 'a name' }, 'cvxp')).rejects.toThrow(/is no interface name/);
  await worker.call('teardown');
  expect((await host.sh('ip -o link')).trim().split('\n').length).toBe(3);
  expect(await host.sh('nft list tables')).toBe('');
  expect(await host.inside('ls /sys/fs/bpf/contiv 2>/dev/null || true')).toBe('');
});

it('another --vxlan-port takes the old tunnel device away', async () => {
  const links = async () =>
    (await host.sh('ip -o link show type vxlan'))
      .trim()
      .split('\n')
      .map((line) => line.split(': ')[1]);
  for (const [vxlanPort, name] of [
    [8472, 'contivvx'],
    [9000, 'contivvx9000'],
  ] as const) {
    const worker = host.worker();
    await worker.call('open', { vtepIp: VTEP, vxlanPort, instance: 'dprefuse' });
    expect(await links()).toEqual([name]);
    if (vxlanPort === 9000) await worker.call('teardown');
    await worker.kill();
  }
  expect((await host.sh('ip -o link')).trim().split('\n').length).toBe(3);
});

it('what was left is removed although the VTEP has no address any more', async () => {
  const dead = host.worker();
  await dead.call('open', { vtepIp: VTEP, vxlanPort: 8472, instance: 'dprefuse' });
  for (const n of [1, 2]) {
    const port = { name: `cv${n}`, vni: 5 as Vni, ip: `10.1.0.${n}` as Ipv4, mac: `02:02:0a:01:00:0${n}` as Mac, group: 0 };
    await dead.call('addPort', port, `cv${n}p`);
  }
  await dead.call('apply', { peers: [], networks: [], endpoints: [], ports: [] });
  await dead.kill();
  await host.sh(`ip address del ${VTEP}/24 dev eth1; ip link add cv3 group ${PORT_GROUP} type veth peer name cv3p`);
  expect(await refusal()).toMatch(/is on no interface of this host/);
  const worker = host.worker();
  expect(await worker.call('findPorts', 'dprefuse')).toEqual(['cv3']);
  await worker.call('removeDatapath', 'another');
  expect(await host.sh('ip -o link')).toContain('contivvx');
  await worker.call('removeDatapath', 'dprefuse');
  await worker.call('removeDatapath', 'dprefuse');
  expect((await host.sh('ip -o link')).trim().split('\n').length).toBe(3);
  expect(await host.sh('nft list tables')).toBe('');
  expect(await host.inside('ls /sys/fs/bpf 2>/dev/null || true')).toBe('');
  await host.sh(`ip address add ${VTEP}/24 dev eth1`);
});
