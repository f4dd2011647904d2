/* The physical side of VLAN networks. Endpoints of ours on other hosts are known from the tables, like everywhere; whatever else speaks on the
 * uplink is a station: learned for people to see, never believed when it claims an address of ours, and reached by the uplink alone. */
#pragma once
#include "conntrack.h"
#include "neighbour.h"

/* New stations of one uplink within a unit of time (2^30 ns): a flood of forged sources costs a counter each, not a table's churn. */
#define MAX_LEARNED 1024

/* An address of ours, claimed by somebody who does not have it. Endpoints of this host never speak to us through an uplink. */
static __always_inline bool claims_ours(const struct packet *p, const struct address *ip, const __u8 *mac)
{
	struct endpoint *known = find_endpoint(p->vni, ip);

	if (known)
		return known->ifindex || !same_mac(known->mac, mac);
	/* Of another network of the tenant: it comes from the other host's gateway, which has that host's MAC. */
	known = p->domain == p->vni ? NULL : find_endpoint(p->domain, ip);
	return known && known->ifindex;
}

static __always_inline bool honest_station_arp(struct __sk_buff *skb, const struct packet *p)
{
	struct arp_frame arp;
	struct address sender;
	__be32 ip;

	if (!load_arp(skb, &arp))
		return false;
	__builtin_memcpy(&ip, arp.sender_ip, 4);
	map_v4(&sender, ip);
	return !claims_ours(p, &sender, arp.sender_mac);
}

/* An advertisement tells whose the target is; its option tells the link-layer address that will be believed. */
static __always_inline bool honest_station_nd(struct __sk_buff *skb, const struct packet *p)
{
	struct address target;
	__u64 mac = 0;

	if (p->icmp_type != ND_NEIGHBOUR_ADVERT)
		return true;
	if (bpf_skb_load_bytes(skb, p->l4_offset + 8, &target, 16) || claims_ours(p, &target, p->src_mac))
		return false;
	if (!find_endpoint(p->vni, &target))
		return true;
	__builtin_memcpy(&mac, p->src_mac, 6);
	return honest_nd_options(skb, p->l4_offset + 24, mac);
}

/* Stage 2 for what comes by an uplink. Answers a reason, or -1 when nobody of ours is being played. */
static __noinline int check_station(struct __sk_buff *skb, const struct packet *p)
{
	if (!p)
		return DROP_MALFORMED;
	struct mac_key key = { .vni = p->vni };
	copy_mac(key.mac, p->src_mac);
	if (p->src_mac[0] & 1)
		return DROP_MALFORMED;
	if (bpf_map_lookup_elem(&local_macs, &key))
		return DROP_SPOOFED_MAC;
	if (p->ethertype == ETH_P_ARP)
		return honest_station_arp(skb, p) ? -1 : DROP_SPOOFED_ARP;
	if (p->ethertype != ETH_P_IP && p->ethertype != ETH_P_IPV6)
		return DROP_NOT_IP;
	if (claims_ours(p, &p->src, p->src_mac))
		return DROP_SPOOFED_IP;
	return !is_nd(p) || honest_station_nd(skb, p) ? -1 : DROP_SPOOFED_ND;
}

/* `ip`: known from ARP, which speaks for the sender itself; routers send for others. */
static __noinline int learn(const struct packet *p, __u32 ifindex, __be32 ip)
{
	__u32 now = now_units();

	if (!p)
		return 0;
	struct mac_key key = { .vni = p->vni };
	copy_mac(key.mac, p->src_mac);
	struct station *known = bpf_map_lookup_elem(&stations, &key);
	if (known) {
		if (known->seen != now)
			known->seen = now;
		if (known->ifindex != ifindex)
			known->ifindex = ifindex;
		if (ip && known->ip != ip)
			known->ip = ip;
		return 0;
	}
	struct uplink *uplink = bpf_map_lookup_elem(&uplinks, &ifindex);
	if (!uplink)
		return 0;
	if (uplink->window != now) {
		uplink->window = now;
		uplink->learned = 0;
	}
	if (uplink->learned >= MAX_LEARNED) {
		uplink->refused++;
		return 0;
	}
	uplink->learned++;
	struct station fresh = { .seen = now, .ifindex = ifindex, .ip = ip };
	bpf_map_update_elem(&stations, &key, &fresh, BPF_ANY);
	return 0;
}

/* Questions for containers of this host are answered here (proxy mode); announcements concern all of them. */
static __noinline int arp_of_uplink(struct __sk_buff *skb, const struct packet *p, const struct config *cfg)
{
	struct arp_frame arp;
	struct address target, sender;
	__be32 ip, from;

	if (!load_arp(skb, &arp))
		return drop(0, DROP_MALFORMED);
	__builtin_memcpy(&ip, arp.target_ip, 4);
	__builtin_memcpy(&from, arp.sender_ip, 4);
	map_v4(&target, ip);
	map_v4(&sender, from);
	if (!find_endpoint(p->vni, &sender))
		learn(p, skb->ifindex, from);
	bool request = arp.operation == bpf_htons(1), flooded = is_flooded(p->vni);
	struct endpoint *known = find_endpoint(p->vni, &target);
	if (request && !flooded && is_local(known))
		return answer_arp(skb, p, &arp, known->mac);
	if (p->flags & GROUP_ADDRESSED)
		return flooded || !request || ip == from ? flood(skb, p->vni, 0) : TC_ACT_STOLEN;
	if (!is_local(known) || !same_mac(p->dst_mac, known->mac))
		return TC_ACT_SHOT;
	return deliver(skb, cfg, p, known);
}

/* -1: an ordinary packet for the stages that follow. */
static __noinline int nd_of_uplink(struct __sk_buff *skb, const struct packet *p)
{
	struct address target;
	bool flooded = is_flooded(p->vni);
	/* A test for duplicates is for the container itself to object to. */
	bool question = p->icmp_type == ND_NEIGHBOUR_SOLICIT && p->src.word[0] != 0;

	if (question && !flooded) {
		if (bpf_skb_load_bytes(skb, p->l4_offset + 8, &target, 16))
			return drop(0, DROP_MALFORMED);
		struct endpoint *known = find_endpoint(p->vni, &target);
		if (is_local(known))
			return answer_nd(skb, p, &target, known->mac);
	}
	if (!(p->flags & GROUP_ADDRESSED))
		return -1;
	return flooded || !question ? flood(skb, p->vni, 0) : TC_ACT_STOLEN;
}
