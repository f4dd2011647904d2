/* Every packet is either passed on and counted, or dropped with a reason. */
#pragma once
#include "maps.h"

/* Names: packages/datapath/src/maps/reasons.ts, in this order. */
enum reason {
	DROP_MALFORMED,
	DROP_UNKNOWN_PORT,
	DROP_SPOOFED_MAC,
	DROP_SPOOFED_IP,
	DROP_SPOOFED_ARP,
	DROP_SPOOFED_ND,
	DROP_NOT_IP,
	DROP_UNKNOWN_TARGET,
	DROP_UNSOLICITED,
	DROP_NOT_FLOODED,
	DROP_NOT_DNS,
	DROP_NO_ROUTE,
	DROP_WRONG_MAC,
	DROP_POLICY,
	DROP_FRAGMENT,
	DROP_UNKNOWN_VTEP,
	DROP_NOT_LOCAL,
	DROP_FROM_HOST,
	DROP_TUNNEL,
	DROP_HOP_LIMIT,
	DROP_UNREACHABLE,
	DROP_TOO_BIG,
	DROP_TO_GATEWAY,
	DROP_TAGGED,
	DROP_NO_UPLINK,
	DROP_STANDBY,
};

__noinline int drop(__u32 port, __u32 reason)
{
	__u64 *total = bpf_map_lookup_elem(&drops, &reason);
	if (total)
		*total += 1;
	if (port == 0)
		return TC_ACT_SHOT;
	struct drop_key key = { .port = port, .reason = reason };
	__u64 *count = bpf_map_lookup_elem(&port_drops, &key);
	if (count) {
		*count += 1;
	} else {
		__u64 one = 1;
		bpf_map_update_elem(&port_drops, &key, &one, BPF_ANY);
	}
	return TC_ACT_SHOT;
}

/* A large segment that the sender left for later cutting counts as the packets it will become. */
static __always_inline __u64 packets_in(struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs;
	return segments ? segments : 1;
}

static __always_inline void count_received(struct __sk_buff *skb, __u32 port)
{
	struct counters *counter = bpf_map_lookup_elem(&counters, &port);
	if (counter) {
		counter->rx_packets += packets_in(skb);
		counter->rx_bytes += skb->len;
	}
}

static __always_inline void count_sent(struct __sk_buff *skb, __u32 port)
{
	struct counters *counter = bpf_map_lookup_elem(&counters, &port);
	if (counter) {
		counter->tx_packets += packets_in(skb);
		counter->tx_bytes += skb->len;
	}
}
