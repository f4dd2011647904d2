/** `struct outer` of bpf/trial.bpf.c: what a frame under trial came through, and would leave through. */
import { type Ipv4, type Ipv6, parseIpv4 } from '@contiv/model';
import { vtepBytes, vtepText } from './layout.js';

export interface Tunnelled {
  readonly vni: number;
  /** VTEPs. */
  readonly from: string;
  readonly to: string;
}

export interface Outer {
  readonly tunnel: Tunnelled | undefined;
  /** Id of the VLAN it is tagged with. */
  readonly vlan: number | undefined;
}

/** Offsets of its `struct bpf_tunnel_key`, the addresses in it, and the VLAN's id. */
const KEY = { vni: 8, remote: 12, local: 36, vlan: 52 } as const;
const BYTES = 56;

/** The key as the receiver sees it: what it calls local is where the frame goes. */
export function parseOuter(bytes: Buffer | undefined): Outer {
  if (!bytes) return { tunnel: undefined, vlan: undefined };
  const six = bytes.readUInt32LE(0) === 1;
  const address = (at: number) =>
    vtepText(six ? bytes.subarray(at, at + 16) : Buffer.concat([Buffer.alloc(12), bytes.subarray(at, at + 4)]));
  const tunnel =
    bytes.readUInt32LE(4) === 1 ? { vni: bytes.readUInt32LE(KEY.vni), to: address(KEY.local), from: address(KEY.remote) } : undefined;
  return { tunnel, vlan: bytes.readUInt32LE(KEY.vlan) || undefined };
}

/** Of a frame that came from `vtep`. */
export function tunnelledBytes({ vni, vtep }: { readonly vni: number; readonly vtep: Ipv4 | Ipv6 }): Buffer {
  const bytes = Buffer.alloc(BYTES);
  const six = parseIpv4(vtep) === undefined;
  bytes.writeUInt32LE(six ? 1 : 0, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(vni, KEY.vni);
  // The kernel takes a frame's source for where it goes back to.
  bytes.set(six ? vtepBytes(vtep) : vtepBytes(vtep).subarray(12), KEY.local);
  return bytes;
}

/** Of a frame with these tags, the outer one first; the high bit says that there is a tag, whatever its id. */
export function taggedBytes(tags: readonly number[]): Buffer {
  const bytes = Buffer.alloc(BYTES);
  for (const [i, tag] of tags.entries()) bytes.writeUInt16LE(tag | 0x8000, KEY.vlan + 2 * i);
  return bytes;
}

/** Of a frame that came through nothing. */
export const plainBytes = (): Buffer => Buffer.alloc(BYTES);
