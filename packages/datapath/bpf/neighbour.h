/* Stage 3: who has this address? Answered here for every known address, so that questions never leave the host (proxy mode). In
 * networks that flood, the question itself travels. */
#pragma once
#include "flood.h"
#include "source.h"

#define DNS_IP bpf_htonl(0xa9fe140a) /* 169.254.20.10 */

static __always_inline struct endpoint *find_endpoint(__u32 vni, const struct address *ip)
{
	struct endpoint_key key = { .vni = vni, .ip = *ip };
	return bpf_map_lookup_elem(&endpoints, &key);
}

static __always_inline bool is_flooded(__u32 vni)
{
	struct network *net = bpf_map_lookup_elem(&networks, &vni);
	return net && net->flood;
}

/* A container of this host, or the host itself; the gateway is on all of them, and nobody's here. */
static __always_inline bool is_local(const struct endpoint *known)
{
	return known && known->ifindex != 0 && known->ifindex != AT_ROUTER;
}

/* Turns the request around and gives it back to the asker. */
static __always_inline int answer_arp(struct __sk_buff *skb, const struct packet *p, struct arp_frame *arp, const __u8 *mac)
{
	__u8 eth[12];
	__u8 target[4];

	copy_mac(eth, arp->sender_mac);
	copy_mac(eth + 6, mac);
	__builtin_memcpy(target, arp->target_ip, 4);
	arp->operation = bpf_htons(2);
	copy_mac(arp->target_mac, arp->sender_mac);
	__builtin_memcpy(arp->target_ip, arp->sender_ip, 4);
	copy_mac(arp->sender_mac, mac);
	__builtin_memcpy(arp->sender_ip, target, 4);
	if (bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), 0) || bpf_skb_store_bytes(skb, ETH_LEN, arp, sizeof(*arp), 0))
		return TC_ACT_SHOT;
	return reflect(skb, p);
}

/* Who has the address: somebody in the network, the gateway, or somebody in another network of the tenant, for whom the gateway stands. */
static __always_inline struct endpoint *find_neighbour(const struct packet *p, const struct address *ip, __u8 *mac, bool *gateway)
{
	struct endpoint *known = find_endpoint(p->vni, ip);

	*gateway = known && known->ifindex == AT_ROUTER;
	if (!known && p->domain != p->vni) {
		known = find_endpoint(p->domain, ip);
		*gateway = true;
	}
	if (*gateway)
		set_router_mac(mac);
	else if (known)
		copy_mac(mac, known->mac);
	return known;
}

/* -1: to be flooded; the caller does, for stack space adds up from call to call. */
static __noinline int arp_of_container(struct __sk_buff *skb, const struct packet *p, const struct port *port, const struct config *cfg)
{
	struct arp_frame arp;
	struct address target;
	__be32 ip;

	if (!load_arp(skb, &arp))
		return drop(p->port, DROP_MALFORMED);
	__builtin_memcpy(&ip, arp.target_ip, 4);
	bool request = arp.operation == bpf_htons(1);
	if (request && ip == DNS_IP)
		return answer_arp(skb, p, &arp, cfg->dns_mac);
	map_v4(&target, ip);
	__u8 mac[6] = {};
	bool gateway = false;
	struct endpoint *known = find_neighbour(p, &target, mac, &gateway);
	if (is_flooded(p->vni) && !(request && known && gateway)) {
		if (p->flags & GROUP_ADDRESSED)
			return -1;
		if (!known && is_vlan(p->vni))
			return into_uplink(skb, cfg, p);
		if (!known || gateway || !same_mac(p->dst_mac, known->mac))
			return drop(p->port, DROP_NO_ROUTE);
		return deliver(skb, cfg, p, known);
	}
	/* On a VLAN others may know, or want to. */
	if (is_vlan(p->vni) && (!known || ip == port->ip))
		return into_uplink(skb, cfg, p);
	/* An announcement or a test for duplicates: there is nothing to tell. */
	if (ip == port->ip)
		return TC_ACT_STOLEN;
	if (!request)
		return drop(p->port, DROP_UNSOLICITED);
	if (!known)
		return drop(p->port, DROP_UNKNOWN_TARGET);
	return answer_arp(skb, p, &arp, mac);
}

static __noinline int arp_of_tunnel(struct __sk_buff *skb, const struct packet *p, const struct config *cfg)
{
	struct arp_frame arp;
	struct address target;
	__be32 ip;

	if (!is_flooded(p->vni))
		return drop(0, DROP_NOT_FLOODED);
	if (p->flags & GROUP_ADDRESSED)
		return flood(skb, p->vni, 0);
	if (!load_arp(skb, &arp))
		return drop(0, DROP_MALFORMED);
	__builtin_memcpy(&ip, arp.target_ip, 4);
	map_v4(&target, ip);
	struct endpoint *known = find_endpoint(p->vni, &target);
	if (!is_local(known) || !same_mac(p->dst_mac, known->mac))
		return drop(0, DROP_NOT_LOCAL);
	return deliver(skb, cfg, p, known);
}

