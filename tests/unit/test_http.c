/* SPDX-License-Identifier: Apache-2.0 */
/* The server of /metrics: requests as they should not be, clients that are slow, silent or many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "watcher/http_server.h"

/* ---- the parser */

static int parse(const char *text, struct http_request *request)
{
    return http_request_parse(text, strlen(text), request);
}

static void requests_are_read(void **state)
{
    static const char *const paths[] = {
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n",
        "GET /metrics?name[]=a HTTP/1.1\n\n",       "HEAD /metrics HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nA: b\n\r\nbody",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct http_request request = {0};

        assert_int_equal(parse(paths[i], &request), HTTP_OK);
        assert_true(text_equal(request.path, TEXT("/metrics")));
        assert_int_equal(request.head, i == 3);
    }
}

static void malformed_requests_are_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"\r\n\r\n", HTTP_BAD_REQUEST},
        {"\n\n", HTTP_BAD_REQUEST},
        {"GET\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET /\r\n\r\n", HTTP_BAD_REQUEST},
        {" GET / HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET  / HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET / HTTP/1.1 \r\n\r\n", HTTP_BAD_REQUEST},
        {"GET / HTTP/1.1 x\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET metrics HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET http://a/metrics HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET /\x01 HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET /\xff HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET /\t HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET / FTP/1.1\r\n\r\n", HTTP_BAD_REQUEST},
        {"GET / HTTP/2.0\r\n\r\n", HTTP_VERSION},
        {"GET / HTTP/1.10\r\n\r\n", HTTP_VERSION},
        {"POST / HTTP/1.1\r\n\r\n", HTTP_METHOD_NOT_ALLOWED},
        {"get / HTTP/1.1\r\n\r\n", HTTP_METHOD_NOT_ALLOWED},
        {"GET / HTTP/1.1\r\n", HTTP_INCOMPLETE},
        {"GET / HTTP/1.1\r\n\r", HTTP_INCOMPLETE},
        {"GET / HTTP/1.1", HTTP_INCOMPLETE},
        {"", HTTP_INCOMPLETE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_request request = {0};

        if (parse(cases[i].text, &request) != cases[i].status)
            fail_msg("%s: %d", cases[i].text, parse(cases[i].text, &request));
    }
}

/* Whatever the bytes are, the parser stays inside of them (the sanitizers see it if not). */
static void random_bytes(void **state)
{
    static const char alphabet[] = "GET /HTP1.\r\n\n\0\xff?";
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        struct http_request request = {0};
        size_t length = (seed >> 8) % 40;
        char *data = malloc(length + 1);

        assert_non_null(data);
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1664525 + 1013904223;
            data[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        seed = seed * 1664525 + 1013904223;
        if (http_request_parse(data, length, &request) == HTTP_OK)
            assert_true(request.path.data >= data &&
                        request.path.data + request.path.length <= data + length);
        free(data);
    }
}

/* ---- the server */

struct fixture {
    struct event_base *base;
    struct http_server *server;
    uint16_t port_be;
    size_t page; /* bytes of the page */
};

static int serve(void *context, struct text path, const char **type, FILE *out)
{
    const struct fixture *fixture = context;

    if (!text_equal(path, TEXT("/page")))
        return HTTP_NOT_FOUND;
    *type = "text/test";
    for (size_t i = 0; i < fixture->page; i++)
        putc('x', out);
    return HTTP_OK;
}

static void open_server(struct fixture *fixture, time_t seconds)
{
    struct ip_addr loopback = ip_addr_from_v4(htonl(INADDR_LOOPBACK));
    struct timeval patience = {.tv_sec = seconds};
    struct sockaddr_in name;
    socklen_t size = sizeof(name);
    int listener = http_listen(&loopback, 0);

    assert_true(listener >= 0);
    assert_int_equal(getsockname(listener, (void *)&name, &size), 0);
    fixture->port_be = name.sin_port;
    fixture->page = 10;
    fixture->base = event_base_new();
    assert_non_null(fixture->base);
    assert_int_equal(
        http_server_open(fixture->base, listener, &patience, serve, fixture, &fixture->server), 0);
}

static void close_server(struct fixture *fixture)
{
    http_server_close(fixture->server);
    event_base_free(fixture->base);
}

static int client(const struct fixture *fixture)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = fixture->port_be,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (void *)&name, sizeof(name)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Lets the server work until the client has been told everything; what it was told, as a string, ""
 * where the connection was closed without a word. */
static char *hear(struct fixture *fixture, int fd)
{
    size_t length = 0, room = 1 << 22;
    char *text = malloc(room);

    assert_non_null(text);
    for (;;) {
        ssize_t count = recv(fd, text + length, room - length - 1, MSG_DONTWAIT);

        if (count == 0 || (count < 0 && errno != EAGAIN))
            break;
        if (count > 0)
            length += (size_t)count;
        else
            event_base_loop(fixture->base, EVLOOP_ONCE);
    }
    text[length] = '\0';
    close(fd);
    return text;
}

