/**
 * What the agent asks of the data path. Desired state in, kernel state out; the implementation diffs against what it reads
 * back, so `apply` of the same state twice writes nothing.
 */

import type { Ipv4, Ipv6, Mac, PolicySet, Prefix4, Prefix6, Vni } from '@contiv/model';
import type { FlowSource } from './flows/source.js';

/** A network a host takes part in. VLAN networks have the number `vlanVni` gives them in place of a VNI, everywhere. */
export interface DatapathNetwork {
  readonly vni: Vni;
  readonly arpMode: 'proxy' | 'flood';
  readonly subnet: Prefix4;
  readonly subnet6?: Prefix6;
  /** Networks of one domain are routed to each other: in routing mode, a tenant's. Without one the network is bridged only. */
  readonly domain?: string;
  /** Addresses that every host answers for, as the gateway between the networks of the domain. */
  readonly gateway?: Ipv4;
  readonly gateway6?: Ipv6;
  /** VTEPs of the other hosts that have endpoints in it (head-end replication of broadcast and multicast); none for a VLAN. */
  readonly floodTo: readonly (Ipv4 | Ipv6)[];
}

/** An address of a network, wherever it lives. */
export interface DatapathEndpoint {
  readonly vni: Vni;
  readonly ip: Ipv4;
  readonly ip6?: Ipv6;
  readonly mac: Mac;
  /** Endpoint group number, 0 for none. */
  readonly group: number;
  readonly at:
    | { readonly vtep: Ipv4 | Ipv6 /** When the way there is narrower than here. */; readonly mtu?: number }
    | { readonly uplink: true; readonly mtu?: number }
    | { readonly port: string };
}

/** A host-side interface of a local endpoint, named by `portName`. What arrives there must bear exactly these addresses. */
export interface DatapathPort {
  /** Host-side interface name. */
  readonly name: string;
  readonly vni: Vni;
  readonly ip: Ipv4;
  readonly ip6?: Ipv6;
  readonly mac: Mac;
  readonly group: number;
  /** The other end stays with the host, which has the port's address there. */
  readonly host?: HostEnd;
  /** What IP packets it sends are marked with (RFC 2474), 1–63; absent: they stay as they are. */
  readonly dscp?: number;
  /** Shared evenly, either way, by the ports of its group on this host. */
  readonly limit?: RateLimit;
}

/** A bandwidth, counted in whole Ethernet frames without their checksum. */
export interface RateLimit {
  readonly bytesPerSecond: number;
  /** What may pass at once after a pause; 0 leaves it to the data path. */
  readonly burstBytes: number;
}

/** The host's own end of a port. */
export interface HostEnd {
  /** Interface name. */
  readonly name: string;
  /** Of the subnet its address is in. */
  readonly length: number;
  /** What the host reaches by this way. */
  readonly routes: readonly Prefix4[];
}

