/** Traffic control: the clsact hook and BPF classifiers in direct-action mode on it (tc-bpf(8)). */
import { type Attribute, decodeAttributes, NESTED, nested, readText, readU32, text, u32 } from './codec.js';
import { ETH_P_ALL, TC_H_CLSACT, TC_H_CLSACT_HANDLE, TC_H_MIN, TCA, TCA_BPF, TCA_BPF_FLAG_ACT_DIRECT } from './constants.js';

export type Hook = 'ingress' | 'egress';

/** Where a filter sits; the same place again means the same filter. */
export interface FilterPlace {
  readonly link: number;
  readonly hook: Hook;
  /** 1–65535; lower numbers run first. */
  readonly priority: number;
  readonly handle: number;
}

export interface BpfFilter extends FilterPlace {
  /** Classifier kind, `bpf` for ours. */
  readonly kind: string;
  readonly name: string;
  /** The kernel's number of the program. */
  readonly programId: number | undefined;
}

/** `struct tcmsg` */
export function tcBody(link: number, handle: number, parent: number, info: number): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(link, 4);
  body.writeUInt32LE(handle, 8);
  body.writeUInt32LE(parent, 12);
  body.writeUInt32LE(info, 16);
  return body;
}

// Filters travel with their protocol in network order beside the priority.
const htons = (value: number): number => ((value & 0xff) << 8) | (value >> 8);
const infoOf = (priority: number): number => ((priority << 16) | htons(ETH_P_ALL)) >>> 0;

export const qdiscBody = (link: number): Buffer => tcBody(link, TC_H_CLSACT_HANDLE, TC_H_CLSACT, 0);
export const qdiscAttributes = (): Attribute[] => [[TCA.kind, text('clsact')]];

export const filterBody = (place: FilterPlace): Buffer => tcBody(place.link, place.handle, TC_H_MIN[place.hook], infoOf(place.priority));

export const filterAttributes = (programFd: number, name: string): Attribute[] => [
  [TCA.kind, text('bpf')],
  [
    TCA.options | NESTED,
    [
      [TCA_BPF.fd, u32(programFd)],
      [TCA_BPF.name, text(name)],
      [TCA_BPF.flags, u32(TCA_BPF_FLAG_ACT_DIRECT)],
    ],
  ],
];

export const filterKind = (): Attribute[] => [[TCA.kind, text('bpf')]];
export const filtersBody = (link: number, hook: Hook): Buffer => tcBody(link, 0, TC_H_MIN[hook], 0);

export function decodeFilter(payload: Buffer): BpfFilter {
  const attributes = decodeAttributes(payload.subarray(20));
  const options = nested(attributes, TCA.options);
  return {
    link: payload.readInt32LE(4),
    handle: payload.readUInt32LE(8),
    hook: payload.readUInt32LE(12) === TC_H_MIN.egress ? 'egress' : 'ingress',
    priority: payload.readUInt32LE(16) >>> 16,
    kind: readText(attributes.get(TCA.kind)),
    name: readText(options.get(TCA_BPF.name)),
    programId: readU32(options.get(TCA_BPF.id)),
  };
}
