/* Stage 5: the gateway. It is the same on every host, so that nothing goes by a detour: a packet for its MAC is taken to whichever network
 * of the tenant has the address, one hop further. What cannot go on is told to the sender, as any router does (RFC 1812, RFC 4443). */
#pragma once
#include "dns.h"
#include "neighbour.h"

#define ICMP4_ECHO 8
#define ICMP6_ECHO 128
#define HOST_UNREACHABLE 0
#define PORT_UNREACHABLE 1
#define HOPS_EXCEEDED 2
#define PACKET_TOO_BIG 3
/* Type and code by what happened, for IPv4 and for IPv6. */
static __always_inline __be16 error_kind(bool v6, __u32 what)
{
	switch (what) {
	case HOST_UNREACHABLE:
		return bpf_htons(v6 ? 0x0103 : 0x0301);
	case PORT_UNREACHABLE:
		return bpf_htons(v6 ? 0x0104 : 0x0303);
	case HOPS_EXCEEDED:
		return bpf_htons(v6 ? 0x0300 : 0x0b00);
	}
	return bpf_htons(v6 ? 0x0200 : 0x0304);
}

static __always_inline __u16 fold(__s64 sum)
{
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* How much of the packet is told back: what finds its sender's socket, and a little of its payload, which some tools look for. */
#define QUOTED 72
#define QUOTED_MASK 127

static __always_inline __u32 quote(struct __sk_buff *skb, __u8 *quoted)
{
	__u64 length = skb->len;

	/* No packet comes so far without a header. */
	if (length < ETH_LEN + sizeof(struct iphdr))
		return 0;
	length -= ETH_LEN;
	if (length > QUOTED)
		length = QUOTED;
	/* The verifier wants to see the bounds of this very value, however the compiler came by it; verifiers of 5.15 believe a mask only. */
	asm volatile("" : "+r"(length));
	length &= QUOTED_MASK;
	if (length < sizeof(struct iphdr) || length > QUOTED || bpf_skb_load_bytes(skb, ETH_LEN, quoted, length))
		return 0;
	return length;
}

struct error4 {
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__be16 ethertype;
	struct iphdr ip;
	__be16 kind;
	__be16 checksum;
	__be32 info;
	__u8 quoted[QUOTED];
} __attribute__((packed));

__noinline int send_error4(struct __sk_buff *skb, const struct packet *p, __u32 what, __u32 mtu)
{
	struct error4 frame = {};
	__u32 vni = p ? p->vni : 0;
	struct network *net = bpf_map_lookup_elem(&networks, &vni);

	if (!p || !net || !net->gateway)
		return TC_ACT_SHOT;
	__u32 quoted = quote(skb, frame.quoted);
	if (!quoted)
		return TC_ACT_SHOT;
	__u32 length = sizeof(frame) - QUOTED + quoted;
	copy_mac(frame.dst_mac, p->src_mac);
	copy_mac(frame.src_mac, p->dst_mac);
	frame.ethertype = bpf_htons(ETH_P_IP);
	frame.ip.version = 4;
	frame.ip.ihl = 5;
	frame.ip.tot_len = bpf_htons(length - ETH_LEN);
	frame.ip.ttl = 64;
	frame.ip.protocol = IPPROTO_ICMP;
	frame.ip.saddr = net->gateway;
	frame.ip.daddr = p->src.word[3];
	frame.kind = error_kind(false, what);
	frame.info = bpf_htonl(mtu);
	frame.ip.check = fold(bpf_csum_diff(NULL, 0, (void *)&frame.ip, sizeof(frame.ip), 0));
	frame.checksum = fold(bpf_csum_diff(NULL, 0, (void *)&frame.kind, 8 + QUOTED, 0));
	if (bpf_skb_change_tail(skb, length, 0) || bpf_skb_store_bytes(skb, 0, &frame, length, 0))
		return TC_ACT_SHOT;
	return back(skb, p);
}

struct error6 {
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__be16 ethertype;
	__be32 version;
	__be16 length;
	__u8 next;
	__u8 hops;
	struct address src;
	struct address dst;
	__be16 kind;
	__be16 checksum;
	__be32 info;
	__u8 quoted[QUOTED];
} __attribute__((packed));

__noinline int send_error6(struct __sk_buff *skb, const struct packet *p, __u32 what, __u32 mtu)
{
	struct error6 frame = {};
	__u32 vni = p ? p->vni : 0;
	struct network *net = bpf_map_lookup_elem(&networks, &vni);

	if (!p || !net || !(net->gateway6.word[0] | net->gateway6.word[3]))
		return TC_ACT_SHOT;
	__u32 quoted = quote(skb, frame.quoted);
	if (!quoted)
		return TC_ACT_SHOT;
	__u32 length = sizeof(frame) - QUOTED + quoted;
	copy_mac(frame.dst_mac, p->src_mac);
	copy_mac(frame.src_mac, p->dst_mac);
	frame.ethertype = bpf_htons(ETH_P_IPV6);
	frame.version = bpf_htonl(6u << 28);
	frame.length = bpf_htons(8 + quoted);
	frame.next = IPPROTO_ICMPV6;
	frame.hops = 64;
	frame.src = net->gateway6;
	frame.dst = p->src;
	frame.kind = error_kind(true, what);
	frame.info = bpf_htonl(mtu);
	__s64 sum = bpf_csum_diff(NULL, 0, (void *)&frame.src, 32, bpf_htonl(8 + quoted));
	sum = bpf_csum_diff(NULL, 0, (void *)&frame.kind, 8 + QUOTED, sum);
	frame.checksum = fold(sum + bpf_htons(IPPROTO_ICMPV6));
	if (bpf_skb_change_tail(skb, length, 0) || bpf_skb_store_bytes(skb, 0, &frame, length, 0))
		return TC_ACT_SHOT;
	return back(skb, p);
}

/* Counts the packet as dropped, and tells its sender unless that would be an answer to an error (RFC 1122 section 3.2.2). */
static __always_inline int refuse(struct __sk_buff *skb, const struct packet *p, __u32 reason, __u32 what, __u32 mtu)
{
	drop(p->port, reason);
	if (p->flags & (ICMP_ERROR | FRAGMENT_LATER))
		return TC_ACT_SHOT;
	return p->ethertype == ETH_P_IP ? send_error4(skb, p, what, mtu) : send_error6(skb, p, what, mtu);
}

/* For the gateway itself: it answers to ping. -1: nothing else is served there. */
__noinline int to_gateway(struct __sk_buff *skb, const struct packet *p)
{
	if (!p)
		return TC_ACT_SHOT;
	bool v4 = p->ethertype == ETH_P_IP;
	if (p->protocol != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return -1;
	if (p->icmp_type != (v4 ? ICMP4_ECHO : ICMP6_ECHO) || (p->flags & (ICMP_ERROR | FRAGMENT_FIRST | FRAGMENT_LATER)))
		return drop(p->port, DROP_TO_GATEWAY);
	__u8 eth[12];
	copy_mac(eth, p->src_mac);
	copy_mac(eth + 6, p->dst_mac);
	__be16 before = bpf_htons(v4 ? 0x0800 : 0x8000), after = bpf_htons(v4 ? 0 : 0x8100);
	int failed = bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), 0) || bpf_l4_csum_replace(skb, p->l4_offset + 2, before, after, 2) ||
		     bpf_skb_store_bytes(skb, p->l4_offset, &after, 2, 0);
	/* Both addresses change places, which no checksum notices. */
	if (v4) {
		__be32 ips[2] = { p->dst.word[3], p->src.word[3] };
		failed = failed || bpf_skb_store_bytes(skb, ETH_LEN + offsetof(struct iphdr, saddr), ips, sizeof(ips), 0);
	} else {
		struct address ips[2] = { p->dst, p->src };
		failed = failed || bpf_skb_store_bytes(skb, ETH_LEN + offsetof(struct ipv6hdr, saddr), ips, sizeof(ips), 0);
	}
	return failed ? drop(p->port, DROP_MALFORMED) : back(skb, p);
}

