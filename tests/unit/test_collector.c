/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/collector.h"
#include "tests/unit/fake_backend.h"

#define DATA NAT_SEEN_DATA

enum { NOW = 5000000 };

static const uint32_t timeouts[NAT_TIMEOUTS] = {7440, 240, 10, 300, 30, 60, 600};

static uint32_t ago(unsigned seconds)
{
    return NOW - (uint32_t)(((uint64_t)seconds * 1000000000U) >> DATAPATH_TICK_SHIFT);
}

struct mapping {
    struct nat_key flow, claim_key;
    struct nat_forward forward;
    struct nat_reverse claim;
};

static struct mapping mapping_make(unsigned number, unsigned packets_ago, unsigned answers_ago)
{
    struct mapping mapping = {
        .flow = {.local = ip_addr_from_v4(htonl(0x0a000000 + number)),
                 .remote = ip_addr_from_v4(htonl(0x08080808)),
                 .local_port_be = htons(1000),
                 .remote_port_be = htons(53),
                 .protocol = IPPROTO_UDP},
        .forward = {.egress = ip_addr_from_v4(htonl(0xc0000201)),
                    .egress_port_be = htons((uint16_t)(2000 + number)),
                    .use = {.last_seen = ago(packets_ago), .seen = DATA}},
        .claim = {.pod_port_be = htons(1000), .use = {.last_seen = ago(answers_ago)}},
    };

    mapping.claim.pod = mapping.flow.local;
    mapping.claim_key = mapping.flow;
    mapping.claim_key.local = mapping.forward.egress;
    mapping.claim_key.local_port_be = mapping.forward.egress_port_be;
    return mapping;
}

static void forward_put(struct fake_backend *fake, const struct mapping *mapping)
{
    assert_int_equal(
        entries_put(&fake->maps[BACKEND_NAT_FORWARD], &mapping->flow, &mapping->forward, ENTRY_SET),
        0);
}

static void claim_put(struct fake_backend *fake, const struct mapping *mapping)
{
    assert_int_equal(entries_put(&fake->maps[BACKEND_NAT_REVERSE], &mapping->claim_key,
                                 &mapping->claim, ENTRY_SET),
                     0);
}

static void scan(struct collector *collector)
{
    bool ended = false;

    for (unsigned steps = 0; !ended; steps++) {
        assert_true(steps < 1000);
        assert_int_equal(collector_step(collector, NOW, &ended), 0);
    }
}

static bool has_forward(const struct fake_backend *fake, const struct mapping *mapping)
{
    return entries_find(&fake->maps[BACKEND_NAT_FORWARD], &mapping->flow);
}

static bool has_claim(const struct fake_backend *fake, const struct mapping *mapping)
{
    return entries_find(&fake->maps[BACKEND_NAT_REVERSE], &mapping->claim_key);
}

static void test_scan_frees_what_is_idle(void **state)
{
    struct mapping live = mapping_make(1, 5, 100), answered = mapping_make(2, 100, 5);
    struct mapping idle = mapping_make(3, 40, 40), orphan = mapping_make(4, 0, 40);
    struct mapping young_orphan = mapping_make(5, 0, 5), other_port = mapping_make(6, 5, 40);
    struct mapping lost_claim = mapping_make(7, 40, 0);
    struct fake_backend fake;
    struct collector collector;

    (void)state;
    fake_backend_open(&fake, 100);
    assert_int_equal(collector_open(&collector, &fake.backend, timeouts), 0);
    const struct mapping *whole[] = {&live, &answered, &idle};
    for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
        forward_put(&fake, whole[i]);
        claim_put(&fake, whole[i]);
    }
    claim_put(&fake, &orphan);
    claim_put(&fake, &young_orphan);
    claim_put(&fake, &other_port);
    other_port.forward.egress_port_be = htons(9);
    forward_put(&fake, &other_port);
    forward_put(&fake, &lost_claim);

    scan(&collector); /* sees that there are more claims than mappings */
    scan(&collector);
    assert_true(has_forward(&fake, &live) && has_claim(&fake, &live));
    assert_true(has_forward(&fake, &answered) && has_claim(&fake, &answered));
    assert_false(has_forward(&fake, &idle) || has_claim(&fake, &idle));
    assert_false(has_claim(&fake, &orphan));
    assert_true(has_claim(&fake, &young_orphan));
    assert_false(has_claim(&fake, &other_port));
    assert_true(has_forward(&fake, &other_port));
    assert_false(has_forward(&fake, &lost_claim));
    assert_int_equal(collector.freed, 2);
    collector_close(&collector);
    fake_backend_close(&fake);
}

