/* Stage 6: which connection does the packet belong to? An entry serves both directions and both ends on this host, and carries the verdict. */
#pragma once
#include "neighbour.h"
#include "policy.h"
#include "flows.h"

/* Seconds (nearly: 2^30 ns) an entry is believed without traffic. */
#define TIMEOUT_ESTABLISHED 21600
#define TIMEOUT_OPENING 60
#define TIMEOUT_CLOSING 10
/* Both ends have said that they are done, which is not to say that it arrived: who has to say something again waits longer each time. */
#define TIMEOUT_LINGERING 120
#define TIMEOUT_DATAGRAM 180

static __always_inline __u32 now_units(void)
{
	return bpf_ktime_get_coarse_ns() >> 30;
}

static __always_inline bool is_closing(__u8 state)
{
	return (state & CT_RESET) || (state & (CT_FIN(0) | CT_FIN(1))) == (CT_FIN(0) | CT_FIN(1));
}

static __always_inline bool is_expired(const struct tracked *entry, __u32 now, __u8 protocol)
{
	/* Less than nothing where another CPU, which looked at the clock a moment later, has written first. */
	__s32 idle = now - entry->seen;
	if (idle < TIMEOUT_CLOSING)
		return false;
	if (protocol != IPPROTO_TCP)
		return idle > TIMEOUT_DATAGRAM;
	if (entry->state & CT_RESET)
		return true;
	if (is_closing(entry->state))
		return idle > TIMEOUT_LINGERING;
	return idle > (entry->state & CT_REPLIED ? TIMEOUT_ESTABLISHED : TIMEOUT_OPENING);
}

/* Both groups, whichever way the packet goes. A frame from outside that claims to come from a container of this host is forged. */
__noinline int judge(const struct packet *p, __u32 to_group, __u32 reversed, struct verdict *verdict)
{
	__u32 zero = 0;
	struct config *cfg = bpf_map_lookup_elem(&config, &zero);

	if (!p || !verdict || !cfg)
		return DROP_POLICY;
	__u32 from_group = p->group;
	if (p->flags & FROM_OUTSIDE) {
		from_group = 0;
	} else if (p->port == 0) {
		struct endpoint *source = find_endpoint(p->domain, &p->src);
		/* Link-local addresses are a network's, not a domain's. */
		if (!source)
			source = find_endpoint(p->vni, &p->src);
		if (source && source->ifindex)
			return DROP_SPOOFED_IP;
		from_group = source ? source->group : 0;
	}
	verdict->rule = 0;
	verdict->denied = 0;
	verdict->told = 0;
	if (cfg->policies == 0)
		return -1;
	/* What the caller may open, then what the called one may be asked; whoever is in no group of ours is not asked. */
	__u32 caller = reversed ? to_group : from_group, called = reversed ? from_group : to_group;
	struct question q = { .protocol = p->protocol, .port = reversed ? p->sport : p->dport };
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
		q.port = 0;
	if (caller) {
		q.subject = caller;
		q.group = called;
		q.way = WAY_OUT;
		q.own = reversed ? p->dst : p->src;
		q.peer = reversed ? p->src : p->dst;
		decide(&q, verdict);
	}
	if (called && !verdict->denied) {
		__u32 rule = verdict->rule;
		q.subject = called;
		q.group = caller;
		q.way = WAY_IN;
		q.own = reversed ? p->src : p->dst;
		q.peer = reversed ? p->dst : p->src;
		decide(&q, verdict);
		if (verdict->rule == 0 && !verdict->denied)
			verdict->rule = rule;
		else
			verdict->told |= FLOW_BY_CALLED;
	}
	return -1;
}

/* Does the packet begin a connection of its own, although the table knows one between the same ends? What was denied binds only the end
 * that asked for it; the other one may open the same connection, if rules let it. But one that began with a SYN is over when rules deny it, and
 * does not go on as one that the other end began. Who is asked for an echo may not ask for one by the same identifier, which containers, with
 * process numbers of their own, choose alike. */
static __always_inline bool begins(const struct tracked *entry, const struct packet *p, __u8 side)
{
	bool other_end = side != entry->opener;
	if (p->flags & TCP_SYN_ONLY)
		return other_end || is_closing(entry->state);
	if (is_echo_request(p))
		return other_end;
	return other_end && entry->denied && !(entry->state & CT_SYN);
}

/* Who is answerable for a record: the container that sends, or the group that is called by somebody elsewhere. */
static __always_inline __u64 source_of(const struct packet *p, __u32 to_group)
{
	return p->port ? p->port : FLOW_OF_GROUP | to_group;
}

/* What a connection begins with. */
struct beginning {
	struct verdict verdict;
	__u32 to_group;
	__u32 epoch;
};

