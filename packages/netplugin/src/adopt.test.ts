import type { PublishedPort } from '@contiv/datapath';
import type { Ipv4 } from '@contiv/model';
import { expect, test } from 'vitest';
import { adopted } from './adopt.js';
import { interfaceNames } from './state/records.js';

const endpoint = {
  key: 'n.blue-e1',
  tenant: 'blue',
  network: 'n',
  endpointId: 'e1',
  ip: '10.1.2.9',
  mac: '02:02:0a:01:02:09',
  host: 'h1',
};
const { port } = interfaceNames('e1');
const to = (hostPort: number, hostIp?: string): PublishedPort => ({
  port,
  protocol: 'tcp',
  hostPort,
  containerPort: 80,
  ...(hostIp === undefined ? {} : { hostIp: hostIp as Ipv4 }),
});

test("an adopted endpoint has the ports that lead to its interface, and nobody else's", () => {
  const published = [to(9_099), to(9_100, '192.0.2.1'), { ...to(9_101), port: 'cvother' }];
  const bare = (hostPort: number) => ({ protocol: 'tcp', hostPort, containerPort: 80 });
  expect(adopted(endpoint, published, 5).published).toEqual([bare(9_099), { ...bare(9_100), hostIp: '192.0.2.1' }]);
  expect(adopted(endpoint, [], 5)).not.toHaveProperty('published');
});

test('all of IPv4 is every address to a container without IPv6, and to no other', () => {
  expect(adopted(endpoint, [to(9_099, '0.0.0.0')], 5).published?.[0]).not.toHaveProperty('hostIp');
  expect(adopted({ ...endpoint, ip6: '2001:db8::9' }, [to(9_099, '0.0.0.0')], 5).published).toMatchObject([{ hostIp: '0.0.0.0' }]);
});