struct revival {
    struct fake_backend *fake;
    const struct mapping *mapping;
    bool done;
};

/* The pod sends again just after its forward entry was removed: it takes its claim over. */
static void revive(void *context)
{
    struct revival *revival = context;

    if (revival->done)
        return;
    revival->done = true;
    assert_false(has_forward(revival->fake, revival->mapping));
    assert_true(has_claim(revival->fake, revival->mapping));
    forward_put(revival->fake, revival->mapping);
}

static void test_claim_that_is_taken_over_stays(void **state)
{
    struct mapping idle = mapping_make(1, 40, 40), live = mapping_make(1, 0, 40);
    struct fake_backend fake;
    struct collector collector;
    struct revival revival = {&fake, &live, false};

    (void)state;
    fake_backend_open(&fake, 100);
    assert_int_equal(collector_open(&collector, &fake.backend, timeouts), 0);
    forward_put(&fake, &idle);
    claim_put(&fake, &idle);
    fake.written = revive;
    fake.context = &revival;
    scan(&collector);
    assert_true(revival.done);
    assert_true(has_forward(&fake, &live));
    assert_true(has_claim(&fake, &live));
    collector_close(&collector);
    fake_backend_close(&fake);
}

static void test_scan_is_bounded_and_complete(void **state)
{
    struct fake_backend fake;
    struct collector collector;
    bool ended = false;
    size_t steps = 0;

    (void)state;
    fake_backend_open(&fake, 10000);
    fake.read_most = 100;
    assert_int_equal(collector_open(&collector, &fake.backend, timeouts), 0);
    for (unsigned number = 0; number < 2000; number++) {
        struct mapping mapping = mapping_make(number, 5, 5);

        forward_put(&fake, &mapping);
        claim_put(&fake, &mapping);
    }
    while (!ended) {
        assert_int_equal(collector_step(&collector, NOW, &ended), 0);
        steps++;
    }
    assert_true(steps > 5);
    assert_int_equal(fake.elements, 0);

    fake.fail_read = true;
    assert_int_equal(collector_step(&collector, NOW, &ended), -EIO);
    fake.fail_read = false;
    scan(&collector);
    collector_close(&collector);
    fake_backend_close(&fake);
}

static void pod_put(struct entries *endpoints, unsigned number, uint32_t hash)
{
    struct ip_addr pod = mapping_make(number, 0, 0).flow.local;
    struct endpoint endpoint = {.hash = hash};

    assert_int_equal(entries_put(endpoints, &pod, &endpoint, ENTRY_SET), 0);
}

/* Mappings of a pod that is gone, or that another one has replaced, end however young they are. */
static void test_mappings_end_with_their_pod(void **state)
{
    struct mapping gone = mapping_make(1, 0, 0), replaced = mapping_make(2, 0, 0);
    struct mapping live = mapping_make(3, 0, 0);
    struct entries endpoints = ENTRIES(sizeof(struct ip_addr), sizeof(struct endpoint));
    const struct mapping *all[] = {&gone, &replaced, &live};
    struct fake_backend fake;
    struct collector collector;

    (void)state;
    fake_backend_open(&fake, 100);
    assert_int_equal(collector_open(&collector, &fake.backend, timeouts), 0);
    pod_put(&endpoints, 2, 7);
    pod_put(&endpoints, 3, 0);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        forward_put(&fake, all[i]);
        claim_put(&fake, all[i]);
    }
    collector.endpoints = &endpoints;
    scan(&collector);
    assert_false(has_forward(&fake, &gone) || has_claim(&fake, &gone));
    assert_false(has_forward(&fake, &replaced) || has_claim(&fake, &replaced));
    assert_true(has_forward(&fake, &live) && has_claim(&fake, &live));
    collector_close(&collector);
    fake_backend_close(&fake);
    entries_release(&endpoints);
}

