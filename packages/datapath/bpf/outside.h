/* Stage 9: out of the tenants, through the host. Containers of different tenants may have one address: outside, each has one of the private
 * subnet, which tells its port. The host's own NAT does the rest, and published ports come in by the same address. */
#pragma once
#include "conntrack.h"
#include "dns.h"
#include "route.h"

/* An ICMP error quotes the packet it is about as it is called on this side. The message's own checksum stays right, for the quoted header's sum does. */
static __always_inline int replace_quoted(struct __sk_buff *skb, const struct packet *p, __u32 field, __be32 from, __be32 to)
{
	__u32 quoted = p->l4_offset + 8;
	__be32 held;

	if (bpf_skb_load_bytes(skb, quoted + field, &held, 4) || held != from)
		return -1;
	int failed = bpf_l3_csum_replace(skb, quoted + offsetof(struct iphdr, check), from, to, 4);
	return failed ? failed : bpf_skb_store_bytes(skb, quoted + field, &to, 4, 0);
}

/* The transport's checksum is about the address, too. `flags`: BPF_F_PSEUDO_HDR where it is the packet's own, 0 where it is only data. */
static __always_inline int mend6(struct __sk_buff *skb, const struct packet *p, struct address *from, struct address *to, __u64 flags)
{
	__s64 diff = bpf_csum_diff(from->word, sizeof(*from), to->word, sizeof(*to), 0);

	/* Checksums of fragments stand in the first. */
	if (p->flags & FRAGMENT_LATER)
		return 0;
	if (p->protocol == IPPROTO_UDP)
		return bpf_l4_csum_replace(skb, p->l4_offset + 6, 0, diff, flags | BPF_F_MARK_MANGLED_0);
	if (p->protocol == IPPROTO_TCP)
		return bpf_l4_csum_replace(skb, p->l4_offset + 16, 0, diff, flags);
	if (p->protocol == IPPROTO_ICMPV6)
		return bpf_l4_csum_replace(skb, p->l4_offset + 2, 0, diff, flags);
	return 0;
}

#define SOURCE6 offsetof(struct ipv6hdr, saddr)
#define DESTINATION6 offsetof(struct ipv6hdr, daddr)

/* Replaces one address of an IPv6 packet. An ICMP error quotes a packet that went the other way: there, where no sum is but the message's own,
 * the address has the other place. */
static __noinline int replace_ip6(struct __sk_buff *skb, const struct packet *p, __u32 place, struct address *from, struct address *to)
{
	if (!p || !from || !to)
		return -1;
	if (p->flags & ICMP_ERROR) {
		struct address held;
		__u32 quoted = p->l4_offset + 8 + SOURCE6 + DESTINATION6 - place;
		if (bpf_skb_load_bytes(skb, quoted, &held, sizeof(held)) || !same_address(&held, from) || mend6(skb, p, from, to, 0) ||
		    bpf_skb_store_bytes(skb, quoted, to, sizeof(*to), 0))
			return -1;
	}
	if (mend6(skb, p, from, to, BPF_F_PSEUDO_HDR))
		return -1;
	return bpf_skb_store_bytes(skb, ETH_LEN + place, to, sizeof(*to), 0);
}

static __noinline int to_outside6(struct __sk_buff *skb, struct packet *p)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct address inside, outside;

	if (!p || !cfg)
		return TC_ACT_SHOT;
	__be32 device = cfg->private_net | PRIVATE_HOST;
	__u8 mac[6] = { 2, 2 };
	__builtin_memcpy(mac + 2, &device, 4);
	inside = p->src;
	private6(&outside, cfg, p->port);
	if (replace_ip6(skb, p, SOURCE6, &inside, &outside) ||
	    bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0))
		return drop(p->port, DROP_MALFORMED);
	return bpf_redirect(cfg->outside_ifindex, BPF_F_INGRESS);
}

static __noinline int to_outside(struct __sk_buff *skb, struct packet *p)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!p || !cfg)
		return TC_ACT_SHOT;
	if (p->ethertype == ETH_P_IPV6)
		return to_outside6(skb, p);
	__be32 inside = p->src.word[3], device = cfg->private_net | PRIVATE_HOST;
	/* The outer device takes what is addressed to its MAC, which follows from its address. */
	__u8 mac[6] = { 2, 2 };
	__builtin_memcpy(mac + 2, &device, 4);
	__be32 outside = cfg->private_net | bpf_htonl(p->port);
	if ((p->flags & ICMP_ERROR) && replace_quoted(skb, p, offsetof(struct iphdr, daddr), inside, outside))
		return drop(p->port, DROP_MALFORMED);
	if (replace_ip(skb, p, ETH_LEN + offsetof(struct iphdr, saddr), inside, outside) || bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0))
		return drop(p->port, DROP_MALFORMED);
	return bpf_redirect(cfg->outside_ifindex, BPF_F_INGRESS);
}

/* Number of the port that a private address tells; -1 for any other address. */
static __always_inline __s64 index_outside(const struct packet *p, const struct config *cfg)
{
	struct address own;
	__be32 low = p->dst.word[3];

	if (!cfg->private_net)
		return -1;
	if (p->ethertype == ETH_P_IP)
		return (low & PRIVATE_MASK) == cfg->private_net ? (__s64)bpf_ntohl(low & ~PRIVATE_MASK) : -1;
	if (p->ethertype != ETH_P_IPV6 || !cfg->outside6)
		return -1;
	private6(&own, cfg, bpf_ntohl(low));
	return same_address(&own, &p->dst) ? (__s64)bpf_ntohl(low) : -1;
}

static __always_inline int into_tenant(struct __sk_buff *skb, struct packet *p, const struct config *cfg)
{
	__be32 outside = p->dst.word[3];
	__s64 told = index_outside(p, cfg);

	if (told < 0)
		return drop(0, DROP_NOT_IP);
	__u32 index = told;
	struct dns_client *client = bpf_map_lookup_elem(&dns_clients, &index);
	if (!client || client->ifindex == 0)
		return drop(0, DROP_NO_ROUTE);
	__u32 ifindex = client->ifindex;
	__be32 inside = client->ip;
	struct port *port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return drop(0, DROP_UNKNOWN_PORT);
	__u8 eth[12];
	copy_mac(eth, client->mac);
	set_router_mac(eth + 6);
	p->vni = port->vni;
	p->domain = port->domain;
	p->flags |= FROM_OUTSIDE;
	if (p->ethertype == ETH_P_IPV6) {
		struct address from = p->dst;
		if (!(port->flags & PORT_HAS_IP6))
			return drop(index, DROP_NO_ROUTE);
		p->dst = port->ip6;
		if (replace_ip6(skb, p, DESTINATION6, &from, &p->dst))
			return drop(index, DROP_MALFORMED);
	} else {
		map_v4(&p->dst, inside);
		if ((p->flags & ICMP_ERROR) && replace_quoted(skb, p, offsetof(struct iphdr, saddr), outside, inside))
			return drop(index, DROP_MALFORMED);
		if (replace_ip(skb, p, ETH_LEN + offsetof(struct iphdr, daddr), outside, inside))
			return drop(index, DROP_MALFORMED);
	}
	if (bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), 0))
		return drop(index, DROP_MALFORMED);
	int reason = check_connection(skb, p, port->group, cfg->epoch);
	if (reason >= 0)
		return drop(index, reason);
	skb->mark = FROM_US;
	return bpf_redirect(ifindex, 0);
}
