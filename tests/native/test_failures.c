/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no packet alone reaches: helpers that fail, one at a time, and NULL for each pointer that a
 * function could be given. Whatever fails, no packet of a pod leaves as it came.
 */
#include "tests/bpf/roles.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>

#include <bpf/btf.h>

#include "native.h"

enum { CALLS_MOST = 500, ARGUMENTS = 6, ROOM = 8192 };

static const uint8_t segment_size[] = {2, 4, 0x05, 0xb4};
/* A no-operation moves the option to an odd place. */
static const uint8_t segment_size_odd[] = {1, 2, 4, 0x05, 0xb4, 0, 0, 0};
static const uint8_t hop_by_hop[] = {IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0};

static const struct packet_spec pod_syn = {
    .source = POD,
    .destination = SERVER,
    .protocol = IPPROTO_TCP,
    .source_port = 20001,
    .destination_port = 80,
    .tcp_flags = SYN,
    .options = segment_size,
    .options_length = sizeof(segment_size),
};

static const struct packet_spec pod_syn6 = {
    .source = POD6,
    .destination = SERVER6,
    .protocol = IPPROTO_TCP,
    .source_port = 20002,
    .destination_port = 80,
    .tcp_flags = SYN,
    .options = segment_size_odd,
    .options_length = sizeof(segment_size_odd),
    .extensions = hop_by_hop,
    .extensions_length = sizeof(hop_by_hop),
    .extension = IPPROTO_HOPOPTS,
};

static const struct packet_spec other_ping6 = {
    .source = POD_OTHER6,
    .destination = SERVER6,
    .protocol = IPPROTO_ICMPV6,
    .icmp_type = 128,
    .source_port = 20003,
    .traffic_class = 2,
};

static const struct packet_spec other_syn = {
    .source = POD_OTHER,
    .destination = SERVER,
    .protocol = IPPROTO_TCP,
    .source_port = 20004,
    .destination_port = 80,
    .tcp_flags = SYN,
    .traffic_class = 1,
};

static const struct packet_spec other_raw = {
    .source = POD_OTHER,
    .destination = SERVER,
    .protocol = IPPROTO_GRE,
    .payload = 40,
};

static const struct packet_spec pod_long = {
    .source = POD,
    .destination = SERVER,
    .protocol = IPPROTO_UDP,
    .source_port = 20005,
    .destination_port = 53,
    .payload = 1600,
};

static const struct packet_spec pod_long6 = {
    .source = POD6,
    .destination = SERVER6,
    .protocol = IPPROTO_UDP,
    .source_port = 20005,
    .destination_port = 53,
    .payload = 1600,
};

static const struct packet_spec answer = {
    .source = SERVER,
    .destination = EGRESS_IP,
    .protocol = IPPROTO_TCP,
    .source_port = 80,
    .destination_port = 20004,
    .tcp_flags = SYN | ACK,
    .options = segment_size_odd,
    .options_length = sizeof(segment_size_odd),
};

static const struct packet_spec unreachable = {
    .source = "198.51.100.1",
    .destination = EGRESS_IP,
    .protocol = IPPROTO_ICMP,
    .icmp_type = 3,
};

struct scene {
    const char *name;
    const char *egress_ip; /* of a gateway; NULL: a worker */
    void (*build)(struct frame *frame);
    bool egress;
    bool from_pod; /* must not leave as it is */
    void (*before)(struct harness *harness);
};

static void build_syn(struct frame *frame)
{
    worker_build(frame, &pod_syn);
}

static void build_syn6(struct frame *frame)
{
    worker_build(frame, &pod_syn6);
}

static void build_other(struct frame *frame)
{
    gateway_build(frame, &other_syn, NODE_OTHER);
    frame->data[FRAME_ETHERNET + 1] |= 3; /* congestion on the way of the tunnel */
    frame_fix_ip_checksum(frame, FRAME_ETHERNET);
}

static void build_raw(struct frame *frame)
{
    gateway_build(frame, &other_raw, NODE_OTHER);
}

static void build_ping6(struct frame *frame)
{
    gateway_build(frame, &other_ping6, NODE_OTHER);
}

static void build_fragments(struct frame *frame)
{
    worker_build(frame, &pod_long);
}

static void build_too_big(struct frame *frame)
{
    struct packet_spec spec = pod_long;

    spec.fragment = DO_NOT_FRAGMENT;
    worker_build(frame, &spec);
}

static void build_too_big6(struct frame *frame)
{
    worker_build(frame, &pod_long6);
}

static void build_expired(struct frame *frame)
{
    struct packet_spec spec = other_syn;

    spec.hop_limit = 1;
    gateway_build(frame, &spec, NODE_OTHER);
}

static void build_long(struct frame *frame)
{
    struct packet_spec spec = pod_long;

    spec.source = POD_OTHER;
    gateway_build(frame, &spec, NODE_OTHER);
}

