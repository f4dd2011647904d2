import type { Ipv4, Ipv6, Mac, VlanId } from '@contiv/model';
import { expect, it } from 'vitest';
import { checksum, pseudoHeader } from '../testing/packets.js';
import { announcement } from './announce.js';

const MAC = '02:02:0a:01:03:07' as Mac;

it('announces an address by gratuitous ARP on its VLAN', () => {
  const [arp, ...more] = announcement({ vlan: 112 as VlanId, mac: MAC, ip: '10.1.3.7' as Ipv4 });
  expect(more).toEqual([]);
  // To everybody, from the endpoint, VLAN 112, ARP: who has 10.1.3.7, tell 10.1.3.7.
  expect(arp?.toString('hex')).toBe(
    `${'ff'.repeat(6)}02020a010307${'81000070'}0806${'0001080006040001'}02020a010307${'0a010307'}000000000000${'0a010307'}`.padEnd(
      128,
      '0',
    ),
  );
});

it('announces an IPv6 address to all nodes, with a right checksum', () => {
  const ip6 = '2001:db8::7' as Ipv6;
  const frame = announcement({ vlan: 4094 as VlanId, mac: MAC, ip: '10.1.3.7' as Ipv4, ip6 })[1] ?? expect.fail('no advertisement');
  expect(frame.subarray(0, 18).toString('hex')).toBe('33330000000102020a01030781000ffe86dd');
  const message = frame.subarray(18 + 40);
  expect(message.length).toBe(32);
  expect([message[0], message[4]]).toEqual([136, 0x20]);
  expect(checksum(pseudoHeader({ src: ip6, dst: 'ff02::1' as Ipv6 }, 58, message.length), message)).toBe(0);
});
