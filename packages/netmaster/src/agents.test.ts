/** Hosts and their streams: what an agent is told, in which order, and what becomes of those that go. */
import http from 'node:http';
import { type StreamLine, streamLine } from '@contiv/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestMaster, type TestMaster } from './test-support.js';

let m: TestMaster;
let url: string;
let open: { close(): void }[] = [];
beforeEach(async () => {
  m = await startTestMaster();
  url = await m.master.app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  for (const stream of open) stream.close();
  open = [];
  await m.stop();
});

const registration = (last: number, version = '2.0.0') => ({
  vtepIp: `192.168.2.${last}`,
  control: `192.168.2.${last}:9090`,
  vxlanPort: 8472,
  mtu: 1500,
  version,
});
const register = (name: string, last: number, version?: string) => m.post(`/agent/v1/hosts/${name}`, registration(last, version));

const epochOf = (line: StreamLine): string | undefined => ('epoch' in line ? line.epoch : undefined);

interface Listener {
  readonly lines: StreamLine[];
  close(): void;
  pause(): void;
  /** Waits until a line of the kind came. */
  until(match: (line: StreamLine) => boolean): Promise<StreamLine>;
  readonly ended: Promise<void>;
}

function listen(host: string, since?: number, epoch?: string): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const query = new URLSearchParams({
      host,
      ...(since === undefined ? {} : { since: String(since) }),
      ...(epoch === undefined ? {} : { epoch }),
    });
    const request = http.get(`${url}/agent/v1/stream?${query.toString()}`, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
      const lines: StreamLine[] = [];
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const part of parts) lines.push(streamLine.parse(JSON.parse(part)));
      });
      const ended = new Promise<void>((done) => response.once('close', () => done()));
      response.on('error', () => undefined);
      const listener: Listener = {
        lines,
        ended,
        close: () => request.destroy(),
        pause: () => void response.pause(),
        until: async (match) => {
          const deadline = performance.now() + 30_000;
          for (;;) {
            const line = lines.find(match);
            if (line) return line;
            if (performance.now() > deadline) throw new Error(`no such line among ${JSON.stringify(lines)}`);
            await new Promise((wake) => setTimeout(wake, 5));
          }
        },
      };
      open.push(listener);
      resolve(listener);
    });
    request.on('error', reject);
  });
}

const isPut = (kind: string, key: string) => (line: StreamLine) => line.type === 'put' && line.kind === kind && line.key === key;
const host = async (name: string) => (await m.get(`/api/v1/hosts/${name}`)).body;
const eventually = async (check: () => Promise<void>) => {
  for (let i = 0; ; i++) {
    try {
      return await check();
    } catch (error) {
      if (i > 2_500) throw error;
      await new Promise((wake) => setTimeout(wake, 10));
    }
  }
};

describe('registration', () => {
  test('another major version is refused with a sentence', async () => {
    expect((await register('h1', 50, '3.1.0')).line).toBe(
      'netplugin 3.1.0 on host h1 does not fit netmaster 2.0.0; install netplugin 2.x there',
    );
    expect((await register('h1', 50, '2.9.1')).status).toBe(200);
  });

  test('one VTEP address is one host, and a live name is taken', async () => {
    await register('h1', 50);
    expect((await register('h2', 50)).line).toMatch(/^VTEP address 192.168.2.50 belongs to host h1/);
    const stream = await listen('h1');
    await eventually(async () => expect(await host('h1')).toMatchObject({ alive: true }));
    expect((await register('h1', 51)).line).toMatch(/^host h1 is connected from 192.168.2.50/);
    stream.close();
    await eventually(async () => expect(await host('h1')).toMatchObject({ alive: false }));
    expect((await register('h1', 51)).status).toBe(200);
  });

  test('odd names and fields are refused', async () => {
    expect((await m.post('/agent/v1/hosts/a%2Fb', registration(1))).status).not.toBe(200);
    expect((await m.post('/agent/v1/hosts/h1', { ...registration(1), mtu: 1 })).line).toMatch(/^mtu:/);
    expect((await m.post('/agent/v1/hosts/h1', { ...registration(1), vtepIp: 'x' })).status).toBe(500);
  });

  test('a stream needs a registration', async () => {
    await expect(listen('nobody')).rejects.toThrow('status');
  });
});

