/* The data path of one host. A packet meets the stages in the order of the files below. They run at the tc hook of seven kinds of
 * interface: a container's host side (both ways), the tunnel, the uplinks of VLANs, and the ways back from the DNS service, from outside and
 * from the queue of those who have a bandwidth.
 *
 * Functions that are neither static nor inlined are verified once for each program, for whatever arguments, and not anew for every state a
 * packet may come in: without that the verifier walks ten times as far. Such a function believes no pointer it is given, and what it is
 * given has to be initialised as a whole. */
#include <stddef.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* How a program is entered: trial.bpf.c, which wraps them, says otherwise. */
#ifndef HOOK
#define HOOK SEC("tc")
#endif

#include "maps.h"
#include "counters.h"
#include "parse.h"     /* 1 what is it */
#include "source.h"    /* 2 does the sender own its addresses */
#include "neighbour.h" /* 3 ARP and neighbour discovery */
#include "dns.h"       /* 4 the host's DNS service */
#include "route.h"     /* 5 the gateway; the destination is found before tracking, so that scanning for absent addresses fills no table */
#include "conntrack.h" /* 6 which connection */
#include "policy.h"    /* 7 may it be; asked by 6 for first packets */
#include "shape.h"     /* – marks, and a bandwidth's queue */
#include "flows.h"     /* and what the agent is told of it */
#include "shortcut.h"  /* 8 past the tunnel device, */
#include "deliver.h"   /*   into a container, a tunnel or an uplink */
#include "outside.h"   /* 9 or out of the tenants, and back */
#include "uplink.h"    /* 2 and 3 for what the physical network sends */

static __always_inline int send_on(struct __sk_buff *skb, const struct config *cfg, struct packet *p, const struct endpoint *to)
{
	if (to && to->ifindex == 0 && !is_vlan(p->vni)) {
		int sent = by_shortcut(skb, cfg, p, to->vtep);
		if (sent >= 0)
			return sent;
	}
	if (to)
		return deliver(skb, cfg, p, to);
	return p->flags & ROUTED ? to_outside(skb, p) : into_uplink(skb, cfg, p);
}

/* A sender may remember who had the address before, which is given to another container sooner than neighbours forget: the frame gets to who
 * has it now. What an uplink brings for another MAC is for another station, sent to everybody. -1, or a reason to drop it. */
static __always_inline int readdress(struct __sk_buff *skb, struct packet *p, const struct endpoint *to)
{
	if (same_mac(p->dst_mac, to->mac))
		return -1;
	if (p->flags & FROM_UPLINK)
		return DROP_WRONG_MAC;
	copy_mac(p->dst_mac, to->mac);
	return bpf_skb_store_bytes(skb, 0, p->dst_mac, sizeof(p->dst_mac), 0) ? DROP_MALFORMED : -1;
}

/* `to`: none for a destination that is not ours, in a VLAN or, when it was routed, in the world outside. */
static __always_inline int forward(struct __sk_buff *skb, const struct config *cfg, struct packet *p, const struct endpoint *to)
{
	int reason = to ? readdress(skb, p, to) : -1;
	if (reason >= 0)
		return drop(p->port, reason);
	if (to)
		p->domain = to->domain;
	/* Neighbours ask each other whether they are there, whatever rules say; through the gateway nobody is a neighbour. */
	reason = is_nd(p) && !(p->flags & ROUTED) ? -1 : check_connection(skb, p, to ? to->group : 0, cfg->epoch);
	if (reason >= 0)
		return drop(p->port, reason);
	if (waits(p->flags & FROM_LIMITED))
		return into_shaper(skb, cfg, SHAPED_OUT | p->port);
	return send_on(skb, cfg, p, to);
}

/* Is it for everybody, or for whoever has joined? What is for everybody of one subnet cannot be told from an address of somebody. */
static __always_inline bool is_group(const struct packet *p)
{
	return p->ethertype == ETH_P_IP ? *(__u8 *)&p->dst.word[3] >= 224 : *(__u8 *)&p->dst.word[0] == 0xff;
}

/* Frames for everybody, in networks that flood. One that carries a packet for a single address would get round the policy stage: there is
 * none for an address of ours, and stations of a VLAN, which take such frames, are called by the rules. */
static __always_inline int flood_ip(struct __sk_buff *skb, const struct config *cfg, struct packet *p)
{
	if (find_endpoint(p->vni, &p->dst))
		return drop(p->port, DROP_WRONG_MAC);
	if (p->port && is_vlan(p->vni) && !is_group(p)) {
		int reason = check_connection(skb, p, 0, cfg->epoch);
		if (reason >= 0)
			return drop(p->port, reason);
	}
	if (waits(p->flags & FROM_LIMITED))
		return into_shaper(skb, cfg, SHAPED_OUT | SHAPED_FLOOD | p->port);
	return flood(skb, p->vni, p->port);
}

