/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/planner.h"

int main(int argc, char **argv)
{
    return planner_main(argc, argv);
}
