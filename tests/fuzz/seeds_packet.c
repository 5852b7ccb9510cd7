/* SPDX-License-Identifier: Apache-2.0 */
/* seeds_packet DIRECTORY: the frames that fuzz_packet starts from, as the tests of the datapath
 * build them. */
#include "tests/bpf/roles.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *directory;
static const uint8_t segment_size[] = {2, 4, 0x05, 0xb4, 1, 1, 1, 0};
static const uint8_t hop_by_hop[] = {IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0};

static size_t input_add(uint8_t *input, size_t length, uint8_t flags, const struct frame *frame)
{
    input[length] = flags;
    input[length + 1] = (uint8_t)(frame->length >> 8);
    input[length + 2] = (uint8_t)frame->length;
    memcpy(input + length + 3, frame->data, frame->length);
    return length + 3 + frame->length;
}

static void input_write(const char *name, const uint8_t *input, size_t length)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "we");
    if (!file || fwrite(input, 1, length, file) != length || fclose(file)) {
        perror(path);
        exit(1);
    }
}

/* A pod's packet at both gateways and by both hooks, and what answers it. */
static void write_flow(const char *name, struct packet_spec spec, bool v6)
{
    static uint8_t input[4 * FRAME_SIZE];
    struct packet_spec answer = spec, out = spec;
    struct frame frame, about;
    char path[128];
    size_t length;

    for (int local = 0; local < 2; local++) {
        input[0] = (uint8_t)local;
        spec.source = v6 ? POD6 : POD;
        worker_build(&frame, &spec);
        length = input_add(input, 1, 8, &frame);
        spec.source = v6 ? POD_OTHER6 : POD_OTHER;
        gateway_build(&frame, &spec, NODE_OTHER);
        length = input_add(input, length, 1, &frame);
        answer.source = spec.destination;
        answer.destination = v6 ? EGRESS_IP6 : EGRESS_IP;
        answer.source_port = spec.destination_port;
        answer.destination_port = spec.source_port;
        frame_build(&frame, mac_uplink, mac_router, &answer);
        length = input_add(input, length, 1, &frame);
        out.source = answer.destination;
        frame_build(&about, mac_router, mac_uplink, &out);
        out = (struct packet_spec){.source = v6 ? "2001:db8:9::1" : "198.51.100.1",
                                   .destination = answer.destination,
                                   .protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                   .icmp_type = v6 ? 1 : 3};
        frame_build_error(&frame, mac_uplink, mac_router, &out, 0, &about,
                          about.length - FRAME_ETHERNET);
        length = input_add(input, length, 1, &frame);
        out = spec;
        snprintf(path, sizeof(path), "%s-%d", name, local);
        input_write(path, input, length);
    }
}

/* A pod's packet by the other gateway and the answer out of the tunnel, then a connection from
 * outside and what the pod answers. */
static void write_worker(const char *name, struct packet_spec spec, bool v6)
{
    static uint8_t input[4 * FRAME_SIZE];
    struct packet_spec answer = spec, inbound;
    struct frame frame;
    size_t length;

    input[0] = 0;
    spec.source = v6 ? POD6 : POD;
    worker_build(&frame, &spec);
    length = input_add(input, 1, 8, &frame);
    answer.source = spec.destination;
    answer.destination = spec.source;
    answer.source_port = spec.destination_port;
    answer.destination_port = spec.source_port;
    inbound = answer;
    answer.tcp_flags = SYN | ACK;
    gateway_build(&frame, &answer, NODE_OTHER);
    length = input_add(input, length, 1, &frame);
    inbound.source_port++;
    frame_build(&frame, mac_uplink, mac_router, &inbound);
    length = input_add(input, length, 1, &frame);
    spec.destination_port = inbound.source_port;
    spec.tcp_flags = SYN | ACK;
    worker_build(&frame, &spec);
    length = input_add(input, length, 8, &frame);
    input_write(name, input, length);
}

int main(int count, char **arguments)
{
    struct packet_spec spec = {.source_port = 20001, .destination_port = 80, .payload = 16};

    if (count != 2 || (mkdir(arguments[1], 0777) < 0 && errno != EEXIST)) {
        fprintf(stderr, "usage: seeds_packet DIRECTORY\n");
        return 2;
    }
    directory = arguments[1];
    spec.destination = SERVER;
    spec.protocol = IPPROTO_UDP;
    write_flow("udp", spec, false);
    write_worker("udp-worker", spec, false);
    spec.protocol = IPPROTO_TCP;
    spec.tcp_flags = SYN;
    spec.options = segment_size;
    spec.options_length = sizeof(segment_size);
    write_flow("tcp", spec, false);
    write_worker("tcp-worker", spec, false);
    spec.destination = SERVER6;
    write_flow("tcp6", spec, true);
    write_worker("tcp6-worker", spec, true);
    spec = (struct packet_spec){.destination = SERVER,
                                .protocol = IPPROTO_ICMP,
                                .icmp_type = 8,
                                .source_port = 77,
                                .payload = 8};
    write_flow("ping", spec, false);
    spec.protocol = IPPROTO_GRE;
    write_flow("gre", spec, false);
    spec = (struct packet_spec){.destination = SERVER6,
                                .protocol = IPPROTO_UDP,
                                .source_port = 20001,
                                .destination_port = 53,
                                .extensions = hop_by_hop,
                                .extensions_length = sizeof(hop_by_hop),
                                .extension = IPPROTO_HOPOPTS,
                                .payload = 8};
    write_flow("extensions", spec, true);
    return 0;
}
