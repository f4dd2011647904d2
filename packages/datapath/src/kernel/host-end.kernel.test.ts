import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Ipv4, type Mac, parsePrefix4, type Vni } from '@contiv/model';
import { Netlink } from '@contiv/netlink';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureHostEnd } from './host-end.js';

let netns = '';
let netlink: Netlink;
const ip = (...args: string[]): string => execFileSync('ip', ['-n', netns, ...args], { encoding: 'utf8' });
beforeEach(() => {
  netns = `hostend-${randomBytes(3).toString('hex')}`;
  execFileSync('ip', ['netns', 'add', netns]);
  netlink = Netlink.open(`/run/netns/${netns}`);
});
afterEach(() => {
  netlink.close();
  execFileSync('ip', ['netns', 'del', netns]);
});

it('leads to networks, and never in place of the way the host has to its own neighbours', () => {
  for (const pair of ['lan type veth peer name wire', 'cvinfra type veth peer name contivh1']) ip('link', 'add', ...pair.split(' '));
  for (const name of ['lan', 'wire', 'cvinfra']) ip('link', 'set', name, 'up');
  ip('addr', 'add', '10.5.0.2/16', 'dev', 'lan');
  ip('route', 'add', '10.6.0.0/24', 'via', '10.5.0.1');
  ip('route', 'add', '10.0.0.0/8', 'via', '10.5.0.1');
  ip('route', 'add', 'default', 'via', '10.5.0.1');
  const own = () => ip('route', 'show', 'dev', 'lan');
  const before = own();
  const port = { name: 'cvinfra', vni: 9 as Vni, ip: '132.1.1.2' as Ipv4, mac: '02:02:84:01:01:02' as Mac, group: 0 };
  const bring = (...subnets: string[]) =>
    ensureHostEnd(netlink, port, { name: 'contivh1', length: 24, routes: subnets.flatMap((text) => parsePrefix4(text) ?? []) }, true);
  const refused = (subnet: string, by: string) =>
    `contivh1 does not lead to the network ${subnet}: lan leads to ${by} already; give the network another subnet to reach it from here`;
  expect(bring('10.1.2.0/24', '10.5.0.0/16', '10.5.7.0/24', '10.6.0.0/24', '10.4.0.0/15')).toEqual({
    repaired: [],
    failed: [refused('10.5.0.0/16', '10.5.0.0/16'), refused('10.5.7.0/24', '10.5.0.0/16'), refused('10.6.0.0/24', '10.6.0.0/24')],
  });
  const led = () =>
    ip('route', 'show', 'dev', 'contivh1', 'via', '132.1.1.2')
      .split('\n')
      .flatMap((line) => line.split(' ')[0] || []);
  expect(led()).toEqual(['10.1.2.0/24', '10.4.0.0/15']);
  expect(own()).toBe(before);
  // What an earlier agent took goes, and so do networks that are gone.
  ip('route', 'add', '10.5.7.0/24', 'via', '132.1.1.2', 'dev', 'contivh1', 'src', '132.1.1.2', 'proto', 'static');
  bring('10.5.7.0/24', '10.4.0.0/15');
  expect(led()).toEqual(['10.4.0.0/15']);
  expect(own()).toBe(before);
});