static uint32_t number_of(struct fake_backend *fake, unsigned map, const struct ip_addr *pod)
{
    struct entry *entry = entries_find(&fake->maps[map], pod);

    return entry ? *(uint32_t *)entry_value(&fake->maps[map], entry) : UINT32_MAX;
}

/* Each scan counts anew how many of a pod's mappings are left. */
static void test_quota_is_counted(void **state)
{
    struct mapping live = mapping_make(1, 5, 5), idle = mapping_make(1, 40, 40);
    struct mapping young = mapping_make(1, 0, 0), other = mapping_make(2, 40, 40);
    struct entries endpoints = ENTRIES(sizeof(struct ip_addr), sizeof(struct endpoint));
    struct fake_backend fake;
    struct collector collector;
    uint32_t made = 10;

    (void)state;
    fake_backend_open(&fake, 100);
    assert_int_equal(collector_open(&collector, &fake.backend, timeouts), 0);
    pod_put(&endpoints, 1, 0);
    collector.endpoints = &endpoints;
    idle.flow.local_port_be = htons(1001);
    young.flow.local_port_be = htons(1002);
    young.forward.created = NOW + 1;
    forward_put(&fake, &live);
    forward_put(&fake, &idle);
    forward_put(&fake, &young);
    assert_int_equal(entries_put(&fake.maps[BACKEND_NAT_MADE], &live.flow.local, &made, ENTRY_SET),
                     0);
    assert_int_equal(entries_put(&fake.maps[BACKEND_NAT_MADE], &other.flow.local, &made, ENTRY_SET),
                     0);
    scan(&collector);
    assert_int_equal(number_of(&fake, BACKEND_NAT_ENDED, &live.flow.local), 9);
    /* The other pod is gone and has nothing. */
    assert_int_equal(number_of(&fake, BACKEND_NAT_MADE, &other.flow.local), UINT32_MAX);
    collector_close(&collector);
    fake_backend_close(&fake);
    entries_release(&endpoints);
}

/* A table that is nearly full keeps unanswered mappings for a short time only, and those of
 * connections as before, also where one end has closed. */
static void test_unanswered_make_room_under_pressure(void **state)
{
    struct mapping live = mapping_make(0, 200, 200), closing = mapping_make(80, 12, 12);
    struct fake_backend fake;
    struct collector collector;

    (void)state;
    fake_backend_open(&fake, 100);
    assert_int_equal(collector_open(&collector, &fake.backend, timeouts), 0);
    for (unsigned number = 0; number < 80; number++) {
        struct mapping mapping = mapping_make(number, 12, 12);

        mapping.flow.protocol = mapping.claim_key.protocol = IPPROTO_TCP;
        mapping.forward.use.seen = NAT_SEEN_SYN;
        forward_put(&fake, &mapping);
        claim_put(&fake, &mapping);
    }
    live.forward.use.seen = live.claim.use.seen = DATA;
    live.forward.answers = DATA;
    forward_put(&fake, &live);
    claim_put(&fake, &live);
    closing.flow.protocol = closing.claim_key.protocol = IPPROTO_TCP;
    closing.forward.use.seen = NAT_SEEN_SYN | DATA | NAT_SEEN_FIN;
    closing.forward.answers = closing.claim.use.seen = NAT_SEEN_SYN | DATA;
    forward_put(&fake, &closing);
    claim_put(&fake, &closing);
    scan(&collector);
    assert_int_equal(fake.maps[BACKEND_NAT_FORWARD].count, 82);
    scan(&collector);
    assert_int_equal(fake.maps[BACKEND_NAT_FORWARD].count, 2);
    assert_true(has_forward(&fake, &live));
    assert_true(has_forward(&fake, &closing));
    collector_close(&collector);
    fake_backend_close(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_frees_what_is_idle),
        cmocka_unit_test(test_claim_that_is_taken_over_stays),
        cmocka_unit_test(test_scan_is_bounded_and_complete),
        cmocka_unit_test(test_mappings_end_with_their_pod),
        cmocka_unit_test(test_quota_is_counted),
        cmocka_unit_test(test_unanswered_make_room_under_pressure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