static void assert_answer(struct fixture *fixture, const char *request, const char *expected)
{
    int fd = client(fixture);
    char *answer;

    say(fd, request);
    answer = hear(fixture, fd);
    if (strncmp(answer, expected, strlen(expected)) != 0)
        fail_msg("%s: %s", request, answer);
    free(answer);
}

static void pages_are_served(void **state)
{
    struct fixture fixture;

    (void)state;
    open_server(&fixture, 60);
    assert_answer(&fixture, "GET /page HTTP/1.1\r\n\r\n",
                  "HTTP/1.1 200 OK\r\nContent-Type: text/test\r\nContent-Length: 10\r\n");
    assert_answer(&fixture, "GET /none HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
    assert_answer(&fixture, "PUT /page HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_answer(&fixture, "nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    close_server(&fixture);
}

static void head_has_no_body(void **state)
{
    struct fixture fixture;
    char *answer;
    int fd;

    (void)state;
    open_server(&fixture, 60);
    fd = client(&fixture);
    say(fd, "HEAD /page HTTP/1.1\r\n\r\n");
    answer = hear(&fixture, fd);
    assert_non_null(strstr(answer, "Content-Length: 10\r\n"));
    assert_string_equal(answer + strlen(answer) - 4, "\r\n\r\n");
    free(answer);
    close_server(&fixture);
}

static void large_requests_are_refused(void **state)
{
    static char request[HTTP_REQUEST_SIZE + 1];
    struct fixture fixture;

    (void)state;
    memset(request, 'a', HTTP_REQUEST_SIZE);
    memcpy(request, "GET /page HTTP/1.1\r\nA: ", 23);
    open_server(&fixture, 60);
    assert_answer(&fixture, request, "HTTP/1.1 431 ");
    memcpy(request + HTTP_REQUEST_SIZE - 4, "\r\n\r\n", 4);
    assert_answer(&fixture, request, "HTTP/1.1 200 ");
    close_server(&fixture);
}

static void requests_in_pieces(void **state)
{
    static const char request[] = "GET /page HTTP/1.1\r\n\r\n";
    struct fixture fixture;
    char *answer;
    int fd;

    (void)state;
    open_server(&fixture, 60);
    fd = client(&fixture);
    for (size_t i = 0; i + 1 < sizeof(request); i++) {
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
        event_base_loop(fixture.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    answer = hear(&fixture, fd);
    assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    free(answer);
    close_server(&fixture);
}

/* Larger than what the socket takes at once. */
static void large_pages_are_whole(void **state)
{
    struct fixture fixture;
    char *answer, *body;
    int fd;

    (void)state;
    open_server(&fixture, 60);
    fixture.page = 4000000;
    fd = client(&fixture);
    say(fd, "GET /page HTTP/1.1\r\n\r\n");
    answer = hear(&fixture, fd);
    body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strlen(body + 4), fixture.page);
    free(answer);
    close_server(&fixture);
}

/* Whether they say nothing or do not read, their time ends. */
static void slow_clients_are_closed(void **state)
{
    struct fixture fixture;
    char *answer;
    int silent, deaf;

    (void)state;
    open_server(&fixture, 1);
    fixture.page = 40000000;
    silent = client(&fixture);
    deaf = client(&fixture);
    say(deaf, "GET /page HTTP/1.1\r\n\r\n");
    answer = hear(&fixture, silent);
    assert_string_equal(answer, "");
    free(answer);
    while (event_base_get_num_events(fixture.base, EVENT_BASE_COUNT_ADDED) > 1)
        event_base_loop(fixture.base, EVLOOP_ONCE); /* only the listener is left */
    close(deaf);
    close_server(&fixture);
}

/* The places are taken by clients that say nothing; who comes later is served after them. */
static void many_clients_wait_for_a_place(void **state)
{
    int silent[HTTP_CLIENTS], late;
    struct fixture fixture;
    char *answer;

    (void)state;
    open_server(&fixture, 60);
    for (size_t i = 0; i < HTTP_CLIENTS; i++)
        silent[i] = client(&fixture);
    late = client(&fixture);
    say(late, "GET /page HTTP/1.1\r\n\r\n");
    while (event_base_get_num_events(fixture.base, EVENT_BASE_COUNT_ADDED) < 2 * HTTP_CLIENTS)
        event_base_loop(fixture.base, EVLOOP_ONCE);
    event_base_loop(fixture.base, EVLOOP_NONBLOCK);
    assert_true(recv(late, &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    close(silent[3]);
    answer = hear(&fixture, late);
    assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    free(answer);
    for (size_t i = 0; i < HTTP_CLIENTS; i++) {
        if (i != 3)
            close(silent[i]);
    }
    assert_answer(&fixture, "GET /page HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK");
    close_server(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(pages_are_served),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(large_requests_are_refused),
        cmocka_unit_test(requests_in_pieces),
        cmocka_unit_test(large_pages_are_whole),
        cmocka_unit_test(slow_clients_are_closed),
        cmocka_unit_test(many_clients_wait_for_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
