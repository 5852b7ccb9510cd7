/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSGW_LAYOUT_H
#define EGRESSGW_LAYOUT_H

/*
 * What the datapath and user space share: keys and values of the pinned maps, the configuration of
 * the programs, and the reasons for which a packet is dropped. A packet's way is decided by
 *
 *   endpoints[source]                         -> profile, hash, node
 *   routes[(profile, destination)]            -> action, group, slots    (longest prefix)
 *   gateways[(group, hash mod slots)]         -> gateway node, egress IP
 *
 * Addresses, and what ends in _be, are in network byte order, everything else in host byte order.
 * Whoever changes the size or meaning of anything here raises LAYOUT_VERSION.
 */

#include <egressgw/ip_addr.h>

#define LAYOUT_VERSION 2

/* Names of the maps; each is pinned as <paths.bpf>/maps/<name>. */
#define MAP_ENDPOINTS       "endpoints"
#define MAP_ROUTES          "routes"
#define MAP_GATEWAYS        "gateways"
#define MAP_NODES           "nodes"
#define MAP_SETTINGS        "settings"
#define MAP_NAT_FORWARD     "nat_forward"
#define MAP_NAT_REVERSE     "nat_reverse"
#define MAP_NAT_MADE        "nat_made"
#define MAP_NAT_ENDED       "nat_ended"
#define MAP_FLOWS           "flows"
#define MAP_COUNTERS        "counters"
#define MAP_POLICIES        "policies"
#define MAP_POLICY_COUNTERS "policy_counters"
#define MAP_DROP_LOG        "drop_log"
#define MAP_DROP_STATE      "drop_state"
#define MAP_EGRESS_REFUSED  "egress_refused"

/*
 * A profile is a set of policies; each endpoint has one. The first numbers are reserved:
 * routes of PROFILE_CLUSTER are the destinations inside the cluster, routes of PROFILE_COVERED the
 * destinations of all policies together (they decide what an unknown pod may not reach), and routes
 * of PROFILE_POD_RANGES, looked up by source, the ranges that pods have their addresses from.
 */
enum profile_number {
    PROFILE_CLUSTER = 0,
    PROFILE_COVERED = 1,
    PROFILE_POD_RANGES = 2,
    PROFILE_NONE = 3, /* an endpoint that no policy selects: it has no routes */
    PROFILE_FIRST = 4,
    PROFILE_LIMIT = 1 << 30,
};

/* endpoints: pod IP -> */
struct endpoint {
    struct ip_addr node; /* the tunnel address of the node that hosts the pod */
    __u32 profile;
    __u32 hash;  /* of the pod's UID: chooses the slot in a gateway group */
    __u32 flags; /* ENDPOINT_* */
    __u32 reserved;
};

enum {
    ENDPOINT_LOCAL = 1 << 0, /* the pod runs on this node */
};

_Static_assert(sizeof(struct endpoint) == 32, "layout of endpoints");

/*
 * routes: longest prefix match. The key is built so that an IPv4 look-up compares the first eight
 * bytes of `scope_be` and `address` only: IPv4 stands in the first four bytes of `address`, the
 * other twelve are zero.
 */
struct route_key {
    __u32 prefix_length; /* ROUTE_SCOPE_BITS + the length of the prefix in its family */
    __be32 scope_be;     /* profile, with ROUTE_SCOPE_IPV6 for an IPv6 destination */
    __u8 address[16];
};

#define ROUTE_SCOPE_BITS 32
#define ROUTE_SCOPE_IPV6 (1U << 31)

enum route_action {
    ROUTE_CLUSTER = 1,    /* of PROFILE_CLUSTER: inside the cluster, never redirected */
    ROUTE_COVERED = 2,    /* of PROFILE_COVERED: some policy's destination */
    ROUTE_GATEWAY = 3,    /* by way of `group` */
    ROUTE_EXCLUDED = 4,   /* an excluded CIDR: leaves as if there were no policy */
    ROUTE_NO_GATEWAY = 5, /* no gateway matches: dropped */
    ROUTE_POD_RANGE = 6,  /* of PROFILE_POD_RANGES */
};

