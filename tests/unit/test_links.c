/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink messages, right ones and damaged ones, to objects; and this machine's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "common/address.h"
#include "tests/unit/watcher_support.h"
#include "watcher/links.h"
#include "watcher/source.h"

struct message {
    union {
        struct nlmsghdr header;
        unsigned char bytes[1024];
    };
};

static void message_begin(struct message *message, uint16_t type, const void *body, size_t size)
{
    memset(message, 0, sizeof(*message));
    message->header.nlmsg_type = type;
    message->header.nlmsg_len = NLMSG_LENGTH(size);
    memcpy(message->bytes + NLMSG_HDRLEN, body, size);
}

static void message_add(struct message *message, uint16_t type, const void *data, size_t size)
{
    size_t at = NLMSG_ALIGN(message->header.nlmsg_len);
    struct rtattr attribute = {.rta_len = RTA_LENGTH(size), .rta_type = type};

    assert_true(at + RTA_SPACE(size) <= sizeof(message->bytes));
    memcpy(message->bytes + at, &attribute, sizeof(attribute));
    memcpy(message->bytes + at + RTA_LENGTH(0), data, size);
    message->header.nlmsg_len = at + RTA_LENGTH(size);
}

static struct message link_message(int ifindex, const char *name, unsigned flags, uint8_t state)
{
    struct ifinfomsg info = {.ifi_index = ifindex, .ifi_flags = flags};
    struct message message;

    message_begin(&message, RTM_NEWLINK, &info, sizeof(info));
    message_add(&message, IFLA_IFNAME, name, strlen(name) + 1);
    message_add(&message, IFLA_OPERSTATE, &state, 1);
    return message;
}

static struct message address_message(unsigned ifindex, const char *text, uint32_t flags,
                                      uint8_t scope)
{
    struct ifaddrmsg info = {.ifa_index = ifindex, .ifa_scope = scope};
    struct ip_addr address;
    struct message message;

    assert_int_equal(address_parse(text_of(text), &address), 0);
    info.ifa_family = ip_addr_is_v4(&address) ? AF_INET : AF_INET6;
    message_begin(&message, RTM_NEWADDR, &info, sizeof(info));
    if (ip_addr_is_v4(&address)) {
        const uint32_t peer = 0x0100007f;

        message_add(&message, IFA_ADDRESS, &peer, 4); /* the other end: not ours */
        message_add(&message, IFA_LOCAL, address.bytes + 12, 4);
    } else {
        message_add(&message, IFA_ADDRESS, address.bytes, 16);
    }
    message_add(&message, IFA_FLAGS, &flags, sizeof(flags));
    return message;
}

static struct message route_message(uint8_t family, uint32_t ifindex, uint32_t metric,
                                    uint32_t table, uint8_t length)
{
    struct rtmsg info = {.rtm_family = family,
                         .rtm_dst_len = length,
                         .rtm_type = RTN_UNICAST,
                         .rtm_table = (unsigned char)table};
    struct message message;

    message_begin(&message, RTM_NEWROUTE, &info, sizeof(info));
    message_add(&message, RTA_TABLE, &table, sizeof(table));
    message_add(&message, RTA_OIF, &ifindex, sizeof(ifindex));
    if (metric)
        message_add(&message, RTA_PRIORITY, &metric, sizeof(metric));
    return message;
}

static struct message multipath_message(uint32_t first, uint32_t second)
{
    struct rtmsg info = {
        .rtm_family = AF_INET, .rtm_type = RTN_UNICAST, .rtm_table = RT_TABLE_MAIN};
    struct rtnexthop hops[2] = {{.rtnh_len = sizeof(hops[0]), .rtnh_ifindex = (int)first},
                                {.rtnh_len = sizeof(hops[0]), .rtnh_ifindex = (int)second}};
    struct message message;

    message_begin(&message, RTM_NEWROUTE, &info, sizeof(info));
    message_add(&message, RTA_MULTIPATH, hops, sizeof(hops));
    return message;
}

static void add(struct links_tables *tables, struct message message)
{
    assert_int_equal(links_tables_add(tables, &message, message.header.nlmsg_len), 0);
}

static struct link link_of(const struct links_tables *tables, size_t index, struct arena *arena)
{
    struct object object;
    struct object_error error;

    assert_int_equal(links_tables_object(tables, index, arena, &object), 0);
    assert_int_equal(object_check(&object, &error), 0);
    return object.link;
}

static void assert_address(const struct link_address *address, const char *text, bool usable)
{
    char buffer[ADDRESS_TEXT_SIZE];

    assert_string_equal(address_format(&address->address, buffer), text);
    assert_int_equal(address->usable, usable);
}