/* A new entry, and its record. A function of its own: what it keeps on the stack must not count where rules are looked up. */
__noinline int begin(struct __sk_buff *skb, const struct packet *p, const union connection *key, const struct beginning *with)
{
	if (!p || !key || !with)
		return 0;
	__u8 side = with->verdict.side & 1;
	struct tracked fresh = {
		.seen = now_units(),
		.epoch = with->epoch,
		.rule = with->verdict.rule,
		.denied = with->verdict.denied,
		.opener = side,
		.state = (p->flags & TCP_SYN_ONLY ? CT_SYN : 0) | (p->flags & TCP_FIN_SEEN ? CT_FIN(side) : 0) |
			 (p->flags & TCP_RST_SEEN ? CT_RESET : 0),
		.told = with->verdict.told,
	};
	fresh.started = fresh.seen;
	fresh.packets[0] = side ? 0 : packets_in(skb);
	fresh.packets[1] = side ? packets_in(skb) : 0;
	fresh.bytes[0] = side ? 0 : skb->len;
	fresh.bytes[1] = side ? skb->len : 0;
	if (may_tell(fresh.denied, fresh.told & FLOW_LOGGED, source_of(p, with->to_group), fresh.seen)) {
		fresh.told |= FLOW_TOLD;
		tell(fresh.denied ? FLOW_DENIED : FLOW_OPENED, p->ethertype == ETH_P_IP, key, &fresh);
	}
	if (with->verdict.kept)
		return 0;
	if (p->ethertype == ETH_P_IP)
		bpf_map_update_elem(&connections4, key, &fresh, BPF_ANY);
	else
		bpf_map_update_elem(&connections6, key, &fresh, BPF_ANY);
	return 0;
}

/* `side`: which end of the key sent this packet. Answers a reason, or -1 to go on. */
static __always_inline int track(struct __sk_buff *skb, const struct packet *p, const union connection *key, __u8 side, __u32 to_group,
				 __u32 epoch)
{
	__u32 now = now_units();
	struct tracked *entry = p->ethertype == ETH_P_IP ? bpf_map_lookup_elem(&connections4, key) :
							   bpf_map_lookup_elem(&connections6, key);
	struct beginning fresh = { .to_group = to_group, .epoch = epoch };

	side &= 1;
	bool live = entry && !is_expired(entry, now, p->protocol);
	if (live && !begins(entry, p, side)) {
		if (entry->epoch != epoch) {
			int forged = judge(p, to_group, side != entry->opener, &fresh.verdict);
			if (forged >= 0)
				return forged;
			bool cut = fresh.verdict.denied && !entry->denied;
			entry->rule = fresh.verdict.rule;
			entry->denied = fresh.verdict.denied;
			entry->epoch = epoch;
			entry->told = (entry->told & (FLOW_TOLD | FLOW_TOLD_BACK)) | fresh.verdict.told;
			if (cut && may_tell(true, fresh.verdict.told & FLOW_LOGGED, source_of(p, to_group), now))
				tell(FLOW_DENIED, p->ethertype == ETH_P_IP, key, entry);
		}
		/* Written only when they change: both directions may be busy on different CPUs. */
		if (entry->seen != now)
			entry->seen = now;
		entry->packets[side] += packets_in(skb);
		entry->bytes[side] += skb->len;
		__u8 state = entry->state;
		if (side != entry->opener)
			state |= CT_REPLIED;
		if (p->flags & TCP_FIN_SEEN)
			state |= CT_FIN(side);
		if (p->flags & TCP_RST_SEEN)
			state |= CT_RESET;
		if (state != entry->state) {
			bool ends = is_closing(state) && !is_closing(entry->state) && !entry->denied;
			entry->state = state;
			if (ends && (entry->told & FLOW_TOLD))
				tell(FLOW_ENDED, p->ethertype == ETH_P_IP, key, entry);
		}
		return entry->denied ? DROP_POLICY : -1;
	}
	int forged = judge(p, to_group, 0, &fresh.verdict);
	if (forged >= 0)
		return forged;
	/* A connection that is allowed does not end because its other end may not open one. */
	fresh.verdict.kept = live && fresh.verdict.denied;
	if (fresh.verdict.kept) {
		/* Who asks all the time, as peers of one port do, hides what others are denied otherwise. */
		if (entry->told & FLOW_TOLD_BACK)
			return DROP_POLICY;
		entry->told |= FLOW_TOLD_BACK;
	}
	fresh.verdict.side = side;
	/* What was known between the same ends makes room for what the other one begins. */
	if (live && !fresh.verdict.kept && !entry->denied && !is_closing(entry->state) && (entry->told & FLOW_TOLD))
		tell(FLOW_ENDED, p->ethertype == ETH_P_IP, key, entry);
	begin(skb, p, key, &fresh);
	return fresh.verdict.denied ? DROP_POLICY : -1;
}

static __always_inline __u8 fill_key4(struct connection4 *key, __u32 domain, __u8 protocol, __be32 src, __be32 dst, __be16 sport, __be16 dport)
{
	__u8 side = src > dst || (src == dst && sport > dport);
	key->domain = domain;
	key->protocol = protocol;
	key->ip[0] = side ? dst : src;
	key->ip[1] = side ? src : dst;
	key->port[0] = side ? dport : sport;
	key->port[1] = side ? sport : dport;
	return side;
}

