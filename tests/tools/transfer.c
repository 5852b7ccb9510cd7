/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer ADDRESS PORT -n BYTES [-h BYTES] [-r BYTES/S] [-u] [-t SECONDS]
 *
 * One TCP connection that carries BYTES in both directions at once, each byte checked at both ends.
 * On standard output, a line each:
 *   started          the first answer has come
 *   holding          with -h: so many bytes are through; goes on once a line is read from stdin
 *   at BYTES         with -u: each megabyte
 *   seen ADDRESS PORT bytes N hash H      at the end, all of it right
 * -u ends when a line is read from stdin, at the latest after -n bytes; -r paces. Ends with 1, and
 * says why, on a reset, a wrong byte, or -t (20) seconds without progress.
 */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "tests/tools/tool.h"

enum { PACED_PIECE = 8192 };

struct transfer {
    int fd;
    uint64_t limit, hold, rate; /* bytes, bytes, bytes per second; 0: none */
    bool until;
    uint64_t sent, received, announced, started_ns;
    uint64_t hash_sent;
    bool closed; /* our direction has ended */
};

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

/* How many bytes may be sent now. */
static size_t transfer_allowance(const struct transfer *transfer)
{
    uint64_t end = transfer->hold ? transfer->hold : transfer->limit, room;

    if (transfer->closed || transfer->sent >= end)
        return 0;
    room = end - transfer->sent;
    if (transfer->rate) {
        uint64_t elapsed_us = (tool_now_ns() - transfer->started_ns) / 1000;
        uint64_t due = TOOL_CHUNK / 4 + elapsed_us * transfer->rate / 1000000;

        /* In pieces of a size as programs write them, not byte by byte as time goes on. */
        if (due < transfer->sent + PACED_PIECE)
            return 0;
        if (room > due - transfer->sent)
            room = due - transfer->sent;
    }
    return room < TOOL_CHUNK ? (size_t)room : TOOL_CHUNK;
}

static void transfer_send(struct transfer *transfer)
{
    static uint8_t data[TOOL_CHUNK];
    size_t room = transfer_allowance(transfer);
    ssize_t done;

    if (!room)
        return;
    tool_pattern_fill(TOOL_STREAM_UP, transfer->sent, data, room);
    done = send(transfer->fd, data, room, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0 && errno != EAGAIN)
        tool_fail("send after %llu bytes: %s", (unsigned long long)transfer->sent, strerror(errno));
    if (done <= 0)
        return;
    transfer->hash_sent = tool_hash(transfer->hash_sent, data, (size_t)done);
    transfer->sent += (uint64_t)done;
}

static void transfer_close(struct transfer *transfer)
{
    if (transfer->closed)
        return;
    if (shutdown(transfer->fd, SHUT_WR))
        tool_fail("shutdown: %s", strerror(errno));
    transfer->closed = true;
}

static void transfer_announce(struct transfer *transfer)
{
    if (!transfer->announced && !transfer->hold)
        say("started");
    if (transfer->until && transfer->received >> 20 > transfer->announced >> 20) {
        printf("at %llu\n", (unsigned long long)transfer->received);
        fflush(stdout);
    }
    transfer->announced = transfer->received;
    if (transfer->hold && transfer->received == transfer->hold)
        say("holding");
    if (!transfer->hold && transfer->sent == transfer->limit)
        transfer_close(transfer);
}

/* Reads what has come; true once the server's last line is complete in `line`. */
static bool transfer_receive(struct transfer *transfer, char *line, size_t *length)
{
    static uint8_t data[TOOL_CHUNK];
    ssize_t done = recv(transfer->fd, data, sizeof(data), MSG_DONTWAIT);
    uint64_t due = transfer->sent - transfer->received;
    size_t count, right;

    if (done < 0 && errno == EAGAIN)
        return false;
    if (done < 0)
        tool_fail("receive after %llu bytes: %s", (unsigned long long)transfer->received,
                  strerror(errno));
    if (done == 0)
        tool_fail("the server ended after %llu bytes", (unsigned long long)transfer->received);
    count = (uint64_t)done < due ? (size_t)done : (size_t)due;
    right = tool_pattern_check(TOOL_STREAM_DOWN, transfer->received, data, count);
    if (right < count)
        tool_fail("wrong byte at %llu", (unsigned long long)(transfer->received + right));
    transfer->received += count;
    if ((size_t)done - count + *length >= TOOL_LINE)
        tool_fail("the server sent too much");
    memcpy(line + *length, data + count, (size_t)done - count);
    *length += (size_t)done - count;
    line[*length] = 0;
    transfer_announce(transfer);
    return *length && line[*length - 1] == '\n';
}