static void test_state_of_links(void **state)
{
    static const struct {
        unsigned flags;
        uint8_t state;
        bool up;
    } cases[] = {
        {IFF_UP, IF_OPER_UP, true},       {IFF_UP, IF_OPER_UNKNOWN, true},
        {IFF_UP, IF_OPER_DOWN, false},    {IFF_UP, IF_OPER_LOWERLAYERDOWN, false},
        {IFF_UP, IF_OPER_DORMANT, false}, {0, IF_OPER_UP, false},
    };
    struct links_tables tables = {0};
    struct arena arena = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        add(&tables, link_message((int)i + 1, "eth0", cases[i].flags, cases[i].state));
        assert_int_equal(link_of(&tables, i, &arena).up, cases[i].up);
    }
    assert_int_equal(link_of(&tables, 2, &arena).ifindex, 3);
    assert_true(text_equal(link_of(&tables, 2, &arena).name, TEXT("eth0")));
    arena_clear(&arena);
    links_tables_clear(&tables);
}

static void test_addresses(void **state)
{
    struct links_tables tables = {0};
    struct arena arena = {0};
    struct link link;

    (void)state;
    add(&tables, link_message(2, "eth0", IFF_UP, IF_OPER_UP));
    add(&tables, link_message(3, "eth1", IFF_UP, IF_OPER_UP));
    add(&tables, address_message(2, "192.0.2.9", IFA_F_SECONDARY, RT_SCOPE_UNIVERSE));
    add(&tables, address_message(3, "198.51.100.1", 0, RT_SCOPE_UNIVERSE));
    add(&tables, address_message(2, "192.0.2.1", IFA_F_PERMANENT, RT_SCOPE_UNIVERSE));
    add(&tables, address_message(2, "192.0.2.2", 0, RT_SCOPE_HOST));
    add(&tables, address_message(2, "2001:db8::1", IFA_F_TENTATIVE, RT_SCOPE_UNIVERSE));
    add(&tables, address_message(2, "2001:db8::2", IFA_F_DADFAILED, RT_SCOPE_UNIVERSE));
    add(&tables, address_message(2, "2001:db8::3", IFA_F_DEPRECATED, RT_SCOPE_UNIVERSE));
    add(&tables, address_message(2, "fe80::1", IFA_F_PERMANENT, RT_SCOPE_LINK));
    add(&tables, address_message(2, "2001:db8::4", 0, RT_SCOPE_UNIVERSE));
    link = link_of(&tables, 0, &arena);
    assert_int_equal(link.address_count, 8);
    assert_address(&link.addresses[0], "192.0.2.1", true);
    assert_address(&link.addresses[1], "192.0.2.2", false);
    assert_address(&link.addresses[2], "2001:db8::1", false);
    assert_address(&link.addresses[3], "2001:db8::2", false);
    assert_address(&link.addresses[4], "2001:db8::3", false);
    assert_address(&link.addresses[5], "fe80::1", false);
    assert_address(&link.addresses[6], "2001:db8::4", true);
    assert_address(&link.addresses[7], "192.0.2.9", true);
    assert_int_equal(link_of(&tables, 1, &arena).address_count, 1);
    arena_clear(&arena);
    links_tables_clear(&tables);
}

static void test_default_routes(void **state)
{
    struct links_tables tables = {0};
    struct arena arena = {0};

    (void)state;
    for (int i = 2; i <= 5; i++)
        add(&tables, link_message(i, "eth0", IFF_UP, IF_OPER_UP));
    add(&tables, route_message(AF_INET, 2, 100, RT_TABLE_MAIN, 0));
    add(&tables, route_message(AF_INET, 3, 50, RT_TABLE_MAIN, 0));
    add(&tables, route_message(AF_INET, 2, 0, RT_TABLE_MAIN, 24)); /* no default route */
    add(&tables, route_message(AF_INET, 2, 0, 1000, 0));           /* another table */
    add(&tables, route_message(AF_INET6, 4, 1024, RT_TABLE_MAIN, 0));
    assert_false(link_of(&tables, 0, &arena).default_route_v4);
    assert_true(link_of(&tables, 1, &arena).default_route_v4);
    assert_false(link_of(&tables, 1, &arena).default_route_v6);
    assert_true(link_of(&tables, 2, &arena).default_route_v6);
    assert_false(link_of(&tables, 3, &arena).default_route_v6);
    add(&tables, multipath_message(2, 5)); /* metric 0 */
    assert_true(link_of(&tables, 0, &arena).default_route_v4);
    assert_false(link_of(&tables, 1, &arena).default_route_v4);
    assert_true(link_of(&tables, 3, &arena).default_route_v4);
    arena_clear(&arena);
    links_tables_clear(&tables);
}

static bool matters(const struct links_tables *tables, struct message message, uint16_t type)
{
    message.header.nlmsg_type = type;
    return links_event_matters(tables, &message, message.header.nlmsg_len);
}

