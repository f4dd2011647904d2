import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { AgentCalls } from './calls.js';
import { MasterError, MasterPool, parseMasterUrl } from './masters.js';

const servers: http.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function deadPort(): Promise<string> {
  const url = await serve(() => undefined);
  const server = servers.pop();
  await new Promise((resolve) => server?.close(resolve));
  return url;
}

const failure = async (call: Promise<unknown>): Promise<MasterError> => {
  const error = await call.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof MasterError) return error;
  throw new Error(`expected a MasterError, got ${String(error)}`);
};

describe('MasterPool', () => {
  it('takes addresses of one form only', () => {
    expect(parseMasterUrl('http://192.0.2.1:9999/')).toBe('http://192.0.2.1:9999');
    for (const bad of ['', '192.0.2.1:9999', 'ftp://x', 'http://x/path']) expect(() => parseMasterUrl(bad)).toThrow(MasterError);
  });

  it('passes over a dead master and stays with the live one', async () => {
    const live = await serve((_req, res) => res.end('{"NetworkID":"a.b","IPv4Address":"10.1.2.1/24"}'));
    const pool = new MasterPool([await deadPort(), live]);
    expect(await new AgentCalls(pool).allocAddress({ NetworkID: 'a.b' })).toBe('10.1.2.1/24');
    expect(pool.preferred).toBe(live);
  });

  it('gives a silent master only a part of the time', async () => {
    const silent = await serve(() => undefined);
    const live = await serve((_req, res) => res.end('{"NetworkID":"a.b","IPv4Address":"10.1.2.1/24"}'));
    const calls = new AgentCalls(new MasterPool([silent, live]), 2_000);
    expect(await calls.allocAddress({ NetworkID: 'a.b' })).toBe('10.1.2.1/24');
  });

  it('finds the live one for calls that meet a silent one in the same moment', async () => {
    const silent = await serve(() => undefined);
    const live = await serve((_req, res) => res.end('{"NetworkID":"a.b","IPv4Address":"10.1.2.1/24"}'));
    const calls = new AgentCalls(new MasterPool([silent, live]), 600);
    const both = await Promise.allSettled([calls.allocAddress({ NetworkID: 'a.b' }), calls.allocAddress({ NetworkID: 'a.b' })]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  });

  it('says what to do when nobody answers, in time', async () => {
    const calls = new AgentCalls(new MasterPool([await deadPort()]), 300);
    const began = performance.now();
    const error = await failure(calls.allocAddress({ NetworkID: 'a.b' }));
    expect(performance.now() - began).toBeLessThan(5000);
    expect(error.code).toBe('unreachable');
    expect(error.message).toMatch(/no netmaster answers at http.*start netmaster/);
  });

  it('hands on refusals as they are, without asking elsewhere', async () => {
    let asked = 0;
    const refusing = await serve((_req, res) => {
      asked++;
      res.writeHead(409, { 'content-type': 'application/problem+json' });
      res.end(JSON.stringify({ type: 'about:blank', title: 'x', status: 409, code: 'exhausted', detail: 'address exhaustion\nmake room' }));
    });
    const error = await failure(new AgentCalls(new MasterPool([refusing, refusing])).allocAddress({ NetworkID: 'a.b' }));
    expect([error.code, error.message, asked]).toEqual(['exhausted', 'address exhaustion; make room', 1]);
  });

  it('takes the first line of a plain refusal, and nothing from a stranger', async () => {
    const plain = await serve((_req, res) => {
      res.writeHead(500, { 'content-type': 'text/plain' });
      res.end('network not found\nstack');
    });
    expect((await failure(new AgentCalls(new MasterPool([plain])).allocAddress({}))).message).toBe('network not found');
    const stranger = await serve((_req, res) => res.end('<html>hello</html>'));
    expect((await failure(new AgentCalls(new MasterPool([stranger])).allocAddress({}))).code).toBe('internal');
  });
});
