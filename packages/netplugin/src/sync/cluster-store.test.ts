import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { answers, serversOf } from './cluster-store.js';

test('its servers are read from the address an engine tells', () => {
  expect(serversOf('etcd://192.168.2.50:2379')).toEqual([{ host: '192.168.2.50', port: 2379 }]);
  expect(serversOf('etcd://a:1,[fd00::1]:2/some/path')).toEqual([
    { host: 'a', port: 1 },
    { host: 'fd00::1', port: 2 },
  ]);
  expect(serversOf('')).toEqual([]);
});

describe('it answers', () => {
  test('while one of its servers takes connections', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await answers(`etcd://127.0.0.1:1,127.0.0.1:${port}/x`)).toBe(true);
    server.close();
    await once(server, 'close');
    expect(await answers(`etcd://127.0.0.1:1,127.0.0.1:${port}/x`)).toBe(false);
  });
});