static __always_inline bool is_inside(__u32 domain, const struct address *ip)
{
	struct subnet_key key = { .length = SUBNET_KEY_BITS, .domain = domain, .ip = *ip };
	return bpf_map_lookup_elem(&subnets, &key);
}

#define PRIVATE_MASK bpf_htonl(0xffff0000)
/* The host's own address of the private subnet: x.y.255.254. */
#define PRIVATE_HOST bpf_htonl(0xfffe)

/* Addresses that lead to this host itself or to nobody: loopback, the DNS service's clients, private addresses of others, groups. */
static __always_inline bool leads_nowhere(__be32 ip)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	__u8 first = *(__u8 *)&ip;

	if (!cfg || !cfg->private_net || first == 0 || first == 127 || first >= 224 || (ip & DNS_CLIENTS_MASK) == DNS_CLIENTS)
		return true;
	return (ip & PRIVATE_MASK) == cfg->private_net && ip != (cfg->private_net | PRIVATE_HOST);
}

/* The private subnet of IPv6: a unique local /64 (RFC 4193) that bears the two octets of IPv4's, fd63:6f6e:7469:ac13::/64 for 172.19.0.0/16. */
#define PRIVATE6_HIGH bpf_htonl(0xfd636f6e)
#define PRIVATE6_LOW 0x74690000

