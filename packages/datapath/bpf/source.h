/* Stage 2: a container speaks only with the addresses it was given. Forged ARP and neighbour discovery are forged sources, too. */
#pragma once
#include "counters.h"
#include "parse.h"

struct arp_frame {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
} __attribute__((packed));

#define ND_ROUTER_SOLICIT 133
#define ND_ROUTER_ADVERT 134
#define ND_NEIGHBOUR_SOLICIT 135
#define ND_NEIGHBOUR_ADVERT 136
#define ND_REDIRECT 137
#define MLD_REPORT 131
#define MLD2_REPORT 143

/* type, code, checksum, flags, target, and one option of 8 bytes: 32 bytes behind the IPv6 header */
struct nd_message {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 flags;
	struct address target;
	__u8 option_type;
	__u8 option_length;
	__u8 option_mac[6];
};

/* Is it the link-local address that follows from the MAC (RFC 4291 appendix A)? */
static __always_inline bool is_link_local_of(const struct address *ip, const __u8 *mac)
{
	const __u8 *b = (const __u8 *)ip;
	return ip->word[0] == bpf_htonl(0xfe800000) && ip->word[1] == 0 && b[8] == (mac[0] ^ 2) && b[9] == mac[1] &&
	       b[10] == mac[2] && b[11] == 0xff && b[12] == 0xfe && b[13] == mac[3] && b[14] == mac[4] && b[15] == mac[5];
}

static __always_inline bool owns6(const struct port *port, const struct address *ip)
{
	return ((port->flags & PORT_HAS_IP6) && same_address(ip, &port->ip6)) || is_link_local_of(ip, port->mac);
}

static __always_inline bool is_nd(const struct packet *p)
{
	return p->ethertype == ETH_P_IPV6 && p->protocol == IPPROTO_ICMPV6 && p->icmp_type >= ND_ROUTER_SOLICIT &&
	       p->icmp_type <= ND_REDIRECT && !(p->flags & FRAGMENT_LATER);
}

/* Loads an ARP packet for IPv4 over Ethernet. */
static __always_inline bool load_arp(struct __sk_buff *skb, struct arp_frame *arp)
{
	return !bpf_skb_load_bytes(skb, ETH_LEN, arp, sizeof(*arp)) && arp->hardware == bpf_htons(1) &&
	       arp->protocol == bpf_htons(ETH_P_IP) && arp->hardware_length == 6 && arp->protocol_length == 4;
}

static __always_inline bool honest_arp(struct __sk_buff *skb, const struct port *port)
{
	struct arp_frame arp;
	__be32 sender;

	if (!load_arp(skb, &arp))
		return false;
	__builtin_memcpy(&sender, arp.sender_ip, 4);
	/* A probe bears no sender address (RFC 5227). */
	return same_mac(arp.sender_mac, port->mac) && (sender == port->ip || (sender == 0 && arp.operation == bpf_htons(1)));
}

/* Options tell link-layer addresses as well: walk the few there are. */
__noinline int honest_nd_options(struct __sk_buff *skb, __u32 offset, __u64 mac_of_port)
{
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u8 option[8];
		if (offset >= skb->len)
			return 1;
		if (bpf_skb_load_bytes(skb, offset, option, 8) || option[1] == 0)
			return 0;
		__u64 mac = 0;
		__builtin_memcpy(&mac, option + 2, 6);
		if ((option[0] == 1 || option[0] == 2) && mac != mac_of_port)
			return 0;
		offset += option[1] * 8;
	}
	return 0;
}

static __always_inline bool honest_nd(struct __sk_buff *skb, const struct packet *p, const struct port *port)
{
	/* Containers are no routers. */
	if (p->icmp_type == ND_ROUTER_ADVERT || p->icmp_type == ND_REDIRECT)
		return false;
	if (p->flags & FRAGMENT_FIRST)
		return false;
	__u64 mac = 0;
	__builtin_memcpy(&mac, port->mac, 6);
	if (p->icmp_type == ND_ROUTER_SOLICIT)
		return honest_nd_options(skb, p->l4_offset + 8, mac);
	struct address target;
	if (bpf_skb_load_bytes(skb, p->l4_offset + 8, &target, 16))
		return false;
	if (p->icmp_type == ND_NEIGHBOUR_ADVERT && !owns6(port, &target))
		return false;
	return honest_nd_options(skb, p->l4_offset + 24, mac);
}

/* Answers a reason, or -1 when the packet is honest. */
static __always_inline int check_source(struct __sk_buff *skb, const struct packet *p, const struct port *port)
{
	if (!same_mac(p->src_mac, port->mac))
		return DROP_SPOOFED_MAC;
	switch (p->ethertype) {
	case ETH_P_IP:
		return p->src.word[3] == port->ip ? -1 : DROP_SPOOFED_IP;
	case ETH_P_ARP:
		return honest_arp(skb, port) ? -1 : DROP_SPOOFED_ARP;
	case ETH_P_IPV6:
		if (!owns6(port, &p->src)) {
			bool unspecified = !(p->src.word[0] | p->src.word[1] | p->src.word[2] | p->src.word[3]);
			bool may = p->protocol == IPPROTO_ICMPV6 && (p->icmp_type == ND_NEIGHBOUR_SOLICIT ||
								     p->icmp_type == MLD_REPORT || p->icmp_type == MLD2_REPORT);
			/* Before an address is known to be unique, nothing else can be the source (RFC 4862). */
			if (!unspecified || !may)
				return DROP_SPOOFED_IP;
		}
		return !is_nd(p) || honest_nd(skb, p, port) ? -1 : DROP_SPOOFED_ND;
	/* Containers have one VLAN at most, and do not choose it. */
	case ETH_P_8021Q:
	case ETH_P_8021AD:
		return DROP_TAGGED;
	}
	return DROP_NOT_IP;
}
