/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence ADDRESS PORT [-c COUNT] [-i MICROSECONDS] [-e EXPECTED-ADDRESS] [-u] [-t SECONDS]
 *          [-w SECONDS]
 *
 * Numbered datagrams to the lab's server, one every -i (1000), and its answers. Says "started"
 * after the first answer, and at the end sent N received N lost N foreign N where foreign counts
 * answers that name another source than the first one's (or than -e). -u ends when a line is read
 * from stdin, at the latest after COUNT. Gives up after -t (300) seconds, and -w (1) after the last
 * datagram where answers are missing.
 */
#include <poll.h>

#include "tests/tools/tool.h"

struct sequence {
    int fd;
    unsigned long limit, sent, received, foreign;
    uint64_t interval_ns, patience_ns;
    char expected[TOOL_LINE];
    uint8_t *seen; /* one byte a number: answered */
};

static void sequence_send(struct sequence *sequence)
{
    char text[TOOL_LINE];
    int length = snprintf(text, sizeof(text), "%c%lu", TOOL_UDP_SEQUENCE, sequence->sent);

    sequence->sent++;
    (void)!send(sequence->fd, text, (size_t)length, 0); /* a refused one is a lost one */
}

static void sequence_receive(struct sequence *sequence)
{
    char text[TOOL_LINE + 1], address[TOOL_LINE];
    unsigned long number;
    unsigned port;
    ssize_t length;

    while ((length = recv(sequence->fd, text, TOOL_LINE, MSG_DONTWAIT)) > 0) {
        text[length] = 0;
        if (sscanf(text + 1, "%lu %127s %u", &number, address, &port) != 3 ||
            number >= sequence->sent || sequence->seen[number])
            continue;
        sequence->seen[number] = 1;
        if (!sequence->received++) {
            puts("started");
            fflush(stdout);
        }
        if (!sequence->expected[0])
            strcpy(sequence->expected, address);
        sequence->foreign += strcmp(sequence->expected, address) != 0;
    }
}

static void sequence_run(struct sequence *sequence, bool until)
{
    uint64_t next_ns = tool_now_ns(), quiet_ns = next_ns;
    bool sending = true;

    while (sending || (sequence->received < sequence->sent &&
                       tool_now_ns() - quiet_ns < sequence->patience_ns)) {
        uint64_t now_ns = tool_now_ns();
        struct timespec wait = {.tv_nsec = sending && next_ns > now_ns ? (long)(next_ns - now_ns)
                                           : sending                   ? 0
                                                                       : 20000000};
        struct pollfd polls[2] = {{.fd = sequence->fd, .events = POLLIN},
                                  {.fd = until ? STDIN_FILENO : -1, .events = POLLIN}};

        ppoll(polls, 2, &wait, NULL);
        if (polls[1].revents)
            sending = until = false;
        sequence_receive(sequence);
        if (!sending || tool_now_ns() < next_ns)
            continue;
        sequence_send(sequence);
        quiet_ns = tool_now_ns();
        next_ns = quiet_ns + sequence->interval_ns; /* nothing is made up for in a burst */
        sending = sequence->sent < sequence->limit;
    }
}

int main(int argc, char **argv)
{
    struct sequence sequence = {.limit = 1000, .interval_ns = 1000000, .patience_ns = 1000000000};
    struct tool_address server;
    unsigned long seconds = 300;
    bool until = false;
    int option;

    while ((option = getopt(argc, argv, "c:i:e:ut:w:")) != -1) {
        if (option == 'c')
            sequence.limit = tool_number(optarg, 1, 10000000);
        else if (option == 'i')
            sequence.interval_ns = tool_number(optarg, 1, 900000) * 1000;
        else if (option == 'e')
            snprintf(sequence.expected, sizeof(sequence.expected), "%s", optarg);
        else if (option == 'u')
            until = true;
        else if (option == 'w')
            sequence.patience_ns = tool_number(optarg, 1, 600) * 1000000000ULL;
        else if (option == 't')
            seconds = tool_number(optarg, 1, 86400);
        else
            return 1;
    }
    if (argc - optind != 2)
        tool_fail("usage: sequence ADDRESS PORT [-c COUNT] [-i MICROSECONDS] [-e ADDRESS] [-u] [-t "
                  "SECONDS] [-w SECONDS]");
    alarm((unsigned)seconds);
    server = tool_address_parse(argv[optind], tool_number(argv[optind + 1], 1, 65535));
    sequence.seen = calloc(sequence.limit, 1);
    sequence.fd = tool_socket(SOCK_DGRAM, NULL, server.any.sa_family, 1000);
    if (!sequence.seen || connect(sequence.fd, &server.any, server.length))
        tool_fail("connect: %s", strerror(errno));
    sequence_run(&sequence, until);
    printf("sent %lu received %lu lost %lu foreign %lu\n", sequence.sent, sequence.received,
           sequence.sent - sequence.received, sequence.foreign);
    free(sequence.seen);
    return sequence.sent == sequence.received && !sequence.foreign ? 0 : 1;
}