/** A port of this host that leads to a container's. */
export interface PublishedPort {
  /** Host-side interface of the container. */
  readonly port: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** Absent: every address of this host; `0.0.0.0` or `::`: every one of that family. */
  readonly hostIp?: Ipv4 | Ipv6;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** The way out of the tenants: for containers of networks with a gateway, by NAT. */
export interface DatapathOutside {
  /** A /16 of which every local container has an address outside; its last but one is the host's. */
  readonly privateSubnet: Prefix4;
  /** The first free one of these takes its place on a host that uses it otherwise. */
  readonly spareSubnets?: readonly Prefix4[];
  /** IPv6 leads out, too, by a unique local /64 that follows from the private subnet. */
  readonly ipv6: boolean;
  readonly published: readonly PublishedPort[];
}

export interface DesiredDatapath {
  /** Hosts from which VXLAN frames are accepted and to which they are sent. */
  readonly peers: readonly (Ipv4 | Ipv6)[];
  readonly networks: readonly DatapathNetwork[];
  readonly endpoints: readonly DatapathEndpoint[];
  readonly ports: readonly DatapathPort[];
  /** Interfaces that stay although nothing may pass them: their containers live, and may come to their addresses yet. */
  readonly idle?: readonly string[];
  readonly outside?: DatapathOutside;
  /** Who may open which connections; without it everybody may. */
  readonly policy?: DatapathPolicy;
}

export interface DatapathPolicy {
  /** By number of the group. An endpoint whose group is not among them may nothing; one of group 0 is not asked. */
  readonly subjects: ReadonlyMap<number, PolicySet>;
}

/** `add`: what is desired may be out of date, so nothing that is there changes or goes. */
export type ApplyMode = 'exact' | 'add';

export interface ApplyReport {
  /** Map entries and attachments written or removed because the desired state changed. */
  readonly written: number;
  /** Entries that differed from what was last applied: drift that somebody else caused; each as one sentence. */
  readonly repaired: readonly string[];
  /** One sentence per object that could not be programmed; the rest was. */
  readonly failed: readonly string[];
  /** Why no way leads out of the tenants, although one is wanted; among `failed`, too. */
  readonly outsideFault?: string;
}

/** An interface to the physical network that carries VLANs. */
export interface UplinkStatus {
  readonly name: string;
  /** `down`: switched off; `unplugged`: without a cable. */
  readonly state: 'active' | 'standby' | 'down' | 'unplugged' | 'missing';
  /** 0 while it is missing. */
  readonly mtu: number;
  /** It also carries the default route of this host. */
  readonly defaultRoute: boolean;
  /** Stations that were not learned because too many came at once. */
  readonly refused: bigint;
}

/**
 * What the kernel holds: read back (walks through every bucket of the large tables, and runs processes for the packet filter), or believed
 * to be as it was last found or written. With `later`, because somebody waits, NAT that was right once is left for the next apply.
 */
export type Surroundings = 'read' | 'believe' | 'later';

/** Somebody on a VLAN who is not ours. */
export interface Station {
  readonly vlan: number;
  readonly mac: Mac;
  readonly ip?: Ipv4;
  readonly uplink: string;
  readonly silentSeconds: number;
}

/** Counters of one port since it was attached. */
export interface PortCounters {
  readonly rxPackets: bigint;
  readonly rxBytes: bigint;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  /** Packets dropped, by reason (`spoofed-mac`, `spoofed-ip`, `no-route`, `policy`, `unknown-vtep`, …). */
  readonly dropped: Readonly<Record<string, bigint>>;
}

export interface MapFill {
  readonly name: string;
  readonly entries: number;
  readonly max: number;
}

export interface DatapathOptions {
  /** This host's VXLAN source address; its interface and MTU are taken from it. */
  readonly vtepIp: Ipv4 | Ipv6;
  /** UDP port; default 8472 (4789 belongs to Docker's overlay). */
  readonly vxlanPort: number;
  /** Interfaces that carry VLANs, the preferred one first; one of them at a time. */
  readonly uplinks?: readonly string[];
  /** Distinguishes several data paths of one kernel (hosts of the lab); pins live under `/sys/fs/bpf/contiv/INSTANCE`. */
  readonly instance: string;
}

/** How a frame of a trial arrives. */
export type Arrival =
  | { readonly by: 'container' /** Host-side interface. */; readonly port: string }
  | { readonly by: 'tunnel'; readonly vni: number; readonly vtep: Ipv4 | Ipv6 }
  | { readonly by: 'uplink'; readonly vlan: number };

/** Where it would go. */
export type Fate =
  | { readonly to: 'nowhere' /** Of `DROP_REASONS`; absent when it was left aside without one. */; readonly reason?: string }
  | { readonly to: 'container'; readonly port: string }
  | { readonly to: 'tunnel'; readonly vni: number; readonly vtep: string }
  | { readonly to: 'uplink'; readonly vlan: number }
  /** Out of the tenant, through the host. */
  | { readonly to: 'outside' }
  /** Answered on the spot: ARP, a ping to the gateway, an ICMP error. */
  | { readonly to: 'sender' }
  /** The host's own end of an infra network. */
  | { readonly to: 'host' };

export interface TrialOutcome {
  readonly fate: Fate;
  /** Why it was dropped, also when the sender is told so by ICMP. */
  readonly reason: string | undefined;
  /** The frame afterwards. */
  readonly frame: Buffer;
  /** How the connection was decided: number of the rule, 0 for the default; `undefined` when none was begun. */
  readonly decided: { readonly rule: number; readonly denied: boolean } | undefined;
}

/** Frames of one trial share connections: an answer finds what the first packet began. */
export interface Trial {
  run(arrival: Arrival, frame: Uint8Array): TrialOutcome;
  close(): void;
}

/** What a connection between two addresses depends on. */
export interface Concern {
  readonly networks: readonly Vni[];
  readonly addresses: readonly (Ipv4 | Ipv6)[];
  /** Numbers of groups. */
  readonly groups: readonly number[];
  readonly vteps: readonly (Ipv4 | Ipv6)[];
}

/** A query a container sent to the DNS service address. */
export const DNS_SERVICE_IP = '169.254.20.10';

export interface Datapath {
  /** Underlay MTU less encapsulation: what containers get. */
  readonly containerMtu: number;
  /** MTU of VLAN networks: that of the narrowest uplink. `undefined` without any. */
  readonly vlanMtu: number | undefined;
  uplinks(): readonly UplinkStatus[];
  /** Frames and bytes of all VLANs over the uplinks. */
  uplinkCounters(): PortCounters;
  stations(): readonly Station[];
  /** Makes the kernel agree with `desired`; everything that is not in it goes, unless told to add only. Serialised: one call at a time. */
  apply(desired: DesiredDatapath, mode?: ApplyMode, surroundings?: Surroundings): Promise<ApplyReport>;
  /**
   * Fast path for `docker run`: the interface pair, the port and its addresses now, without a full `apply`.
   * The container side is called `peerName` and waits in the host's namespace for Docker to move it.
   */
  addPort(port: DatapathPort, peerName: string): Promise<void>;
  /**
   * Removes the interface pair and its entries; unknown names are no error. The entries are gone when the call returns, the interface
   * when its promise resolves: the kernel takes some 10 ms.
   */
  removePort(name: string): Promise<void>;
  /** Adds or replaces one address without a full `apply` (a remote endpoint that just appeared). */
  upsertEndpoint(endpoint: DatapathEndpoint): void;
  removeEndpoint(vni: Vni, ip: Ipv4, ip6?: Ipv6): void;
  /** Adopted host-side interfaces that are ours, by name. */
  listPorts(): Promise<readonly string[]>;
  /** Ports of this host that lead to containers, as its packet filter has them: an agent that has lost its records finds them here. */
  listPublished(): Promise<readonly PublishedPort[]>;
  counters(): ReadonlyMap<string, PortCounters>;
  drops(): Readonly<Record<string, bigint>>;
  fill(): readonly MapFill[];
  /** What happens to connections, and which ones there are. */
  readonly flows: FlowSource;
  /** Rules of ours in this host's packet filter, as its own tools print them. */
  rules(): Promise<readonly string[]>;
  /**
   * Port name behind a source address seen by the DNS service socket (the data path rewrites a container's address to one
   * that is unique on this host), or `undefined` for a packet that came from elsewhere.
   */
  portOfDnsClient(address: string): string | undefined;
  /** Runs the programs on synthetic frames with the tables at work; nothing is sent, counted or remembered. For the caller to close. */
  trial(): Trial;
  /** What the kernel holds otherwise than `desired` says, of what concerns a connection; one sentence each. Changes nothing. */
  audit(desired: DesiredDatapath, concern: Concern): Promise<readonly string[]>;
  /** Stops using the kernel objects and leaves them in place: traffic goes on. */
  close(): void;
  /** Removes every kernel object of this instance. */
  teardown(): Promise<void>;
}