static __always_inline __u8 fill_key6(struct connection6 *key, __u32 domain, __u8 protocol, const struct address *src, const struct address *dst,
				      __be16 sport, __be16 dport)
{
	__u8 side = sport > dport;
#pragma unroll
	for (int i = 3; i >= 0; i--)
		if (src->word[i] != dst->word[i])
			side = src->word[i] > dst->word[i];
	key->domain = domain;
	key->protocol = protocol;
	key->ip[0] = side ? *dst : *src;
	key->ip[1] = side ? *src : *dst;
	key->port[0] = side ? dport : sport;
	key->port[1] = side ? sport : dport;
	return side;
}

/* What stands for the ports of a quoted packet, as parse_ports() told them when it passed. Answers whether it is cut off before. */
static __always_inline int quoted_ports(struct __sk_buff *skb, __u8 protocol, __u32 offset, __be16 *ports)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return bpf_skb_load_bytes(skb, offset, ports, 4);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (bpf_skb_load_bytes(skb, offset + 4, &ports[0], 2))
			return -1;
		ports[1] = ports[0];
	}
	return 0;
}

/* An ICMP error quotes the packet it is about, and goes to who sent that: it belongs to that packet's connection. Of whom it may come: routers
 * outside and on a VLAN tell of what they could not pass on, a container only of what it was sent itself. */
__noinline int is_related(struct __sk_buff *skb, const struct packet *p)
{
	if (!p)
		return 0;
	__u32 inner = p->l4_offset + 8;
	__be16 ports[2] = {};
	struct tracked *entry;
	bool routers = p->flags & (FROM_OUTSIDE | FROM_UPLINK);

	if (p->ethertype == ETH_P_IP) {
		struct iphdr ip;
		struct connection4 key = {};
		if (bpf_skb_load_bytes(skb, inner, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
		    ip.saddr != p->dst.word[3] || !(routers || ip.daddr == p->src.word[3]))
			return 0;
		if (quoted_ports(skb, ip.protocol, inner + ip.ihl * 4, ports))
			return 0;
		fill_key4(&key, p->domain, ip.protocol, ip.saddr, ip.daddr, ports[0], ports[1]);
		entry = bpf_map_lookup_elem(&connections4, &key);
	} else {
		struct ipv6hdr ip;
		struct connection6 key = {};
		struct address src, dst;
		if (bpf_skb_load_bytes(skb, inner, &ip, sizeof(ip)))
			return 0;
		__builtin_memcpy(&src, &ip.saddr, 16);
		__builtin_memcpy(&dst, &ip.daddr, 16);
		if (!same_address(&src, &p->dst) || !(routers || same_address(&dst, &p->src)))
			return 0;
		__u32 offset = inner + sizeof(ip);
		/* The first fragment of what is too big for a link; later ones have no ports, and tell nothing new. */
		if (ip.nexthdr == IPPROTO_FRAGMENT) {
			__u8 head[4];
			if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)) || head[2] || head[3] & 0xf8)
				return 0;
			ip.nexthdr = head[0];
			offset += 8;
		}
		if (quoted_ports(skb, ip.nexthdr, offset, ports))
			return 0;
		fill_key6(&key, p->domain, ip.nexthdr, &src, &dst, ports[0], ports[1]);
		entry = bpf_map_lookup_elem(&connections6, &key);
	}
	return entry && !entry->denied;
}

/* Later fragments get the ports of the first. */
__noinline int complete_fragment(struct packet *p)
{
	if (!p)
		return 0;
	struct fragment_key key = {
		.domain = p->domain, .id = p->fragment_id, .src = p->src, .dst = p->dst, .protocol = p->protocol
	};
	if (p->flags & FRAGMENT_FIRST) {
		struct fragment ports = { .sport = p->sport, .dport = p->dport };
		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
		return 1;
	}
	struct fragment *ports = bpf_map_lookup_elem(&fragments, &key);
	if (!ports)
		return 0;
	p->sport = ports->sport;
	p->dport = ports->dport;
	return 1;
}

/* A function of its own, as whatever needs much stack: a chain of calls may have 512 bytes in all. */
__noinline int check_connection(struct __sk_buff *skb, struct packet *p, __u32 to_group, __u32 epoch)
{
	if (!p)
		return DROP_MALFORMED;
	if ((p->flags & (FRAGMENT_FIRST | FRAGMENT_LATER)) && !complete_fragment(p))
		return DROP_FRAGMENT;
	if ((p->flags & ICMP_ERROR) && is_related(skb, p))
		return -1;
	/* One of both, as large as the larger one: the stack is short. */
	union connection key = {};
	__u8 side = p->ethertype == ETH_P_IP ?
			    fill_key4(&key.four, p->domain, p->protocol, p->src.word[3], p->dst.word[3], p->sport, p->dport) :
			    fill_key6(&key.six, p->domain, p->protocol, &p->src, &p->dst, p->sport, p->dport);
	return track(skb, p, &key, side, to_group, epoch);
}
