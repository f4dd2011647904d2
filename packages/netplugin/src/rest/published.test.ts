import { emptyMirror } from '@contiv/client';
import { expect, test } from 'vitest';
import { publishedLines } from './published.js';

test('published ports are told with their container, in the order of their numbers', () => {
  const ref = { tenant: 'blue', network: 'n1' };
  const mirror = emptyMirror();
  mirror.endpoints.set('n1.blue-e1', {
    key: 'n1.blue-e1',
    tenant: 'blue',
    network: 'n1',
    endpointId: 'e1',
    ip: '10.1.1.5',
    mac: '02:02:0a:01:01:05',
    host: 'h1',
    containerName: 'web',
  });
  const lines = publishedLines(
    [
      { endpointId: 'e2', ref, ip: '10.1.1.6', published: [{ protocol: 'udp', hostIp: '192.0.2.1', hostPort: 9100, containerPort: 53 }] },
      { endpointId: 'e3', ref, ip: '10.1.1.7' },
      { endpointId: 'e1', ref, ip: '10.1.1.5', published: [{ protocol: 'tcp', hostPort: 9099, containerPort: 9000 }] },
    ],
    mirror.endpoints,
  );
  expect(lines).toEqual([
    '# *:9099/tcp -> 10.1.1.5:9000, web in n1 of tenant blue',
    '# 192.0.2.1:9100/udp -> 10.1.1.6:53, n1 of tenant blue',
  ]);
});
