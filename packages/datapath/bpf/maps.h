/* Tables of the data path. packages/datapath/src/maps/layout.ts describes the same bytes, and a test runs the one on the other.
 *
 * A change of any layout or meaning below needs a new CONTIV_SCHEMA: the loader then fills new tables before it switches over. */
#pragma once

#ifndef CONTIV_SCHEMA
#define CONTIV_SCHEMA 7
#endif

#define MAX_PORTS 8192
/* In routing mode every address stands in the table twice: by network and by tenant. */
#define MAX_ENDPOINTS 262144
#define MAX_NETWORKS 16384
#define MAX_PEERS 4096
#define MAX_FLOOD 65536
#define MAX_STATIONS 8192
#define MAX_UPLINKS 16
/* Copies of one broadcast: so many local ports, and as many other hosts. */
#define MAX_COPIES 512

/* Never used by a program: its size tells a later loader what the other tables mean. The first entry is the agent's: the index that a port was
 * given last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONTIV_SCHEMA);
	__type(key, __u32);
	__type(value, __u32);
} schema SEC(".maps");

/* An IPv4 address stands in the last word, the way RFC 4291 section 2.5.5.2 maps it. Network order. */
struct address {
	__be32 word[4];
};
#define V4_MARK bpf_htonl(0xffff)

/* Every network has a number of its own, called VNI throughout: that of VXLAN, or a VLAN's id with a bit above all VNIs. So networks of both
 * kinds stand side by side in every table. */
#define SEGMENT_VLAN 0x01000000
#define VLAN_ID 0xfff

static __always_inline int is_vlan(__u32 vni)
{
	return vni & SEGMENT_VLAN;
}

/* What is true of the whole host. */
struct config {
	/* Grows with every change of a rule or group: verdicts of an older epoch are decided again. */
	__u32 epoch;
	__u32 vxlan_ifindex;
	__u32 dns_ifindex;
	__u8 dns_mac[6];
	/* 1: the underlay is IPv6. */
	__u8 underlay6;
	/* 1: the kernel lets us choose the outer source address (6.1). */
	__u8 sets_local;
	/* The VTEP's own address; IPv4 in host order in the last word, as helpers want it. */
	__u32 local[4];
	/* 1: policies are enforced, and whoever has no subject is cut off. */
	__u8 policies;
	/* 1: the way out is there for IPv6 as well. */
	__u8 outside6;
	__u8 pad[2];
	/* The uplink that carries VLANs at present, 0 for none. */
	__u32 uplink;
	__u8 uplink_mac[6];
	/* UDP port of the tunnel, for the short way; 0: packets take the tunnel device. */
	__be16 short_port;
	/* The way out of the tenants, and the private /16 of which every port has an address there; 0: there is none. */
	__u32 outside_ifindex;
	__be32 private_net;
	/* Where packets of containers with a bandwidth wait for their turn, 0 when nobody has one. */
	__u32 shaper_ifindex;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

/* Host-side interface of a container, by ifindex: the one set of addresses it may use. */
#define PORT_HAS_IP6 1
/* The other end is in the host's own namespace. */
#define PORT_IN_HOST 2
/* Its group has a bandwidth. */
#define PORT_LIMITED 4
struct port {
	__u32 vni;
	__u32 group;
	__be32 ip;
	/* Taken over from the tables of another schema: it stays where it is, and so does the flag PORT_IN_HOST. */
	__u16 index;
	__u8 mac[6];
	__u8 flags;
	/* What its packets are marked with (RFC 2474); 0: they stay as they are. */
	__u8 dscp;
	__u8 pad[2];
	/* Where addresses beyond the network are looked up; the VNI itself when nothing is routed. */
	__u32 domain;
	struct address ip6;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct port);
} ports SEC(".maps");

/* Where an address lives: behind a local interface, or behind another host's VTEP. It is found by its network's VNI, and where a tenant's
 * networks are routed also by the tenant's domain, a number of this host alone with the highest bit set. */
#define AT_ROUTER 0xffffffff
/* Set in an index: the other end is in the host's own namespace. */
#define IN_HOST 0x80000000
/* The local port's group has a bandwidth. */
#define TO_LIMITED 0x40000000
struct endpoint_key {
	__u32 vni;
	struct address ip;
};
struct endpoint {
	/* 0: on another host; AT_ROUTER: the gateway, which is on every host. */
	__u32 ifindex;
	__u32 group;
	/* IPv4 in host order in the last word, IPv6 in network order. */
	__u32 vtep[4];
	__u8 mac[6];
	/* Index of the local port; of an address on another host the MTU of the way there, 0 when it is no narrower than ours. */
	__u16 port;
	/* Whichever the key has, both. */
	__u32 vni;
	__u32 domain;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENDPOINTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct endpoint_key);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