struct nd_frame {
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__be16 ethertype;
	__be32 version;
	__be16 length;
	__u8 next;
	__u8 hops;
	struct address src;
	struct address dst;
	struct nd_message nd;
} __attribute__((packed));

/* Neighbour advertisement (RFC 4861 section 4.4): solicited and overriding, with the target's link-layer address. */
static __noinline int answer_nd(struct __sk_buff *skb, const struct packet *p, const struct address *target, const __u8 *mac)
{
	struct nd_frame frame = {};
	struct {
		struct address src, dst;
		__be32 length, next;
	} pseudo = {};

	if (!p || !target || !mac)
		return TC_ACT_SHOT;
	copy_mac(frame.dst_mac, p->src_mac);
	copy_mac(frame.src_mac, mac);
	frame.ethertype = bpf_htons(ETH_P_IPV6);
	frame.version = bpf_htonl(6u << 28);
	frame.length = bpf_htons(sizeof(struct nd_message));
	frame.next = IPPROTO_ICMPV6;
	frame.hops = 255;
	frame.src = *target;
	frame.dst = p->src;
	struct nd_message nd = {};
	nd.type = ND_NEIGHBOUR_ADVERT;
	nd.flags = bpf_htonl(0x60000000);
	nd.target = *target;
	nd.option_type = 2;
	nd.option_length = 1;
	copy_mac(nd.option_mac, mac);
	pseudo.src = *target;
	pseudo.dst = p->src;
	pseudo.length = bpf_htonl(sizeof(nd));
	pseudo.next = bpf_htonl(IPPROTO_ICMPV6);
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&nd, sizeof(nd), sum);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	nd.checksum = ~sum;
	frame.nd = nd;
	if (bpf_skb_change_tail(skb, sizeof(frame), 0) || bpf_skb_store_bytes(skb, 0, &frame, sizeof(frame), 0))
		return TC_ACT_SHOT;
	return reflect(skb, p);
}

/* What containers of a VLAN ask and tell goes to the physical network, but for what is known here. */
static __always_inline int nd_of_vlan(struct __sk_buff *skb, const struct packet *p, const struct port *port)
{
	struct address target;
	__u8 mac[6] = {};
	bool gateway = false;

	if (p->icmp_type == ND_NEIGHBOUR_SOLICIT) {
		if (bpf_skb_load_bytes(skb, p->l4_offset + 8, &target, 16))
			return drop(p->port, DROP_MALFORMED);
		if (!owns6(port, &target) && p->src.word[0] != 0 && find_neighbour(p, &target, mac, &gateway))
			return answer_nd(skb, p, &target, mac);
	}
	return p->flags & GROUP_ADDRESSED ? flood(skb, p->vni, p->port) : -1;
}

/* Called for neighbour and router solicitations and advertisements. -1: an ordinary packet for the stages that follow. */
static __noinline int nd_of_container(struct __sk_buff *skb, const struct packet *p, const struct port *port)
{
	struct address target;
	__u8 mac[6] = {};
	bool gateway = false;

	if (is_flooded(p->vni)) {
		/* Whether the gateway is still there, it is asked by its own address. */
		if (p->icmp_type != ND_NEIGHBOUR_SOLICIT || bpf_skb_load_bytes(skb, p->l4_offset + 8, &target, 16) ||
		    p->src.word[0] == 0 || !find_neighbour(p, &target, mac, &gateway) || !gateway)
			return p->flags & GROUP_ADDRESSED ? flood(skb, p->vni, p->port) : -1;
		return answer_nd(skb, p, &target, mac);
	}
	if (is_vlan(p->vni))
		return nd_of_vlan(skb, p, port);
	if (p->icmp_type == ND_NEIGHBOUR_ADVERT)
		return drop(p->port, DROP_UNSOLICITED);
	if (p->icmp_type != ND_NEIGHBOUR_SOLICIT)
		return drop(p->port, DROP_NOT_FLOODED);
	if (bpf_skb_load_bytes(skb, p->l4_offset + 8, &target, 16))
		return drop(p->port, DROP_MALFORMED);
	/* A test for duplicates, answered by nobody. */
	if (owns6(port, &target) || p->src.word[0] == 0)
		return TC_ACT_STOLEN;
	if (!find_neighbour(p, &target, mac, &gateway))
		return drop(p->port, DROP_UNKNOWN_TARGET);
	return answer_nd(skb, p, &target, mac);
}
