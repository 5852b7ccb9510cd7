/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments of packets that a test run in the kernel cannot give to the programs: longer than a
 * page, or with a checksum that their interface was to complete.
 */
#include "tests/bpf/roles.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "native.h"

enum {
    DATA = FRAME_ETHERNET + 20,
    LONGEST = 9216,
    PARTIAL = 3, /* CHECKSUM_PARTIAL */
    MOST = 16384,
};

/* The packet that goes in, and what its fragments, put together, make. */
static uint8_t whole[MOST], together[MOST];
static size_t whole_length, covered;
static int parts;

static uint16_t u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void set_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* Takes one frame of the tunnel with a fragment in it. */
static void part_take(const uint8_t *frame, size_t length)
{
    const uint8_t *ip = frame + FRAME_TUNNEL + FRAME_ETHERNET;
    size_t place = (u16(ip + 6) & 0x1fff) * 8, size = u16(ip + 2) - 20;
    int more = (u16(ip + 6) & MORE_FRAGMENTS) != 0;

    assert_int_equal(length, FRAME_TUNNEL + FRAME_ETHERNET + 20 + size);
    assert_in_range(length, 1, FRAME_ETHERNET + 1500);
    assert_int_equal(checksum_of(ip, 20, 0), 0);
    assert_memory_equal(ip + 12, whole + FRAME_ETHERNET + 12, 8);
    assert_in_range(place + size, 1, MOST - DATA);
    assert_int_equal(more, place + size < whole_length - DATA);
    memcpy(together + DATA + place, ip + 20, size);
    covered += size;
    parts++;
}

static long part_transmit(uint32_t ifindex, const uint8_t *frame, size_t length)
{
    (void)ifindex;
    part_take(frame, length);
    return 0;
}

/* The sum of the pseudo header, as it stands in a checksum that is to be completed. */
static uint16_t pseudo_sum(int protocol)
{
    uint8_t pseudo[12] = {0};

    memcpy(pseudo, whole + FRAME_ETHERNET + 12, 8);
    pseudo[9] = (uint8_t)protocol;
    set_u16(pseudo + 10, (uint16_t)(whole_length - DATA));
    return (uint16_t)~checksum_of(pseudo, sizeof(pseudo), 0);
}

static size_t check_offset(int protocol)
{
    return DATA + (protocol == IPPROTO_UDP ? 6 : 16);
}

/* A packet of the pod with that many bytes behind its IP header. */
static void whole_build(int protocol, size_t data)
{
    struct packet_spec spec = worker_udp_out;
    struct frame start;

    spec.protocol = protocol;
    spec.tcp_flags = ACK;
    worker_build(&start, &spec);
    memset(together, 0, sizeof(together));
    memcpy(whole, start.data, start.length);
    for (size_t i = start.length; i < DATA + data; i++)
        whole[i] = (uint8_t)(i * 7);
    whole_length = DATA + data;
    set_u16(whole + FRAME_ETHERNET + 2, (uint16_t)(20 + data));
    set_u16(whole + FRAME_ETHERNET + 10, 0);
    set_u16(whole + FRAME_ETHERNET + 10, checksum_of(whole + FRAME_ETHERNET, 20, 0));
    if (protocol == IPPROTO_UDP)
        set_u16(whole + DATA + 4, (uint16_t)data);
    covered = 0;
    parts = 0;
}

static int whole_send(struct harness *harness)
{
    struct native_skb skb = {.ctx = {.ifindex = (uint32_t)harness->up0}};
    int verdict;

    native_skb_fill(&skb, whole, whole_length, 0);
    verdict = native_run("egressgw_egress", &skb);
    if (verdict == VERDICT_PASS)
        part_take(skb.data, skb.ctx.len);
    return verdict;
}

static int setup(void **state)
{
    harness_setup(state);
    worker_put(*state, NODE_OTHER);
    native_kernel.transmit = part_transmit;
    native_kernel.ip_summed = 0;
    return 0;
}

static void expect_together(struct harness *harness, int count)
{
    assert_int_equal(whole_send(harness), VERDICT_PASS);
    assert_int_equal(parts, count);
    assert_int_equal(covered, whole_length - DATA);
}

static void test_long_ones_are_whole_again(void **state)
{
    const size_t lengths[] = {1432, 4096, 4500, 8192, 9215, LONGEST};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        whole_build(IPPROTO_UDP, lengths[i]);
        expect_together(*state, (int)((lengths[i] + 1423) / 1424));
        assert_memory_equal(together + DATA, whole + DATA, lengths[i]);
    }
}

/* Nobody completes the checksum of a packet any more whose parts go on their own. */
static void test_checksums_are_completed(void **state)
{
    const int protocols[] = {IPPROTO_UDP, IPPROTO_TCP};
    const size_t lengths[] = {1500, 1536, 2047, 2049, 2050, 3071, LONGEST};

    native_kernel.ip_summed = PARTIAL;
    for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t length = lengths[i / 2], check = check_offset(protocols[i % 2]);

        whole_build(protocols[i % 2], length);
        set_u16(whole + check, pseudo_sum(protocols[i % 2]));
        expect_together(*state, (int)((length + 1423) / 1424));
        /* With the sum of the pseudo header the whole is nothing. */
        assert_int_equal(checksum_of(together + DATA, length, pseudo_sum(protocols[i % 2])), 0);
        set_u16(whole + check, u16(together + check));
        assert_memory_equal(together + DATA, whole + DATA, length);
    }
}

/* To UDP a checksum of 0 means that there is none. */
static void test_a_checksum_is_not_none(void **state)
{
    size_t check = check_offset(IPPROTO_UDP);

    native_kernel.ip_summed = PARTIAL;
    whole_build(IPPROTO_UDP, 2000);
    set_u16(whole + DATA + 8, 0);
    set_u16(whole + check, pseudo_sum(IPPROTO_UDP));
    set_u16(whole + DATA + 8, checksum_of(whole + DATA, 2000, 0));
    expect_together(*state, 2);
    assert_int_equal(u16(together + check), 0xffff);
}

static void expect_refused(struct harness *harness, int protocol, size_t data)
{
    whole_build(protocol, data);
    assert_int_not_equal(whole_send(harness), VERDICT_PASS);
    assert_int_equal(parts, 0);
    assert_int_equal(get_counter(harness, COUNT_ENCAPSULATED).packets, 0);
}

static long jumbo_fib_lookup(struct bpf_fib_lookup *fib, uint32_t flags)
{
    (void)flags;
    fib->mtu_result = 9000;
    return fib->tot_len > 9000 ? BPF_FIB_LKUP_RET_FRAG_NEEDED : BPF_FIB_LKUP_RET_SUCCESS;
}

static void test_what_is_too_long_is_refused(void **state)
{
    long (*fib_lookup)(struct bpf_fib_lookup * fib, uint32_t flags) = native_kernel.fib_lookup;

    expect_refused(*state, IPPROTO_UDP, LONGEST + 1);
    native_kernel.ip_summed = PARTIAL;
    expect_refused(*state, IPPROTO_GRE, 2000); /* whose checksum is not known */
    native_kernel.ip_summed = 0;
    native_kernel.fib_lookup = jumbo_fib_lookup;
    expect_refused(*state, IPPROTO_SCTP, 9000); /* parts too long for the room */
    native_kernel.fib_lookup = fib_lookup;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_long_ones_are_whole_again),
        TEST(test_checksums_are_completed),
        TEST(test_a_checksum_is_not_none),
        TEST(test_what_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, harness_network, NULL);
}
