/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "loader/attach.h"
#include "loader/attach_hooks.h"
#include "loader/attach_netlink.h"

static void test_patterns(void **state)
{
    (void)state;
    assert_true(attach_name_matches("eth+", "eth0"));
    assert_true(attach_name_matches("eth+", "eth"));
    assert_false(attach_name_matches("eth+", "veth0"));
    assert_false(attach_name_matches("eth0", "eth01"));
    assert_true(attach_name_matches("eth0", "eth0"));
    assert_true(attach_name_matches("+", "lo"));
    assert_false(attach_name_matches("", "lo"));
    assert_false(attach_name_matches("e+h", "eth"));
    assert_true(attach_name_matches("e+h", "e+h"));
}

static void expect_pin(const char *interface, uint32_t ifindex, enum direction direction,
                       const char *wanted)
{
    char name[LINK_PIN_SIZE];
    enum direction read_direction;
    uint32_t read_ifindex;

    link_pin_name(interface, ifindex, direction, name);
    assert_string_equal(name, wanted);
    assert_int_equal(link_pin_read(name, &read_ifindex, &read_direction), 0);
    assert_int_equal(read_ifindex, ifindex);
    assert_int_equal(read_direction, direction);
}

static void test_pin_names(void **state)
{
    static const char *const wrong[] = {
        "",
        "eth0",
        "eth0-egress",
        "eth0-0-egress",
        "-7-egress2",
        "eth0-7-",
        "eth0-7x-egress",
        "eth0--egress",
        "7-egress",
        "eth0-7-egress_new",
        "eth0-4294967296-egress",
    };
    enum direction direction;
    uint32_t ifindex;

    (void)state;
    expect_pin("eth0", 7, DIRECTION_EGRESS, "eth0-7-egress");
    expect_pin("eth0.100", 2147483647, DIRECTION_INGRESS, "eth0_100-2147483647-ingress");
    expect_pin("a-b-3", 12, DIRECTION_INGRESS, "a-b-3-12-ingress");
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(link_pin_read(wrong[i], &ifindex, &direction), -EINVAL);
}

struct seen {
    char text[512];
};

static void on_link(void *context, uint32_t ifindex, const char *name, bool gone)
{
    struct seen *seen = context;
    size_t length = strlen(seen->text);

    snprintf(seen->text + length, sizeof(seen->text) - length, "%slink %u %s;", gone ? "-" : "+",
             ifindex, name);
}

static void on_route(void *context, uint32_t ifindex, bool gone)
{
    struct seen *seen = context;
    size_t length = strlen(seen->text);

    snprintf(seen->text + length, sizeof(seen->text) - length, "%sroute %u;", gone ? "-" : "+",
             ifindex);
}

/* Messages are put together here as the kernel does, by hand. */
struct datagram {
    union {
        char bytes[2048];
        struct nlmsghdr first;
    };
    size_t length;
};

static struct nlmsghdr *add_message(struct datagram *datagram, uint16_t type, const void *body,
                                    size_t size)
{
    struct nlmsghdr *message = (void *)(datagram->bytes + datagram->length);

    message->nlmsg_type = type;
    message->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
    memcpy(NLMSG_DATA(message), body, size);
    datagram->length += NLMSG_ALIGN(message->nlmsg_len);
    return message;
}

static void add_attribute(struct datagram *datagram, struct nlmsghdr *message, unsigned short type,
                          const void *value, size_t size)
{
    struct rtattr *attribute = (void *)(datagram->bytes + datagram->length);

    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), value, size);
    datagram->length += RTA_SPACE(size);
    message->nlmsg_len += (uint32_t)RTA_SPACE(size);
}

static void add_link(struct datagram *datagram, uint16_t type, unsigned char family, int ifindex,
                     const char *name)
{
    struct ifinfomsg link = {.ifi_family = family, .ifi_index = ifindex};
    struct nlmsghdr *message = add_message(datagram, type, &link, sizeof(link));

    if (name)
        add_attribute(datagram, message, IFLA_IFNAME, name, strlen(name) + 1);
}

static void add_route(struct datagram *datagram, uint16_t type, unsigned char length,
                      uint32_t table, unsigned char kind, uint32_t ifindex)
{
    struct rtmsg route = {.rtm_family = AF_INET,
                          .rtm_dst_len = length,
                          .rtm_table = table < 256 ? (unsigned char)table : RT_TABLE_COMPAT,
                          .rtm_type = kind};
    struct nlmsghdr *message = add_message(datagram, type, &route, sizeof(route));

    add_attribute(datagram, message, RTA_TABLE, &table, sizeof(table));
    add_attribute(datagram, message, RTA_OIF, &ifindex, sizeof(ifindex));
}

static void expect_parse(const struct datagram *datagram, int result, const char *wanted)
{
    struct seen seen = {0};
    const struct netlink_handler handler = {on_link, on_route, &seen};
    bool interrupted = false;

    assert_int_equal(netlink_parse(datagram->bytes, datagram->length, &handler, &interrupted),
                     result);
    assert_string_equal(seen.text, wanted);
}

