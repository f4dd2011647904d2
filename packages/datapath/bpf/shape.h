/* Profiles of groups. What a container with a bandwidth sends, once it may, and what it is sent, waits for its turn in a queue of the kernel's
 * own in front of the shaper, a device that leads back to us; all others pass straight on. The class, which packages/datapath/src/kernel/
 * shaper.ts makes, shares the group's bandwidth evenly among its containers of this host. */
#pragma once
#include "counters.h"
#include "parse.h"

/* Classes are named by the port's index and the way; the mark brings both through the device, which no container's mark gets through. */
#define SHAPER_CLASSES 0x0c040000
#define SHAPED 0xc0410000
#define SHAPED_MASK 0xffff0000
#define SHAPED_OUT 0x2000
#define SHAPED_IN 0x4000
#define SHAPED_CLASS 0x7fff
/* On its way to everybody. */
#define SHAPED_FLOOD 0x8000

/* A trial asks where a packet goes in the end: nobody would send on what waited there. */
#ifdef TRIAL
#define TURNS 0
#else
#define TURNS 1
#endif

/* Has the packet to wait for its turn? */
static __always_inline int waits(__u32 limited)
{
	return TURNS && limited;
}

static __always_inline int into_shaper(struct __sk_buff *skb, const struct config *cfg, __u32 turn)
{
	skb->priority = SHAPER_CLASSES | (turn & SHAPED_CLASS);
	skb->mark = SHAPED | turn;
	return bpf_redirect(cfg->shaper_ifindex, 0);
}

/* Sets the differentiated services of an IP packet (RFC 2474) and leaves congestion notification (RFC 3168) alone. Answers whether it failed. */
__noinline int mark_dscp(struct __sk_buff *skb, __u32 ethertype, __u32 dscp)
{
	__u8 head[2];

	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_LEN, head, 2))
		return 1;
	__be16 before = *(__be16 *)head, after;
	if (ethertype == ETH_P_IP) {
		head[1] = dscp << 2 | (head[1] & 3);
	} else {
		/* The traffic class stands across two bytes. */
		head[0] = (head[0] & 0xf0) | dscp >> 2;
		head[1] = (dscp & 3) << 6 | (head[1] & 0x3f);
	}
	after = *(__be16 *)head;
	if (before == after)
		return 0;
	if (ethertype == ETH_P_IP && bpf_l3_csum_replace(skb, ETH_LEN + offsetof(struct iphdr, check), before, after, 2))
		return 1;
	return bpf_skb_store_bytes(skb, ETH_LEN, head, 2, 0) != 0;
}
