/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAKE_CLOCK_H
#define TESTS_FAKE_CLOCK_H

/* A program that calls this reads clocks that can be put forward: pauses of seconds pass at once,
 * also those of the event loop. */
void fake_clock_forward(unsigned milliseconds);

#endif