static void build_first_fragment(struct frame *frame)
{
    struct packet_spec spec = pod_long;

    spec.source = POD_OTHER;
    spec.fragment = MORE_FRAGMENTS;
    spec.payload = 800;
    gateway_build(frame, &spec, NODE_OTHER);
}

static void build_first_fragment6(struct frame *frame)
{
    struct packet_spec spec = pod_long6;
    struct frame whole;

    spec.source = POD_OTHER6;
    frame_build(&whole, mac_router, mac_uplink, &spec);
    frame_cut(frame, &whole, 0, 800);
    frame_encapsulate(frame, mac_uplink, mac_gateway, NODE_OTHER, NODE_OWN, 77, 50000, TEST_VNI);
}

static void build_answer_too_big(struct frame *frame)
{
    struct packet_spec spec = answer;

    spec.tcp_flags = ACK;
    spec.payload = 1440;
    spec.fragment = DO_NOT_FRAGMENT;
    frame_build(frame, mac_uplink, mac_router, &spec);
}

static void build_answer_here(struct frame *frame)
{
    struct packet_spec spec = answer;

    spec.destination_port = pod_syn.source_port;
    frame_build(frame, mac_uplink, mac_router, &spec);
}

static void build_answer(struct frame *frame)
{
    frame_build(frame, mac_uplink, mac_router, &answer);
}

static void build_unreachable(struct frame *frame)
{
    struct packet_spec out = other_syn;
    struct frame about;

    out.source = EGRESS_IP;
    frame_build(&about, mac_router, mac_uplink, &out);
    frame_build_error(frame, mac_uplink, mac_router, &unreachable, 0, &about, 40);
}

static void open_mapping(struct harness *harness)
{
    gateway_receive(harness, &other_syn);
    assert_int_not_equal(harness->verdict, TC_ACT_SHOT);
}

/* About a packet of our tunnel to that node. */
static void build_router_error(struct frame *frame)
{
    struct packet_spec error = unreachable;
    struct frame about;

    error.destination = NODE_OWN;
    frame_build(&about, mac_router, mac_uplink, &other_syn);
    frame_encapsulate(&about, mac_router, mac_uplink, NODE_OWN, NODE_OTHER, 7, 50000, TEST_VNI);
    frame_build_error(frame, mac_uplink, mac_router, &error, 1400, &about, 60);
    frame->data[FRAME_ETHERNET + 21] = 4; /* fragmentation needed */
    frame_fix_icmp_checksum(frame);
}

/* This node is the gateway of its own pod. */
static void put_here(struct harness *harness)
{
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL);
}

static void open_here(struct harness *harness)
{
    struct frame frame;

    put_here(harness);
    build_syn(&frame);
    harness_egress(harness, &frame);
    assert_int_not_equal(harness->verdict, TC_ACT_SHOT);
}

static const struct scene scenes[] = {
    {"worker", NULL, build_syn, true, true, NULL},
    {"worker, IPv6", NULL, build_syn6, true, true, NULL},
    {"gateway", EGRESS_IP, build_other, false, true, NULL},
    {"gateway, by address", EGRESS_IP, build_raw, false, true, NULL},
    {"gateway, IPv6 in IPv4", EGRESS_IP6, build_ping6, false, true, NULL},
    {"answer", EGRESS_IP, build_answer, false, false, open_mapping},
    {"error", EGRESS_IP, build_unreachable, false, false, open_mapping},
    {"worker, fragments", NULL, build_fragments, true, true, NULL},
    {"worker, too big", NULL, build_too_big, true, true, NULL},
    {"worker, IPv6, too big", NULL, build_too_big6, true, true, NULL},
    {"worker, gateway here", NULL, build_syn, true, true, put_here},
    {"answer to a pod here", NULL, build_answer_here, false, false, open_here},
    {"hop limit", EGRESS_IP, build_expired, false, true, NULL},
    {"gateway, fragments", EGRESS_IP, build_long, false, true, NULL},
    {"fragment", EGRESS_IP, build_first_fragment, false, true, NULL},
    {"fragment, IPv6 in IPv4", EGRESS_IP6, build_first_fragment6, false, true, NULL},
    {"answer, too big", EGRESS_IP, build_answer_too_big, false, false, open_mapping},
    {"error of a router", EGRESS_IP, build_router_error, false, false, NULL},
};

static void scene_set(struct harness *harness, const struct scene *scene)
{
    struct datapath_config config = harness_config();

    native_kernel.failing_call = native_kernel.failing_lookup = 0;
    harness_reload(harness, &config, 65536);
    harness->ingress_ifindex = scene->egress ? (uint32_t)harness->up1 : 0; /* forwarded */
    if (scene->egress_ip) {
        gateway_put(harness);
        put_endpoint(harness, POD_OTHER6, NODE_OTHER, TEST_PROFILE, 0);
        put_gateway(harness, 1, NODE_OWN, scene->egress_ip, GATEWAY_LOCAL);
    } else {
        worker_put(harness, NODE_OTHER);
        put_endpoint(harness, POD6, NODE_OWN, TEST_PROFILE, ENDPOINT_LOCAL);
    }
    put_route(harness, TEST_PROFILE, "2001:db8:7::", 48, ROUTE_GATEWAY);
    if (scene->before)
        scene->before(harness);
    native_kernel.calls = native_kernel.lookups = 0;
}

