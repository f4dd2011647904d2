/* Last stage: into a container of this host, or through the tunnel or an uplink to another one. Also where later stages' answers go back. */
#pragma once
#include "counters.h"
#include "parse.h"
#include "shape.h"

/* Marks packets that we send out of a container's interface ourselves; the veth crossing clears it. */
#define FROM_US 0xc0417

/* Straight into the container's namespace: no queue in between. */
static __always_inline int into_container(struct __sk_buff *skb, __u32 ifindex)
{
	/* The frame was addressed to the container, not to the interface it came in by; kernels before 6.12 do not see to that. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(ifindex, 0);
}

/* To an interface whose other end is in this very namespace, where the short way does not lead. */
static __always_inline int into_host(struct __sk_buff *skb, __u32 ifindex)
{
	skb->mark = FROM_US;
	return bpf_redirect(ifindex, 0);
}

/* Out to the physical network, by the uplink that is in use. The number of uplinks' own counter is 0, which no port has. */
static __always_inline int into_uplink(struct __sk_buff *skb, const struct config *cfg, const struct packet *p)
{
	if (!cfg->uplink)
		return drop(p->port, DROP_NO_UPLINK);
	/* All hosts have one and the same gateway, which no switch could place. */
	if ((p->flags & ROUTED) && bpf_skb_store_bytes(skb, 6, cfg->uplink_mac, 6, 0))
		return drop(p->port, DROP_MALFORMED);
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), p->vni & VLAN_ID))
		return drop(p->port, DROP_NO_UPLINK);
	count_sent(skb, 0);
	return bpf_redirect(cfg->uplink, 0);
}

/* Back to the container, or the host's own interface, that sent it. */
static __always_inline int back(struct __sk_buff *skb, const struct packet *p)
{
	return p->flags & FROM_IN_HOST ? into_host(skb, skb->ifindex) : into_container(skb, skb->ifindex);
}

/* Back to whoever sent it. */
static __always_inline int reflect(struct __sk_buff *skb, const struct packet *p)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (p->flags & FROM_UPLINK)
		return cfg ? into_uplink(skb, cfg, p) : TC_ACT_SHOT;
	return back(skb, p);
}

/* The first sizes the kernel knows: with the local address since 6.1, without it before. */
#define TUNNEL_KEY_WITHOUT_LOCAL offsetof(struct bpf_tunnel_key, local_ipv4)
#define TUNNEL_KEY_V4 offsetof(struct bpf_tunnel_key, remote_ipv6[1])

static __always_inline int set_tunnel(struct __sk_buff *skb, const struct config *cfg, __u32 vni, const __u32 *vtep, __u8 dscp)
{
	struct bpf_tunnel_key key = {};
	key.tunnel_id = vni;
	key.tunnel_ttl = 64;
	/* Only what an administrator chose is promised to the underlay, not what containers write themselves. */
	key.tunnel_tos = dscp << 2;
	if (cfg->underlay6) {
		__builtin_memcpy(key.remote_ipv6, vtep, 16);
		__builtin_memcpy(key.local_ipv6, cfg->local, 16);
	} else {
		key.remote_ipv4 = vtep[3];
		key.local_ipv4 = cfg->local[3];
	}
	__u64 flags = BPF_F_ZERO_CSUM_TX | (cfg->underlay6 ? BPF_F_TUNINFO_IPV6 : 0);
	if (cfg->sets_local)
		return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
	return bpf_skb_set_tunnel_key(skb, &key, TUNNEL_KEY_WITHOUT_LOCAL, flags);
}

static __always_inline int into_tunnel(struct __sk_buff *skb, const struct config *cfg, const struct packet *p, const __u32 *vtep)
{
	if (set_tunnel(skb, cfg, p->vni, vtep, p->dscp))
		return drop(p->port, DROP_TUNNEL);
	return bpf_redirect(cfg->vxlan_ifindex, 0);
}

static __always_inline int deliver(struct __sk_buff *skb, const struct config *cfg, const struct packet *p, const struct endpoint *to)
{
	if (to->ifindex == 0)
		return is_vlan(p->vni) ? into_uplink(skb, cfg, p) : into_tunnel(skb, cfg, p, to->vtep);
	if (to->ifindex & IN_HOST)
		return into_host(skb, to->ifindex & ~IN_HOST);
	if (waits(to->ifindex & TO_LIMITED))
		return into_shaper(skb, cfg, SHAPED_IN | to->port);
	count_sent(skb, to->port);
	return into_container(skb, to->ifindex & ~TO_LIMITED);
}
