/** Makes the host a router of IPv6, which for that family is one switch for all interfaces. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatapathError, reasonOf } from '../errors.js';

const CONF = '/proc/sys/net/ipv6/conf';

/**
 * Routers do not listen to other routers (RFC 4861 §6.2.7): a host that has its address and default route from one would lose them. Whoever
 * listens so far goes on listening (`accept_ra` 2), before forwarding is switched on.
 * @param device of ours, by which containers come.
 */
export function routeIpv6(device: string, conf = CONF): void {
  try {
    // Machines without IPv6 of their own switch it off for every new interface.
    const off = join(conf, device, 'disable_ipv6');
    if (readFileSync(off, 'utf8').trim() !== '0') writeFileSync(off, '0');
    const all = join(conf, 'all/forwarding');
    if (readFileSync(all, 'utf8').trim() === '1') return;
    for (const name of readdirSync(conf)) {
      if (name === 'all') continue;
      const listens = join(conf, name, 'accept_ra');
      if (readFileSync(listens, 'utf8').trim() === '1') writeFileSync(listens, '2');
    }
    writeFileSync(all, '1');
  } catch (error) {
    throw new DatapathError(`IPv6 cannot be forwarded by this host, which containers' way outside needs: ${reasonOf(error)}`);
  }
}