/* Ingress of a container's host-side interface: what the container sends. */
HOOK
int from_container(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct packet p = {};
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct port *port = bpf_map_lookup_elem(&ports, &ifindex);

	if (!cfg || !port)
		return drop(0, DROP_UNKNOWN_PORT);
	p.vni = port->vni;
	p.domain = port->domain;
	if (port->flags & PORT_IN_HOST)
		p.flags = FROM_IN_HOST;
	if (port->flags & PORT_LIMITED)
		p.flags |= FROM_LIMITED;
	p.dscp = port->dscp;
	p.group = port->group;
	p.port = port->index;
	count_received(skb, p.port);
	if (!parse(skb, &p))
		return drop(p.port, DROP_MALFORMED);
	int reason = check_source(skb, &p, port);
	if (reason >= 0)
		return drop(p.port, reason);
	if (p.dscp && mark_dscp(skb, p.ethertype, p.dscp))
		return drop(p.port, DROP_MALFORMED);
	if (p.ethertype == ETH_P_ARP) {
		int answered = arp_of_container(skb, &p, port, cfg);
		return answered >= 0 ? answered : flood(skb, p.vni, p.port);
	}
	if (is_nd(&p)) {
		int answered = nd_of_container(skb, &p, port);
		if (answered >= 0)
			return answered;
	}
	if (p.ethertype == ETH_P_IP && p.dst.word[3] == DNS_IP)
		return to_dns(skb, &p);
	if (p.flags & GROUP_ADDRESSED)
		return flood_ip(skb, cfg, &p);
	bool routed = is_router_mac(p.dst_mac);
	struct endpoint *to = find_endpoint(routed ? p.domain : p.vni, &p.dst);
	if (routed) {
		int done = route(skb, &p, to);
		if (done >= 0)
			return done;
	} else if (to ? to->ifindex == AT_ROUTER : !is_vlan(p.vni)) {
		return drop(p.port, DROP_NO_ROUTE);
	}
	return forward(skb, cfg, &p, to);
}

/* What another host sent to network `p->vni`. It goes to containers of this host or nowhere. */
static __always_inline int from_host(struct __sk_buff *skb, const struct config *cfg, struct packet *p)
{
	if (!parse(skb, p))
		return drop(0, DROP_MALFORMED);
	if (p->ethertype == ETH_P_ARP)
		return arp_of_tunnel(skb, p, cfg);
	if (p->ethertype != ETH_P_IP && p->ethertype != ETH_P_IPV6)
		return drop(0, DROP_NOT_IP);
	if (p->flags & GROUP_ADDRESSED)
		return flood_ip(skb, cfg, p);
	struct endpoint *to = find_endpoint(p->vni, &p->dst);
	if (!is_local(to))
		return drop(0, DROP_NOT_LOCAL);
	return forward(skb, cfg, p, to);
}

/* The network a packet was sent for, -1 - reason when no peer sent it. A function of its own: the stack is short. */
static __noinline int told_by_peer(struct __sk_buff *skb, const struct config *cfg)
{
	struct vtep from = {};
	struct bpf_tunnel_key key = {};

	if (!cfg || bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY_WITHOUT_LOCAL, cfg->underlay6 ? BPF_F_TUNINFO_IPV6 : 0))
		return -1 - DROP_TUNNEL;
	if (cfg->underlay6)
		__builtin_memcpy(&from, key.remote_ipv6, 16);
	else
		from.word[3] = key.remote_ipv4;
	if (!bpf_map_lookup_elem(&peers, &from))
		return -1 - DROP_UNKNOWN_VTEP;
	return key.tunnel_id;
}

/* Ingress of the tunnel device. */
HOOK
int from_tunnel(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet p = {};
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!cfg)
		return drop(0, DROP_TUNNEL);
	int vni = told_by_peer(skb, cfg);
	if (vni < 0)
		return drop(0, -1 - vni);
	p.vni = vni;
	return from_host(skb, cfg, &p);
}

/* Ingress of the interface that carries the tunnel: the short way in. Whatever it is not for goes on as if we were not there. */
HOOK
int from_underlay(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet p = {};
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!cfg || !cfg->short_port)
		return TC_ACT_UNSPEC;
	int vni = unwrap(skb, cfg);
	if (vni < 0)
		return TC_ACT_UNSPEC;
	p.vni = vni;
	return from_host(skb, cfg, &p);
}

