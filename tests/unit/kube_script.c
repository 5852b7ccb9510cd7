/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kube_script.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/kube_watch_state.h"

static void connection_event(struct bufferevent *connection, short what, void *context)
{
    struct kube_script *script = context;

    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        for (size_t i = 0; i < script->held_count; i++) {
            if (script->held[i] == connection)
                return; /* freed at the end */
        }
        bufferevent_free(connection);
    }
}

static void connection_written(struct bufferevent *connection, void *context)
{
    (void)context;
    bufferevent_free(connection);
}

static void connection_answer(struct kube_script *script, struct bufferevent *connection)
{
    const struct kube_step *step = &script->steps[script->done];

    if (step->before)
        step->before();
    script->done++;
    if (step->then == HOLD) {
        script->held[script->held_count++] = connection;
        bufferevent_setcb(connection, NULL, NULL, connection_event, script);
    } else {
        bufferevent_setcb(connection, NULL, connection_written, connection_event, script);
    }
    evbuffer_add(bufferevent_get_output(connection), step->answer, strlen(step->answer));
}

static void connection_read(struct bufferevent *connection, void *context)
{
    struct kube_script *script = context;
    struct evbuffer *input = bufferevent_get_input(connection);
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    char *request = script->requests[script->done];

    if (end.pos < 0)
        return;
    if (script->done == script->count) { /* all that was to come has come */
        bufferevent_setcb(connection, NULL, NULL, connection_event, script);
        event_base_loopbreak(script->base);
        return;
    }
    memset(request, 0, sizeof(script->requests[0]));
    evbuffer_remove(input, request, sizeof(script->requests[0]) - 1);
    script->times[script->done] = kube_now();
    if (!strstr(request, script->steps[script->done].request))
        fail_msg("request %zu is\n%s\nand should hold %s", script->done, request,
                 script->steps[script->done].request);
    connection_answer(script, connection);
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                     int length, void *context)
{
    struct kube_script *script = context;
    struct bufferevent *connection =
        bufferevent_socket_new(script->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);

    (void)listener;
    (void)address;
    (void)length;
    assert_non_null(connection);
    bufferevent_setcb(connection, connection_read, NULL, connection_event, script);
    bufferevent_enable(connection, EV_READ | EV_WRITE);
}

uint16_t kube_script_open(struct kube_script *script, struct event_base *base)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    memset(script, 0, sizeof(*script));
    script->base = base;
    script->listener = evconnlistener_new_bind(base, accepted, script, LEV_OPT_CLOSE_ON_FREE, -1,
                                               (struct sockaddr *)&address, sizeof(address));
    assert_non_null(script->listener);
    getsockname(evconnlistener_get_fd(script->listener), (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

void kube_script_close(struct kube_script *script)
{
    for (size_t i = 0; i < script->held_count; i++)
        bufferevent_free(script->held[i]);
    evconnlistener_free(script->listener);
}