static void scene_run(struct harness *harness, const struct scene *scene, struct frame *frame)
{
    scene->build(frame);
    if (scene->egress)
        harness_egress(harness, frame);
    else
        harness_ingress(harness, frame);
}

/* Out by an uplink, and with the source of a pod, outside of the tunnel. */
static bool leaves_untouched(const struct harness *harness, const struct scene *scene,
                             const struct frame *frame)
{
    if (harness->verdict == TC_ACT_SHOT)
        return false;
    if (!scene->egress && harness->verdict == VERDICT_PASS)
        return false; /* up this node's own stack, still in the tunnel */
    return harness->out.length == frame->length &&
           !memcmp(harness->out.data + FRAME_ETHERNET, frame->data + FRAME_ETHERNET,
                   frame->length - FRAME_ETHERNET);
}

static void test_each_call_fails(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        uint32_t call = 0;

        do {
            scene_set(harness, &scenes[i]);
            native_kernel.failing_call = ++call;
            scene_run(harness, &scenes[i], &frame);
            if (scenes[i].from_pod && leaves_untouched(harness, &scenes[i], &frame))
                fail_msg("%s: with call %u failing the packet leaves", scenes[i].name, call);
            assert_true(call < CALLS_MOST);
        } while (native_kernel.calls >= call);
        if (call <= 3)
            fail_msg("%s: only %u calls, verdict %d", scenes[i].name, call, harness->verdict);
    }
    native_kernel.failing_call = 0;
}

/* Also of those that cannot fail in the kernel: the programs are told to expect it. */
static void test_each_lookup_finds_nothing(void **state)
{
    struct harness *harness = *state;
    struct frame frame;

    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        uint32_t lookup = 0;

        do {
            scene_set(harness, &scenes[i]);
            native_kernel.failing_lookup = ++lookup;
            scene_run(harness, &scenes[i], &frame);
            assert_in_range(harness->verdict + 1, VERDICT_PASS + 1, TC_ACT_REDIRECT + 1);
        } while (native_kernel.lookups >= lookup && lookup < CALLS_MOST);
    }
    native_kernel.failing_lookup = 0;
}

/* The arguments of a function, by its type: `hole` is the one that is NULL. */
static size_t arguments_fill(const struct btf *btf, const struct btf_type *function, size_t hole,
                             struct native_skb *skb, void *room, void *arguments[ARGUMENTS])
{
    size_t count = btf_vlen(function);

    for (size_t i = 0; i < count && i < ARGUMENTS; i++) {
        const struct btf_type *type = btf__type_by_id(btf, btf_params(function)[i].type);
        const struct btf_type *target = btf_is_ptr(type) ? btf__type_by_id(btf, type->type) : NULL;

        if (target && !strcmp(btf__name_by_offset(btf, target->name_off), "__sk_buff"))
            arguments[i] = &skb->ctx;
        else if (target && i != hole)
            arguments[i] = room;
        else
            arguments[i] = NULL;
    }
    return count;
}

static void function_call(const struct btf *btf, const struct btf_type *described)
{
    static uint64_t room[ROOM / 8];
    const struct btf_type *function = btf__type_by_id(btf, described->type);
    void *symbol = dlsym(RTLD_DEFAULT, btf__name_by_offset(btf, described->name_off));
    int (*call)(void *, void *, void *, void *, void *, void *) =
        (int (*)(void *, void *, void *, void *, void *, void *))symbol;
    const uint8_t frame[64] = {0};

    for (size_t hole = 0; symbol && hole < btf_vlen(function); hole++) {
        void *arguments[ARGUMENTS] = {0};
        struct native_skb skb = {0};

        memset(room, 0, sizeof(room));
        native_skb_fill(&skb, frame, sizeof(frame), 0);
        assert_true(arguments_fill(btf, function, hole, &skb, room, arguments) <= ARGUMENTS);
        call(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    }
}

/* The verifier looks at functions that are no `static` each on their own, and so do we. */
static void test_null_for_each_argument(void **state)
{
    struct harness *harness = *state;
    const struct btf *btf = bpf_object__btf(harness->skeleton->obj);
    int called = 0;

    for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
        const struct btf_type *type = btf__type_by_id(btf, id);

        if (!btf_is_func(type) || btf_vlen(type) != BTF_FUNC_GLOBAL)
            continue;
        function_call(btf, type);
        called++;
    }
    assert_true(called > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_call_fails, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_each_lookup_finds_nothing, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_null_for_each_argument, harness_setup,
                                        harness_teardown),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}