static __always_inline void private6(struct address *to, const struct config *cfg, __u32 index)
{
	to->word[0] = PRIVATE6_HIGH;
	to->word[1] = bpf_htonl(PRIVATE6_LOW | (bpf_ntohl(cfg->private_net) >> 16));
	to->word[2] = 0;
	to->word[3] = bpf_htonl(index);
}

/* The same of IPv6: loopback and what else begins with zeros but for NAT64's prefix (RFC 6052), link-local, private addresses of others, groups. */
static __always_inline bool leads_nowhere6(const struct address *ip)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct address own;

	if (!cfg || !cfg->private_net || !cfg->outside6 || ip->word[0] == 0 || *(__u8 *)ip == 0xff ||
	    (ip->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000))
		return true;
	private6(&own, cfg, bpf_ntohl(PRIVATE_HOST));
	return ip->word[0] == own.word[0] && ip->word[1] == own.word[1] && !same_address(ip, &own);
}

static __always_inline bool leads_outside(const struct packet *p)
{
	if (is_inside(p->domain, &p->dst))
		return false;
	return p->ethertype == ETH_P_IP ? !leads_nowhere(p->dst.word[3]) : !leads_nowhere6(&p->dst);
}

/* From a container to the gateway's MAC. -1: it may go on, to `to` one hop further
 * and with the MACs of its own network, or without one to the world outside. */
static __noinline int route(struct __sk_buff *skb, struct packet *p, const struct endpoint *to)
{
	__u8 head[26] __attribute__((aligned(8)));

	if (!p)
		return TC_ACT_SHOT;
	if (p->ethertype != ETH_P_IP && p->ethertype != ETH_P_IPV6)
		return drop(p->port, DROP_NOT_IP);
	if (to && to->ifindex == AT_ROUTER) {
		int answered = to_gateway(skb, p);
		return answered >= 0 ? answered : refuse(skb, p, DROP_TO_GATEWAY, PORT_UNREACHABLE, 0);
	}
	if (p->hops <= 1)
		return refuse(skb, p, DROP_HOP_LIMIT, HOPS_EXCEEDED, 0);
	if (!to && leads_outside(p)) {
		p->flags |= ROUTED;
		return -1;
	}
	if (!to)
		return refuse(skb, p, DROP_UNREACHABLE, HOST_UNREACHABLE, 0);
	if (to->ifindex == 0 && to->port && length_on_link(skb, p) > to->port)
		return refuse(skb, p, DROP_TOO_BIG, PACKET_TOO_BIG, to->port);
	/* MACs, and of IPv4 everything up to the checksum. */
	if (bpf_skb_load_bytes(skb, 0, head, sizeof(head)))
		return drop(p->port, DROP_MALFORMED);
	copy_mac(head, to->mac);
	copy_mac(head + 6, p->dst_mac);
	if (p->ethertype == ETH_P_IP) {
		head[22]--;
		/* One less in the high byte of a word is one more in that of the sum (RFC 1624). */
		__u32 sum = *(__u16 *)(head + 24) + bpf_htons(0x0100);
		*(__u16 *)(head + 24) = sum + (sum >= 0xffff);
	} else {
		head[21]--;
	}
	if (bpf_skb_store_bytes(skb, 0, head, sizeof(head), 0))
		return drop(p->port, DROP_MALFORMED);
	copy_mac(p->dst_mac, to->mac);
	p->vni = to->vni;
	p->flags |= ROUTED;
	return -1;
}