/* Ingress of an uplink. The host's own traffic and VLANs of others pass as if we were not there. */
HOOK
int from_uplink(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet p = {};
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!skb->vlan_present || skb->vlan_proto != bpf_htons(ETH_P_8021Q))
		return TC_ACT_UNSPEC;
	p.vni = SEGMENT_VLAN | (skb->vlan_tci & VLAN_ID);
	struct network *net = bpf_map_lookup_elem(&networks, &p.vni);
	if (!cfg || !net)
		return TC_ACT_UNSPEC;
	p.domain = net->domain;
	/* A switch sends broadcasts by every cable. */
	if (skb->ifindex != cfg->uplink)
		return drop(0, DROP_STANDBY);
	if (skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD) || bpf_skb_vlan_pop(skb))
		return drop(0, DROP_TAGGED);
	count_received(skb, 0);
	p.flags = FROM_UPLINK;
	if (!parse(skb, &p))
		return drop(0, DROP_MALFORMED);
	int reason = check_station(skb, &p);
	if (reason >= 0)
		return drop(0, reason);
	if (p.ethertype == ETH_P_ARP)
		return arp_of_uplink(skb, &p, cfg);
	if (!find_endpoint(p.vni, &p.src))
		learn(&p, skb->ifindex, 0);
	if (is_nd(&p)) {
		int answered = nd_of_uplink(skb, &p);
		if (answered >= 0)
			return answered;
	}
	if (p.flags & GROUP_ADDRESSED)
		return flood_ip(skb, cfg, &p);
	struct endpoint *to = find_endpoint(p.vni, &p.dst);
	/* Switches send what they have not learned to everybody. */
	if (!is_local(to))
		return TC_ACT_SHOT;
	return forward(skb, cfg, &p, to);
}

/* Egress of a container's host-side interface. Packets for containers do not come this way but for our own copies and DNS answers;
 * whatever the host's own stack might send to a container is none of ours. */
HOOK
int to_container(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct port *port = bpf_map_lookup_elem(&ports, &ifindex);

	if (!cfg || !port)
		return drop(0, DROP_UNKNOWN_PORT);
	if (skb->mark != FROM_US)
		return drop(port->index, DROP_FROM_HOST);
	if (waits(port->flags & PORT_LIMITED))
		return into_shaper(skb, cfg, SHAPED_IN | port->index);
	count_sent(skb, port->index);
	/* Of what stays in this namespace the host's own rules may look at marks. */
	skb->mark = 0;
	return TC_ACT_OK;
}

/* Ingress of the shaper's far end: packets whose turn it is. What a container sent has been through all stages but the last one. */
SEC("tc")
int from_shaper(struct __sk_buff *skb)
{
	__u32 zero = 0, turn = skb->mark, index = turn & (MAX_PORTS - 1);
	struct packet p = { .port = index };
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);
	struct dns_client *at = bpf_map_lookup_elem(&dns_clients, &index);

	/* The underlay's own routing may look at marks. */
	skb->mark = 0;
	if (!cfg || !at || !index || (turn & SHAPED_MASK) != SHAPED)
		return drop(0, DROP_UNKNOWN_PORT);
	__u32 ifindex = at->ifindex;
	struct port *port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return drop(0, DROP_UNKNOWN_PORT);
	if (turn & SHAPED_IN) {
		count_sent(skb, index);
		return into_container(skb, ifindex);
	}
	p.vni = port->vni;
	p.domain = port->domain;
	p.dscp = port->dscp;
	if (!parse(skb, &p))
		return drop(index, DROP_MALFORMED);
	if (turn & SHAPED_FLOOD)
		return flood_from(skb, p.vni, index, ifindex);
	/* Routed packets bear the gateway's MAC already; those to the world outside still go to it. */
	bool outside = is_router_mac(p.dst_mac), routed = outside || is_router_mac(p.src_mac);
	struct endpoint *to = outside ? NULL : find_endpoint(routed ? p.domain : p.vni, &p.dst);
	if (to && (to->ifindex == AT_ROUTER || !same_mac(p.dst_mac, to->mac)))
		return drop(index, DROP_WRONG_MAC);
	if (!to && !outside && (routed || !is_vlan(p.vni)))
		return drop(index, DROP_NO_ROUTE);
	if (routed)
		p.flags |= ROUTED;
	if (to)
		p.vni = to->vni;
	return send_on(skb, cfg, &p, to);
}

/* Egress of the DNS device: answers of the agent to its clients. */
HOOK
int from_dns(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet p = {};
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!cfg || !parse(skb, &p))
		return drop(0, DROP_MALFORMED);
	return from_dns_service(skb, &p, cfg);
}

/* Egress of the device that leads out of the tenants: what the host sends to one of its containers. */
HOOK
int from_outside(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet p = {};
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!cfg || !parse(skb, &p))
		return drop(0, DROP_MALFORMED);
	return into_tenant(skb, &p, cfg);
}

char LICENSE[] SEC("license") = "GPL";
