/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

#include <stdint.h>

#include "common/macros.h"

/*
 * The service manager's side: readiness, status text, watchdog, and sockets that it passes.
 * Without a service manager all of it does nothing and succeeds. Each environment variable is read
 * once and then removed, so that no child takes it for its own.
 */

/* Connects to $NOTIFY_SOCKET, to be called before the process is sealed. */
int notify_open(void) _must_check_;

/* Sends e.g. "READY=1" or "STATUS=in sync". Never blocks; a lost message is no error. */
void notify_send(const char *state);

/* Microseconds after which "WATCHDOG=1" is due (half of $WATCHDOG_USEC); 0: nobody waits for it.
 * loop_open() sees to it. */
uint64_t notify_watchdog_interval(void);

/* The socket that was passed under this name ($LISTEN_FDS, $LISTEN_FDNAMES), close-on-exec; the
 * caller owns it, and a second call finds the next one of that name. -ENOENT: none. */
int notify_socket(const char *name) _must_check_;

#endif
