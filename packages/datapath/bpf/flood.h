/* Broadcast and multicast: one copy for each member, made by the sender's host (head-end replication), in VXLAN networks that flood; in VLANs
 * one copy for each container of this host and one for the physical network. */
#pragma once
#include "deliver.h"

__noinline int copy_to_port(struct __sk_buff *skb, __u32 vni, __u32 number, __u32 from)
{
	struct member_key key = { .vni = vni, .number = number };
	struct member *to = bpf_map_lookup_elem(&members, &key);

	if (to && to->ifindex != from)
		bpf_clone_redirect(skb, to->ifindex, 0);
	return 0;
}

__noinline int copy_to_host(struct __sk_buff *skb, __u32 vni, __u32 number)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct member_key key = { .vni = vni, .remote = 1, .number = number };
	struct member *to = bpf_map_lookup_elem(&members, &key);

	if (cfg && to && !set_tunnel(skb, cfg, vni, to->vtep, 0))
		bpf_clone_redirect(skb, cfg->vxlan_ifindex, 0);
	return 0;
}

/* Copies with the numbers from `first` on, some of `count`. The verifier walks through every round of a loop: two short ones are sooner done. */
#define COPIES_AT_ONCE 32

__noinline int copy_to_ports(struct __sk_buff *skb, __u32 vni, __u32 first, __u32 count, __u32 from)
{
	for (__u32 i = 0; i < COPIES_AT_ONCE && first + i < count; i++)
		copy_to_port(skb, vni, first + i, from);
	return 0;
}

__noinline int copy_to_hosts(struct __sk_buff *skb, __u32 vni, __u32 first, __u32 count)
{
	for (__u32 i = 0; i < COPIES_AT_ONCE && first + i < count; i++)
		copy_to_host(skb, vni, first + i);
	return 0;
}

/* The last copy: the original bears the tag from here on. */
__noinline int copy_to_uplink(struct __sk_buff *skb, __u32 vni)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (cfg && cfg->uplink && !bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vni & VLAN_ID)) {
		count_sent(skb, 0);
		bpf_clone_redirect(skb, cfg->uplink, 0);
	}
	return 0;
}

/* To all but the interface it came `from`. What came through a tunnel or an uplink (port 0) goes to local members only, never out again. */
__noinline int flood_from(struct __sk_buff *skb, __u32 vni, __u32 port, __u32 from)
{
	struct network *net = bpf_map_lookup_elem(&networks, &vni);

	if (!net || !(net->flood || is_vlan(vni)))
		return drop(port, DROP_NOT_FLOODED);
	__u32 locals = net->locals, remotes = port ? net->remotes : 0;
	skb->mark = FROM_US;
	for (__u32 i = 0; i < MAX_COPIES && i < locals; i += COPIES_AT_ONCE)
		copy_to_ports(skb, vni, i, locals, from);
	/* The underlay's own routing may look at marks. */
	skb->mark = 0;
	for (__u32 i = 0; i < MAX_COPIES && i < remotes; i += COPIES_AT_ONCE)
		copy_to_hosts(skb, vni, i, remotes);
	if (port && is_vlan(vni))
		copy_to_uplink(skb, vni);
	return TC_ACT_STOLEN;
}

static __always_inline int flood(struct __sk_buff *skb, __u32 vni, __u32 port)
{
	return flood_from(skb, vni, port, skb->ifindex);
}
