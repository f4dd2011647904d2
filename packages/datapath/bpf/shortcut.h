/* The short way between two VTEPs over IPv4: the programs put on and take off the outer headers (RFC 7348 section 5) themselves, and packets
 * pass by the host's tunnel device, its firewall and its connection tracking. Only what is plain goes by it: IPv4 inside, to a next hop that
 * has answered, and in only what is no larger than one packet. The rest takes the tunnel device, which also keeps the neighbour alive. */
#pragma once
#include "parse.h"

#define AF_INET 2
#define LOOPBACK_IFINDEX 1
#define VXLAN_FLAGS bpf_htonl(0x08000000)
/* Packets of one connection must not overtake each other: after one that had to take the tunnel device the others follow it for so long,
 * in units of 2^20 ns. */
#define LONG_WAY_FOR 32

/* What stands between the outer Ethernet header and the inner IP header. */
struct outer_headers {
	struct iphdr ip;
	__be16 sport;
	__be16 dport;
	__be16 length;
	__be16 checksum;
	__be32 flags;
	__be32 vni;
	__u8 inner[ETH_LEN];
	__u8 pad[2];
};
#define OUTER_LEN offsetof(struct outer_headers, pad)
/* What is added to the length of a frame to get that of the outer IP packet. */
#define OVERHEAD offsetof(struct outer_headers, inner)

/* Ones' complement sum of an IPv4 header without options: 0 when its checksum is right. */
static __always_inline __u16 ip_checksum(const struct iphdr *ip)
{
	const __u16 *word = (const void *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return ~sum;
}

/* Looks for the way to `vtep` (network order) and keeps what it found, which may be that there is none at present. */
static __noinline int find_way(struct __sk_buff *skb, __be32 vtep)
{
	__u32 zero = 0, now = bpf_ktime_get_coarse_ns() >> 30;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!cfg)
		return 0;
	struct way fresh = { .epoch = cfg->epoch, .found = now };
	struct vtep peer = { .word[3] = bpf_ntohl(vtep) };
	if (!bpf_map_lookup_elem(&peers, &peer))
		return 0;
	struct way *old = bpf_map_lookup_elem(&ways, &vtep);
	if (old)
		fresh.long_way = old->long_way;
	/* As the host itself would send it. */
	struct bpf_fib_lookup route = {
		.family = AF_INET,
		.l4_protocol = IPPROTO_UDP,
		.dport = cfg->short_port,
		.tot_len = 1,
		.ifindex = LOOPBACK_IFINDEX,
		.ipv4_src = bpf_htonl(cfg->local[3]),
		.ipv4_dst = vtep,
	};
	if (!bpf_fib_lookup(skb, &route, sizeof(route), 0) && route.family == AF_INET) {
		fresh.ifindex = route.ifindex;
		fresh.hop = route.ipv4_dst;
		fresh.mtu = route.mtu_result;
	}
	bpf_map_update_elem(&ways, &vtep, &fresh, BPF_ANY);
	return 1;
}

static __always_inline struct way *way_to(struct __sk_buff *skb, const struct config *cfg, __be32 vtep, bool out)
{
	struct way *way = bpf_map_lookup_elem(&ways, &vtep);

	if (way && way->epoch == cfg->epoch && !(out && way->found != (__u32)(bpf_ktime_get_coarse_ns() >> 30)))
		return way;
	return find_way(skb, vtep) ? bpf_map_lookup_elem(&ways, &vtep) : NULL;
}

/* Spreads connections over the queues and links on the way; RFC 7348 wants a port of the dynamic range. Fragments of one packet go the same
 * way, those that waited for their turn as well, of which only the first has ports: none of them may overtake it. */
static __always_inline __be16 source_port(const struct packet *p)
{
	__u32 ports = p->flags & (FRAGMENT_FIRST | FRAGMENT_LATER) ? 0 : ((__u32)p->sport << 16) | p->dport;
	__u32 hash = p->src.word[3] * 0x9e3779b1 ^ p->dst.word[3] * 0x85ebca6b ^ ports * 0xc2b2ae35;

	hash ^= hash >> 15;
	return bpf_htons(0xc000 | (hash & 0x3fff));
}

