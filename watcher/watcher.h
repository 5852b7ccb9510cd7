/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_WATCHER_H
#define WATCHER_WATCHER_H

/* The whole daemon: returns the exit status of the process. */
int watcher_main(int argc, char **argv);

#endif
