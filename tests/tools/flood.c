/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood syn|udp ADDRESS PORT [-n FLOWS] [-r RATE]
 *
 * Opens FLOWS flows (100,000) that come to nothing, RATE of them a second (20,000): each is one SYN
 * or datagram with a port of its own, to PORT and, as the source ports end, the ports behind it.
 */
#include "tests/tools/raw.h"

enum { BATCH = 64, SOURCE_FIRST = 2000, SOURCES = 30000, RATE_MOST = 10000000 };

static void pause_until(uint64_t due_ns)
{
    uint64_t now_ns = tool_now_ns();
    struct timespec rest;

    if (now_ns >= due_ns)
        return;
    rest.tv_sec = (time_t)((due_ns - now_ns) / 1000000000);
    rest.tv_nsec = (long)((due_ns - now_ns) % 1000000000);
    nanosleep(&rest, NULL);
}

/* Sends the flows from `first` on, at most a batch of them; returns how many went. */
static unsigned long batch_send(const struct raw *raw, unsigned long port, unsigned long first,
                                unsigned long flows)
{
    static struct raw_packet packets[BATCH];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    unsigned count = 0;
    int sent;

    for (; count < BATCH && first + count < flows; count++) {
        unsigned long flow = first + count;

        parts[count].iov_base = &packets[count];
        parts[count].iov_len =
            raw_build(raw, (uint16_t)(SOURCE_FIRST + flow % SOURCES),
                      (uint16_t)(port + flow / SOURCES), "f", 1, &packets[count]);
        messages[count].msg_hdr = (struct msghdr){.msg_iov = &parts[count], .msg_iovlen = 1};
    }
    sent = sendmmsg(raw->fd, messages, count, 0);
    if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
        tool_fail("send: %s", strerror(errno));
    return sent > 0 ? (unsigned long)sent : 0;
}

int main(int argc, char **argv)
{
    unsigned long flows = 100000, rate = 20000, done = 0, port;
    struct tool_address server;
    uint64_t start_ns;
    struct raw raw;
    int option, syn;

    while ((option = getopt(argc, argv, "n:r:")) != -1) {
        if (option == 'n')
            flows = tool_number(optarg, 1, 10000000);
        else if (option == 'r')
            rate = tool_number(optarg, 1, RATE_MOST);
        else
            return 1;
    }
    syn = argc - optind == 3 && !strcmp(argv[optind], "syn");
    if (!syn && (argc - optind != 3 || strcmp(argv[optind], "udp") != 0))
        tool_fail("usage: flood syn|udp ADDRESS PORT [-n FLOWS] [-r RATE]");
    alarm(600);
    port = tool_number(argv[optind + 2], 1, 65535 - 10000000 / SOURCES);
    server = tool_address_parse(argv[optind + 1], port);
    raw = raw_open(&server, syn ? IPPROTO_TCP : IPPROTO_UDP);
    start_ns = tool_now_ns();
    while (done < flows) {
        done += batch_send(&raw, port, done, flows);
        pause_until(start_ns + (uint64_t)done * 1000000000 / rate);
    }
    printf("%lu flows in %.1f s\n", done, (double)(tool_now_ns() - start_ns) / 1e9);
    return 0;
}
