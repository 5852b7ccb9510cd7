/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure stream|packets|connections|setup|latency ADDRESS PORT [-d MILLISECONDS] [-c COUNT] [-P
 * THREADS]
 *     [-f FLOWS]
 *
 * What the benchmark measures against the lab's server, one line each:
 *   stream       bytes per second that one TCP connection delivers
 *   packets      datagrams per second, of 64-byte frames, that arrive at the server; with -f FLOWS
 *                each belongs to the next of so many flows
 *   connections  connections per second, each with a question and its answer, which the server ends
 *   setup        p50, p99 and most of COUNT connections one after another, each with a question and
 *                its answer, microseconds
 *   latency      p50 and p99 of COUNT requests of 64 bytes on an open connection, microseconds
 */
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/tools/raw.h"

enum { FRAME_PAYLOAD = 64 - 14 - 20 - 8, BATCH = 64, THREADS = 64, FLOWS = 16384 };

static const char congestion[] = "cubic"; /* Debian's; one that paces would measure its pace */
static struct tool_address server;
static uint64_t duration_ns = 1000000000;
static unsigned long count = 10000, threads = 1, flows;
static atomic_ulong total;

static int connection_open(const char *request)
{
    int on = 1, fd = tool_socket(SOCK_STREAM, NULL, server.any.sa_family, 5000);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)))
        tool_fail("%s: %s", congestion, strerror(errno));
    if (connect(fd, &server.any, server.length) || !tool_write(fd, request, strlen(request)))
        tool_fail("connect: %s", strerror(errno));
    return fd;
}

/* The number that the server answers with. */
static unsigned long long number_read(int fd)
{
    char line[TOOL_LINE];

    if (!tool_read_line(fd, line, sizeof(line)))
        tool_fail("no answer: %s", strerror(errno));
    close(fd);
    return strtoull(line, NULL, 10);
}

static void stream_measure(void)
{
    static uint8_t data[4 * TOOL_CHUNK];
    int fd = connection_open(TOOL_SINK);
    uint64_t start_ns = tool_now_ns();
    unsigned long long bytes;

    while (tool_now_ns() - start_ns < duration_ns)
        if (!tool_write(fd, data, sizeof(data)))
            tool_fail("send: %s", strerror(errno));
    shutdown(fd, SHUT_WR);
    bytes = number_read(fd);
    printf("%.0f\n", (double)bytes * 1e9 / (double)(tool_now_ns() - start_ns));
}

static void *packets_send(void *unused)
{
    static const uint8_t data[FRAME_PAYLOAD] = {TOOL_UDP_BLAST};
    int fd = tool_socket(SOCK_DGRAM, NULL, server.any.sa_family, 1000);
    struct iovec part = {(void *)data, sizeof(data)};
    struct mmsghdr messages[BATCH] = {0};
    uint64_t start_ns = tool_now_ns();

    if (connect(fd, &server.any, server.length))
        tool_fail("connect: %s", strerror(errno));
    for (int i = 0; i < BATCH; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    while (tool_now_ns() - start_ns < duration_ns)
        (void)!sendmmsg(fd, messages, BATCH, 0);
    close(fd);
    return unused;
}

/* From a raw socket, since one socket has one flow. */
static void *flows_send(void *unused)
{
    static const uint8_t data[FRAME_PAYLOAD] = {TOOL_UDP_BLAST};
    uint16_t port =
        ntohs(server.any.sa_family == AF_INET ? server.v4.sin_port : server.v6.sin6_port);
    struct raw raw = raw_open(&server, IPPROTO_UDP);
    struct raw_packet *packets = calloc(flows, sizeof(*packets));
    struct iovec *parts = calloc(flows, sizeof(*parts));
    struct mmsghdr messages[BATCH] = {0};
    uint64_t start_ns = tool_now_ns();
    unsigned long next = 0;

    if (!packets || !parts)
        tool_fail("out of memory");
    for (unsigned long i = 0; i < flows; i++)
        parts[i] = (struct iovec){&packets[i], raw_build(&raw, (uint16_t)(10000 + i), port, data,
                                                         sizeof(data), &packets[i])};
    while (tool_now_ns() - start_ns < duration_ns) {
        for (int i = 0; i < BATCH; i++, next = (next + 1) % flows)
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[next], .msg_iovlen = 1};
        (void)!sendmmsg(raw.fd, messages, BATCH, 0);
    }
    close(raw.fd);
    free(parts);
    free(packets);
    return unused;
}

