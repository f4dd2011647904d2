/* Stage 4: the DNS service of the host at 169.254.20.10. The agent's socket must know which container asks, and containers of different
 * tenants may have the same address: the source becomes 169.254.128.0/19 plus the port's number, and back in the answer. */
#pragma once
#include "neighbour.h"

#define DNS_CLIENTS bpf_htonl(0xa9fe8000) /* 169.254.128.0/19, no more: clouds answer at 169.254.169.254 */
#define DNS_CLIENTS_MASK bpf_htonl(~(MAX_PORTS - 1))
#define DNS_PORT bpf_htons(53)

/* Replaces one address of an IPv4 packet and mends the checksums by the difference. */
static __always_inline int replace_ip(struct __sk_buff *skb, const struct packet *p, __u32 offset, __be32 from, __be32 to)
{
	/* Checksums of fragments stand in the first. */
	if (!(p->flags & FRAGMENT_LATER)) {
		int failed = 0;
		if (p->protocol == IPPROTO_UDP)
			failed = bpf_l4_csum_replace(skb, p->l4_offset + 6, from, to, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4);
		else if (p->protocol == IPPROTO_TCP)
			failed = bpf_l4_csum_replace(skb, p->l4_offset + 16, from, to, BPF_F_PSEUDO_HDR | 4);
		if (failed)
			return failed;
	}
	int failed = bpf_l3_csum_replace(skb, ETH_LEN + offsetof(struct iphdr, check), from, to, 4);
	return failed ? failed : bpf_skb_store_bytes(skb, offset, &to, 4, 0);
}

static __always_inline bool is_dns(const struct packet *p, __be16 port)
{
	return (p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_TCP) && port == DNS_PORT;
}

/* From a container up to the host. */
static __noinline int to_dns(struct __sk_buff *skb, const struct packet *p)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!p || !cfg)
		return TC_ACT_SHOT;
	if (!is_dns(p, p->dport) || p->flags & FRAGMENT_LATER)
		return drop(p->port, DROP_NOT_DNS);
	__be32 client = DNS_CLIENTS | bpf_htonl(p->port);
	if (replace_ip(skb, p, ETH_LEN + offsetof(struct iphdr, saddr), p->src.word[3], client) ||
	    bpf_skb_store_bytes(skb, 0, cfg->dns_mac, 6, 0))
		return drop(p->port, DROP_MALFORMED);
	return bpf_redirect(cfg->dns_ifindex, BPF_F_INGRESS);
}

/* From the host back to the container that asked. */
static __always_inline int from_dns_service(struct __sk_buff *skb, const struct packet *p, const struct config *cfg)
{
	__be32 ip = p->dst.word[3];

	if (p->ethertype != ETH_P_IP || (ip & DNS_CLIENTS_MASK) != DNS_CLIENTS)
		return drop(0, DROP_NOT_DNS);
	__u32 index = bpf_ntohl(ip) & (MAX_PORTS - 1);
	struct dns_client *client = bpf_map_lookup_elem(&dns_clients, &index);
	if (!client || client->ifindex == 0)
		return drop(0, DROP_NOT_DNS);
	if (p->src.word[3] != DNS_IP || (!(p->flags & FRAGMENT_LATER) && !is_dns(p, p->sport)))
		return drop(0, DROP_NOT_DNS);
	__u32 ifindex = client->ifindex;
	__u8 eth[12];
	copy_mac(eth, client->mac);
	copy_mac(eth + 6, cfg->dns_mac);
	if (replace_ip(skb, p, ETH_LEN + offsetof(struct iphdr, daddr), ip, client->ip) || bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), 0))
		return drop(0, DROP_MALFORMED);
	skb->mark = FROM_US;
	return bpf_redirect(ifindex, 0);
}