/* -1: it has to take the tunnel device. */
static __noinline int wrap(struct __sk_buff *skb, const struct packet *p, const struct way *way, __be32 vtep)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct outer_headers outer = {};
	__u8 head[16] __attribute__((aligned(8)));

	if (!p || !cfg || !way || !way->ifindex)
		return -1;
	__u32 ifindex = way->ifindex, length = skb->len + OVERHEAD;
	struct bpf_redir_neigh hop = { .nh_family = AF_INET, .ipv4_nh = way->hop };
	if (length > 65535 || length_on_link(skb, p) + ETH_LEN + OVERHEAD > way->mtu || bpf_skb_load_bytes(skb, 0, head, sizeof(head)))
		return -1;
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
		      BPF_F_ADJ_ROOM_ENCAP_L2(ETH_LEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
	if (bpf_skb_adjust_room(skb, OUTER_LEN, BPF_ADJ_ROOM_MAC, flags))
		return -1;
	__builtin_memcpy(outer.inner, head, ETH_LEN);
	outer.ip.version = 4;
	outer.ip.ihl = 5;
	/* What it says of congestion goes along; that it has met some does not (RFC 6040 section 4.1). */
	outer.ip.tos = ((head[15] & 3) == 3 ? 2 : head[15] & 3) | p->dscp << 2;
	outer.ip.tot_len = bpf_htons(length);
	outer.ip.id = bpf_get_prandom_u32();
	outer.ip.ttl = 64;
	outer.ip.protocol = IPPROTO_UDP;
	outer.ip.saddr = bpf_htonl(cfg->local[3]);
	outer.ip.daddr = vtep;
	outer.ip.check = ip_checksum(&outer.ip);
	outer.sport = source_port(p);
	outer.dport = cfg->short_port;
	outer.length = bpf_htons(length - sizeof(struct iphdr));
	outer.flags = VXLAN_FLAGS;
	outer.vni = bpf_htonl(p->vni << 8);
	if (bpf_skb_store_bytes(skb, ETH_LEN, &outer.ip, OUTER_LEN, 0))
		return TC_ACT_SHOT;
	return bpf_redirect_neigh(ifindex, &hop, sizeof(hop), 0);
}

static __always_inline int by_shortcut(struct __sk_buff *skb, const struct config *cfg, const struct packet *p, const __u32 *vtep)
{
	if (!cfg->short_port || p->ethertype != ETH_P_IP)
		return -1;
	__be32 to = bpf_htonl(vtep[3]);
	struct way *way = way_to(skb, cfg, to, true);
	return way ? wrap(skb, p, way, to) : -1;
}

/*
 * Takes off the outer headers of a packet from a peer and answers its VNI; -1: it is none, or it has to take the tunnel device.
 * A function of its own, so that its stack is free again where rules are looked up.
 */
static __noinline int unwrap(struct __sk_buff *skb, const struct config *cfg)
{
	__u8 inner[ETH_LEN];

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->vlan_present || !readable(skb, ETH_LEN + OUTER_LEN))
		return -1;
	const struct outer_headers *o = (void *)(long)skb->data + ETH_LEN;
	if ((void *)o + OUTER_LEN > (void *)(long)skb->data_end)
		return -1;
	if (o->ip.protocol != IPPROTO_UDP || o->dport != cfg->short_port || *(__u8 *)&o->ip != 0x45 ||
	    o->ip.daddr != bpf_htonl(cfg->local[3]) || (o->ip.frag_off & bpf_htons(0x3fff)) || skb->pkt_type != PACKET_HOST)
		return -1;
	if (o->flags != VXLAN_FLAGS || *(__be16 *)(o->inner + 12) != bpf_htons(ETH_P_IP))
		return -1;
	__be32 from = o->ip.saddr;
	__u32 vni = bpf_ntohl(o->vni) >> 8, now = bpf_ktime_get_coarse_ns() >> 20;
	bool plain = !skb->gso_size && o->checksum == 0 && (o->ip.tos & 3) != 3 && skb->len == ETH_LEN + bpf_ntohs(o->ip.tot_len) &&
		     o->length == bpf_htons(bpf_ntohs(o->ip.tot_len) - sizeof(struct iphdr)) && ip_checksum(&o->ip) == 0;
	__builtin_memcpy(inner, o->inner, ETH_LEN);
	struct way *way = way_to(skb, cfg, from, false);
	if (!way)
		return -1;
	if (!plain) {
		if (way->long_way != now)
			way->long_way = now;
		return -1;
	}
	if (now - way->long_way < LONG_WAY_FOR)
		return -1;
	if (bpf_skb_adjust_room(skb, -(__s32)OUTER_LEN, BPF_ADJ_ROOM_MAC, 0))
		return -1;
	/* Nobody else may have it now. */
	return bpf_skb_store_bytes(skb, 0, inner, ETH_LEN, 0) ? -1 : (int)vni;
}
