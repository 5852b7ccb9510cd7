/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offload INTERFACE on|off
 *
 * Turns segmentation and checksum offload of an interface on or off: with them off, each packet
 * that it sends is one segment with its checksum written, as a plain network card would put it on
 * the wire.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "tests/tools/tool.h"

int main(int argc, char **argv)
{
    /* Segmentation needs checksums and scatter-gather: off in this order, on in the reverse. */
    static const __u32 commands[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_SSG,
                                     ETHTOOL_STXCSUM};
    enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };
    struct ethtool_value value = {0};
    struct ifreq request = {.ifr_data = (void *)&value};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool on;

    if (argc != 3 || (strcmp(argv[2], "on") && strcmp(argv[2], "off")))
        tool_fail("usage: offload INTERFACE on|off");
    if (fd < 0 || strlen(argv[1]) >= sizeof(request.ifr_name))
        tool_fail("%s: no such interface", argv[1]);
    strcpy(request.ifr_name, argv[1]);
    on = !strcmp(argv[2], "on");
    for (int i = 0; i < COMMANDS; i++) {
        value.cmd = commands[on ? COMMANDS - 1 - i : i];
        value.data = on;
        if (ioctl(fd, SIOCETHTOOL, &request))
            tool_fail("%s: %s", argv[1], strerror(errno));
    }
    return 0;
}
