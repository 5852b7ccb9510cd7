/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve ADDRESS PORT [SECONDS]
 *
 * The server that the lab's clients talk to, TCP and UDP on one port. It says "ready" once it
 * listens and ends after SECONDS (600).
 */
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/tools/tool.h"

enum { WORKERS = 512, BATCH = 64, DATAGRAM = 2048 };

static int listener, datagrams;
static atomic_ulong blasted;

static void who_serve(int fd, const struct tool_address *peer)
{
    char text[TOOL_LINE];
    int length = tool_address_print(peer, text, sizeof(text) - 1);

    text[length++] = '\n';
    (void)!tool_write(fd, text, (size_t)length);
}

/* Answers as many bytes as came, of the other stream; at the end says what came. */
static void transfer_serve(int fd, const struct tool_address *peer)
{
    uint8_t data[TOOL_CHUNK];
    uint64_t total = 0, hash = TOOL_HASH_START;
    char text[TOOL_LINE], line[2 * TOOL_LINE];
    ssize_t length;
    int size;

    while ((length = recv(fd, data, sizeof(data), 0)) > 0) {
        size_t count = (size_t)length;
        size_t right = tool_pattern_check(TOOL_STREAM_UP, total, data, count);

        if (right < count) {
            fprintf(stderr, "transfer: wrong byte at %llu\n", (unsigned long long)(total + right));
            return;
        }
        hash = tool_hash(hash, data, count);
        tool_pattern_fill(TOOL_STREAM_DOWN, total, data, count);
        if (!tool_write(fd, data, count))
            return;
        total += count;
    }
    if (length < 0)
        return;
    tool_address_print(peer, text, sizeof(text));
    size = snprintf(line, sizeof(line), "%016llx %llu %s\n", (unsigned long long)hash,
                    (unsigned long long)total, text);
    (void)!tool_write(fd, line, (size_t)size);
}

static void sink_serve(int fd, const struct tool_address *peer)
{
    uint8_t data[4 * TOOL_CHUNK];
    unsigned long long total = 0;
    char line[TOOL_LINE];
    ssize_t length;

    (void)peer;
    while ((length = recv(fd, data, sizeof(data), 0)) > 0)
        total += (unsigned long long)length;
    (void)!tool_write(fd, line, (size_t)snprintf(line, sizeof(line), "%llu\n", total));
}

static void echo_serve(int fd, const struct tool_address *peer)
{
    char record[TOOL_RECORD];

    (void)peer;
    while (recv(fd, record, sizeof(record), MSG_WAITALL) == sizeof(record))
        if (!tool_write(fd, record, sizeof(record)))
            return;
}

static void count_serve(int fd, const struct tool_address *peer)
{
    char line[TOOL_LINE];
    int length = snprintf(line, sizeof(line), "%lu\n", atomic_exchange(&blasted, 0));

    (void)peer;
    (void)!tool_write(fd, line, (size_t)length);
}

static const struct {
    const char *request;
    void (*serve)(int fd, const struct tool_address *peer);
} services[] = {
    {TOOL_WHO, who_serve},   {TOOL_TRANSFER, transfer_serve}, {TOOL_SINK, sink_serve},
    {TOOL_ECHO, echo_serve}, {TOOL_COUNT, count_serve},
};

static void *connections_run(void *unused)
{
    int on = 1;

    for (;;) {
        struct tool_address peer = {.length = sizeof(peer.v6)};
        char line[TOOL_LINE];
        int fd = accept4(listener, &peer.any, &peer.length, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        tool_socket_deadline(fd, 60000);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        tool_read_line(fd, line, sizeof(line));
        for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
            if (!strcmp(line, services[i].request))
                services[i].serve(fd, &peer);
        close(fd);
    }
    return unused;
}

/* Answers with what came and the address it came from. */
static void datagram_answer(const uint8_t *data, size_t length, const struct tool_address *peer)
{
    char answer[DATAGRAM + TOOL_LINE], text[TOOL_LINE];
    int size;

    tool_address_print(peer, text, sizeof(text));
    if (data[0] == TOOL_UDP_WHO)
        size = snprintf(answer, sizeof(answer), "%s\n", text);
    else
        size = snprintf(answer, sizeof(answer), "%.*s %s\n", (int)length, (const char *)data, text);
    sendto(datagrams, answer, (size_t)size, MSG_NOSIGNAL, &peer->any, peer->length);
}

static void *datagrams_run(void *unused)
{
    static uint8_t data[BATCH][DATAGRAM];
    static struct tool_address peers[BATCH];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];

    for (;;) {
        int count;

        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){data[i], sizeof(data[i])};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &peers[i].any,
                                                  .msg_namelen = sizeof(peers[i].v6),
                                                  .msg_iov = &parts[i],
                                                  .msg_iovlen = 1};
        }
        count = recvmmsg(datagrams, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) {
            peers[i].length = messages[i].msg_hdr.msg_namelen;
            if (messages[i].msg_len && data[i][0] == TOOL_UDP_BLAST)
                atomic_fetch_add(&blasted, 1);
            else if (messages[i].msg_len)
                datagram_answer(data[i], messages[i].msg_len, &peers[i]);
        }
    }
    return unused;
}

int main(int argc, char **argv)
{
    struct tool_address address;
    pthread_t thread;
    int room = 8 << 20;

    if (argc < 3)
        tool_fail("usage: serve ADDRESS PORT [SECONDS]");
    address = tool_address_parse(argv[1], tool_number(argv[2], 1, 65535));
    alarm((unsigned)(argc > 3 ? tool_number(argv[3], 1, 86400) : 600));

    listener = tool_socket(SOCK_STREAM, &address, address.any.sa_family, 0);
    datagrams = tool_socket(SOCK_DGRAM, &address, address.any.sa_family, 0);
    setsockopt(datagrams, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    if (listen(listener, 4096))
        tool_fail("listen: %s", strerror(errno));
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&thread, NULL, connections_run, NULL))
            tool_fail("pthread_create: %s", strerror(errno));
    puts("ready");
    fflush(stdout);
    datagrams_run(NULL);
    return 0;
}
