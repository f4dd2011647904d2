import { expect, test } from 'vitest';
import { connectionKey, parseRetransmissions } from './tcp-table.js';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 3202A8C0:270F 3302A8C0:B1C4 01 00000123:00000000 01:00000A2B 00000007     0        0 31337 2 0000000000000000 20 4 30 10 -1
   1: 3202A8C0:270F 3402A8C0:B1C4 01 00000000:00000000 00:00000000 00000000     0        0 31338 2 0000000000000000 20 4 30 10 -1
`;
const TABLE6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0000000000000000FFFF00003202A8C0:270F 0000000000000000FFFF00003302A8C0:0050 01 00000001:00000000 01:00000001 00000003     0
`;

test('finds a connection’s retransmissions by its peer', () => {
  const table = new Map<string, number>();
  parseRetransmissions(TABLE, table);
  parseRetransmissions(TABLE6, table);
  const at = (remoteAddress: string, remotePort: number) => table.get(connectionKey({ localPort: 9999, remoteAddress, remotePort }));
  expect(at('192.168.2.51', 0xb1c4)).toBe(7);
  expect(at('192.168.2.52', 0xb1c4)).toBe(0);
  expect(at('::ffff:192.168.2.51', 80)).toBe(3);
  expect(at('192.168.2.53', 80)).toBeUndefined();
  expect(connectionKey({ localPort: 1, remoteAddress: undefined, remotePort: undefined })).toBe('');
});