describe('stream', () => {
  test('tells of network profiles before the groups that have them, as agents count', async () => {
    await register('h1', 51);
    const profile = { tenantName: 'default', profileName: 'slow', bandwidth: '10Mbps', burst: 80, DSCP: 6 };
    expect((await m.post('/api/v1/netprofiles/default:slow/', profile)).status).toBe(200);
    await m.network('default:n', { encap: 'vxlan', subnet: '10.1.1.0/24', gateway: '10.1.1.254' });
    await m.group('default:g', 'n', { netProfile: 'slow' });
    const stream = await listen('h1');
    const group = await stream.until(isPut('group', 'default:g'));
    expect(group).toMatchObject({ value: { netProfile: 'slow' } });
    const put = stream.lines.find(isPut('netprofile', 'default:slow'));
    expect(put).toMatchObject({ value: { dscp: 6, bitsPerSecond: 10_485_760, burstBytes: 81_920 } });
    expect(stream.lines.indexOf(put ?? group)).toBeLessThan(stream.lines.indexOf(group));
    stream.lines.length = 0;
    await m.post('/api/v1/netprofiles/default:slow/', { ...profile, bandwidth: '', DSCP: 0, burst: 0 });
    expect(await stream.until(isPut('netprofile', 'default:slow'))).toMatchObject({ value: { dscp: 0, bitsPerSecond: 0, burstBytes: 0 } });
    await m.group('default:g', 'n', {});
    expect(JSON.stringify(await stream.until(isPut('group', 'default:g')))).not.toContain('netProfile');
    await m.remove('/api/v1/netprofiles/default:slow/');
    await stream.until((line) => line.type === 'delete' && line.kind === 'netprofile' && line.key === 'default:slow');
  });

  test('a network of docker network create says its name there, also where that is the derived one', async () => {
    await register('h1', 50);
    const stream = await listen('h1');
    await m.network('default:docker-1', { encap: 'vxlan', subnet: '10.1.1.0/24', origin: 'h1' });
    // Without a name it is one that the engine is still making.
    expect(JSON.stringify(await stream.until(isPut('network', 'default:docker-1')))).not.toContain('dockerName');
    await m.network('default:plain', { encap: 'vxlan', subnet: '10.1.2.0/24', origin: 'h1', dockerName: 'plain' });
    expect(await stream.until(isPut('network', 'default:plain'))).toMatchObject({ value: { origin: 'h1', dockerName: 'plain' } });
  });

  test('snapshot, synced, then what is committed, each once', async () => {
    await register('h1', 50);
    await m.network('default:n', { encap: 'vxlan', subnet: '10.1.1.5/24', gateway: '10.1.1.254', pktTag: 77 });
    await m.endpoint('default:n', 'a');
    const stream = await listen('h1');
    await stream.until((line) => line.type === 'synced');
    expect(stream.lines[0]?.type).toBe('snapshot');
    expect(await stream.until(isPut('network', 'default:n'))).toMatchObject({
      value: { tag: 77, subnet: { address: '10.1.1.0', length: 24 }, gateway: '10.1.1.254' },
    });
    expect(await stream.until(isPut('endpoint', 'n.default-a'))).toMatchObject({ value: { ip: '10.1.1.1', host: 'h1' } });
    expect(await stream.until(isPut('global', 'global'))).toMatchObject({ value: { fwdMode: 'bridge' } });
    await stream.until((line) => line.type === 'put' && line.kind === 'host' && JSON.stringify(line.value).includes('"alive":true'));

    const before = stream.lines.length;
    await m.endpoint('default:n', 'b');
    await m.group('default:g', 'n');
    await m.post('/plugin/deleteEndpoint', { EndpointID: 'b' });
    await stream.until((line) => line.type === 'delete' && line.key === 'n.default-b');
    const later = stream.lines.slice(before).filter((line) => line.type !== 'tick');
    // Allocation writes the network record again; agents do not hear of it.
    expect(later.map((line) => ('key' in line ? `${line.type} ${line.kind} ${line.key}` : line.type))).toEqual([
      'put endpoint n.default-b',
      'put group default:g',
      'delete endpoint n.default-b',
    ]);
    const revisions = stream.lines.map((line) => line.rev);
    expect(revisions).toEqual(revisions.toSorted((x, y) => x - y));
  });

  test('is resumed after a revision with exactly what was missed', async () => {
    await register('h1', 50);
    await m.network('default:n', { encap: 'vxlan', subnet: '10.1.1.0/24' });
    const first = await listen('h1');
    const epoch = epochOf(await first.until((line) => line.type === 'synced'));
    await first.until((line) => line.type === 'put' && line.kind === 'host' && JSON.stringify(line.value).includes('"alive":true'));
    const since = m.master.context.mirror.revision;
    first.close();
    await eventually(async () => expect(await host('h1')).toMatchObject({ alive: false }));
    await m.endpoint('default:n', 'a');
    const second = await listen('h1', since, epoch);
    await second.until((line) => line.type === 'synced');
    expect(
      second.lines
        .filter((l) => l.type !== 'tick')
        .map((line) => ('kind' in line ? `${line.type} ${line.kind}` : line.type))
        .slice(0, 3),
    ).toEqual(['put host', 'put endpoint', 'synced']);
    expect(second.lines.every((line) => line.rev > since)).toBe(true);
  });

  test('a revision nobody knows gets a snapshot, and so does one of another history', async () => {
    await register('h1', 50);
    const first = await listen('h1', 999_999, 'none');
    const epoch = epochOf(await first.until((line) => line.type === 'synced'));
    expect(first.lines[0]?.type).toBe('snapshot');
    const since = m.master.context.mirror.revision;
    for (const [other, expected] of [
      [undefined, 'snapshot'],
      ['0123456789abcdef', 'snapshot'],
      [epoch, 'synced'],
    ] as const) {
      const stream = await listen('h1', since, other);
      await stream.until((line) => line.type === 'synced');
      expect(stream.lines.find((line) => line.type !== 'put')?.type).toBe(expected);
    }
  });

  test('the newer stream of a host replaces the older, and the host stays alive', async () => {
    await register('h1', 50);
    const first = await listen('h1');
    const second = await listen('h1');
    await first.ended;
    await m.tenant('blue');
    await m.network('blue:n', { encap: 'vxlan', subnet: '10.1.1.0/24' });
    await second.until(isPut('network', 'blue:n'));
    expect(await host('h1')).toMatchObject({ alive: true });
    expect(m.master.context.hub.size).toBe(1);
  });

  test('of an agent that went before it began is none', async () => {
    await register('h1', 50);
    const later = m.master.context.mirror.revision + 1_000;
    const request = http.get(`${url}/agent/v1/stream?host=h1&since=${later}&epoch=x`);
    request.on('error', () => undefined);
    await new Promise((wake) => setTimeout(wake, 300));
    request.destroy();
    await new Promise((wake) => setTimeout(wake, 2_300));
    expect([m.master.context.hub.size, await host('h1')]).toMatchObject([0, { alive: false }]);
  });

  test('one that does not read is cut, the others go on', async () => {
    await register('h1', 50);
    await register('h2', 51);
    await m.network('default:n', { encap: 'vxlan', subnet: '10.1.0.0/16' });
    const slow = await listen('h1');
    const good = await listen('h2');
    slow.pause();
    const labels = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`label-${i}`, 'x'.repeat(8_000)]));
    await m.endpoint('default:n', 'big');
    for (let i = 0; i < 60 && m.master.context.hub.cut === 0; i++)
      await m.post('/plugin/updateEndpoint', { EndpointID: 'big', Event: 'start', Labels: { ...labels, turn: String(i) } });
    expect(m.master.context.hub.cut).toBe(1);
    await eventually(async () => expect(await host('h1')).toMatchObject({ alive: false }));
    await m.endpoint('default:n', 'after');
    await good.until(isPut('endpoint', 'n.default-after'));
  });
});

