/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/loader.h"

int main(int argc, char **argv)
{
    return loader_main(argc, argv);
}