struct route {
    __u32 group;  /* with ROUTE_GATEWAY, else 0 */
    __u32 policy; /* number of the policy that owns this route, 0 where none does */
    __u16 slots;  /* slots of the group, 1 .. GATEWAY_SLOTS; with ROUTE_GATEWAY, else 0 */
    __u8 action;  /* enum route_action */
    __u8 reserved;
};

_Static_assert(sizeof(struct route_key) == 24, "layout of routes");
_Static_assert(sizeof(struct route) == 12, "layout of routes");

/* gateways: (group, slot) -> struct gateway. A group serves one family; one gateway needs one slot,
 * several share GATEWAY_SLOTS. */
struct gateway_key {
    __u32 group;
    __u32 slot;
};

struct gateway {
    struct ip_addr node;   /* the gateway's tunnel address */
    struct ip_addr egress; /* the egress IP, known on the gateway itself only; none: drop there */
    __u32 ifindex;         /* interface that holds the egress IP, on the gateway itself, else 0 */
    __u32 flags;           /* GATEWAY_* */
};

#define GATEWAY_SLOTS 1024

enum {
    GATEWAY_LOCAL = 1 << 0,     /* this node is the gateway */
    GATEWAY_DEDICATED = 1 << 1, /* the node opens no connections with this egress IP */
};

_Static_assert(sizeof(struct gateway_key) == 8, "layout of gateways");
_Static_assert(sizeof(struct gateway) == 40, "layout of gateways");

/* nodes: tunnel address of a node (its InternalIP, of either family) -> */
struct node_entry {
    __u32 flags; /* NODE_* */
};

enum {
    NODE_SELF = 1 << 0,
    NODE_GATEWAY = 1 << 1, /* some group has it: answers through the tunnel come from such nodes */
    NODE_NOT_READY = 1 << 2, /* flows that can move to another gateway do */
};

_Static_assert(sizeof(struct node_entry) == 4, "layout of nodes");

/* settings: one element, key 0; what the planner learns while the datapath runs. */
struct settings {
    struct ip_addr node_v4; /* this node's own tunnel addresses; none: it has none */
    struct ip_addr node_v6;
    __u32 flags; /* SETTINGS_* */
    __u32 reserved;
};

enum {
    /* Routes of PROFILE_POD_RANGES hold every pod's address; else any forwarded source may be a
     * pod's. */
    SETTINGS_POD_RANGES_KNOWN = 1 << 0,
};

_Static_assert(sizeof(struct settings) == 40, "layout of settings");

/*
 * nat_forward: a flow as the pod sees it -> its mapping; nat_reverse: a flow as the gateway's
 * egress IP sees it -> the pod. `local` is the pod or the egress IP. ICMP echo: the identifier is
 * the port of the end that asks, the other one is 0. Each direction writes to its own entry only;
 * whether a mapping lives is decided by both (egressgw/nat_state.h).
 */
struct nat_key {
    struct ip_addr local;
    struct ip_addr remote;
    __be16 local_port_be;
    __be16 remote_port_be;
    __u8 protocol; /* IPPROTO_* */
    __u8 reserved[3];
};

/* One direction of a mapping. */
struct nat_use {
    __u32 last_seen; /* DATAPATH_TICK_SHIFT units of CLOCK_MONOTONIC (coarse) */
    __u8 seen;       /* NAT_SEEN_*: what went by in this direction */
    __u8 scale;      /* TCP: of the windows that it announces, with NAT_SEEN_SCALE */
    __u16 reserved;
    __u32 start;  /* TCP: the first sequence number after its SYN */
    __u32 acked;  /* TCP: the highest acknowledgement that it sent, with NAT_SEEN_ACK */
    __u32 window; /* TCP: bytes that it takes from there on */
    __u32 reserved_too;
    __u64 packets;
    __u64 bytes; /* of IP packets as the pod sends and receives them */
};