static void test_links(void **state)
{
    struct datagram datagram = {0};

    (void)state;
    add_link(&datagram, RTM_NEWLINK, AF_UNSPEC, 3, "eth0");
    add_link(&datagram, RTM_DELLINK, AF_BRIDGE, 3, "eth0"); /* it left a bridge, no more */
    add_link(&datagram, RTM_DELLINK, AF_UNSPEC, 4, NULL);
    add_link(&datagram, RTM_NEWLINK, AF_UNSPEC, 0, "none");
    add_link(&datagram, RTM_NEWLINK, AF_UNSPEC, 5, "a-name-that-is-far-too-long");
    expect_parse(&datagram, 0, "+link 3 eth0;-link 4 ;+link 5 a-name-that-is-;");
}

static void test_default_routes(void **state)
{
    struct {
        struct rtnexthop first, second;
    } hops = {{.rtnh_len = sizeof(struct rtnexthop), .rtnh_ifindex = 8},
              {.rtnh_len = sizeof(struct rtnexthop), .rtnh_ifindex = 9}};
    struct rtmsg multipath = {
        .rtm_family = AF_INET6, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST};
    struct datagram datagram = {0};

    (void)state;
    add_route(&datagram, RTM_NEWROUTE, 0, RT_TABLE_MAIN, RTN_UNICAST, 3);
    add_route(&datagram, RTM_NEWROUTE, 24, RT_TABLE_MAIN, RTN_UNICAST, 4);
    add_route(&datagram, RTM_NEWROUTE, 0, 1001, RTN_UNICAST, 5);
    add_route(&datagram, RTM_NEWROUTE, 0, RT_TABLE_MAIN, RTN_UNREACHABLE, 1);
    add_route(&datagram, RTM_DELROUTE, 0, RT_TABLE_MAIN, RTN_UNICAST, 6);
    add_attribute(&datagram, add_message(&datagram, RTM_NEWROUTE, &multipath, sizeof(multipath)),
                  RTA_MULTIPATH, &hops, sizeof(hops));
    expect_parse(&datagram, 0, "+route 3;-route 6;+route 8;+route 9;");
}

static void test_ends_and_errors(void **state)
{
    struct nlmsgerr refused = {.error = -EPERM};
    struct datagram done = {0}, failed = {0}, interrupted = {0};
    const struct netlink_handler handler = {0};
    bool flag = false;
    int zero = 0;

    (void)state;
    add_link(&done, RTM_NEWLINK, AF_UNSPEC, 3, "eth0");
    add_message(&done, NLMSG_DONE, &zero, sizeof(zero));
    expect_parse(&done, 1, "+link 3 eth0;");
    add_message(&failed, NLMSG_ERROR, &refused, sizeof(refused));
    expect_parse(&failed, -EPERM, "");
    add_message(&interrupted, NLMSG_DONE, &zero, sizeof(zero))->nlmsg_flags = NLM_F_DUMP_INTR;
    assert_int_equal(netlink_parse(interrupted.bytes, interrupted.length, &handler, &flag), 1);
    assert_true(flag);
}

/* Whatever is cut off or changed: an answer, and no byte beyond the datagram is read. */
/* The last attribute may lack the bytes that would align it: nothing behind it is read. */
static void test_unaligned_end(void **state)
{
    const struct ifinfomsg link = {.ifi_index = 3};
    struct datagram datagram = {0};
    struct nlmsghdr *message = add_message(&datagram, RTM_NEWLINK, &link, sizeof(link));
    struct seen seen = {0};
    const struct netlink_handler handler = {on_link, on_route, &seen};
    bool interrupted;
    char *copy;

    (void)state;
    add_attribute(&datagram, message, IFLA_QDISC, "abcde", 5);
    message->nlmsg_len -= 3;
    copy = malloc(message->nlmsg_len);
    assert_non_null(copy);
    memcpy(copy, datagram.bytes, message->nlmsg_len);
    assert_int_equal(netlink_parse(copy, message->nlmsg_len, &handler, &interrupted), 0);
    free(copy);
}

static void test_damaged(void **state)
{
    struct datagram datagram = {0};
    unsigned seed = 1;

    (void)state;
    add_link(&datagram, RTM_NEWLINK, AF_UNSPEC, 3, "eth0");
    add_route(&datagram, RTM_NEWROUTE, 0, RT_TABLE_MAIN, RTN_UNICAST, 3);
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = (size_t)rand_r(&seed) % (datagram.length + 1);
        struct seen seen = {0};
        const struct netlink_handler handler = {on_link, on_route, &seen};
        bool interrupted;
        char *copy = malloc(length ? length : 1);

        assert_non_null(copy);
        memcpy(copy, datagram.bytes, length);
        if (length)
            copy[(size_t)rand_r(&seed) % length] = (char)rand_r(&seed);
        (void)!netlink_parse(copy, length, &handler, &interrupted);
        free(copy);
    }
    datagram.first.nlmsg_len = 4096;
    expect_parse(&datagram, -EBADMSG, "");
    datagram.first.nlmsg_len = 3;
    expect_parse(&datagram, -EBADMSG, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),        cmocka_unit_test(test_pin_names),
        cmocka_unit_test(test_links),           cmocka_unit_test(test_default_routes),
        cmocka_unit_test(test_ends_and_errors), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_unaligned_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
