// SPDX-License-Identifier: Apache-2.0
/*
 * What does not fit the tunnel: what routers between the nodes say to fit is learnt, obeyed, and
 * not believed from everybody; what may be fragmented is.
 */

#include "families.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE = 10000 /* ms, for a frame to cross a pair of veth */, PART = 1424, TICKS = 3000 };

static struct packet_spec datagram(size_t length) /* of the IP packet */
{
    return (struct packet_spec){
        .source = POD,
        .destination = SERVER,
        .protocol = IPPROTO_UDP,
        .source_port = 40000,
        .destination_port = 53,
        .fragment = DO_NOT_FRAGMENT,
        .payload = length - 28,
    };
}

/* An ICMP error, and the packet of the tunnel that it is about. */
struct told {
    const char *own, *other;
    uint32_t mtu;
    uint8_t type, code; /* 0, 0: too big */
    uint16_t port;      /* of the tunnel, 0: the right one */
};

static void tell(struct harness *harness, const struct told *told)
{
    struct ip_addr address = address_of(told->own);
    int v6 = !ip_addr_is_v4(&address);
    struct packet_spec inside = datagram(1000), error = {
                                                    .source = v6 ? "fd00::fe" : "10.0.0.254",
                                                    .destination = told->own,
                                                    .protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                                    .icmp_type = v6 ? 2 : 3,
                                                };
    struct frame about, frame;

    frame_build(&about, mac_router, mac_uplink, &inside);
    frame_encapsulate(&about, mac_router, mac_uplink, told->own, told->other, 7, 50000, TEST_VNI);
    if (told->port)
        frame_set_u16(&about, FRAME_ETHERNET + (v6 ? 42 : 22), told->port);
    if (told->type)
        error.icmp_type = told->type;
    frame_build_error(&frame, mac_uplink, mac_router, &error, told->mtu, &about, 100);
    if (!v6)
        frame.data[FRAME_ETHERNET + 20 + 1] = told->type ? told->code : 4;
    frame_fix_icmp_checksum(&frame);
    harness_ingress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
}

/* The longest packet of the pod that goes into the tunnel. */
static void expect_longest(struct harness *harness, size_t length)
{
    struct packet_spec fits = datagram(length), larger = datagram(length + 1);
    uint64_t sent = get_counter(harness, COUNT_ENCAPSULATED).packets;
    uint64_t dropped = get_counter(harness, DROP_TOO_BIG).packets;
    static uint16_t port = 40000;
    struct frame frame;

    /* Other ports: another flow, whose way is not known from this very moment. */
    fits.source_port = larger.source_port = ++port;
    worker_build(&frame, &fits);
    harness_egress(harness, &frame);
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, sent + 1);
    worker_build(&frame, &larger);
    harness_egress(harness, &frame);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, dropped + 1);
}

static void put_worker(struct harness *harness, const char *gateway)
{
    worker_put(harness, gateway);
    put_node(harness, gateway, NODE_GATEWAY);
}

static void test_a_router_is_obeyed(void **state)
{
    put_worker(*state, NODE_OTHER);
    tell(*state, &(struct told){.own = NODE_OWN, .other = NODE_OTHER, .mtu = 1400});
    expect_longest(*state, 1350);
}

static void test_a_router_is_obeyed_over_ipv6(void **state)
{
    put_worker(*state, NODE_OTHER6);
    tell(*state, &(struct told){.own = NODE_OWN6, .other = NODE_OTHER6, .mtu = 1400});
    expect_longest(*state, 1330);
}

static void test_nobody_cuts_below_the_least_mtu_of_ipv6(void **state)
{
    put_worker(*state, NODE_OTHER);
    tell(*state, &(struct told){.own = NODE_OWN, .other = NODE_OTHER, .mtu = 68});
    expect_longest(*state, 1280);
}

