/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/channel_pair.h"

enum { WATCHDOG_S = 20 };

struct channel_pair pair;

static void on_line(enum log_level level _unused_, const char *line, void *context _unused_)
{
    if (!pair.wanted || !strstr(line, pair.wanted))
        return;
    pair.lines++;
    snprintf(pair.last_line, sizeof(pair.last_line), "%s", line);
}

void channel_pair_want_line(const char *wanted)
{
    pair.wanted = wanted;
    pair.lines = 0;
    pair.last_line[0] = '\0';
}

static void on_connected(void *context, struct channel *channel)
{
    struct channel_side *side = context;

    side->connected++;
    side->channel = channel;
}

static void on_writable(void *context)
{
    ((struct channel_side *)context)->writable++;
}

static void on_closed(void *context)
{
    struct channel_side *side = context;

    side->closed++;
    side->channel = NULL;
}

static int on_record(void *context, const struct record *record)
{
    struct channel_side *side = context;

    side->taken++;
    side->generation = record->generation;
    if (side->next_state)
        channel_set_state(side->channel, side->next_state);
    return side->answer;
}

static int on_explained(void *context, const struct record *record _unused_)
{
    return channel_explain(((struct channel_side *)context)->channel, -EPROTO,
                           "a reason of its own");
}

static const struct channel_rule server_rules[] = {
    {RECORD_SYNC_BEGIN, 1U << 0, on_record},
    {RECORD_SYNC_END, 1U << 1, on_record},
    {RECORD_SCOPE, 1U << 0, on_explained},
};
static const struct channel_rule client_rules[] = {
    {RECORD_ACKNOWLEDGE, 1U << 0, on_record},
    {RECORD_ENTRIES, 1U << 0, on_record},
};
static const struct channel_callbacks server_callbacks = {
    "watcher", server_rules, ARRAY_SIZE(server_rules), on_connected, on_writable, on_closed};
static const struct channel_callbacks client_callbacks = {
    "planner", client_rules, ARRAY_SIZE(client_rules), on_connected, on_writable, on_closed};

static void on_watchdog(evutil_socket_t fd _unused_, short events _unused_, void *context _unused_)
{
    pair.expired = true;
}

static struct event *watchdog;

int channel_pair_setup(void **state _unused_)
{
    const struct timeval limit = {.tv_sec = WATCHDOG_S};

    memset(&pair, 0, sizeof(pair));
    snprintf(pair.directory, sizeof(pair.directory), "/tmp/egressgw-channel-XXXXXX");
    if (!mkdtemp(pair.directory) || chmod(pair.directory, 0777) < 0)
        return -1;
    snprintf(pair.path, sizeof(pair.path), "%s/planner.sock", pair.directory);
    pair.base = event_base_new();
    watchdog = event_new(pair.base, -1, 0, on_watchdog, NULL);
    log_set_sink(on_line, NULL);
    return event_add(watchdog, &limit);
}

int channel_pair_teardown(void **state _unused_)
{
    channel_client_free(pair.client);
    channel_server_free(pair.server);
    event_free(watchdog);
    event_base_free(pair.base);
    log_set_sink(NULL, NULL);
    unlink(pair.path);
    return rmdir(pair.directory); /* fails where something was left behind */
}

void channel_pair_serve_on(int listener, uid_t peer)
{
    assert_true(listener >= 0);
    assert_int_equal(channel_serve(pair.base, listener, peer, &server_callbacks, &pair.server_side,
                                   &pair.server),
                     0);
}

void channel_pair_serve(uid_t peer)
{
    channel_pair_serve_on(channel_listen(pair.path, geteuid()), peer);
}

void channel_pair_dial(uid_t peer)
{
    assert_int_equal(channel_connect(pair.base, pair.path, peer, &client_callbacks,
                                     &pair.client_side, &pair.client),
                     0);
}

void channel_pair_connect(void)
{
    channel_pair_serve(geteuid());
    channel_pair_dial(geteuid());
    RUN_UNTIL(pair.server_side.channel && pair.client_side.channel);
}

int channel_pair_raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", pair.path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void channel_pair_raw_send(int fd, const struct record *record)
{
    static struct record_buffer buffer;

    assert_int_equal(record_pack(record, &buffer), 0);
    assert_int_equal(send(fd, buffer.data, buffer.length, 0), buffer.length);
}

bool channel_pair_raw_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

void channel_pair_send(struct channel_side *side, enum record_type type, uint64_t generation)
{
    const struct record record = {.type = type, .generation = generation};

    assert_int_equal(channel_send_record(side->channel, &record), 0);
}
