/* Access ports of the lab's switch. Linux bridges that filter VLANs and 802.1Q devices are not in every kernel; the tags are set and taken
 * off at the bridge's ports instead. One pair of programs per VLAN; packages/lab/src/plan/outside.ts names the ports. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VID_MASK 0xfff

/* What the station sends becomes the VLAN's; frames that bear a tag already are none of an access port's. */
static __always_inline int from_access(struct __sk_buff *skb, __u16 vlan)
{
	if (skb->vlan_present || bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vlan))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

/* Frames of the VLAN leave without their tag, all others stay. */
static __always_inline int to_access(struct __sk_buff *skb, __u16 vlan)
{
	if (!skb->vlan_present || (skb->vlan_tci & VID_MASK) != vlan || bpf_skb_vlan_pop(skb))
		return TC_ACT_SHOT;
	/* A second tag, which the station could not understand. */
	return skb->vlan_present ? TC_ACT_SHOT : TC_ACT_OK;
}

#define ACCESS_PORT(vlan)                                                                                                                        \
	SEC("from_access/" #vlan) int from_access_##vlan(struct __sk_buff *skb) { return from_access(skb, vlan); }                                \
	SEC("to_access/" #vlan) int to_access_##vlan(struct __sk_buff *skb) { return to_access(skb, vlan); }

ACCESS_PORT(112)
ACCESS_PORT(113)

char LICENSE[] SEC("license") = "GPL";