/* A line came on stdin: go on, or come to an end. */
static void transfer_command(struct transfer *transfer)
{
    char text[TOOL_LINE];

    if (read(STDIN_FILENO, text, sizeof(text)) <= 0)
        tool_fail("stdin ended while it was waited for");
    if (transfer->hold) {
        transfer->hold = 0;
        if (transfer->sent == transfer->limit)
            transfer_close(transfer);
    } else {
        transfer->limit = transfer->sent;
        transfer_close(transfer);
    }
}

static void transfer_run(struct transfer *transfer, int stalled_ms, char *line)
{
    uint64_t progress_ns = tool_now_ns(), before = 0;
    size_t length = 0;

    for (;;) {
        bool holding = transfer->hold && transfer->received == transfer->hold;
        bool listen = holding || (transfer->until && !transfer->closed);
        size_t room = transfer_allowance(transfer);
        struct pollfd polls[2] = {
            {.fd = transfer->fd, .events = (short)(POLLIN | (room ? POLLOUT : 0))},
            {.fd = listen ? STDIN_FILENO : -1, .events = POLLIN},
        };

        if (poll(polls, 2, transfer->rate && !room ? 2 : 100) < 0)
            tool_fail("poll: %s", strerror(errno));
        if (polls[1].revents)
            transfer_command(transfer);
        if (polls[0].revents & POLLOUT)
            transfer_send(transfer);
        if (polls[0].revents & ~POLLOUT && transfer_receive(transfer, line, &length))
            return;
        if (transfer->sent + transfer->received != before || holding) {
            before = transfer->sent + transfer->received;
            progress_ns = tool_now_ns();
        } else if (tool_now_ns() - progress_ns > (uint64_t)stalled_ms * 1000000) {
            tool_fail("stalled: %llu bytes sent, %llu received", (unsigned long long)transfer->sent,
                      (unsigned long long)transfer->received);
        }
    }
}

static int transfer_report(const struct transfer *transfer, const char *line)
{
    unsigned long long hash, bytes;
    char address[TOOL_LINE];
    unsigned port;

    if (sscanf(line, "%llx %llu %127s %u", &hash, &bytes, address, &port) != 4)
        tool_fail("the server answered: %s", line);
    if (bytes != transfer->sent || hash != transfer->hash_sent)
        tool_fail("sent %llu bytes with hash %016llx, the server has %llu with %016llx",
                  (unsigned long long)transfer->sent, (unsigned long long)transfer->hash_sent,
                  bytes, hash);
    if (transfer->received != transfer->sent)
        tool_fail("sent %llu bytes, received %llu", (unsigned long long)transfer->sent,
                  (unsigned long long)transfer->received);
    printf("seen %s %u bytes %llu hash %016llx\n", address, port, bytes, hash);
    return 0;
}

int main(int argc, char **argv)
{
    struct transfer transfer = {.limit = 1 << 20, .hash_sent = TOOL_HASH_START};
    struct tool_address server;
    unsigned long stalled_s = 20;
    char line[2 * TOOL_LINE] = "";
    int option, on = 1;

    while ((option = getopt(argc, argv, "n:h:r:ut:")) != -1) {
        if (option == 'n')
            transfer.limit = tool_number(optarg, 1, 1UL << 40);
        else if (option == 'h')
            transfer.hold = tool_number(optarg, 1, 1UL << 40);
        else if (option == 'r')
            transfer.rate = tool_number(optarg, 1, 1UL << 40);
        else if (option == 'u')
            transfer.until = true;
        else if (option == 't')
            stalled_s = tool_number(optarg, 1, 600);
        else
            return 1;
    }
    if (argc - optind != 2 || transfer.hold > transfer.limit)
        tool_fail(
            "usage: transfer ADDRESS PORT -n BYTES [-h BYTES] [-r BYTES/S] [-u] [-t SECONDS]");
    alarm(300);
    server = tool_address_parse(argv[optind], tool_number(argv[optind + 1], 1, 65535));
    transfer.fd = tool_socket(SOCK_STREAM, NULL, server.any.sa_family, stalled_s * 1000);
    if (connect(transfer.fd, &server.any, server.length))
        tool_fail("connect: %s", strerror(errno));
    setsockopt(transfer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!tool_write(transfer.fd, TOOL_TRANSFER, strlen(TOOL_TRANSFER)))
        tool_fail("send: %s", strerror(errno));
    transfer.started_ns = tool_now_ns();
    transfer_run(&transfer, (int)stalled_s * 1000, line);
    return transfer_report(&transfer, line);
}
