/** Echo requests as a large cluster's doctor sends them, to addresses that all lead back to this machine. */
import { expect, test } from 'vitest';
import { echoPeers } from './echo.js';

const never = new AbortController().signal;

test.each([
  [300, 1_500],
  [300, 9_000],
])('%i hosts with links of %i bytes are all heard, small packets and large ones', async (count, mtu) => {
  const peers = Array.from({ length: count }, (_, i) => ({ host: `h${i}`, vtepIp: `127.0.${1 + (i >> 7)}.${1 + (i & 127)}`, mtu }));
  const found = await echoPeers('127.0.0.1', mtu, peers, never);
  expect(found).toEqual(peers.map(({ host }) => ({ host, answers: true, fullSize: true, size: mtu })));
});

test('and by IPv6, whose replies are told from everything else', async () => {
  expect(await echoPeers('::1', 9_000, [{ host: 'h1', vtepIp: '::1', mtu: 9_000 }], never)).toEqual([
    { host: 'h1', answers: true, fullSize: true, size: 9_000 },
  ]);
});
