import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openRig } from '../testing/rig.js';
import { clashes, PublishedPorts, parseWishes } from './published.js';

const PORT_MAP = 'com.docker.network.portmap';
const binding = (more: object) => ({ Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 9099, HostPortEnd: 9099, ...more });
const wishes = (...bindings: object[]) => parseWishes({ [PORT_MAP]: bindings });

describe('what a container asks for', () => {
  it('is read from the options of the engine', () => {
    expect(parseWishes(undefined)).toEqual([]);
    expect(parseWishes({ [PORT_MAP]: null })).toEqual([]);
    expect(wishes(binding({}))).toEqual([{ protocol: 'tcp', hostIp: undefined, first: 9099, last: 9099, containerPort: 80 }]);
    expect(wishes(binding({ Proto: 17, HostIP: '127.0.0.1', HostPortEnd: 9105 }))).toEqual([
      { protocol: 'udp', hostIp: '127.0.0.1', first: 9099, last: 9105, containerPort: 80 },
    ]);
    expect(wishes(binding({ HostPort: 0, HostPortEnd: 0 }))).toMatchObject([{ first: 32_768, last: 60_999 }]);
    for (const any of ['', null]) expect(wishes(binding({ HostIP: any }))).toMatchObject([{ hostIp: undefined }]);
    for (const one of ['0.0.0.0', '::', '2001:db8::1']) expect(wishes(binding({ HostIP: one }))).toMatchObject([{ hostIp: one }]);
  });

  it('is refused with a sentence when it cannot be', () => {
    expect(() => wishes(binding({ Proto: 47 }))).toThrow('port 80 has IP protocol 47; TCP, UDP and SCTP can be published');
    expect(() => wishes(binding({ HostIP: 'eth0' }))).toThrow('name an IP address of this host');
    for (const odd of [{ Port: 0 }, { HostPort: 65_536 }, { Proto: 'tcp' }]) expect(() => wishes(binding(odd))).toThrow('not understood');
    expect(() => parseWishes({ [PORT_MAP]: 'x' })).toThrow('not understood');
    const many = (count: number) => () => wishes(...Array.from({ length: count }, (_, i) => binding({ Port: i + 1, HostPort: i + 1 })));
    expect(many(1_024)()).toHaveLength(1_024);
    expect(many(1_025)).toThrow('the container publishes 1025 ports, and 1024 can be; publish fewer, or put it into a VLAN');
  });
});

describe('two ports', () => {
  const on = (hostIp?: string, protocol: 'tcp' | 'udp' = 'tcp') => ({
    protocol,
    hostPort: 80,
    ...(hostIp === undefined ? {} : { hostIp }),
  });

  it('clash when somebody outside could mean either', () => {
    for (const [a, b] of [
      [on(), on('192.0.2.1')],
      [on(), on('::')],
      [on('0.0.0.0'), on('192.0.2.1')],
      [on('2001:db8::1'), on('::')],
      [on('2001:db8::1'), on('2001:db8::1')],
    ] as const)
      expect([clashes(a, b), clashes(b, a)]).toEqual([true, true]);
    for (const [a, b] of [
      [on('0.0.0.0'), on('::')],
      [on('0.0.0.0'), on('2001:db8::1')],
      [on('192.0.2.1'), on('192.0.2.2')],
      [on(), on(undefined, 'udp')],
      [on(), { ...on(), hostPort: 81 }],
    ] as const)
      expect([clashes(a, b), clashes(b, a)]).toEqual([false, false]);
  });
});