enum {
    NAT_SEEN_SYN = 1 << 0,
    NAT_SEEN_DATA = 1 << 1, /* anything but SYN and RST */
    NAT_SEEN_FIN = 1 << 2,  /* FIN and RST where they fitted the connection */
    NAT_SEEN_RST = 1 << 3,
    NAT_SEEN_ACK = 1 << 4,
    NAT_SEEN_SCALE = 1 << 5,
};

struct nat_forward {
    struct ip_addr egress;
    __be16 egress_port_be;
    __u8 answers; /* NAT_SEEN_* of the other direction, so that the state can be told from here */
    __u8 reserved;
    __u32 policy;   /* as in struct route, when the mapping was made */
    __u32 endpoint; /* struct endpoint.hash of the pod that made it: another pod is no heir */
    __u32 created;  /* ticks, as last_seen */
    struct nat_use use;
};

struct nat_reverse {
    struct ip_addr pod;
    struct ip_addr node; /* where answers go through the tunnel; none: the pod is on this node */
    __be16 pod_port_be;
    __u16 policy; /* as in nat_forward where it is below POLICIES_COUNTED, else 0 */
    __u32 reserved;
    struct nat_use use;
};

_Static_assert(sizeof(struct nat_key) == 40, "layout of nat_forward and nat_reverse");
_Static_assert(sizeof(struct nat_forward) == 72, "layout of nat_forward");
_Static_assert(sizeof(struct nat_reverse) == 80, "layout of nat_reverse");

/*
 * nat_made: pod IP -> mappings that the datapath has made for it (__u32, wraps); nat_ended: pod IP
 * -> how many of these are no more, by the collector's count. The difference is what the pod has.
 */

/* One tick of `last_seen`: 2^28 ns, about 0.27 s; 2^32 ticks are 36 years. */
#define DATAPATH_TICK_SHIFT 28

/*
 * flows, least recently used ones are replaced: the way that a worker has chosen for a flow of its
 * own pods, which it keeps whatever becomes of the policies. The key is that of nat_forward
 * (`local` is the pod). Fragments after the first have their ports as 0, and so the way of the
 * first one that was last seen between the same addresses.
 */
struct flow {
    struct ip_addr gateway;    /* FLOW_REDIRECTED: the tunnel address of its node */
    struct ip_addr masquerade; /* FLOW_MASQUERADED: the address that the CNI had put in */
    __be16 masquerade_port_be; /* and its port or ICMP identifier */
    __u8 flags;                /* FLOW_* */
    __u8 reserved;
    __u16 policy; /* FLOW_REDIRECTED: as in struct nat_reverse */
    __u16 reserved_too;
    __u32 endpoint;  /* `hash` of the pod's endpoint: another pod with its address is a new one */
    __u32 last_seen; /* as in struct nat_use */
};

enum {
    FLOW_INBOUND = 1 << 0,     /* opened from outside: answers go directly */
    FLOW_MASQUERADED = 1 << 1, /* answers get `masquerade` back before the host sees them */
    FLOW_REDIRECTED = 1 << 2,  /* goes by way of `gateway` */
    FLOW_DIRECT = 1 << 3,      /* leaves as if there were no policy */
};

_Static_assert(sizeof(struct flow) == 48, "layout of flows");

/*
 * ways, per CPU: the next hop of a packet that was looked up in this tick, with all that decided
 * about it. Not pinned: each load starts anew.
 */