/* Returns the connection, whose question is answered. */
static int connection_make(void)
{
    int fd = connection_open(TOOL_WHO);
    char line[TOOL_LINE];

    if (!tool_read_line(fd, line, sizeof(line)))
        tool_fail("no answer: %s", strerror(errno));
    return fd;
}

/* The server ends it first: an end that does remembers the port for a minute, and the pod, which
 * has not so many, would soon search long for one. */
static void connection_end(int fd)
{
    char rest[TOOL_LINE];

    while (recv(fd, rest, sizeof(rest), 0) > 0)
        ;
    close(fd);
}

static void *connections_make(void *unused)
{
    uint64_t start_ns = tool_now_ns();

    while (tool_now_ns() - start_ns < duration_ns) {
        connection_end(connection_make());
        atomic_fetch_add(&total, 1);
    }
    return unused;
}

static void threads_run(void *(*run)(void *))
{
    pthread_t started[THREADS];

    for (unsigned long i = 0; i < threads; i++)
        if (pthread_create(&started[i], NULL, run, NULL))
            tool_fail("pthread_create: %s", strerror(errno));
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
}

static void packets_measure(void)
{
    uint64_t start_ns;

    number_read(connection_open(TOOL_COUNT));
    start_ns = tool_now_ns();
    threads_run(flows ? flows_send : packets_send);
    printf("%.0f\n", (double)number_read(connection_open(TOOL_COUNT)) * 1e9 /
                         (double)(tool_now_ns() - start_ns));
}

static void connections_measure(void)
{
    uint64_t start_ns = tool_now_ns();

    threads_run(connections_make);
    printf("%.0f\n", (double)atomic_load(&total) * 1e9 / (double)(tool_now_ns() - start_ns));
}

static int number_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t *times_new(void)
{
    uint64_t *times_ns = calloc(count, sizeof(*times_ns));

    if (!times_ns)
        tool_fail("out of memory");
    return times_ns;
}

static double time_share(const uint64_t *times_ns, unsigned long of_100)
{
    return (double)times_ns[(count - 1) * of_100 / 100] / 1e3;
}

static void setup_measure(void)
{
    uint64_t *times_ns = times_new();

    for (unsigned long i = 0; i < count; i++) {
        uint64_t start_ns = tool_now_ns();
        int fd = connection_make();

        times_ns[i] = tool_now_ns() - start_ns;
        connection_end(fd);
    }
    qsort(times_ns, count, sizeof(*times_ns), number_compare);
    printf("%.1f %.1f %.1f\n", time_share(times_ns, 50), time_share(times_ns, 99),
           time_share(times_ns, 100));
    free(times_ns);
}

static void latency_measure(void)
{
    uint64_t *times_ns = times_new();
    int fd = connection_open(TOOL_ECHO);
    char record[TOOL_RECORD] = {0};

    for (unsigned long i = 0; i < count; i++) {
        uint64_t start_ns = tool_now_ns();

        if (!tool_write(fd, record, sizeof(record)) ||
            recv(fd, record, sizeof(record), MSG_WAITALL) != sizeof(record))
            tool_fail("no answer: %s", strerror(errno));
        times_ns[i] = tool_now_ns() - start_ns;
    }
    qsort(times_ns, count, sizeof(*times_ns), number_compare);
    printf("%.1f %.1f\n", time_share(times_ns, 50), time_share(times_ns, 99));
    free(times_ns);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*measure)(void);
    } kinds[] = {{"stream", stream_measure},
                 {"packets", packets_measure},
                 {"connections", connections_measure},
                 {"setup", setup_measure},
                 {"latency", latency_measure}};
    int option;

    while ((option = getopt(argc, argv, "d:c:P:f:")) != -1) {
        if (option == 'd')
            duration_ns = tool_number(optarg, 1, 60000) * 1000000;
        else if (option == 'c')
            count = tool_number(optarg, 1, 10000000);
        else if (option == 'P')
            threads = tool_number(optarg, 1, THREADS);
        else if (option == 'f')
            flows = tool_number(optarg, 1, FLOWS);
        else
            return 1;
    }
    if (argc - optind != 3)
        tool_fail("usage: measure stream|packets|connections|setup|latency ADDRESS PORT"
                  " [-d MILLISECONDS] [-c COUNT] [-P THREADS] [-f FLOWS]");
    alarm(120);
    server = tool_address_parse(argv[optind + 1], tool_number(argv[optind + 2], 1, 65535));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(argv[optind], kinds[i].name)) {
            kinds[i].measure();
            return 0;
        }
    tool_fail("%s: stream, packets, connections, setup or latency is needed", argv[optind]);
}
