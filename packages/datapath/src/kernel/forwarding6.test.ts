import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { routeIpv6 } from './forwarding6.js';

/** What stands below /proc/sys/net/ipv6/conf on a host that has its address from a router, on eth0 alone. */
const BEFORE = {
  'all/forwarding': '0',
  'all/accept_ra': '1',
  'default/accept_ra': '1',
  'eth0/accept_ra': '1',
  'eth1/accept_ra': '0',
  'contivh0/accept_ra': '0',
  'contivh0/disable_ipv6': '1',
};
let conf: string;
const read = (name: string) => readFileSync(join(conf, name), 'utf8').trim();
beforeEach(() => {
  conf = mkdtempSync(join(tmpdir(), 'ipv6-'));
  for (const [name, value] of Object.entries(BEFORE)) {
    mkdirSync(join(conf, name, '..'), { recursive: true });
    writeFileSync(join(conf, name), `${value}\n`);
  }
});
afterEach(() => rmSync(conf, { recursive: true }));

it('makes a router of the host that goes on listening to routers where it did', () => {
  routeIpv6('contivh0', conf);
  const after = ['all/forwarding', 'eth0/accept_ra', 'default/accept_ra', 'eth1/accept_ra', 'contivh0/disable_ipv6'].map(read);
  expect(after).toEqual(['1', '2', '2', '0', '0']);
});

it('leaves a host alone that is a router already', () => {
  writeFileSync(join(conf, 'all/forwarding'), '1\n');
  routeIpv6('contivh0', conf);
  expect(read('eth0/accept_ra')).toBe('1');
});

it('says in a sentence that a host has no IPv6', () => {
  rmSync(join(conf, 'contivh0'), { recursive: true });
  expect(() => routeIpv6('contivh0', conf)).toThrow('IPv6 cannot be forwarded by this host');
});