static void test_what_is_about_another_way_changes_nothing(void **state)
{
    const struct told others[] = {
        {.own = NODE_OWN, .other = "192.0.2.77", .mtu = 1400},             /* no node */
        {.own = "10.0.0.77", .other = NODE_OTHER, .mtu = 1400},            /* not from us */
        {.own = NODE_OWN, .other = NODE_OTHER, .mtu = 1400, .port = 8472}, /* not our tunnel */
        {.own = NODE_OWN, .other = NODE_OTHER, .mtu = 1400, .type = 3, .code = 1},
        {.own = NODE_OWN, .other = NODE_OTHER, .mtu = 1400, .type = 11},
        {.own = NODE_OWN, .other = NODE_OTHER, .mtu = 1600}, /* more than there is */
    };

    put_worker(*state, NODE_OTHER);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        tell(*state, &others[i]);
        expect_longest(*state, 1450);
    }
    put_gateway(*state, 1, NODE_OTHER6, NULL, 0);
    put_node(*state, NODE_OTHER6, NODE_GATEWAY);
    tell(*state, &(struct told){.own = NODE_OWN6, .other = NODE_OTHER6, .mtu = 1400, .type = 3});
    expect_longest(*state, 1430);
}

/* What a router has said holds for 10 minutes. */
static void test_it_is_forgotten(void **state)
{
    struct harness *harness = *state;
    int fd = bpf_map__fd(harness->skeleton->maps.path_mtus);
    struct ip_addr node = address_of(NODE_OTHER);
    uint32_t known[2]; /* MTU, tick */

    put_worker(harness, NODE_OTHER);
    tell(harness, &(struct told){.own = NODE_OWN, .other = NODE_OTHER, .mtu = 1400});
    assert_int_equal(bpf_map__value_size(harness->skeleton->maps.path_mtus), sizeof(known));
    assert_int_equal(bpf_map_lookup_elem(fd, &node, known), 0);
    assert_int_equal(known[0], 1400);
    known[1] -= TICKS;
    assert_int_equal(bpf_map_update_elem(fd, &node, known, BPF_ANY), 0);
    expect_longest(harness, 1450);
}

static int wire; /* what has left by up0 */

static int network(void **state)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

    if (harness_network(state))
        return -1;
    address.sll_ifindex = (int)if_nametoindex("peer0");
    wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    return wire < 0 ? -1 : bind(wire, (const void *)&address, sizeof(address));
}

static int is_tunnel(const struct frame *frame)
{
    size_t udp = FRAME_ETHERNET + (frame->data[FRAME_ETHERNET] >> 4 == 6 ? 40 : 20);

    return frame->length > udp + 4 && frame_u16(frame, udp + 2) == 4789;
}

static int is_outside(const struct frame *frame)
{
    struct ip_addr server = address_of(SERVER);

    return frame->length > FRAME_ETHERNET + 20 &&
           !memcmp(frame->data + FRAME_ETHERNET + 16, &server.words_be[3], 4);
}

/* The next frame of that kind there; others are the kernel's own. */
static void wire_read(struct frame *frame, int (*is_wanted)(const struct frame *frame))
{
    struct pollfd waiting = {.fd = wire, .events = POLLIN};

    do {
        ssize_t length;

        assert_int_equal(poll(&waiting, 1, PATIENCE), 1);
        length = recv(wire, frame->data, sizeof(frame->data), 0);
        assert_true(length > FRAME_ETHERNET);
        frame->length = (size_t)length;
    } while (!is_wanted(frame));
}

/* A direction of the tunnel, and what of a packet fits into it. */
struct way_in {
    const char *source, *destination;
    int verdict;
    size_t part;
};

/* The last run sent `whole` into the tunnel in parts, each of them byte by byte as it has to be. */
static void expect_parts(struct harness *harness, const struct frame *whole,
                         const struct way_in *way)
{
    size_t total = whole->length - FRAME_ETHERNET - 20;
    struct harness copied = *harness;
    struct frame piece;

    for (size_t start = 0; start < total; start += way->part) {
        int last = start + way->part >= total;

        frame_cut(&piece, whole, start, last ? total - start : way->part);
        if (!last)
            wire_read(&copied.out, is_tunnel);
        assert_tunnel(last ? harness : &copied, way->verdict, &piece, mac_gateway, mac_uplink,
                      way->source, way->destination);
    }
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 0);
}

static const struct way_in over_ipv4 = {NODE_OWN, NODE_OTHER, VERDICT_PASS, PART};
static const struct way_in over_ipv6 = {NODE_OWN6, NODE_OTHER6, VERDICT_PASS, 1408};