static void test_events_that_matter(void **state)
{
    struct links_tables tables = {0};
    struct message link = link_message(2, "eth0", IFF_UP, IF_OPER_UP);

    (void)state;
    assert_true(matters(&tables, link, RTM_NEWLINK));
    add(&tables, link);
    assert_false(matters(&tables, link, RTM_NEWLINK));
    assert_true(matters(&tables, link, RTM_DELLINK));
    assert_true(matters(&tables, link_message(2, "eth9", IFF_UP, IF_OPER_UP), RTM_NEWLINK));
    assert_true(matters(&tables, link_message(2, "eth0", IFF_UP, IF_OPER_DOWN), RTM_NEWLINK));
    assert_true(matters(&tables, address_message(2, "10.0.0.1", 0, 0), RTM_DELADDR));
    assert_false(matters(&tables, route_message(AF_INET, 2, 0, RT_TABLE_MAIN, 32), RTM_NEWROUTE));
    assert_true(matters(&tables, route_message(AF_INET, 2, 0, RT_TABLE_MAIN, 0), RTM_DELROUTE));
    assert_false(matters(&tables, link, RTM_NEWNEIGH));
    links_tables_clear(&tables);
}

/* Every prefix of a message, in memory of exactly its size, so that a sanitizer sees any read
 * behind it; then every byte of it turned over. */
static void test_damaged(void **state)
{
    struct message messages[] = {
        link_message(2, "eth0", IFF_UP, IF_OPER_UP),
        address_message(2, "192.0.2.1", 0, 0),
        address_message(2, "2001:db8::1", 0, 0),
        route_message(AF_INET, 2, 5, RT_TABLE_MAIN, 0),
        multipath_message(2, 3),
    };
    struct links_tables tables = {0};
    size_t refused = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        size_t length = messages[i].header.nlmsg_len;

        for (size_t cut = 0; cut < length; cut++) {
            void *copy = malloc(cut ? cut : 1);

            memcpy(copy, &messages[i], cut);
            refused += links_tables_add(&tables, copy, cut) == -EBADMSG;
            (void)links_event_matters(&tables, copy, cut);
            free(copy);
        }
        assert_int_equal(links_tables_add(&tables, &messages[i], NLMSG_HDRLEN), -EBADMSG);
        for (size_t at = NLMSG_HDRLEN; at < length; at++) {
            void *copy = malloc(length);

            memcpy(copy, &messages[i], length);
            ((unsigned char *)copy)[at] ^= 0xff;
            (void)!links_tables_add(&tables, copy, length);
            free(copy);
        }
    }
    assert_true(refused > 5 * NLMSG_HDRLEN);
    links_tables_clear(&tables);
}

static void test_no_name(void **state)
{
    struct links_tables tables = {0};
    struct ifinfomsg info = {.ifi_index = 2};
    struct message message;

    (void)state;
    message_begin(&message, RTM_NEWLINK, &info, sizeof(info));
    assert_int_equal(links_tables_add(&tables, &message, message.header.nlmsg_len), -EBADMSG);
    message_add(&message, IFLA_IFNAME, "a-name-of-17-byte", 17); /* and no NUL */
    assert_int_equal(links_tables_add(&tables, &message, message.header.nlmsg_len), -EBADMSG);
    message = link_message(0, "eth0", 0, 0);
    assert_int_equal(links_tables_add(&tables, &message, message.header.nlmsg_len), -EBADMSG);
    assert_int_equal(tables.interface_count, 0);
}

/* This machine's own interfaces: there is always a loopback. */
struct live {
    unsigned lists;
    uint32_t loopback;
};

static void live_begin(void *context, enum object_kind kind)
{
    (void)context;
    assert_int_equal(kind, KIND_LINK);
}

static void live_object(void *context, const struct object *object)
{
    if (text_equal(object->link.name, TEXT("lo")))
        ((struct live *)context)->loopback = object->link.ifindex;
}

static void live_end(void *context, enum object_kind kind)
{
    (void)kind;
    ((struct live *)context)->lists++;
}

static bool live_listed(void *context)
{
    return ((struct live *)context)->lists > 0;
}

static void test_live(void **state)
{
    struct live live = {0};
    struct source_sink sink = {
        .context = &live, .list_begin = live_begin, .object = live_object, .list_end = live_end};
    struct event_base *base = event_base_new();
    struct config config = {0};
    struct source *source;

    (void)state;
    assert_int_equal(source_links.open(&config, &source), 0);
    assert_int_equal(source_links.start(source, base, &sink), 0);
    assert_true(support_wait(base, live_listed, &live));
    assert_int_equal(live.loopback, 1);
    source_links.close(source);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_of_links), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_default_routes), cmocka_unit_test(test_events_that_matter),
        cmocka_unit_test(test_damaged),        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_live),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