struct network {
	/* 1: broadcast and multicast are copied to every member. */
	__u32 flood;
	__u32 locals;
	__u32 remotes;
	__u32 domain;
	/* 0: it has none that we answer for. */
	__be32 gateway;
	struct address gateway6;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_NETWORKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct network);
} networks SEC(".maps");

/* Subnets of a routed tenant: an address inside that nobody has is unreachable, one outside may be the world's. */
struct subnet_key {
	__u32 length;
	__u32 domain;
	struct address ip;
};
#define SUBNET_KEY_BITS (32 + 128)
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * MAX_NETWORKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct subnet_key);
	__type(value, __u32);
} subnets SEC(".maps");

/* Members of a flooded network, numbered from 0, local ports and other hosts each. */
struct member_key {
	__u32 vni;
	__u32 remote;
	__u32 number;
};
struct member {
	__u32 ifindex;
	__u32 vtep[4];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FLOOD);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct member_key);
	__type(value, struct member);
} members SEC(".maps");

/* VTEPs frames are accepted from, as the tunnel key gives them. */
struct vtep {
	__u32 word[4];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PEERS);
	__type(key, struct vtep);
	__type(value, __u32);
} peers SEC(".maps");

/* The short way to and from another IPv4 VTEP, past the host's own stack: found with the first packet, and again every second or so. */
struct way {
	__u32 epoch;
	/* Units of 2^30 ns since boot. */
	__u32 found;
	/* Next hop, and the interface it is at; 0: none that is ready, packets take the tunnel device. */
	__u32 ifindex;
	__be32 hop;
	/* Largest packet, outer headers included. */
	__u32 mtu;
	/* When something came from there that only the tunnel device takes in, in units of 2^20 ns. */
	__u32 long_way;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_PEERS);
	__type(key, __u32);
	__type(value, struct way);
} ways SEC(".maps");

/* MACs of this host's containers in VLANs: a frame from outside that bears one is forged. */
struct mac_key {
	__u32 vni;
	__u8 mac[6];
	__u8 pad[2];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PORTS);
	__type(key, struct mac_key);
	__type(value, __u32);
} local_macs SEC(".maps");

/* Uplinks by ifindex, and how many stations each has brought of late. */
struct uplink {
	/* Units of 2^30 ns since boot. */
	__u32 window;
	__u32 learned;
	/* Stations that were one too many. */
	__u64 refused;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct uplink);
} uplinks SEC(".maps");

/* Who speaks on a VLAN and is not ours; the agent forgets the silent. */
struct station {
	__u32 seen;
	__u32 ifindex;
	/* 0: it never sent ARP. */
	__be32 ip;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_STATIONS);
	__type(key, struct mac_key);
	__type(value, struct station);
} stations SEC(".maps");

/* Who stands behind a source address of the DNS service's clients, or behind a private address outside, by port index. IPv6 stands in the port. */
struct dns_client {
	__u32 ifindex;
	__be32 ip;
	__u8 mac[6];
	__u8 pad[2];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct dns_client);
} dns_clients SEC(".maps");

/* Connections. One entry serves both directions: of the two ends the smaller one comes first. */
struct connection4 {
	__u32 domain;
	__be32 ip[2];
	__be16 port[2];
	__u8 protocol;
	__u8 pad[3];
};
struct connection6 {
	__u32 domain;
	struct address ip[2];
	__be16 port[2];
	__u8 protocol;
	__u8 pad[3];
};
#define CT_REPLIED 1
#define CT_FIN(side) (2 << (side))
#define CT_RESET 8
/* It began with a SYN: there is no doubt whose it is. */
#define CT_SYN 16
struct tracked {
	/* Units of 2^30 ns since boot. */
	__u32 seen;
	__u32 epoch;
	/* Number of the rule that decided, 0 for the default. */
	__u32 rule;
	__u8 denied;
	/* Which end sent the first packet. */
	__u8 opener;
	__u8 state;
	/* FLOW_*: what is told of it. */
	__u8 told;
	/* Units of 2^30 ns since boot. */
	__u32 started;
	__u32 pad;
	/* By the end that sent them. Added up without locks: of one direction on two CPUs at once, some may be missing. */
	__u64 packets[2];
	__u64 bytes[2];
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct connection4);
	__type(value, struct tracked);
} connections4 SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection6);
	__type(value, struct tracked);
} connections6 SEC(".maps");

