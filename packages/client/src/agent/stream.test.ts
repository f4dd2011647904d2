import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { MasterPool } from './masters.js';
import { emptyMirror, parseMirror, serialiseMirror } from './mirror.js';
import { AgentStream, type StreamHandlers, type StreamOptions } from './stream.js';

/** Lines to send for the nth stream request; the connection stays open unless `end`. */
type Script = (request: { since: string | undefined; n: number }) => { lines: string[]; end?: boolean; status?: number };

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function master(script: Script, version = '2.1.0') {
  const seen: { since: string | undefined; epoch: string | undefined }[] = [];
  const registrations: string[] = [];
  const open = new Set<http.ServerResponse>();
  const server = http.createServer((req, res) => {
    const url = new URL(req.url ?? '', 'http://x');
    if (req.method === 'POST') {
      registrations.push(url.pathname);
      req.resume();
      res.end('{}');
      return;
    }
    if (url.pathname === '/version') {
      res.end(JSON.stringify({ GitCommit: 'x', Version: version, BuildTime: 'x' }));
      return;
    }
    const since = url.searchParams.get('since') ?? undefined;
    const { lines, end, status } = script({ since, n: seen.length });
    seen.push({ since, epoch: url.searchParams.get('epoch') ?? undefined });
    res.writeHead(status ?? 200);
    for (const line of lines) res.write(`${line}\n`);
    if (end) res.end();
    else open.add(res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  cleanups.push(stop);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, registrations, open, stop };
}

const registration = { vtepIp: '192.0.2.1', control: '192.0.2.1:9090', vxlanPort: 8472, mtu: 1500, version: '2.0.0' };

function follow(urls: string[], extra: Partial<StreamOptions> = {}) {
  const log: string[] = [];
  const handlers: StreamHandlers = {
    snapshot: (mirror) => log.push(`snapshot ${mirror.revision} ${[...mirror.networks.keys()].join(',')}`),
    change: (change) => log.push(`${change.after ? 'put' : 'delete'} ${change.kind} ${change.key}`),
    synced: (mirror) => log.push(`synced ${mirror.revision}`),
    connected: () => log.push('connected'),
    disconnected: (reason) => log.push(`disconnected ${reason}`),
    skipped: (reason) => log.push(`skipped ${reason}`),
  };
  const stream = new AgentStream(
    {
      pool: new MasterPool(urls),
      host: 'h1',
      registration: () => registration,
      mirror: emptyMirror(),
      backoffMs: { base: 5, max: 20 },
      ...extra,
    },
    handlers,
  );
  cleanups.push(() => stream.stop());
  stream.start();
  const until = async (what: (line: string) => boolean) => {
    for (let i = 0; i < 4_000; i++) {
      if (log.some(what)) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`did not happen; log: ${log.join(' | ')}`);
  };
  return { stream, log, until };
}

const network = (name: string, tag: number) => ({
  key: `default:${name}`,
  tenant: 'default',
  network: name,
  nwType: 'data',
  encap: 'vxlan',
  tag,
  subnet: { address: '10.1.2.0', length: 24 },
});
const put = (rev: number, name: string, tag = 1) =>
  JSON.stringify({ type: 'put', rev, kind: 'network', key: `default:${name}`, value: network(name, tag) });
const line = (type: string, rev: number) => JSON.stringify({ type, rev, ...(type === 'snapshot' ? {} : { epoch: 'e1' }) });

describe('AgentStream', () => {
  it('registers, takes a snapshot, follows deltas and resumes from its revision', async () => {
    const m = await master(({ n }) =>
      n === 0
        ? { lines: [line('snapshot', 5), put(3, 'a'), line('synced', 5), put(6, 'b', 2)], end: true }
        : { lines: [line('synced', 7)] },
    );
    const f = follow([m.url]);
    await f.until((l) => l === 'synced 7');
    expect(m.registrations[0]).toBe('/agent/v1/hosts/h1');
    expect(f.log.filter((l) => !l.startsWith('connected') && !l.startsWith('disc'))).toEqual([
      'snapshot 5 default:a',
      'synced 5',
      'put network default:b',
      'synced 7',
    ]);
    expect(m.seen).toEqual([
      { since: undefined, epoch: undefined },
      { since: '6', epoch: 'e1' },
    ]);
    expect([...f.stream.mirror.networks.keys()]).toEqual(['default:a', 'default:b']);
  });

  it('replaces everything at once, and nothing when the snapshot breaks off', async () => {
    const m = await master(({ n }) => {
      if (n === 0) return { lines: [line('snapshot', 5), put(3, 'a'), line('synced', 5)], end: true };
      if (n === 1) return { lines: [line('snapshot', 9), put(8, 'c')], end: true };
      return { lines: [line('snapshot', 10), put(8, 'd'), line('synced', 10)] };
    });
    const f = follow([m.url]);
    await f.until((l) => l.startsWith('snapshot 10'));
    expect(f.log.filter((l) => l.startsWith('snapshot'))).toEqual(['snapshot 5 default:a', 'snapshot 10 default:d']);
  });

  it('applies the changes of one transaction together, and none of them when the last one does not come', async () => {
    const part = (rev: number, name: string) => JSON.stringify({ ...JSON.parse(put(rev, name)), more: true });
    const m = await master(({ n }) => {
      if (n === 0) return { lines: [line('snapshot', 5), put(3, 'a'), line('synced', 5), part(6, 'b')], end: true };
      return { lines: [part(6, 'b'), line('tick', 5), put(6, 'c'), line('synced', 6)] };
    });
    const f = follow([m.url]);
    await f.until((l) => l === 'synced 6');
    expect(m.seen.map((s) => s.since)).toEqual([undefined, '5']);
    expect(f.log.filter((l) => l.startsWith('put'))).toEqual(['put network default:b', 'put network default:c']);
  });

  it('drops a connection with garbage and asks for everything again', async () => {
    const m = await master(({ n }) => {
      if (n === 0) return { lines: [line('snapshot', 5), put(3, 'a'), line('synced', 5), '\u0000garbage{{{'] };
      return { lines: [line('snapshot', 6), put(3, 'z'), line('synced', 6)] };
    });
    const f = follow([m.url]);
    await f.until((l) => l.startsWith('snapshot 6'));
    expect(m.seen.map((s) => s.since)).toEqual([undefined, undefined]);
    expect(f.log.some((l) => l.startsWith('disconnected') && l.includes('not JSON'))).toBe(true);
  });

  it('skips what it does not understand without losing the rest', async () => {
    const odd = JSON.stringify({ type: 'put', rev: 4, kind: 'network', key: 'default:odd', value: { tag: 'x' } });
    const m = await master(() => ({
      lines: [line('snapshot', 5), odd, JSON.stringify({ type: 'future', rev: 5 }), put(3, 'a'), line('synced', 5)],
    }));
    const f = follow([m.url]);
    await f.until((l) => l === 'synced 5');
    expect(f.log.filter((l) => l.startsWith('skipped'))).toHaveLength(2);
    expect([...f.stream.mirror.networks.keys()]).toEqual(['default:a']);
  });

  it('refuses a line without end', async () => {
    const m = await master(({ n }) =>
      n === 0 ? { lines: ['x'.repeat(2 * 1024 * 1024)] } : { lines: [line('snapshot', 1), line('synced', 1)] },
    );
    const f = follow([m.url]);
    await f.until((l) => l === 'synced 1');
    expect(f.log.some((l) => l.includes('longer than'))).toBe(true);
  });

  it('notices silence and goes to the next master', async () => {
    const silent = await master(() => ({ lines: [line('snapshot', 1), line('synced', 1)] }));
    const other = await master(() => ({ lines: [line('snapshot', 2), line('synced', 2), line('tick', 2)] }));
    const f = follow([silent.url, other.url], { silenceMs: 100 });
    await f.until((l) => l.startsWith('snapshot 2'));
    expect(f.log.some((l) => l.includes('nothing came for 0.1 s'))).toBe(true);
  });

  it('does not follow a master of another major version, and says so', async () => {
    const m = await master(() => ({ lines: [line('snapshot', 1), line('synced', 1)] }), '3.0.0');
    const f = follow([m.url]);
    await f.until((l) => l.includes('is of version 3.0.0 and this agent of 2.0.0'));
    expect(m.registrations).toEqual([]);
  });

  it('keeps trying while no master answers', async () => {
    const m = await master(() => ({ lines: [] }));
    await m.stop();
    const f = follow([m.url]);
    await f.until(() => f.log.filter((l) => l.startsWith('disconnected')).length > 2);
  });

  it('stops at once, also while a master that hangs is told of this host', async () => {
    let asked = false;
    const silent = http.createServer(() => {
      asked = true;
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const { stream } = follow([`http://127.0.0.1:${(silent.address() as AddressInfo).port}`]);
    await expect.poll(() => asked).toBe(true);
    const began = performance.now();
    await stream.stop();
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe('mirror on disk', () => {
  it('comes back as it was, and not at all from something else', () => {
    const mirror = emptyMirror();
    mirror.revision = 12;
    mirror.global = { fwdMode: 'bridge', arpMode: 'proxy', pvtSubnet: '172.19.0.0/16' };
    mirror.networks.set('default:a', { ...network('a', 1), nwType: 'data', encap: 'vxlan' });
    expect(parseMirror(serialiseMirror(mirror))).toEqual(mirror);
    expect(parseMirror('{"format":2}')).toBeUndefined();
    expect(parseMirror('{"format":1,"rev')).toBeUndefined();
  });
});