describe('what a host leaves behind', () => {
  beforeEach(async () => {
    await register('h1', 50);
    await m.network('default:n', { encap: 'vxlan', subnet: '10.1.1.0/24', ipv6Subnet: '2001:db8::/64' });
    for (const id of ['a', 'b', 'c']) await m.endpoint('default:n', id);
    await m.endpoint('default:n', 'other', { Host: 'h2' });
    await m.post('/plugin/allocAddress', { NetworkID: 'n.default', Host: 'h1' });
    await m.post('/plugin/allocAddress', { NetworkID: 'n.default', Host: 'h1' });
  });
  const reconcile = (more: Record<string, unknown> = {}) =>
    m.post('/plugin/reconcileHost', { Host: 'h1', EndpointIDs: ['b'], Reservations: ['n.default|10.1.1.6'], Before: 1_000_000, ...more });

  test('is released when its engine no longer has it, and only then', async () => {
    expect((await reconcile()).body).toEqual({ Endpoints: ['a', 'c'], Addresses: ['n.default|10.1.1.5'] });
    const { state, revision } = m.master.context.mirror;
    expect((await reconcile({ Before: revision })).body).toEqual({ Endpoints: [], Addresses: [] });
    expect([...state.all('endpoint')].map((e) => e.record.endpointId).toSorted()).toEqual(['b', 'other']);
    expect(state.count('address')).toBe(5);
  });

  test('stays when it is younger than the question', async () => {
    const before = m.master.context.mirror.revision;
    await m.endpoint('default:n', 'young');
    expect((await reconcile({ Before: before })).body).toMatchObject({ Endpoints: ['a', 'c'] });
    expect((await m.get('/api/v1/inspect/endpoints/young')).status).toBe(200);
  });

  test('a network has the MTU of its narrowest host, whichever way it goes', async () => {
    const mtu = async (name: string) => (await m.get(`/api/v1/inspect/networks/default:${name}/`)).body as { Oper: { mtu?: number } };
    await m.network('default:phys', { encap: 'vlan', subnet: '10.1.9.0/24' });
    expect((await mtu('phys')).Oper.mtu).toBeUndefined();
    await m.post('/agent/v1/hosts/wide', { ...registration(91), mtu: 9000, uplinkMtu: 9000 });
    await m.post('/agent/v1/hosts/narrow', { ...registration(92), uplinkMtu: 1400 });
    expect((await mtu('n')).Oper.mtu).toBe(1450);
    expect((await mtu('phys')).Oper.mtu).toBe(1400);
    for (const name of ['wide', 'narrow']) await m.remove(`/agent/v1/hosts/${name}`);
  });

  test('an operator may forget a lost host, but not one that is connected', async () => {
    const stream = await listen('h1');
    await eventually(async () => expect(await host('h1')).toMatchObject({ alive: true, numEndpoints: 3 }));
    expect((await m.remove('/agent/v1/hosts/h1')).line).toBe('host h1 is connected; stop its netplugin before it is forgotten');
    stream.close();
    await eventually(async () => expect(await host('h1')).toMatchObject({ alive: false, silentSince: expect.any(String) }));
    expect((await m.remove('/agent/v1/hosts/h1')).body).toBe('h1');
    expect((await m.get('/api/v1/hosts/')).body).toEqual([]);
    expect(m.master.context.mirror.state.count('address')).toBe(2);
    expect((await m.remove('/agent/v1/hosts/h1')).line).toBe('host h1 not found');
  });

  test('that is forgotten takes its own ports on infra networks along', async () => {
    await register('h9', 59);
    await m.network('default:contivh1', { encap: 'vxlan', nwType: 'infra', subnet: '10.9.9.0/24' });
    await m.endpoint('default:contivh1', 'h9', { Host: 'h9' });
    const { state, revision: Before } = m.master.context.mirror;
    expect((await m.post('/plugin/reconcileHost', { Host: 'h9', EndpointIDs: [], Reservations: [], Before })).body).toEqual({
      Endpoints: [],
      Addresses: [],
    });
    expect((await m.remove('/agent/v1/hosts/h9')).body).toBe('h9');
    expect([state.host('h9'), state.endpoint('default:contivh1', 'h9'), state.address('default:contivh1', '10.9.9.1')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('is released when it never comes back, and only that', async () => {
    const impatient = await startTestMaster(m.store, 300);
    try {
      await register('h2', 51);
      const stream = await listen('h2');
      await eventually(async () => expect(await host('h2')).toMatchObject({ alive: true }));
      // Work is done by one master at a time; the patient one steps back.
      await m.master.context.background.stop();
      await m.store.txn([], [{ delete: '/contiv/v1/locks/background' }]);
      const { state } = impatient.master.context.mirror;
      await eventually(async () => expect([...state.all('endpoint')].map((e) => e.record.endpointId)).toEqual(['other']));
      expect(state.count('address')).toBe(2);
      expect(await host('h1')).toMatchObject({ alive: false, silentSince: expect.any(String) });
      stream.close();
    } finally {
      await impatient.stop(false);
    }
  });

  test('cleanup stays inside the tenant', async () => {
    await m.tenant('blue');
    await m.network('blue:n', { encap: 'vxlan', subnet: '10.1.1.0/24' });
    await m.endpoint('blue:n', 'blue-one');
    const answer = await m.remove('/debug/epcleanup/tenant/default/net/n');
    expect(answer).toMatchObject({ status: 200, text: 'Received request to cleanup Network with ID: n' });
    const { state } = m.master.context.mirror;
    expect([...state.all('endpoint')].map((e) => e.record.endpointId)).toEqual(['blue-one']);
    expect((await m.remove('/debug/epcleanup/tenant/default/nonsense/n')).text).toBe('');
  });
});
