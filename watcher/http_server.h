/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_HTTP_SERVER_H
#define WATCHER_HTTP_SERVER_H

/*
 * A server for a few small pages to a few clients, within bounds: HTTP_CLIENTS at once (others wait
 * in the kernel), HTTP_REQUEST_SIZE bytes of request, and a time from the connection to its end,
 * whatever the client does. One request a connection; no body is read.
 *
 * System calls once the loop runs: accept4, recvfrom, sendto, close.
 */

#include <event2/event.h>
#include <stdio.h>

#include "common/address.h"
#include "watcher/http_request.h"

enum { HTTP_CLIENTS = 16, HTTP_REQUEST_SIZE = 4096 };

/* Listens, before the process is sealed. Returns the descriptor or a negative errno. */
int http_listen(const struct ip_addr *address, uint16_t port) _must_check_;

/* Writes the page of a path to `out` and returns its status; *type: of its content, a constant. */
typedef int (*http_handler)(void *context, struct text path, const char **type, FILE *out);

struct http_server;

/* Owns the listener, unless it fails. `patience`: what a client has from its connection to its
 * end. */
int http_server_open(struct event_base *base, int listener, const struct timeval *patience,
                     http_handler handler, void *context, struct http_server **server) _must_check_;
void http_server_close(struct http_server *server);

#endif
