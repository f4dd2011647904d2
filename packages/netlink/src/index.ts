export { type HtbClass, sameClass } from './htb.js';
export type { Address, Neighbour, Route } from './ip.js';
export { hasIpsecPolicies } from './ipsec.js';
export type { Link, LinkKind, LinkSettings } from './link.js';
export { Netlink } from './netlink.js';
export type { ByteQueue, Qdisc } from './qdisc.js';
export { isRefused, NetlinkError } from './socket.js';
export type { BpfFilter, FilterPlace, Hook } from './tc.js';
export { forgetTranslations, type Translation } from './translations.js';
