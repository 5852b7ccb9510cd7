/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_LOADER_H
#define LOADER_LOADER_H

/* The whole daemon: returns the exit status of the process. */
int loader_main(int argc, char **argv);

#endif
