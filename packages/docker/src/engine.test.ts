import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Engine } from './engine.js';
import { serveEngine } from './testing/index.js';
import { EngineError, parseEngineAddress } from './transport.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serve(handler: Parameters<typeof serveEngine>[0]): Promise<Engine> {
  const { engine, close } = await serveEngine(handler);
  cleanups.push(close);
  return engine;
}

describe('parseEngineAddress', () => {
  it('takes unix and TCP addresses only', () => {
    expect(parseEngineAddress('unix:///run/docker.sock')).toEqual({ socketPath: '/run/docker.sock' });
    expect(parseEngineAddress('tcp://192.0.2.1:2385')).toEqual({ host: '192.0.2.1', port: 2385 });
    expect(parseEngineAddress('tcp://[2001:db8::1]:2385')).toEqual({ host: '2001:db8::1', port: 2385 });
    for (const bad of ['', 'docker.sock', 'unix://x', 'tcp://x', 'tcp://x:0', 'tcp://x:70000', 'ssh://x:22']) {
      expect(() => parseEngineAddress(bad), bad).toThrow(EngineError);
    }
  });
});

describe('Engine', () => {
  it('speaks the engine’s version and takes null for empty', async () => {
    const paths: string[] = [];
    const engine = await serve((path, res) => {
      paths.push(path);
      res.end(
        '[{"Name":"n","Id":"1","Driver":"netplugin","IPAM":{"Driver":"netplugin","Options":null,"Config":null},"Options":null,"Containers":null}]',
      );
    });
    const [network] = await engine.networks('netplugin');
    expect(paths).toEqual(['/v1.41/networks?filters={"driver":["netplugin"]}']);
    expect(network).toMatchObject({ Options: {}, Containers: {}, IPAM: { Options: {}, Config: [] } });
  });

  it('tells absence from failure', async () => {
    const engine = await serve((path, res) => {
      res.writeHead(path.includes('gone') ? 404 : 403, { 'content-type': 'application/json' });
      res.end('{"message":"network has active endpoints"}');
    });
    expect(await engine.network('gone')).toBeUndefined();
    expect(await engine.removeNetwork('gone')).toBe(false);
    await expect(engine.removeNetwork('busy')).rejects.toThrow('network has active endpoints');
  });

  it('waits for nothing once it is closed, though the engine hangs', async () => {
    let asked = 0;
    const engine = await serve(() => void asked++);
    // More than go at a time.
    const calls = Array.from({ length: 12 }, () => engine.container('c1'));
    const outcomes = Promise.allSettled(calls);
    await expect.poll(() => asked).toBe(8);
    const began = performance.now();
    engine.close();
    expect((await outcomes).map(({ status }) => status)).toEqual(calls.map(() => 'rejected'));
    await expect(engine.version()).rejects.toThrow('it is not asked any more');
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(asked).toBe(8);
  });

  it('refuses an answer of another shape with a sentence', async () => {
    const engine = await serve((_path, res) => res.end('{"nonsense":true}'));
    await expect(engine.networks()).rejects.toThrow(/not understood/);
  });

  it('follows events through a restart of the engine, telling each time that a list is due', async () => {
    let n = 0;
    const engine = await serve((_path, res) => {
      res.write(`garbage\n{"Type":"container","Action":"start","Actor":{"ID":"c${n++}","Attributes":null}}\n`);
      if (n < 3) setTimeout(() => res.destroy(), 10);
    });
    const seen: string[] = [];
    const stop = new AbortController();
    const done = new Promise<void>((resolve) => {
      void engine.follow(
        {
          connected: () => seen.push('connected'),
          event: (event) => {
            seen.push(event.Actor.ID);
            if (event.Actor.ID === 'c2') resolve();
          },
        },
        stop.signal,
      );
    });
    await done;
    stop.abort();
    expect(seen.filter((s) => s !== '')).toEqual(['connected', 'c0', 'connected', 'c1', 'connected', 'c2']);
  });

  it('tells what a command in a container printed, without what it said besides', async () => {
    const frame = (stream: number, text: string) =>
      Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
    const asked: string[] = [];
    const engine = await serve((path, res, method) => {
      asked.push(`${method} ${path}`);
      if (path.endsWith('/exec')) res.writeHead(201).end('{"Id":"e1"}');
      else res.end(Buffer.concat([frame(1, 'one\n'), frame(2, 'noise\n'), frame(1, 'two\n'), frame(1, 'cut off').subarray(0, 11)]));
    });
    expect(await engine.exec('c1', ['true'], 5_000)).toBe('one\ntwo\ncut');
    expect(asked).toEqual(['POST /v1.41/containers/c1/exec', 'POST /v1.41/exec/e1/start']);
  });

  it('gives a command up that is not waited for any more', async () => {
    const stop = new AbortController();
    const engine = await serve((path, res) => {
      if (path.endsWith('/exec')) res.writeHead(201).end('{"Id":"e1"}');
      else stop.abort();
    });
    await expect(engine.exec('c1', ['sleep', '1d'], 60_000, stop.signal)).rejects.toThrow(EngineError);
  });

  it('takes a container that is on its way out for removed', async () => {
    const engine = await serve((path, res) =>
      res.writeHead(path.includes('busy') ? 500 : 409).end('{"message":"removal is already in progress"}'),
    );
    await engine.removeContainer('going');
    await expect(engine.removeContainer('busy')).rejects.toThrow('removal is already in progress');
  });

  it('speaks TLS with a certificate of its own, to an engine of the same authority only', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'engine-tls-'));
    const openssl = (line: string) => execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'pipe' });
    openssl('req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=one -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem');
    openssl('req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=two -keyout other-key.pem -out other.pem');
    const pem = (name: string) => readFileSync(join(dir, name), 'utf8');
    const [cert, key, other] = [pem('cert.pem'), pem('key.pem'), pem('other.pem')];
    const server = https.createServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }, (_req, res) =>
      res.end('{"Version":"28.5.2","ApiVersion":"1.51"}'),
    );
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      }),
    );
    const engine = (ca: string) => new Engine(`tcp://127.0.0.1:${port}`, { tls: { ca, cert, key } });
    const [right, wrong] = [engine(cert), engine(other)];
    cleanups.push(() => {
      for (const each of [right, wrong]) each.close();
      server.closeAllConnections();
      server.close();
      rmSync(dir, { recursive: true, force: true });
    });
    expect((await right.version()).Version).toBe('28.5.2');
    await expect(wrong.version()).rejects.toThrow(/does not answer: .*self.signed/);
  });

  it('says where no engine answers', async () => {
    await expect(new Engine('unix:///nowhere/docker.sock').version()).rejects.toThrow(
      /Docker Engine at unix:\/\/\/nowhere\/docker.sock does not answer/,
    );
  });
});
