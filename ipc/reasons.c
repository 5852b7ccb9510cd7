/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/reasons.h"

#include "common/macros.h"

static const struct reason drops[] = {
    [DROP_NO_GATEWAY] = {"no_gateway", "a policy selects the pod, and no gateway matches it",
                         "let the policy's nodeSelector match a node that is Ready"},
    [DROP_UNKNOWN_ENDPOINT] = {"unknown_endpoint", "from a pod that this node does not know (yet)",
                               "none for a new pod's first packets; if it lasts, see the watcher's "
                               "log and pod-cidrs in the configuration"},
    [DROP_NO_EGRESS_IP] = {"no_egress_ip",
                           "this gateway does not hold the policy's egress IP of that family",
                           "add the address to an interface of the gateway, or change egressIP or "
                           "interface in the policy"},
    [DROP_UNKNOWN_NODE] = {"unknown_node", "a tunnel packet from an address that is no node's",
                           "if it is a node: see its InternalIP; else somebody sends forged "
                           "packets: filter the tunnel's port at the edge"},
    [DROP_WRONG_NODE] = {"wrong_node",
                         "a tunnel packet from a node that does not host the pod inside",
                         "none while a pod's address moves; if it lasts, that node sends packets "
                         "that are not its own"},
    [DROP_NOT_GATEWAY] = {"not_gateway", "a tunnel packet that this node is not the gateway for",
                          "none while policies change; if it lasts, compare --dump of both nodes"},
    [DROP_NO_PORT] = {"no_port", "no port is free at the egress IP towards that destination",
                      "add gateways to the policy, give it a dedicated egress IP, or "
                      "find the pod that opens so many connections"},
    [DROP_NAT_FULL] = {"nat_full", "the table of connections is full",
                       "raise limits.nat (it takes effect after --detach), or add gateways"},
    [DROP_PROTOCOL] = {"protocol", "a protocol or kind of packet that cannot be translated",
                       "exclude its destinations from the policy (excludedCIDRs)"},
    [DROP_FRAGMENT] = {"fragment", "a fragment that overlaps another or is too short",
                       "see who sends it: no sane sender does"},
    [DROP_MALFORMED] = {"malformed", "headers that contradict each other or the packet's length",
                        "see who sends it: no sane sender does"},
    [DROP_TOO_BIG] = {"too_big", "it does not fit the tunnel or the way behind it",
                      "lower the pods' MTU by 50 bytes (70 where nodes have IPv6 alone), or raise "
                      "the MTU between the nodes"},
    [DROP_HOP_LIMIT] = {"hop_limit", "its hop limit (TTL) was used up",
                        "none for traceroute; else look for a routing loop"},
    [DROP_NO_ROUTE] = {"no_route", "no route to the gateway, or from there to the destination",
                       "see the routing table and rules: ip route get"},
    [DROP_NO_TABLE] = {"no_table", "the tables are incomplete",
                       "see the loader's log: it says which entries are missing and why"},
    [DROP_INTERNAL] = {"internal", "the kernel refused to change the packet",
                       "report it with the packet and the kernel's version"},
    [DROP_AMBIGUOUS] = {"ambiguous",
                        "another pod speaks this protocol without ports with that address",
                        "give such pods gateways of their own"},
    [DROP_CONGESTION] = {"congestion",
                         "a router marked the tunnel's packet, and the one inside cannot be marked",
                         "none: the sender slows down as it should"},
    [DROP_FRAGMENT_EARLY] = {"fragment_early",
                             "a later fragment of a packet whose first one was not seen",
                             "none if rare; else something on the way reorders or loses packets"},
    [DROP_NO_MAPPING] = {"no_mapping",
                         "an ICMP error of a pod about a packet that no connection belongs to",
                         "none: such errors are old, or made up"},
    [DROP_FORGED_TUNNEL] = {"forged_tunnel", "a pod speaks the tunnel's protocol itself",
                            "see what runs in that pod: nothing but an attack does this"},
    [DROP_NAT_QUOTA] = {"nat_quota", "the pod has as many connections as one pod may have",
                        "find out why the pod opens so many, or raise limits.nat-per-endpoint"},
};

/* A new reason needs its words here and in docs/observing.md. */
_Static_assert(ARRAY_SIZE(drops) == DROP_LIMIT, "words for each reason");

static const struct reason counts[] = {
    [COUNT_ENCAPSULATED - DROP_REASONS_MOST] = {"encapsulated", "sent to a gateway"},
    [COUNT_DECAPSULATED - DROP_REASONS_MOST] = {"decapsulated", "answers received from a gateway"},
    [COUNT_TRANSLATED_OUT - DROP_REASONS_MOST] = {"translated_out", "sent with an egress IP"},
    [COUNT_TRANSLATED_IN - DROP_REASONS_MOST] = {"translated_in", "answers to an egress IP"},
    [COUNT_REFUSED - DROP_REASONS_MOST] = {"refused", "ICMP errors of this gateway"},
};

_Static_assert(ARRAY_SIZE(counts) == COUNT_LIMIT - DROP_REASONS_MOST, "words for each count");

static const struct reason unknown = {"unknown", "a reason that this release does not know",
                                      "use the egressgw-loader that made the maps"};

const struct reason *reason_of_drop(unsigned reason)
{
    return reason < ARRAY_SIZE(drops) && drops[reason].name ? &drops[reason] : &unknown;
}

const struct reason *reason_of_count(unsigned count)
{
    unsigned index = count - DROP_REASONS_MOST;

    return index < ARRAY_SIZE(counts) && counts[index].name ? &counts[index] : &unknown;
}