static void expect_split(struct harness *harness, const struct packet_spec *spec,
                         const struct way_in *way)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    expect_parts(harness, &frame, way);
}

static void test_what_may_be_fragmented_is(void **state)
{
    const size_t lengths[] = {1451, PART + 28, 2 * PART + 20, 2 * PART + 21, 3000, 3400};
    struct harness *harness = *state;

    put_worker(harness, NODE_OTHER);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct packet_spec spec = datagram(lengths[i]);

        spec.fragment = 0;
        spec.traffic_class = 0xb9;
        expect_split(harness, &spec, &over_ipv4);
    }
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 2 + 2 + 2 + 3 + 3 + 3);
}

static void test_what_may_be_fragmented_is_over_ipv6(void **state)
{
    struct packet_spec spec = datagram(3000);

    put_worker(*state, NODE_OTHER6);
    spec.fragment = 0;
    expect_split(*state, &spec, &over_ipv6);
    spec.protocol = IPPROTO_TCP; /* its options are none of IP's */
    spec.tcp_flags = ACK;
    expect_split(*state, &spec, &over_ipv6);
}

/* Nothing waits for the next hop's address but the last part, by which the kernel asks for it. */
static void test_what_is_lost_of_fragments_is_counted(void **state)
{
    struct packet_spec spec = datagram(3400);
    struct harness *harness = *state;
    struct frame frame;

    put_worker(harness, NODE_UNSEEN);
    spec.fragment = 0;
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 3);
    assert_int_equal(get_counter(harness, DROP_NO_ROUTE).packets, 2);
}

/* A fragment keeps its place, and the last part of it says whether more follow. */
static void test_fragments_of_fragments(void **state)
{
    struct packet_spec spec = datagram(3000);

    put_worker(*state, NODE_OTHER);
    spec.fragment = MORE_FRAGMENTS;
    spec.payload = 3000 - 28 + 4; /* in units of eight bytes with the UDP header */
    expect_split(*state, &spec, &over_ipv4);
    spec.fragment = MORE_FRAGMENTS | 372;
    expect_split(*state, &spec, &over_ipv4);
    spec.fragment = 744;
    expect_split(*state, &spec, &over_ipv4);
}

/* An answer that may be fragmented goes to its pod in fragments. */
static void test_answers_are_fragmented(void **state)
{
    const struct way_in back = {NODE_OWN, NODE_OTHER, TC_ACT_REDIRECT, PART};
    struct packet_spec out = families_udp_out(&families_v4), in;
    struct harness *harness = *state;
    struct frame expected;

    families_put(harness, &families_v4);
    families_receive(harness, &families_v4, &out);
    in = families_answer_to(&families_v4, &out, families_port(harness, &out));
    in.payload = 3000;
    families_answer(harness, &in);
    in.destination = POD_OTHER;
    in.destination_port = out.source_port;
    in.hop_limit--;
    frame_build(&expected, mac_uplink, mac_router, &in);
    expect_parts(harness, &expected, &back);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_IN).packets, 3);
}

/* The last run sent `whole`, as it has to be outside, in parts of so many bytes. */
static void expect_parts_outside(struct harness *harness, const struct frame *whole, size_t part)
{
    size_t total = whole->length - FRAME_ETHERNET - 20;
    struct frame piece, copied;

    for (size_t start = 0; start < total; start += part) {
        int last = start + part >= total;

        frame_cut(&piece, whole, start, last ? total - start : part);
        if (!last)
            wire_read(&copied, is_outside);
        assert_frame(last ? &harness->out : &copied, &piece);
    }
    assert_int_equal(harness->mark_out, DATAPATH_MARK);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 0);
}

