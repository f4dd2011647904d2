/** What the host's own stack tracks and translates of UDP (ctnetlink, `<linux/netfilter/nfnetlink_conntrack.h>`). */
import { AF_INET, AF_INET6 } from '@contiv/syscall';
import { ipFromBytes } from './address.js';
import { type Attribute, be16, decodeAttributes, NESTED, nested, readBe16, readU8, u8, u32 } from './codec.js';
import { isRefused, NetlinkSocket } from './socket.js';

const NETLINK_NETFILTER = 12;
/** `NFNL_SUBSYS_CTNETLINK << 8` and the message's own number. */
const CT = { get: 0x101, delete: 0x102 } as const;
const CTA = { original: 1, reply: 2, zone: 18, filter: 25 } as const;
const CTA_TUPLE = { ip: 1, protocol: 2 } as const;
const CTA_IP = { 4: { src: 1, dst: 2 }, 6: { src: 3, dst: 4 } } as const;
const CTA_PROTO = { number: 1, sport: 2, dport: 3 } as const;
const CTA_FILTER_ORIGINAL = 1;
/** What the kernel compares of a conversation's first direction before it lists it. */
const BY = { protocol: 1 << 3, dport: 1 << 5 } as const;
const UDP = 17;

type Family = 4 | 6;

/** A UDP conversation: where its first packet was sent, and where the answers come from. */
export interface Translation {
  readonly dst: string;
  readonly dport: number;
  /** As `dst` and `dport`, unless the destination is translated. */
  readonly answers: string;
  readonly answersPort: number;
}

/** `struct nfgenmsg` */
const body = (family: Family): Buffer => Buffer.of(family === 4 ? AF_INET : AF_INET6, 0, 0, 0);

function question(dport: number | undefined): Attribute[] {
  const port: Attribute[] = dport === undefined ? [] : [[CTA_PROTO.dport, be16(dport)]];
  const flags = BY.protocol | (dport === undefined ? 0 : BY.dport);
  return [
    [CTA.original | NESTED, [[CTA_TUPLE.protocol | NESTED, [[CTA_PROTO.number, u8(UDP)], ...port]]]],
    [CTA.filter | NESTED, [[CTA_FILTER_ORIGINAL, u32(flags)]]],
  ];
}

interface End {
  readonly src: Buffer | undefined;
  readonly dst: Buffer | undefined;
  readonly protocol: number | undefined;
  readonly sport: number | undefined;
  readonly dport: number | undefined;
}

function end(attributes: ReadonlyMap<number, Buffer>, direction: number, family: Family): End {
  const tuple = nested(attributes, direction);
  const addresses = nested(tuple, CTA_TUPLE.ip);
  const transport = nested(tuple, CTA_TUPLE.protocol);
  return {
    src: addresses.get(CTA_IP[family].src),
    dst: addresses.get(CTA_IP[family].dst),
    protocol: readU8(transport.get(CTA_PROTO.number)),
    sport: readBe16(transport.get(CTA_PROTO.sport)),
    dport: readBe16(transport.get(CTA_PROTO.dport)),
  };
}

function decodeTranslation(family: Family, attributes: ReadonlyMap<number, Buffer>): Translation | undefined {
  const { dst, dport, protocol } = end(attributes, CTA.original, family);
  const { src, sport } = end(attributes, CTA.reply, family);
  if (protocol !== UDP || !dst || !src || dport === undefined || sport === undefined) return undefined;
  return { dst: ipFromBytes(dst), dport, answers: ipFromBytes(src), answersPort: sport };
}

/** What the kernel finds a conversation by. */
function keyOf(attributes: ReadonlyMap<number, Buffer>): Attribute[] {
  const zone = attributes.get(CTA.zone);
  return [
    [CTA.original | NESTED, attributes.get(CTA.original) ?? Buffer.alloc(0)],
    ...(zone ? [[CTA.zone, zone] satisfies Attribute] : []),
  ];
}

/**
 * Has the kernel forget those UDP conversations of the current network namespace of which `which` says so: their next packet counts as a
 * first one. Answers how many; none on a kernel without ctnetlink.
 * @param dport only those whose first packet was sent to this port; `undefined`: all.
 */
export function forgetTranslations(family: Family, dport: number | undefined, which: (translation: Translation) => boolean): number {
  const socket = NetlinkSocket.open(undefined, NETLINK_NETFILTER);
  try {
    let forgotten = 0;
    for (const payload of socket.dump('list connections', CT.get, body(family), question(dport))) {
      const attributes = decodeAttributes(payload.subarray(4));
      const translation = decodeTranslation(family, attributes);
      if (!translation || !which(translation)) continue;
      try {
        socket.change('forget a connection', CT.delete, 0, body(family), keyOf(attributes));
        forgotten++;
      } catch (error) {
        // Over meanwhile.
        if (!isRefused(error, 'ENOENT')) throw error;
      }
    }
    return forgotten;
  } catch (error) {
    // Nobody in this kernel to talk to about it.
    if (isRefused(error, 'EINVAL', 'EOPNOTSUPP')) return 0;
    throw error;
  } finally {
    socket.close();
  }
}
