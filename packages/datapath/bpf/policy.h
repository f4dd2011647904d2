/* Stage 7: may this connection be? Asked for its first packet only, and again when rules have changed. Each end is asked by itself: what the
 * one may open and what the other may be called. The number of look-ups does not depend on the number of rules; who compiles them, and why it
 * works: packages/datapath/src/policy/compile.ts. */
#pragma once
#include "maps.h"

/* The first packet of a connection, seen from one of its ends. */
struct question {
	/* Whose rules are asked: the number of the container's group. */
	__u32 subject;
	/* The peer's. */
	__u32 group;
	__u32 way;
	__u32 protocol;
	/* Port of the end that was called. */
	__be16 port;
	__u8 pad[2];
	struct address own;
	struct address peer;
};

struct verdict {
	__u32 rule;
	__u8 denied;
	/* FLOW_LOGGED, FLOW_BY_CALLED */
	__u8 told;
	/* The entry that is there stays. */
	__u8 kept;
	/* Which end of the key it came from. */
	__u8 side;
};

/* What was found out about the packet for one decision, and the best rule so far. */
struct search {
	__u32 set;
	__u32 way;
	__u32 group;
	__u32 protocol;
	/* Classes: of the peer's address, the container's own, the port. */
	__u32 peer;
	__u32 own;
	__u32 port;
	/* 0: no rule yet. */
	__u32 best;
	__u32 rule;
	__u16 denied;
	__u16 logs;
};

static __always_inline __u32 address_class(__u32 set, __u32 way_and_end, const struct address *ip)
{
	struct address_key key = { .length = 160, .scope = bpf_htonl(set * 4 + way_and_end), .ip = *ip };
	__u32 *number = bpf_map_lookup_elem(&rule_addresses, &key);
	return number ? *number : 0;
}

static __always_inline __u32 port_class(__u32 set, __u32 way, __u8 protocol, __be16 port)
{
	struct port_key key = { .length = 56, .scope = bpf_htonl(set * 4 + way * 2), .protocol = protocol };
	__builtin_memcpy(key.port, &port, 2);
	__u32 *number = bpf_map_lookup_elem(&rule_ports, &key);
	return number ? *number : 0;
}

/* The rules of one pattern. */
__noinline int consider(struct search *s, __u32 pattern)
{
	if (!s)
		return 0;
	struct rule_key key = { .set = s->set, .way = s->way, .pattern = pattern };
	if (pattern & BY_GROUP)
		key.group = s->group;
	if (pattern & BY_PEER)
		key.peer = s->peer;
	if (pattern & BY_OWN)
		key.own = s->own;
	if (pattern & BY_PORT)
		key.service = s->port;
	else if (pattern & BY_PROTOCOL)
		key.service = s->protocol;
	struct rule *found = bpf_map_lookup_elem(&rules, &key);
	if (!found)
		return 0;
	/* Of the same rank the one that denies wins, then the smaller number. */
	__u32 rank = found->rank * 2 + (found->denied ? 1 : 0) + 1;
	if (rank > s->best || (rank == s->best && found->number < s->rule)) {
		s->best = rank;
		s->rule = found->number;
		s->denied = found->denied;
		s->logs = found->logs;
	}
	return 0;
}

__noinline int decide(const struct question *q, struct verdict *verdict)
{
	if (!q || !verdict)
		return 0;
	__u32 way = q->way & 1, subject_number = q->subject;
	struct subject *subject = bpf_map_lookup_elem(&subjects, &subject_number);
	verdict->rule = 0;
	verdict->denied = 1;
	if (!subject)
		return 0;
	__u32 patterns = way ? subject->patterns[WAY_OUT] : subject->patterns[WAY_IN];
	struct search s = { .set = subject->set, .way = way, .group = q->group, .protocol = q->protocol };
	s.denied = way ? subject->denies[WAY_OUT] : subject->denies[WAY_IN];

	/* Bit n of these constants: pattern n names the peer, the own address, a class of ports. */
	if (patterns & 0xcccccc)
		s.peer = address_class(s.set, way * 2, &q->peer);
	if (patterns & 0xf0f0f0)
		s.own = address_class(s.set, way * 2 + 1, &q->own);
	if (patterns & 0xff0000)
		s.port = port_class(s.set, way, q->protocol, q->port);
	for (int i = 0; i < PATTERNS; i++)
		if (patterns & (1U << i))
			consider(&s, i);
	verdict->rule = s.rule;
	verdict->denied = s.denied;
	if (s.logs)
		verdict->told |= FLOW_LOGGED;
	return 0;
}
