import { expect, test } from 'vitest';
import { forwardersOf } from './name-server.js';

test('resolvers are those of resolv.conf, also a router known by its link-local address, and never the service itself', () => {
  const text = ['# nameserver 192.0.2.9', 'nameserver fe80::1%eth0', 'search example', 'nameserver  192.0.2.1', 'nameserver 169.254.20.10'];
  expect(forwardersOf(text.join('\n'))).toEqual(['fe80::1%eth0', '192.0.2.1']);
  expect(forwardersOf('nameserver 2001:db8::53\nnameserver 2001:db8::53\nnameserver one.example')).toEqual(['2001:db8::53']);
  for (const odd of ['fe80::1%', 'fe80::1%a%b', '192.0.2.1%eth0', '2001:db8::1%eth0', '%eth0'])
    expect(forwardersOf(`nameserver ${odd}`), odd).toEqual([]);
  expect(forwardersOf([1, 2, 3, 4].map((n) => `nameserver 192.0.2.${n}`).join('\n'))).toHaveLength(3);
});
