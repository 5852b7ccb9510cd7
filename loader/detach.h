/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOADER_DETACH_H
#define LOADER_DETACH_H

#include "common/config.h"

/* Ends the datapath: detaches the programs and removes all pins, and with them the maps. What is
 * not there any more is no error. Returns an exit status; what was done is logged. */
int detach_run(const struct config *config) _must_check_;

#endif
