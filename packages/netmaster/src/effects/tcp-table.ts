/** The kernel's table of TCP connections, `/proc/net/tcp` and `tcp6` (proc_net_tcp.rst). */
import type { Socket } from 'node:net';
import { type Ipv4, ipv4Bytes, ipv6Bytes, parseIpv4, parseIpv6 } from '@contiv/model';

/** Names a connection as the table does: local port, remote address and port, in its hex. Empty when unconnected. */
export function connectionKey(socket: Pick<Socket, 'localPort' | 'remoteAddress' | 'remotePort'>): string {
  const { localPort, remoteAddress, remotePort } = socket;
  if (localPort === undefined || remoteAddress === undefined || remotePort === undefined) return '';
  return `${port(localPort)} ${hex(remoteAddress)}:${port(remotePort)}`;
}

/** Adds each row's count of retransmissions since the last acknowledgement. */
export function parseRetransmissions(table: string, into: Map<string, number>): void {
  for (const line of table.split('\n').slice(1)) {
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt …
    const [, local = '', remote = '', , , , retransmissions = ''] = line.trim().split(/\s+/);
    if (remote !== '') into.set(`${local.slice(local.indexOf(':') + 1)} ${remote}`, Number.parseInt(retransmissions, 16));
  }
}

const port = (n: number): string => n.toString(16).toUpperCase().padStart(4, '0');

/** 32-bit words in the machine's order, which is little-endian everywhere Node runs on Linux. */
function hex(address: string): string {
  const v4 = parseIpv4(address);
  const v6 = v4 === undefined ? parseIpv6(address) : undefined;
  const bytes = v4 !== undefined ? ipv4Bytes(v4 as Ipv4) : v6 !== undefined ? ipv6Bytes(v6) : new Uint8Array();
  let text = '';
  for (let word = 0; word < bytes.length; word += 4)
    for (let i = 3; i >= 0; i--) text += (bytes[word + i] ?? 0).toString(16).toUpperCase().padStart(2, '0');
  return text;
}