describe('publishing', () => {
  const open: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });
  const start = async () => {
    const rig = await openRig();
    open.push(() => rig.close());
    const server = net.createServer().listen(0, '0.0.0.0');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const busy = typeof address === 'object' && address ? address.port : 0;
    open.push(() => new Promise((resolve) => server.close(resolve)));
    const endpoint = (id: string, last: number) =>
      rig.state.endpoints.set(id, {
        endpointId: id,
        networkId: 'n',
        ref: { tenant: 'blue', network: 'net' },
        ip: `10.1.2.${last}`,
        mac: '02:02:0a:01:02:01',
        port: `cv${id}`,
        peer: `cp${id}`,
        createdAt: 0,
        stage: 'ready',
      });
    const program = (id: string, ...bindings: object[]) =>
      rig.call('NetworkDriver.ProgramExternalConnectivity', { NetworkID: 'n', EndpointID: id, Options: { [PORT_MAP]: bindings } });
    const published = (id: string) => rig.state.endpoints.get(id)?.published;
    return { rig, busy, other: server, endpoint, program, published };
  };

  it('refuses a port that another program has, and publishes none of the others', async () => {
    const { busy, endpoint, program, published } = await start();
    endpoint('a', 1);
    const answer = await program('a', binding({ HostPort: 0, HostPortEnd: 0 }), binding({ HostPort: busy, HostPortEnd: busy }));
    expect(answer).toEqual({
      status: 500,
      body: { Err: `port ${busy}/tcp of this host is taken by another program; publish another one` },
    });
    expect(published('a')).toBeUndefined();
  });

  it('leaves the port of DNS on all addresses to the DNS service of this host, and says where else it can be', async () => {
    const { endpoint, program } = await start();
    endpoint('a', 1);
    for (const [Proto, HostIP, protocol] of [
      [17, '', 'udp'],
      [6, '0.0.0.0', 'tcp'],
    ] as const)
      expect((await program('a', binding({ Proto, HostIP, HostPort: 53, HostPortEnd: 53 }))).body.Err).toBe(
        `port 53/${protocol} of this host is taken by netplugin's DNS service (169.254.20.10); publish it on one address of this host, as in -p 192.0.2.1:53:53/udp`,
      );
  });

  it('refuses a port that a container of ours has, until that one leaves', async () => {
    const { rig, endpoint, program, published } = await start();
    endpoint('a', 1);
    endpoint('b', 2);
    expect((await program('a', binding({ HostPort: 0, HostPortEnd: 0 }))).status).toBe(200);
    const hostPort = published('a')?.[0]?.hostPort ?? 0;
    const same = binding({ HostPort: hostPort, HostPortEnd: hostPort });
    expect((await program('b', same)).body).toEqual({
      Err: `port ${hostPort}/tcp of this host is taken by the container with 10.1.2.1 in network net of tenant blue; publish another one`,
    });
    await rig.call('NetworkDriver.RevokeExternalConnectivity', { NetworkID: 'n', EndpointID: 'a' });
    expect(published('a')).toBeUndefined();
    expect((await program('b', same)).status).toBe(200);
    await rig.call('NetworkDriver.Leave', { NetworkID: 'n', EndpointID: 'b' });
    expect(published('b')).toBeUndefined();
  });

  it('takes the port of IPv6 with that of IPv4, and gives both back', async () => {
    const { endpoint, program, published, rig } = await start();
    endpoint('a', 1);
    expect((await program('a', binding({ HostPort: 0, HostPortEnd: 0 }))).status).toBe(200);
    const port = published('a')?.[0]?.hostPort ?? 0;
    const listens = (host: string) =>
      new Promise<string>((resolve) => {
        const server = net.createServer();
        server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'));
        server.listen({ host, port, ipv6Only: true, exclusive: true }, () => server.close(() => resolve('free')));
      });
    for (const host of ['0.0.0.0', '::']) expect(await listens(host), host).toBe('EADDRINUSE');
    // Who calls localhost goes on to IPv4 then.
    const called = new Promise<string>((resolve) => {
      const socket = net.connect({ host: '::1', port }, () => socket.once('close', () => resolve('accepted')).resume());
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'));
    });
    expect(await called).toBe('ECONNREFUSED');
    await rig.call('NetworkDriver.Leave', { NetworkID: 'n', EndpointID: 'a' });
    for (const host of ['0.0.0.0', '::']) expect(await listens(host), host).toBe('free');
  });

  it('holds ports that came without a call, and says which of them another program has until that one is gone', async () => {
    const { rig, busy, other, endpoint, published } = await start();
    endpoint('a', 1);
    const ports = new PublishedPorts(rig.context, 10);
    await ports.start();
    open.push(async () => ports.stop());
    const record = rig.state.endpoints.get('a');
    if (!record) throw new Error('no record');
    const free = await new Promise<number>((resolve) => {
      const server = net.createServer().listen(0, '0.0.0.0', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
      });
    });
    const on = (hostPort: number) => ({ protocol: 'tcp', hostIp: '0.0.0.0', hostPort, containerPort: 80 }) as const;
    // As the data path adopts it.
    rig.state.endpoints.set('a', { ...record, published: [on(busy), on(free)] });
    const listens = (port: number) =>
      new Promise<string>((resolve) => {
        const server = net.createServer();
        server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'));
        server.listen({ host: '0.0.0.0', port, exclusive: true }, () => server.close(() => resolve('free')));
      });
    await expect.poll(() => listens(free)).toBe('EADDRINUSE');
    expect(ports.warnings).toEqual([
      `port ${busy}/tcp of this host leads to the container with 10.1.2.1 in network net of tenant blue, but another program has taken it, which is not reached there: let it listen elsewhere`,
    ]);
    await new Promise((resolve) => other.close(resolve));
    await expect.poll(() => ports.warnings).toEqual([]);
    expect(await listens(busy)).toBe('EADDRINUSE');
    // The engine no longer has it, netmaster cannot be told.
    rig.state.endpoints.set('a', { ...record, stage: 'deleting', published: published('a') ?? [] });
    await expect.poll(async () => [await listens(busy), await listens(free)]).toEqual(['free', 'free']);
  });

  it('gives containers that start in the same moment different ports, and one port to one of them', async () => {
    const { rig, busy, endpoint, program, published } = await start();
    const ids = ['a', 'b', 'c'];
    for (const [i, id] of ids.entries()) endpoint(id, i + 1);
    // What a busy host takes for it.
    const apply = rig.datapath.apply.bind(rig.datapath);
    rig.datapath.apply = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return apply(...args);
    };
    const together = (wish: object) =>
      Promise.all(
        ids.map(async (id, i) => {
          await new Promise((resolve) => setTimeout(resolve, 20 * i));
          return program(id, wish);
        }),
      );
    const all = await together(binding({ HostPort: busy, HostPortEnd: busy + 30 }));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200]);
    const ports = ids.map((id) => published(id)?.[0]?.hostPort ?? 0);
    expect(new Set(ports).size).toBe(3);
    await Promise.all(ids.map((id) => rig.call('NetworkDriver.RevokeExternalConnectivity', { NetworkID: 'n', EndpointID: id })));
    const some = await together(binding({ HostPort: ports[0], HostPortEnd: ports[0] }));
    expect(some.filter(({ status }) => status === 200).length).toBe(1);
    expect(some.find(({ status }) => status === 500)?.body.Err).toMatch(/is taken by the container with 10\.1\.2\./);
  });

  it('takes the next free one of a range', async () => {
    const { busy, endpoint, program, published } = await start();
    endpoint('a', 1);
    expect((await program('a', binding({ HostPort: busy, HostPortEnd: busy + 20 }))).status).toBe(200);
    expect(published('a')?.[0]?.hostPort).toBeGreaterThan(busy);
  });
});
