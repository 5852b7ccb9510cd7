/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_PLANNER_H
#define PLANNER_PLANNER_H

/* The whole daemon: returns the exit status of the process. */
int planner_main(int argc, char **argv);

#endif
