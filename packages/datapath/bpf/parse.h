/* Stage 1: what kind of packet is it, from whom, to whom? Reads headers only and never makes a large packet linear. */
#pragma once
#include "maps.h"

#define ETH_LEN 14
#define FRAGMENT_FIRST 1
#define FRAGMENT_LATER 2
#define ICMP_ERROR 4
#define GROUP_ADDRESSED 8
#define TCP_SYN_ONLY 16
#define TCP_FIN_SEEN 32
#define TCP_RST_SEEN 64
#define FROM_IN_HOST 128
#define FROM_UPLINK 256
#define ROUTED 512
#define FROM_OUTSIDE 1024
#define FROM_LIMITED 2048

/* What later stages need to know, gathered once. */
struct packet {
	__u32 vni;
	/* Whose addresses these are: the tenant's where its networks are routed, otherwise the network's. */
	__u32 domain;
	/* Group of the sender. */
	__u32 group;
	/* Index of the local port it came from; 0 from elsewhere. */
	__u32 port;
	/* ETH_P_…, host order. */
	__u32 ethertype;
	__u32 flags;
	__u32 l4_offset;
	__u32 fragment_id;
	__u8 protocol;
	__u8 icmp_type;
	/* TTL of IPv4. */
	__u8 hops;
	/* What the sender's profile marks its packets with; 0: nothing. */
	__u8 dscp;
	__be16 sport;
	__be16 dport;
	struct address src;
	struct address dst;
	__u8 src_mac[6];
	__u8 dst_mac[6];
};

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	return *(__u16 *)a == *(__u16 *)b && *(__u16 *)(a + 2) == *(__u16 *)(b + 2) && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

static __always_inline void copy_mac(__u8 *to, const __u8 *from)
{
	*(__u16 *)to = *(__u16 *)from;
	*(__u16 *)(to + 2) = *(__u16 *)(from + 2);
	*(__u16 *)(to + 4) = *(__u16 *)(from + 4);
}

/* The gateway of every network on every host: 00:00:11:11:11:11. */
static __always_inline bool is_router_mac(const __u8 *mac)
{
	return *(__u16 *)mac == 0 && *(__u16 *)(mac + 2) == 0x1111 && *(__u16 *)(mac + 4) == 0x1111;
}

static __always_inline void set_router_mac(__u8 *mac)
{
	*(__u16 *)mac = 0;
	*(__u16 *)(mac + 2) = 0x1111;
	*(__u16 *)(mac + 4) = 0x1111;
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

static __always_inline void map_v4(struct address *to, __be32 ip)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = V4_MARK;
	to->word[3] = ip;
}

/* Makes the first `length` bytes directly readable; most packets come that way. */
static __always_inline bool readable(struct __sk_buff *skb, __u32 length)
{
	if ((void *)(long)skb->data + length <= (void *)(long)skb->data_end)
		return true;
	if (skb->len < length || bpf_skb_pull_data(skb, length))
		return false;
	return (void *)(long)skb->data + length <= (void *)(long)skb->data_end;
}

static __always_inline bool is_icmp_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return type < 128;
}

/* The type is 0 for what is no ICMP; 8 and 128 mean an error in the other family's, or nothing. */
static __always_inline bool is_echo_request(const struct packet *p)
{
	return p->icmp_type == 8 || p->icmp_type == 128;
}

/* Ports, or what stands for them. `l4` is 8 readable bytes; TCP's flags are read by the caller. */
static __always_inline void parse_ports(struct packet *p, const __u8 *l4)
{
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		p->sport = *(__be16 *)l4;
		p->dport = *(__be16 *)(l4 + 2);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p->icmp_type = l4[0];
		if (is_icmp_error(p->protocol, p->icmp_type)) {
			p->flags |= ICMP_ERROR;
		} else if (p->icmp_type == 0 || p->icmp_type == 8 || p->icmp_type == 128 || p->icmp_type == 129) {
			/* Echo: request and reply bear the same identifier. */
			p->sport = *(__be16 *)(l4 + 4);
			p->dport = p->sport;
		}
		break;
	}
}

