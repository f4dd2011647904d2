/* The same programs for trials: on synthetic frames, by BPF_PROG_TEST_RUN. The kernel gives such a frame no tunnel and no tag, so one wrapper
 * gives it what it is said to have come through, and each tells what it would leave through. Loaded beside the programs at work, with their
 * tables to read and tables of its own for everything that is written; attached to nothing. */
#define HOOK static __always_inline
#define TRIAL
#include "contiv.bpf.c"

/* 0: what the frame came through, 1: what it would leave through. */
struct outer {
	__u32 six;
	__u32 given;
	struct bpf_tunnel_key key;
	/* Ids of VLANs, the inner one in the lower half; on the way in with the highest bit of a half set where there is a tag. */
	__u32 vlan;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct outer);
} outer SEC(".maps");

static __always_inline struct outer *outer_of(__u32 which)
{
	return bpf_map_lookup_elem(&outer, &which);
}

SEC("tc")
int try_container(struct __sk_buff *skb)
{
	int verdict = from_container(skb);
	struct outer *out = outer_of(1);

	if (!out)
		return TC_ACT_SHOT;
	out->vlan = skb->vlan_present ? skb->vlan_tci & VLAN_ID : 0;
	out->six = 0;
	out->given = !bpf_skb_get_tunnel_key(skb, &out->key, sizeof(out->key), 0);
	if (out->given)
		return verdict;
	out->six = out->given = !bpf_skb_get_tunnel_key(skb, &out->key, sizeof(out->key), BPF_F_TUNINFO_IPV6);
	return verdict;
}

SEC("tc")
int try_tunnel(struct __sk_buff *skb)
{
	struct outer *in = outer_of(0);

	if (in && in->given && bpf_skb_set_tunnel_key(skb, &in->key, sizeof(in->key), in->six ? BPF_F_TUNINFO_IPV6 : 0))
		return TC_ACT_SHOT;
	return from_tunnel(skb);
}

SEC("tc")
int try_uplink(struct __sk_buff *skb)
{
	struct outer *in = outer_of(0), *out = outer_of(1);

	if (!in || !out)
		return TC_ACT_SHOT;
	out->given = out->vlan = 0;
	if (in->vlan >> 16 && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), in->vlan >> 16 & VLAN_ID))
		return TC_ACT_SHOT;
	if (in->vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), in->vlan & VLAN_ID))
		return TC_ACT_SHOT;
	int verdict = from_uplink(skb);
	out->vlan = skb->vlan_present ? skb->vlan_tci & VLAN_ID : 0;
	return verdict;
}

SEC("tc")
int try_underlay(struct __sk_buff *skb)
{
	return from_underlay(skb);
}

SEC("tc")
int try_into_container(struct __sk_buff *skb)
{
	return to_container(skb);
}

SEC("tc")
int try_dns(struct __sk_buff *skb)
{
	return from_dns(skb);
}

SEC("tc")
int try_outside(struct __sk_buff *skb)
{
	return from_outside(skb);
}
