/** For tests: an engine that answers what the real one answers only in moments that cannot be brought about at will. */
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '../engine.js';

export interface ServedEngine {
  readonly engine: Engine;
  readonly close: () => void;
}

/** @param handler answers all but `/version`. */
export async function serveEngine(handler: (path: string, res: http.ServerResponse, method: string) => void): Promise<ServedEngine> {
  const dir = mkdtempSync(join(tmpdir(), 'engine-'));
  const server = http.createServer((req, res) => {
    req.resume();
    if (req.url === '/version') res.end('{"Version":"20.10.24","ApiVersion":"1.41","Extra":1}');
    else handler(decodeURIComponent(req.url ?? ''), res, req.method ?? '');
  });
  const socket = join(dir, 'docker.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const engine = new Engine(`unix://${socket}`);
  return {
    engine,
    close: () => {
      engine.close();
      server.closeAllConnections();
      server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