/* Between the gateway and the server there may be less room than in the tunnel. */
static void test_fragments_from_the_gateway_on(void **state)
{
    const int protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_GRE};
    struct packet_spec out = families_udp_out(&families_v4);
    struct harness *harness = *state;
    struct frame expected;

    families_put(harness, &families_v4);
    out.payload = 3001;
    out.icmp_type = 8;
    out.tcp_flags = ACK;
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        struct packet_spec sent;

        out.protocol = protocols[i];
        families_receive(harness, &families_v4, &out);
        assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
        sent = out;
        sent.source = EGRESS_IP;
        sent.hop_limit--;
        frame_build(&expected, mac_router, mac_uplink, &sent);
        expect_parts_outside(harness, &expected, 1480);
        assert_int_equal(get_counter(harness, COUNT_TRANSLATED_OUT).packets, 3 * (i + 1));
    }
}

/* The same where the pod is on the gateway itself. */
static void test_fragments_of_a_pod_here(void **state)
{
    struct packet_spec spec = datagram(3000), sent;
    struct harness *harness = *state;
    struct frame frame, expected;

    put_worker(harness, NODE_OTHER);
    put_gateway(harness, 1, NODE_OWN, EGRESS_IP, GATEWAY_LOCAL);
    spec.fragment = 0;
    spec.source_port = 20000;
    worker_build(&frame, &spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, VERDICT_PASS);
    sent = spec;
    sent.source = EGRESS_IP;
    frame_build(&expected, mac_router, mac_uplink, &sent);
    expect_parts_outside(harness, &expected, 1480);
}

/* What must not be fragmented is refused there, too: the pod's node gets the error for it. */
static void test_no_fragments_from_the_gateway_on(void **state)
{
    struct packet_spec out = families_udp_out(&families_v4);
    struct harness *harness = *state;

    families_put(harness, &families_v4);
    out.payload = 3001;
    out.fragment = DO_NOT_FRAGMENT;
    families_receive(harness, &families_v4, &out);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT);
    assert_true(is_tunnel(&harness->out));
    assert_int_equal(frame_u16(&harness->out, FRAME_ETHERNET + FRAME_TUNNEL + 26), 1500);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 1);
    assert_int_equal(get_counter(harness, COUNT_REFUSED).packets, 1);
    assert_int_equal(get_counter(harness, COUNT_TRANSLATED_OUT).packets, 0);
}

static void expect_refused(struct harness *harness, const struct packet_spec *spec)
{
    struct frame frame;

    worker_build(&frame, spec);
    harness_egress(harness, &frame);
    assert_int_equal(harness->verdict, TC_ACT_REDIRECT); /* the error about it, back to the pod */
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 0);
}

/* What is told instead: with options, as segments, and where too little would be left. */
static void test_what_is_not_fragmented(void **state)
{
    static const uint8_t router_alert[] = {0x94, 4, 0, 0};
    struct packet_spec spec = datagram(3000), segments = datagram(3000);
    struct harness *harness = *state;

    put_worker(harness, NODE_OTHER);
    spec.fragment = segments.fragment = 0;
    spec.ip_options = router_alert;
    spec.ip_options_length = sizeof(router_alert);
    expect_refused(harness, &spec);
    segments.protocol = IPPROTO_TCP;
    segments.tcp_flags = ACK;
    harness->gso_size = 1411;
    expect_refused(harness, &segments);
    harness->gso_size = 0;
    assert_int_equal(system("ip link set up0 mtu 1300"), 0);
    spec.ip_options_length = 0;
    spec.source_port++;
    expect_refused(harness, &spec);
    assert_int_equal(system("ip link set up0 mtu 1500"), 0);
    assert_int_equal(get_counter(harness, DROP_TOO_BIG).packets, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_router_is_obeyed),
        TEST(test_a_router_is_obeyed_over_ipv6),
        TEST(test_nobody_cuts_below_the_least_mtu_of_ipv6),
        TEST(test_what_is_about_another_way_changes_nothing),
        TEST(test_it_is_forgotten),
        TEST(test_what_may_be_fragmented_is),
        TEST(test_what_may_be_fragmented_is_over_ipv6),
        TEST(test_what_is_lost_of_fragments_is_counted),
        TEST(test_fragments_of_fragments),
        TEST(test_answers_are_fragmented),
        TEST(test_what_is_not_fragmented),
        TEST(test_fragments_from_the_gateway_on),
        TEST(test_fragments_of_a_pod_here),
        TEST(test_no_fragments_from_the_gateway_on),
    };

    return cmocka_run_group_tests(tests, network, NULL);
}
