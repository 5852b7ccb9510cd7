/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seeds DIRECTORY: writes the binary corpora that the fuzzers start from into DIRECTORY/TARGET/:
 * records and tables as the unit tests make them, rtnetlink's answers on this machine.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "common/macros.h"
#include "tests/unit/record_samples.h"

enum { RECORDS = 12, DUMPS = 24, DUMP_ENTRIES = 40, DATAGRAM_SIZE = 32768 };

static const char *directory;

static void seed_write(const char *target, const char *name, int number, const void *data,
                       size_t length)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, target);
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        goto failed;
    snprintf(path, sizeof(path), "%s/%s/%s-%d", directory, target, name, number);
    file = fopen(path, "we");
    if (file && fwrite(data, 1, length, file) == length && fclose(file) == 0)
        return;
failed:
    perror(path);
    exit(1);
}

static void write_records(uint64_t *seed)
{
    static struct record_buffer buffer;

    for (int type = 1; type < RECORD_TYPES; type++) {
        for (int i = 0; i < RECORDS; i++) {
            _cleanup_arena_ struct arena arena = {0};
            struct record record = sample_record(&arena, seed, (enum record_type)type);

            if (record_pack(&record, &buffer) == 0)
                seed_write("record", record_type_name(record.type), i, buffer.data, buffer.length);
        }
    }
}

/* Entries that lead to each other, so that rows come of them: one profile, two groups. */
static void entry_join(struct table_entry *entry, enum table table)
{
    if (table == TABLE_ENDPOINTS) {
        entry->value.endpoint.profile = PROFILE_FIRST;
    } else if (table == TABLE_ROUTES) {
        entry->key.route.scope_be =
            htonl(PROFILE_FIRST) | (entry->key.route.scope_be & htonl(ROUTE_SCOPE_IPV6));
        entry->value.route.group %= 2;
        entry->value.route.slots = entry->value.route.slots > 0;
    } else {
        entry->key.gateway.group %= 2;
        entry->key.gateway.slot = 0;
    }
}

/* As fuzz_dump takes them: which table, key, value. */
static void write_tables(uint64_t *seed)
{
    static const enum table shown[] = {TABLE_ENDPOINTS, TABLE_ROUTES, TABLE_GATEWAYS};
    static unsigned char data[DUMP_ENTRIES * 128];

    for (int i = 0; i < DUMPS; i++) {
        size_t length = 0;

        for (int j = 0; j < DUMP_ENTRIES; j++) {
            uint32_t which = sample_number(seed, ARRAY_SIZE(shown));
            struct table_entry entry = sample_entry(seed, shown[which]);
            const struct table_shape *shape = &table_shapes[shown[which]];

            if (i % 2)
                entry_join(&entry, shown[which]);
            data[length++] = (unsigned char)which;
            memcpy(data + length, &entry.key, shape->key_size);
            memcpy(data + length + shape->key_size, &entry.value, shape->value_size);
            length += shape->key_size + shape->value_size;
        }
        seed_write("dump", "tables", i, data, length);
    }
}

/* The first datagrams of the answer to a dump, for both readers. */
static void write_netlink(const char *name, uint16_t type, unsigned char family)
{
    static char answer[DATAGRAM_SIZE];
    struct {
        struct nlmsghdr header;
        struct rtmsg body;
        char rest[16];
    } request = {.header = {.nlmsg_len = sizeof(request),
                            .nlmsg_type = type,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .body = {.rtm_family = family}};
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
        return; /* the fuzzers find out what messages look like, only later */
    for (int i = 0; i < 2; i++) {
        ssize_t length = recv(fd, answer, sizeof(answer), 0);

        if (length <= 0 || ((struct nlmsghdr *)answer)->nlmsg_type == NLMSG_DONE)
            return;
        if (length > 4096)
            length = 4096;
        seed_write("links", name, i, answer, (size_t)length);
        seed_write("attach", name, i, answer, (size_t)length);
    }
}

int main(int count, char **arguments)
{
    uint64_t seed = 20;

    if (count != 2) {
        fprintf(stderr, "usage: seeds DIRECTORY\n");
        return 2;
    }
    directory = arguments[1];
    write_records(&seed);
    write_tables(&seed);
    write_netlink("link", RTM_GETLINK, AF_UNSPEC);
    write_netlink("address", RTM_GETADDR, AF_UNSPEC);
    write_netlink("route4", RTM_GETROUTE, AF_INET);
    write_netlink("route6", RTM_GETROUTE, AF_INET6);
    return 0;
}
