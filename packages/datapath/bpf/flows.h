/* What the agent is told of connections, within limits: a flood costs a look-up for each of its packets and no record. The ring is read by
 * a timer of the agent's, so nobody is woken; while no agent runs it fills up, and what does not fit is counted. */
#pragma once
#include "counters.h"

#define LEFT_OUT_NO_ROOM 3

static __always_inline void leave_out(__u32 why)
{
	__u64 *count = bpf_map_lookup_elem(&flow_left_out, &why);
	if (count)
		*count += 1;
}

static __always_inline bool take(struct flow_bucket *bucket, __u32 now, __u32 limit)
{
	if (bucket->window != now) {
		bucket->window = now;
		bucket->taken = 0;
	}
	if (bucket->taken >= limit)
		return false;
	__sync_fetch_and_add(&bucket->taken, 1);
	return true;
}

static __always_inline bool take_of_host(__u32 which, __u32 now, __u32 limit)
{
	struct flow_bucket *bucket = bpf_map_lookup_elem(&flow_buckets, &which);
	return bucket && take(bucket, now, limit);
}

static __always_inline bool take_of_source(__u64 source, __u32 now, __u32 limit)
{
	struct flow_bucket *bucket = bpf_map_lookup_elem(&flow_sources, &source);
	if (bucket)
		return take(bucket, now, limit);
	struct flow_bucket fresh = { .window = now, .taken = 1 };
	bpf_map_update_elem(&flow_sources, &source, &fresh, BPF_ANY);
	return true;
}

/* May a connection that begins, or is denied, be told? `source` is who would be telling. */
static __always_inline bool may_tell(bool denied, bool logs, __u64 source, __u32 now)
{
	__u32 zero = 0, which = logs ? 2 : denied ? 1 : 0;
	struct flow_limits *limits = bpf_map_lookup_elem(&flow_limits, &zero);
	if (!limits || !limits->on)
		return false;
	bool fits;
	if (logs)
		fits = take_of_host(2, now, limits->logged);
	else if (denied)
		fits = take_of_source(source, now, limits->denied_each) && take_of_host(1, now, limits->denied);
	else
		fits = take_of_host(0, now, limits->opened);
	if (!fits)
		leave_out(which);
	return fits;
}

/* A key of either table. */
union connection {
	struct connection4 four;
	struct connection6 six;
};

__noinline int tell(__u32 kind, bool is4, const union connection *key, const struct tracked *state)
{
	if (!state || !key)
		return 0;
	struct flow_event *event = bpf_ringbuf_reserve(&flows, sizeof(*event), 0);
	if (!event) {
		leave_out(LEFT_OUT_NO_ROOM);
		return 0;
	}
	event->kind = kind;
	event->pad = 0;
	event->pad2 = 0;
	if (is4) {
		event->family = 4;
		event->protocol = key->four.protocol;
		event->domain = key->four.domain;
#pragma unroll
		for (int i = 0; i < 2; i++) {
			event->ip[i].word[0] = event->ip[i].word[1] = 0;
			event->ip[i].word[2] = V4_MARK;
			event->ip[i].word[3] = key->four.ip[i];
			event->port[i] = key->four.port[i];
		}
	} else {
		event->family = 6;
		event->protocol = key->six.protocol;
		event->domain = key->six.domain;
#pragma unroll
		for (int i = 0; i < 2; i++) {
			event->ip[i] = key->six.ip[i];
			event->port[i] = key->six.port[i];
		}
	}
	event->state = *state;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}
