import type { Brand } from './brand.js';
import { type Ipv4, ipv4Bytes } from './ip/ipv4.js';

/** Ethernet address in lower-case colon text, e.g. `02:02:0a:01:02:01`. */
export type Mac = Brand<string, 'Mac'>;

/** Lower-case colon form of a unicast or multicast address; `undefined` when malformed. */
export function parseMac(text: string): Mac | undefined {
  return /^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text) ? (text.toLowerCase() as Mac) : undefined;
}

/** `02:02:` and the four octets of the address (spec/contiv §5.7). */
export function macOfIpv4(address: Ipv4): Mac {
  return ['02', '02', ...[...ipv4Bytes(address)].map((b) => b.toString(16).padStart(2, '0'))].join(':') as Mac;
}

/** Six bytes in transmission order. */
export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(':'), (h) => Number.parseInt(h, 16));
}
