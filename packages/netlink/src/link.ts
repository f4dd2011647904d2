/** Network interfaces: what is sent to make, change and remove them, and what a listing says. */
import { AF_INET6, AF_UNSPEC } from '@contiv/syscall';
import { macFromBytes, macToBytes } from './address.js';
import {
  type Attribute,
  be16,
  decodeAttributes,
  encodeAttributes,
  NESTED,
  nested,
  readBe16,
  readText,
  readU8,
  readU32,
  text,
  u8,
  u32,
} from './codec.js';
import { IFF, IFLA, IFLA_INET6_ADDR_GEN_MODE, IFLA_INFO, IFLA_VXLAN, VETH_INFO_PEER } from './constants.js';

/** Properties that any interface can be given, when it is made or later. */
export interface LinkSettings {
  readonly name?: string;
  readonly mtu?: number;
  readonly mac?: string;
  readonly group?: number;
  readonly alias?: string;
  readonly up?: boolean;
  /** No neighbour resolution on this interface. */
  readonly noArp?: boolean;
  /** It takes in frames for other link-layer addresses than its own. */
  readonly promiscuous?: boolean;
  /** The kernel gives the interface no IPv6 link-local address. */
  readonly noLinkLocal?: boolean;
  /** An open descriptor of the network namespace to put it in. */
  readonly netnsFd?: number;
  /** Index of the bridge it belongs to; 0 takes it out. */
  readonly master?: number;
}

export type LinkKind =
  | { readonly kind: 'veth'; readonly peer: LinkSettings & { readonly name: string } }
  | { readonly kind: 'bridge' }
  | { readonly kind: 'vxlan'; readonly port: number; readonly external: true }
  | { readonly kind: 'vxlan'; readonly port: number; readonly external?: false; readonly vni: number; readonly learning?: boolean };

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly up: boolean;
  /** Its cable leads somewhere. */
  readonly carrier: boolean;
  readonly promiscuous: boolean;
  readonly loopback: boolean;
  readonly noArp: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly group: number;
  readonly alias: string;
  /** Index of the other end or of the lower interface; it lies in another namespace when `elsewhere`. */
  readonly peerIndex: number | undefined;
  readonly elsewhere: boolean;
  readonly master: number | undefined;
  readonly vxlan: { readonly port: number; readonly external: boolean; readonly vni: number } | undefined;
}

/** `struct ifinfomsg` */
export function linkBody(index: number, flags = 0, mask = 0): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt8(AF_UNSPEC, 0);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(flags, 8);
  body.writeUInt32LE(mask, 12);
  return body;
}

/** Flags and which of them are meant. */
export function linkFlags(settings: LinkSettings): { flags: number; mask: number } {
  let flags = 0;
  let mask = 0;
  if (settings.up !== undefined) {
    mask |= IFF.up;
    if (settings.up) flags |= IFF.up;
  }
  if (settings.noArp !== undefined) {
    mask |= IFF.noArp;
    if (settings.noArp) flags |= IFF.noArp;
  }
  if (settings.promiscuous !== undefined) {
    mask |= IFF.promiscuous;
    if (settings.promiscuous) flags |= IFF.promiscuous;
  }
  return { flags, mask };
}

export function settingAttributes(settings: LinkSettings): Attribute[] {
  const out: Attribute[] = [];
  if (settings.name !== undefined) out.push([IFLA.ifname, text(settings.name)]);
  if (settings.mtu !== undefined) out.push([IFLA.mtu, u32(settings.mtu)]);
  if (settings.mac !== undefined) out.push([IFLA.address, macToBytes(settings.mac)]);
  if (settings.group !== undefined) out.push([IFLA.group, u32(settings.group)]);
  if (settings.alias !== undefined) out.push([IFLA.ifalias, text(settings.alias)]);
  if (settings.master !== undefined) out.push([IFLA.master, u32(settings.master)]);
  if (settings.netnsFd !== undefined) out.push([IFLA.netNsFd, u32(settings.netnsFd)]);
  if (settings.noLinkLocal !== undefined) {
    const mode: Attribute = [IFLA_INET6_ADDR_GEN_MODE, u8(settings.noLinkLocal ? 1 : 0)];
    out.push([IFLA.afSpec | NESTED, [[AF_INET6 | NESTED, [mode]]]]);
  }
  return out;
}

/** `IFLA_LINKINFO` of an interface to be made. */
export function kindAttribute(link: LinkKind): Attribute {
  const info = (data: readonly Attribute[]): Attribute => [
    IFLA.linkinfo | NESTED,
    [
      [IFLA_INFO.kind, text(link.kind)],
      [IFLA_INFO.data | NESTED, data],
    ],
  ];
  switch (link.kind) {
    case 'bridge':
      return info([]);
    case 'veth': {
      const { flags, mask } = linkFlags(link.peer);
      // The peer's description is a message within the message: ifinfomsg, then attributes.
      const head = linkBody(0, flags, mask);
      return info([[VETH_INFO_PEER | NESTED, Buffer.concat([head, encodeAttributes(settingAttributes(link.peer))])]]);
    }
    case 'vxlan': {
      const port: Attribute = [IFLA_VXLAN.port, be16(link.port)];
      if (link.external !== true)
        return info([[IFLA_VXLAN.id, u32(link.vni)], port, [IFLA_VXLAN.learning, u8(link.learning === false ? 0 : 1)]]);
      return info([
        port,
        [IFLA_VXLAN.collectMetadata, u8(1)],
        [IFLA_VXLAN.learning, u8(0)],
        [IFLA_VXLAN.udpZeroCsum6Tx, u8(1)],
        [IFLA_VXLAN.udpZeroCsum6Rx, u8(1)],
      ]);
    }
  }
}

export function decodeLink(payload: Buffer): Link {
  const attributes = decodeAttributes(payload.subarray(16));
  const info = nested(attributes, IFLA.linkinfo);
  const data = nested(info, IFLA_INFO.data);
  const kind = readText(info.get(IFLA_INFO.kind));
  const flags = payload.readUInt32LE(8);
  return {
    index: payload.readInt32LE(4),
    name: readText(attributes.get(IFLA.ifname)),
    kind,
    up: (flags & IFF.up) !== 0,
    carrier: (flags & IFF.lowerUp) !== 0,
    promiscuous: (flags & IFF.promiscuous) !== 0,
    loopback: (flags & IFF.loopback) !== 0,
    noArp: (flags & IFF.noArp) !== 0,
    mtu: readU32(attributes.get(IFLA.mtu)) ?? 0,
    mac: macFromBytes(attributes.get(IFLA.address) ?? Buffer.alloc(0)),
    group: readU32(attributes.get(IFLA.group)) ?? 0,
    alias: readText(attributes.get(IFLA.ifalias)),
    peerIndex: readU32(attributes.get(IFLA.link)),
    elsewhere: attributes.has(IFLA.linkNetnsId),
    master: readU32(attributes.get(IFLA.master)),
    vxlan:
      kind === 'vxlan'
        ? {
            port: readBe16(data.get(IFLA_VXLAN.port)) ?? 0,
            external: (readU8(data.get(IFLA_VXLAN.collectMetadata)) ?? 0) !== 0,
            vni: readU32(data.get(IFLA_VXLAN.id)) ?? 0,
          }
        : undefined,
  };
}
