/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to the datapath, compiled for this machine: one input is a row of frames, each with a byte
 * that says at which hook. No pod's packet leaves with its own address, checksums that were right
 * stay so.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/bpf/roles.h"
#include "tests/native/native.h"

enum { FRAMES = 4, LEAST = FRAME_ETHERNET + 20, INGRESS = 1, PIECES = 2, GSO = 4, FORWARDED = 8 };

static struct harness harness;

static void world_load(void)
{
    harness.skeleton = egressgw_bpf__open();
    FUZZ_CHECK(harness.skeleton);
    harness.skeleton->rodata->config = harness_config();
    harness.up0 = 2;
    native_load(harness.skeleton->obj);
}

/* This node has a pod, and is one of two gateways; so each packet may take either way. */
static void world_make(void)
{
    native_maps_clear();
    native_kernel.now = 1000ULL << 40;
    native_kernel.random = 1;
    put_settings(&harness, NODE_OWN, NODE_OWN6, 0);
    put_route(&harness, PROFILE_CLUSTER, "10.0.0.0", 8, ROUTE_CLUSTER);
    put_route(&harness, PROFILE_CLUSTER, "fd00::", 16, ROUTE_CLUSTER);
    put_route(&harness, TEST_PROFILE, "192.0.2.0", 24, ROUTE_GATEWAY);
    put_route(&harness, TEST_PROFILE, "2001:db8:7::", 48, ROUTE_GATEWAY);
    put_endpoint(&harness, POD, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_endpoint(&harness, POD6, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    put_endpoint(&harness, POD_OTHER, NODE_OTHER, TEST_PROFILE, 0);
    put_endpoint(&harness, POD_OTHER6, NODE_OTHER, TEST_PROFILE, 0);
    put_node(&harness, NODE_OTHER, NODE_GATEWAY);
    put_node(&harness, NODE_OWN, NODE_SELF | NODE_GATEWAY);
}

static void gateway_choose(bool local)
{
    put_gateway(&harness, 1, local ? NODE_OWN : NODE_OTHER, local ? EGRESS_IP : NULL,
                local ? GATEWAY_LOCAL : 0);
}

/* Whether the bytes are a whole IPv4 packet without options, from `source` if that is given. */
static bool packet_is(const uint8_t *ip, size_t room, const char *source)
{
    struct ip_addr address = address_of(source);

    return room >= 20 && ip[0] == 0x45 && (size_t)(ip[2] << 8 | ip[3]) <= room &&
           (ip[2] << 8 | ip[3]) >= 20 && (!source || !memcmp(ip + 12, &address.words_be[3], 4));
}

static uint32_t pseudo_sum(const uint8_t *ip, size_t length)
{
    uint32_t sum = ip[9] + (uint32_t)length;

    for (int i = 12; i < 20; i += 2)
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    return sum;
}

/* Whether the checksums of a whole packet are right: of its header, and of TCP, UDP or ICMP. */
static bool sums_are_right(const uint8_t *ip, size_t room)
{
    size_t length;
    bool fragment;

    if (!packet_is(ip, room, NULL) || checksum_of(ip, 20, 0))
        return false;
    length = (size_t)(ip[2] << 8 | ip[3]) - 20;
    fragment = (ip[6] & 0x3f) || ip[7];
    if (fragment)
        return true;
    switch (ip[9]) {
    case IPPROTO_TCP:
        return length >= 20 && !checksum_of(ip + 20, length, pseudo_sum(ip, length));
    case IPPROTO_UDP:
        return length >= 8 &&
               ((!ip[26] && !ip[27]) || !checksum_of(ip + 20, length, pseudo_sum(ip, length)));
    case IPPROTO_ICMP:
        return length >= 8 && !checksum_of(ip + 20, length, 0);
    }
    return true;
}

static bool destination_is_outside(const uint8_t *ip)
{
    return ip[16] == 192 && ip[17] == 0 && ip[18] == 2;
}

/* What the egress program let out of a pod's packet that a policy selects. */
static void check_egress(const uint8_t *before, size_t length, const struct native_skb *after,
                         bool first)
{
    const uint8_t *ip = before + FRAME_ETHERNET, *out = after->data + FRAME_ETHERNET;
    size_t room = length - FRAME_ETHERNET, left = after->ctx.len - FRAME_ETHERNET;

    if (memcmp(before + 12, "\x08\0", 2) != 0 || !packet_is(ip, room, POD) ||
        !destination_is_outside(ip))
        return;
    if (first) /* later ones may be answers of connections from outside */
        FUZZ_CHECK(!packet_is(out, left, POD));
    if (!sums_are_right(ip, room) || packet_is(out, left, POD))
        return;
    FUZZ_CHECK(!checksum_of(out, 20, 0));
    if (packet_is(out, left, EGRESS_IP))
        FUZZ_CHECK(sums_are_right(out, left));
    else if (left > FRAME_TUNNEL)
        FUZZ_CHECK(sums_are_right(out + FRAME_TUNNEL, left - FRAME_TUNNEL));
}

/* What the ingress program sends on by itself: of the tunnel to outside, or of outside to the
 * tunnel. */
static void check_ingress(const uint8_t *before, size_t length, const struct native_skb *after)
{
    const uint8_t *inner = before + FRAME_ETHERNET + FRAME_TUNNEL;
    const uint8_t *out = after->data + FRAME_ETHERNET;
    size_t left = after->ctx.len - FRAME_ETHERNET;

    if (left < 20 || out[0] != 0x45)
        return;
    FUZZ_CHECK(!packet_is(out, left, POD_OTHER) && !packet_is(out, left, POD));
    if (length > FRAME_ETHERNET + FRAME_TUNNEL && packet_is(out, left, EGRESS_IP) &&
        sums_are_right(inner, length - FRAME_ETHERNET - FRAME_TUNNEL))
        FUZZ_CHECK(sums_are_right(out, left));
}

static void frame_run(const uint8_t *frame, size_t length, uint8_t flags, bool first)
{
    struct native_skb skb = {.ctx = {.ifindex = 2,
                                     .gso_size = flags & GSO ? 1000 : 0,
                                     .ingress_ifindex = flags & FORWARDED ? 3 : 0}};
    bool ingress = flags & INGRESS;
    int verdict;

    native_skb_fill(&skb, frame, length, flags & PIECES ? FRAME_ETHERNET : 0);
    verdict = native_run(ingress ? "egressgw_ingress" : "egressgw_egress", &skb);
    FUZZ_CHECK(verdict == TC_ACT_SHOT || verdict == VERDICT_PASS || verdict == TC_ACT_REDIRECT);
    FUZZ_CHECK(skb.linear <= skb.ctx.len && skb.ctx.len <= length + FRAME_TUNNEL6 + 2048);
    if (verdict == TC_ACT_SHOT)
        return;
    FUZZ_CHECK(skb.ctx.len >= FRAME_ETHERNET);
    if (ingress && verdict == TC_ACT_REDIRECT)
        check_ingress(frame, length, &skb);
    else if (!ingress && !(flags & GSO))
        check_egress(frame, length, &skb, first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t way = fuzz_byte(&data, &size);

    if (!harness.skeleton)
        world_load();
    world_make();
    gateway_choose(way & 1);
    for (int i = 0; i < FRAMES && size > 3; i++) {
        uint8_t head[3];
        size_t length;

        fuzz_take(&data, &size, head, sizeof(head));
        length = (size_t)(head[1] & 7) << 8 | head[2];
        if (length > size)
            length = size;
        if (length < LEAST)
            return 0;
        frame_run(data, length, head[0], i == 0);
        data += length;
        size -= length;
        native_kernel.now += (uint64_t)(head[1] >> 3) << 30;
    }
    return 0;
}
