/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask tcp|udp|ping|spray ADDRESS PORT [-s SOURCE] [-p SOURCE-PORT] [-t MILLISECONDS] [-c COUNT]
 *
 * One question to the lab's server and its answer: "ADDRESS PORT" as the server saw them (tcp,
 * udp), "RECEIVED of COUNT" (ping). spray sends COUNT datagrams and waits for nothing. Ends with 1
 * where an answer did not come in time.
 */
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "tests/tools/tool.h"

struct question {
    struct tool_address server, source;
    bool bound;
    unsigned long timeout_ms, count;
};

static const struct tool_address *question_source(const struct question *question)
{
    return question->bound ? &question->source : NULL;
}

static int tcp_ask(const struct question *question)
{
    int fd = tool_socket(SOCK_STREAM, question_source(question), question->server.any.sa_family,
                         question->timeout_ms);
    char line[TOOL_LINE];

    if (connect(fd, &question->server.any, question->server.length))
        tool_fail("connect: %s", errno == EINPROGRESS ? "no answer in time" : strerror(errno));
    if (!tool_write(fd, TOOL_WHO, strlen(TOOL_WHO)) || !tool_read_line(fd, line, sizeof(line)))
        tool_fail("no answer: %s", strerror(errno));
    fputs(line, stdout);
    return 0;
}

static int udp_ask(const struct question *question)
{
    int fd = tool_socket(SOCK_DGRAM, question_source(question), question->server.any.sa_family,
                         question->timeout_ms);
    const char request[] = {TOOL_UDP_WHO};
    char line[TOOL_LINE];
    ssize_t length;

    if (connect(fd, &question->server.any, question->server.length) ||
        send(fd, request, sizeof(request), 0) < 0)
        tool_fail("send: %s", strerror(errno));
    length = recv(fd, line, sizeof(line) - 1, 0);
    if (length <= 0)
        tool_fail("no answer: %s", strerror(errno));
    line[length] = 0;
    fputs(line, stdout);
    return 0;
}

static int spray(const struct question *question)
{
    int fd = tool_socket(SOCK_DGRAM, question_source(question), question->server.any.sa_family,
                         question->timeout_ms);

    for (unsigned long i = 0; i < question->count; i++) {
        char text[TOOL_LINE];
        int length = snprintf(text, sizeof(text), "%c%lu", TOOL_UDP_SEQUENCE, i);

        /* An ICMP error for an earlier one is reported by a later call: not a failure. */
        if (sendto(fd, text, (size_t)length, 0, &question->server.any, question->server.length) <
                0 &&
            errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH)
            tool_fail("sendto: %s", strerror(errno));
    }
    printf("%lu\n", question->count);
    return 0;
}

/* Both families' echo headers look alike: type, code, checksum, identifier, sequence. */
struct echo {
    uint8_t type, code;
    uint16_t checksum, identifier_be, sequence_be;
    uint8_t data[48];
};

static uint16_t echo_checksum(const struct echo *echo)
{
    const uint16_t *words = (const uint16_t *)echo;
    uint32_t sum = 0;

    for (size_t i = 0; i < sizeof(*echo) / 2; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

static bool echo_answered(int fd, bool v4, const struct echo *sent, uint64_t deadline)
{
    while (tool_now_ns() < deadline) {
        uint8_t packet[512];
        struct echo got;
        ssize_t length = recv(fd, packet, sizeof(packet), 0);
        size_t skip = v4 && length > 0 ? (size_t)(packet[0] & 15) * 4 : 0;

        if (length < 0 && errno != EAGAIN && errno != EHOSTUNREACH && errno != ENETUNREACH)
            tool_fail("recv: %s", strerror(errno));
        if (length < 0 || (size_t)length != skip + sizeof(got))
            continue;
        memcpy(&got, packet + skip, sizeof(got));
        if (got.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
            got.identifier_be == sent->identifier_be && got.sequence_be == sent->sequence_be &&
            !memcmp(got.data, sent->data, sizeof(got.data)))
            return true;
    }
    return false;
}

static int ping(const struct question *question)
{
    bool v4 = question->server.any.sa_family == AF_INET;
    int fd = socket(question->server.any.sa_family, SOCK_RAW | SOCK_CLOEXEC,
                    v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    unsigned long answered = 0;

    if (fd < 0)
        tool_fail("socket: %s", strerror(errno));
    tool_socket_deadline(fd, 50);
    if (question->bound && bind(fd, &question->source.any, question->source.length))
        tool_fail("bind: %s", strerror(errno));
    for (unsigned long i = 1; i <= question->count; i++) {
        struct echo echo = {.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                            .identifier_be = htons((uint16_t)getpid()),
                            .sequence_be = htons((uint16_t)i)};

        tool_pattern_fill(TOOL_STREAM_UP, i, echo.data, sizeof(echo.data));
        if (v4)
            echo.checksum = echo_checksum(&echo);
        if (sendto(fd, &echo, sizeof(echo), 0, &question->server.any, question->server.length) < 0)
            continue;
        answered += echo_answered(fd, v4, &echo, tool_now_ns() + question->timeout_ms * 1000000ULL);
    }
    printf("%lu of %lu\n", answered, question->count);
    return answered == question->count ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*ask)(const struct question *question);
    } kinds[] = {{"tcp", tcp_ask}, {"udp", udp_ask}, {"ping", ping}, {"spray", spray}};
    struct question question = {.timeout_ms = 2000, .count = 3};
    const char *source = NULL;
    unsigned long source_port = 0;
    int option;

    while ((option = getopt(argc, argv, "s:p:t:c:")) != -1) {
        if (option == 's')
            source = optarg;
        else if (option == 'p')
            source_port = tool_number(optarg, 1, 65535);
        else if (option == 't')
            question.timeout_ms = tool_number(optarg, 1, 60000);
        else if (option == 'c')
            question.count = tool_number(optarg, 1, 100000);
        else
            return 1;
    }
    if (argc - optind != 3)
        tool_fail(
            "usage: ask tcp|udp|ping|spray ADDRESS PORT [-s SOURCE] [-p PORT] [-t MS] [-c N]");
    alarm(120);
    question.server = tool_address_parse(argv[optind + 1], tool_number(argv[optind + 2], 0, 65535));
    question.bound = source || source_port;
    if (!source)
        source = question.server.any.sa_family == AF_INET ? "0.0.0.0" : "::";
    question.source = tool_address_parse(source, source_port);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(argv[optind], kinds[i].name))
            return kinds[i].ask(&question);
    tool_fail("%s: tcp, udp, ping or spray is needed", argv[optind]);
}