static __always_inline bool parse_l4(struct __sk_buff *skb, struct packet *p)
{
	__u8 head[14] __attribute__((aligned(8)));

	if (p->flags & FRAGMENT_LATER)
		return true;
	if (p->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, p->l4_offset, head, 14))
			return false;
		__u8 bits = head[13];
		if ((bits & 0x12) == 0x02)
			p->flags |= TCP_SYN_ONLY;
		if (bits & 0x01)
			p->flags |= TCP_FIN_SEEN;
		if (bits & 0x04)
			p->flags |= TCP_RST_SEEN;
	} else if (p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6 ||
		   p->protocol == IPPROTO_SCTP || p->protocol == IPPROTO_UDPLITE) {
		if (bpf_skb_load_bytes(skb, p->l4_offset, head, 8))
			return false;
	} else {
		return true;
	}
	parse_ports(p, head);
	return true;
}

static __always_inline bool parse_v4(struct __sk_buff *skb, struct packet *p)
{
	if (!readable(skb, ETH_LEN + sizeof(struct iphdr)))
		return false;
	struct iphdr *ip = (void *)(long)skb->data + ETH_LEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end || ip->version != 4 || ip->ihl < 5)
		return false;
	map_v4(&p->src, ip->saddr);
	map_v4(&p->dst, ip->daddr);
	p->protocol = ip->protocol;
	p->hops = ip->ttl;
	p->l4_offset = ETH_LEN + ip->ihl * 4;
	__u16 fragment = bpf_ntohs(ip->frag_off);
	if (fragment & 0x3fff) {
		p->flags |= fragment & 0x1fff ? FRAGMENT_LATER : FRAGMENT_FIRST;
		p->fragment_id = ip->id;
	}
	return parse_l4(skb, p);
}

/* Extension headers up to the transport header; more than six is nobody's honest packet. */
static __always_inline bool skip_extensions(struct __sk_buff *skb, struct packet *p, __u8 next)
{
#pragma unroll
	for (int i = 0; i < 6; i++) {
		__u8 head[8] __attribute__((aligned(8)));
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60) {
			p->protocol = next;
			return true;
		}
		if (bpf_skb_load_bytes(skb, p->l4_offset, head, 8))
			return false;
		if (next == 44) {
			__u16 offset = ((__u16)head[2] << 8 | head[3]) & 0xfff8;
			p->flags |= offset ? FRAGMENT_LATER : FRAGMENT_FIRST;
			p->fragment_id = *(__u32 *)(head + 4);
			p->l4_offset += 8;
			if (offset) {
				p->protocol = head[0];
				return true;
			}
		} else {
			p->l4_offset += next == 51 ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
		}
		next = head[0];
	}
	return false;
}

static __always_inline bool parse_v6(struct __sk_buff *skb, struct packet *p)
{
	if (!readable(skb, ETH_LEN + sizeof(struct ipv6hdr)))
		return false;
	struct ipv6hdr *ip = (void *)(long)skb->data + ETH_LEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end || ip->version != 6)
		return false;
	__builtin_memcpy(&p->src, &ip->saddr, 16);
	__builtin_memcpy(&p->dst, &ip->daddr, 16);
	p->hops = ip->hop_limit;
	p->l4_offset = ETH_LEN + sizeof(struct ipv6hdr);
	if (!skip_extensions(skb, p, ip->nexthdr))
		return false;
	return parse_l4(skb, p);
}

/* False: not a packet we can make sense of. Ethertypes other than IP are left to the caller. */
static __always_inline bool parse(struct __sk_buff *skb, struct packet *p)
{
	if (!readable(skb, ETH_LEN))
		return false;
	struct ethhdr *eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return false;
	copy_mac(p->src_mac, eth->h_source);
	copy_mac(p->dst_mac, eth->h_dest);
	if (p->dst_mac[0] & 1)
		p->flags |= GROUP_ADDRESSED;
	/* A tag that the sender's driver took off the frame is as foreign as one that is still on it. */
	p->ethertype = skb->vlan_present ? ETH_P_8021Q : bpf_ntohs(eth->h_proto);
	if (p->ethertype == ETH_P_IP)
		return parse_v4(skb, p);
	if (p->ethertype == ETH_P_IPV6)
		return parse_v6(skb, p);
	return true;
}

/* How much the packet, or each of the packets a large segment will become, takes of a link. */
static __always_inline __u32 length_on_link(struct __sk_buff *skb, const struct packet *p)
{
	__u32 segment = skb->gso_size;
	__u8 words;

	if (!segment)
		return skb->len - ETH_LEN;
	if (p->protocol != IPPROTO_TCP)
		return p->l4_offset - ETH_LEN + 8 + segment;
	if (bpf_skb_load_bytes(skb, p->l4_offset + 12, &words, 1))
		return 0;
	return p->l4_offset - ETH_LEN + (words >> 4) * 4 + segment;
}
