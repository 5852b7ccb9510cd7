/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/watcher.h"

int main(int argc, char **argv)
{
    return watcher_main(argc, argv);
}