struct way {
    struct ip_addr source;
    struct ip_addr destination;
    __be16 source_port_be; /* see hop_port() */
    __be16 destination_port_be;
    __u8 protocol; /* IPPROTO_* */
    __u8 traffic_class;
    __u16 reserved;
    __u32 jiffy; /* in which it was looked up: the kernel's timer, 100 to 1000 a second */
    __u32 ifindex;
    __u32 mtu;          /* of the route, in bytes */
    __u8 addresses[12]; /* of the link layer: destination, source */
};

_Static_assert(sizeof(struct way) == 64, "layout of ways");

/*
 * counters: one element a reason, per CPU. From DROP_REASONS_MOST on there are counts that are no
 * drops; the room between lets reasons be added without another layout.
 */
struct counter {
    __u64 packets;
    __u64 bytes;
};

#define DROP_REASONS_MOST 48

enum drop_reason {
    DROP_NO_GATEWAY = 0,   /* a policy selects the packet, no gateway matches */
    DROP_UNKNOWN_ENDPOINT, /* forwarded from a pod that is not known yet */
    DROP_NO_EGRESS_IP,     /* this gateway does not hold the policy's egress IP */
    DROP_UNKNOWN_NODE,     /* tunnel packet from an address that is no node's */
    DROP_WRONG_NODE,       /* tunnel packet from a node that does not host its inner source */
    DROP_NOT_GATEWAY,      /* tunnel packet that this node is not the gateway for */
    DROP_NO_PORT,          /* no free port at the egress IP towards this destination */
    DROP_NAT_FULL,         /* the table of mappings is full (limits.nat) */
    DROP_PROTOCOL,         /* a protocol or packet that cannot be translated */
    DROP_FRAGMENT,         /* a fragment that overlaps another, or is too short for its headers */
    DROP_MALFORMED,        /* headers that contradict each other or the packet's length */
    DROP_TOO_BIG,          /* does not fit the tunnel */
    DROP_HOP_LIMIT,        /* hop limit used up */
    DROP_NO_ROUTE,         /* no route to the gateway, or from the gateway to the destination */
    DROP_NO_TABLE,         /* group or slot missing from the tables */
    DROP_INTERNAL,         /* the kernel refused a change of the packet */
    DROP_AMBIGUOUS,        /* a protocol without ports that another pod speaks with this address */
    DROP_CONGESTION,       /* a router marked the tunnel's packet, and the one inside cannot be */
    DROP_FRAGMENT_EARLY,   /* a later fragment of a packet whose first one was not seen */
    DROP_NO_MAPPING,       /* a pod's ICMP error about a packet that no mapping belongs to */
    DROP_FORGED_TUNNEL,    /* a pod that speaks the tunnel's protocol itself */
    DROP_NAT_QUOTA,        /* the pod has as many mappings as one may have */
    DROP_LIMIT,
    COUNT_ENCAPSULATED = DROP_REASONS_MOST, /* worker: sent into the tunnel */
    COUNT_DECAPSULATED,                     /* worker: answers taken from the tunnel */
    COUNT_TRANSLATED_OUT,                   /* gateway: sent with the egress IP */
    COUNT_TRANSLATED_IN,                    /* gateway: answers turned back */
    COUNT_REFUSED,                          /* gateway: ICMP errors of its own */
    COUNT_LIMIT,
    COUNTERS = 64,
};

_Static_assert(DROP_LIMIT <= DROP_REASONS_MOST && COUNT_LIMIT <= COUNTERS, "room for reasons");

/*
 * policies: number of a policy -> its name, for those who show counters. policy_counters: the same
 * number -> what its packets came to, per CPU: IP packets as the pod sends or receives them, by a
 * worker on their way out, by a gateway in both directions. A policy with a number that is not
 * below POLICIES_COUNTED has no name there and is counted as number 0, with all others like it.
 */
#define POLICIES_COUNTED 8192
#define POLICY_NAME_SIZE 256

struct policy_name {
    char text[POLICY_NAME_SIZE]; /* the rest is zero, at least one byte */
};

_Static_assert(sizeof(struct policy_name) == 256, "layout of policies");

