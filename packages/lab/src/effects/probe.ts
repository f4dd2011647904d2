import http from 'node:http';
import type { Ready } from '../plan/services.js';

/** One question to the health address of a service that runs; bounded to 2 s. */
export async function serves(ready: Ready): Promise<boolean> {
  if (ready.kind === 'process') return true;
  const where = ready.kind === 'socket' ? { socketPath: ready.path, path: ready.url } : targetOf(ready.url);
  return new Promise((resolve) => {
    const request = http.get({ ...where, timeout: 2_000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', () => resolve(false));
  });
}

function targetOf(text: string): { host: string; port: string; path: string } {
  const url = new URL(text);
  return { host: url.hostname, port: url.port, path: url.pathname };
}
