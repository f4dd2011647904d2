/** Numbers of `<linux/netlink.h>`, `<linux/rtnetlink.h>`, `<linux/if_link.h>`, `<linux/pkt_sched.h>`, `<linux/pkt_cls.h>`. */
export const NLMSG = { error: 2, done: 3 } as const;
export const NLM_F = {
  request: 0x1,
  ack: 0x4,
  dump: 0x300,
  replace: 0x100,
  excl: 0x200,
  create: 0x400,
  append: 0x800,
  capped: 0x100,
  ackTlvs: 0x200,
  dumpInterrupted: 0x10,
} as const;
export const NLMSGERR_ATTR_MSG = 1;

export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddr: 20,
  delAddr: 21,
  getAddr: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeigh: 28,
  delNeigh: 29,
  getNeigh: 30,
  newQdisc: 36,
  delQdisc: 37,
  getQdisc: 38,
  newClass: 40,
  delClass: 41,
  getClass: 42,
  newFilter: 44,
  delFilter: 45,
  getFilter: 46,
} as const;

export const IFLA = {
  address: 1,
  ifname: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkinfo: 18,
  netNsPid: 19,
  ifalias: 20,
  afSpec: 26,
  group: 27,
  netNsFd: 28,
  linkNetnsId: 37,
} as const;
export const IFLA_INFO = { kind: 1, data: 2 } as const;
export const VETH_INFO_PEER = 1;
export const IFLA_INET6_ADDR_GEN_MODE = 8;
export const IFLA_VXLAN = {
  id: 1,
  local: 4,
  learning: 7,
  port: 15,
  udpZeroCsum6Tx: 19,
  udpZeroCsum6Rx: 20,
  collectMetadata: 25,
} as const;

export const IFF = { up: 1, broadcast: 2, noArp: 0x80, running: 0x40, loopback: 8, promiscuous: 0x100, lowerUp: 0x10000 } as const;

export const IFA = { address: 1, local: 2, flags: 8 } as const;
export const IFA_F_NODAD = 2;
export const RTA = { dst: 1, oif: 4, gateway: 5, priority: 6, prefsrc: 7, table: 15 } as const;
export const NDA = { dst: 1, lladdr: 2 } as const;
export const NUD_PERMANENT = 0x80;
export const RT_TABLE_MAIN = 254;
export const RTPROT_STATIC = 4;
export const RT_SCOPE = { universe: 0, link: 253, host: 254 } as const;
export const RTN_UNICAST = 1;

export const TCA = { kind: 1, options: 2 } as const;
export const TCA_BPF = { fd: 6, name: 7, flags: 8, tag: 10, id: 11 } as const;
export const TCA_BPF_FLAG_ACT_DIRECT = 1;
export const TC_H_CLSACT = 0xfffffff1;
export const TC_H_CLSACT_HANDLE = 0xffff0000;
export const TC_H_MIN = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
export const ETH_P_ALL = 3;
export const TCA_HTB = { parms: 1, init: 2, rate64: 6, ceil64: 7 } as const;
export const TCA_TBF = { parms: 1, rate64: 4, burst: 6 } as const;
/** Major version of the discipline's interface; the kernel takes no other. */
export const HTB_VERSION = 3;
export const TC_H_ROOT = 0xffffffff;
export const TC_LINKLAYER_ETHERNET = 1;