/* Only the first fragment of a datagram has ports; the others find them here. */
struct fragment_key {
	__u32 domain;
	__u32 id;
	struct address src;
	struct address dst;
	__u32 protocol;
};
struct fragment {
	__be16 sport;
	__be16 dport;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

/* Which set of rules decides about the connections of a group's containers. 0 as set, without patterns: none does. */
#define WAY_IN 0
#define WAY_OUT 1
struct subject {
	__u32 set;
	/* What the set's rules name, by way: bit n is set when there are rules of pattern n. */
	__u32 patterns[2];
	/* By way: is a connection that no rule matches denied? */
	__u8 denies[2];
	__u8 pad[2];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct subject);
} subjects SEC(".maps");

/* A pattern says what a rule names; what it does not name is 0 in the key. The service is a protocol or a class of ports. */
#define BY_GROUP 1
#define BY_PEER 2
#define BY_OWN 4
#define BY_PROTOCOL 8
#define BY_PORT 16
#define PATTERNS 24
struct rule_key {
	__u32 set;
	__u8 way;
	__u8 pattern;
	__u8 pad[2];
	__u32 group;
	/* Classes of the peer's address and the container's own. */
	__u32 peer;
	__u32 own;
	__u32 service;
};
struct rule {
	__u32 number;
	__u16 rank;
	__u8 denied;
	/* 1: connections that it decides are always recorded. */
	__u8 logs;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct rule_key);
	__type(value, struct rule);
} rules SEC(".maps");

/* Classes of addresses and of ports, by the longest prefix. The scope, in network order, is 4 * set + 2 * way + (1 for own addresses). */
struct address_key {
	__u32 length;
	__be32 scope;
	struct address ip;
};
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address_key);
	__type(value, __u32);
} rule_addresses SEC(".maps");
struct port_key {
	__u32 length;
	__be32 scope;
	__u8 protocol;
	__u8 port[2];
	__u8 pad;
};
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct port_key);
	__type(value, __u32);
} rule_ports SEC(".maps");

struct counters {
	__u64 rx_packets;
	__u64 rx_bytes;
	__u64 tx_packets;
	__u64 tx_bytes;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Drops by port and reason, and in total by reason. */
struct drop_key {
	__u16 port;
	__u16 reason;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct drop_key);
	__type(value, __u64);
} port_drops SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/* What is told of connections to the agent: when they begin, when they end, which ones are denied. */
#define FLOW_TOLD 1
#define FLOW_LOGGED 2
/* The rules of the end that was called decided, not the caller's. */
#define FLOW_BY_CALLED 4
/* That the other end may not begin one either. */
#define FLOW_TOLD_BACK 8
enum flow_kind {
	FLOW_OPENED,
	FLOW_ENDED,
	FLOW_DENIED,
};
struct flow_event {
	__u8 kind;
	__u8 protocol;
	/* Of `ip`, 4 or 6. */
	__u8 family;
	__u8 pad;
	__u32 domain;
	/* As in the connection's key: which of them called, `state.opener` says. IPv4 in the last word, marked as in `struct address`. */
	struct address ip[2];
	__be16 port[2];
	__u32 pad2;
	struct tracked state;
};
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} flows SEC(".maps");

/* Records per window of 2^30 ns. Nothing is told while `on` is 0. */
struct flow_limits {
	__u32 on;
	/* Of the whole host: connections that began, that were denied, and those of rules that log. */
	__u32 opened;
	__u32 denied;
	__u32 logged;
	/* Denied ones of one container, or of one group when they come from elsewhere. */
	__u32 denied_each;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_limits);
} flow_limits SEC(".maps");

/* A bucket of one window. */
struct flow_bucket {
	__u32 window;
	__u32 taken;
};
/* 0 opened, 1 denied, 2 logged. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct flow_bucket);
} flow_buckets SEC(".maps");
/* By port, or by group with FLOW_OF_GROUP. */
#define FLOW_OF_GROUP (1ULL << 32)
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct flow_bucket);
} flow_sources SEC(".maps");

/* Records that were left out: 0 opened, 1 denied, 2 logged beyond the limits; 3 no room in the ring. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} flow_left_out SEC(".maps");