/* egress_refused: egress IP -> struct counter, its packets that were dropped as `no_port`, all
 * processors together. Addresses come there with their first drop. */
#define EGRESS_REFUSED_MOST 1024

/*
 * drop_log: the last drops on each CPU; drop `sequence` is in element sequence % DROP_LOG_SIZE.
 * drop_state: one element, how far the log is written. So anybody who may read the maps can follow
 * it, and any number of readers. A reason that comes often has DROP_LOG_BURST records a tick and
 * CPU; what is left out is counted.
 */
#define DROP_LOG_SIZE  256
#define DROP_LOG_BURST 4

struct drop_record {
    __u64 sequence; /* from 1; 0 while the record is being written */
    __u64 time;     /* ns of CLOCK_MONOTONIC (coarse) */
    struct ip_addr source;
    struct ip_addr destination;
    __be16 source_port_be; /* 0 where the packet has none; of ICMP echo the identifier */
    __be16 destination_port_be;
    __u32 ifindex; /* of the hook */
    __u32 length;  /* of the IP packet, bytes */
    __u16 policy;  /* as in struct route, 0: none, or not known yet */
    __u8 reason;   /* enum drop_reason */
    __u8 protocol; /* IPPROTO_* */
    __u8 flags;    /* DROP_RECORD_* */
    __u8 reserved[7];
};

enum {
    DROP_RECORD_EGRESS = 1 << 0, /* at the egress hook, else at the ingress hook */
    DROP_RECORD_TUNNEL = 1 << 1, /* it came, or had just come, out of the tunnel */
};

_Static_assert(sizeof(struct drop_record) == 72, "layout of drop_log");

struct drop_state {
    __u64 written; /* `sequence` of the last record */
    struct drop_limit {
        __u64 suppressed; /* drops without a record, since the map was made */
        __u32 tick;       /* that `logged` is about */
        __u32 logged;
    } limits[DROP_REASONS_MOST];
};

_Static_assert(sizeof(struct drop_state) == 8 + 16 * DROP_REASONS_MOST, "layout of drop_state");

/* How long a mapping may be idle: nat_timeout_of(). */
enum nat_timeout {
    NAT_TCP_ESTABLISHED,
    NAT_TCP_TRANSITORY, /* until it is established, and from the first FIN on */
    NAT_TCP_CLOSED,
    NAT_UDP_ANSWERED,
    NAT_UDP_UNANSWERED,
    NAT_ICMP,
    NAT_OTHER,
    NAT_TIMEOUTS,
};

/* Set before the programs are loaded and constant from then on (.rodata). */
struct datapath_config {
    __be16 tunnel_port_be;
    __u16 ephemeral_first; /* the host's own, both included: for no mapping without
                              GATEWAY_DEDICATED */
    __u16 ephemeral_last;
    __u16 old_decap; /* 1: strip outer headers as on kernels before 6.3; for tests */
    __u32 tunnel_vni;
    __u32 mark;                   /* DATAPATH_MARK, unless a test wants another */
    __u32 unknown_endpoints_drop; /* 1: drop, 0: pass */
    __u32 conntrack;              /* 1: the kernel's types let us read a packet's conntrack entry */
    __u32 nat_per_endpoint;       /* mappings that one pod may have */
    __u32 nat_timeouts[NAT_TIMEOUTS]; /* ticks */
};

_Static_assert(sizeof(struct datapath_config) == 56, "layout of the configuration");

/* skb->mark of packets that the programs themselves sent: they pass our egress program unseen. A
 * mark never crosses from a pod's network namespace, so a pod cannot set it. */
#define DATAPATH_MARK 0x65670001

/* Bytes that the tunnel adds: outer IP, UDP, VXLAN, inner Ethernet. */
#define TUNNEL_OVERHEAD_V4 50
#define TUNNEL_OVERHEAD_V6 70

#endif
