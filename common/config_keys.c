/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_keys.h"

#include <sys/un.h>

/* Room for the longest name below paths.runtime, and for the names of pins below paths.bpf. */
enum {
    RUNTIME_LENGTH = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/planner.sock"),
    PATH_LENGTH = 1023,
};

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static const char *check_node(struct text text)
{
    static const char wanted[] = "must be a node's name in the API (lower-case letters, digits, "
                                 "\"-\" and \".\", at most 253)";
    char last = '.';

    if (text.length == 0 || text.length > 253)
        return wanted;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool edge = last == '.' || c == '.' || i + 1 == text.length;

        if (!is_lower_or_digit(c) && c != '-' && c != '.')
            return wanted;
        if (edge && !is_lower_or_digit(c) && !(c == '.' && is_lower_or_digit(last)))
            return wanted;
        last = c;
    }
    return last == '.' ? wanted : NULL;
}

static const char *check_cluster(struct text text)
{
    static const char wanted[] = "must be a label value (letters, digits, \"-\", \"_\" and \".\", "
                                 "a letter or digit at both ends, at most 63)";

    if (text.length == 0 || text.length > 63 || !is_letter_or_digit(text.data[0]) ||
        !is_letter_or_digit(text.data[text.length - 1]))
        return wanted;
    for (size_t i = 0; i < text.length; i++)
        if (!is_letter_or_digit(text.data[i]) && !memchr("-_.", text.data[i], 3))
            return wanted;
    return NULL;
}

static const char *check_uplink(struct text text)
{
    static const char wanted[] = "must be an interface name of at most 15 characters, with \"+\" "
                                 "only at its end, behind at least one other";

    if (text.length == 0 || text.length > 15 || text.data[0] == '+' ||
        text_equal(text, TEXT(".")) || text_equal(text, TEXT("..")))
        return wanted;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];

        if (c <= ' ' || c >= 0x7f || c == '/' || c == ':' || (c == '+' && i + 1 < text.length))
            return wanted;
    }
    return NULL;
}

/* No component is empty, "." or "..". */
static bool path_is_canonical(struct text path)
{
    size_t start = 1;

    if (path.length < 2 || path.data[0] != '/')
        return false;
    for (size_t i = 1; i <= path.length; i++) {
        if (i < path.length && path.data[i] != '/') {
            if ((unsigned char)path.data[i] < 0x20 || path.data[i] == 0x7f)
                return false;
            continue;
        }
        struct text component = {path.data + start, i - start};
        if (component.length == 0 || text_equal(component, TEXT(".")) ||
            text_equal(component, TEXT("..")))
            return false;
        start = i + 1;
    }
    return true;
}

static const char *check_path(struct text text)
{
    if (text.length <= PATH_LENGTH && path_is_canonical(text))
        return NULL;
    return "must be an absolute path without \"//\", \".\", \"..\" or \"/\" at its end";
}

static const char *check_runtime(struct text text)
{
    if (text.length > RUNTIME_LENGTH)
        return "must be at most 94 characters: the names of sockets below it have to fit";
    return check_path(text);
}
_Static_assert(RUNTIME_LENGTH == 94, "the message names it");

static const char *check_user(struct text text)
{
    static const char wanted[] = "must be the name of an account other than root, or a number from "
                                 "1 to 4294967294";
    uint64_t number = 0;
    bool digits = true;

    if (text.length == 0 || text.length > 32 || memchr("-.", text.data[0], 2) ||
        text_equal(text, TEXT("root")))
        return wanted;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];

        if (!is_letter_or_digit(c) && !memchr("-_.", c, 3))
            return wanted;
        digits = digits && c >= '0' && c <= '9';
        if (digits && number < UINT32_MAX)
            number = number * 10 + (uint64_t)(c - '0');
    }
    if (digits && (text.data[0] == '0' || number >= UINT32_MAX))
        return wanted;
    return NULL;
}

static const char *const pods_choices[] = {
    [PODS_AUTO] = "auto", [PODS_LOCAL] = "local", [PODS_ALL] = "all", NULL};
static const char *const level_choices[] = {[LEVEL_ERROR] = "error",
                                            [LEVEL_WARNING] = "warning",
                                            [LEVEL_INFO] = "info",
                                            [LEVEL_DEBUG] = "debug",
                                            NULL};
static const char *const unknown_choices[] = {"pass", "drop", NULL};
static const char *const boolean_choices[] = {"false", "true", NULL};

enum { MAP_LIMIT = 1 << 24, NAT_LIMIT = 1 << 26, WEEK = 7 * 24 * 3600 };

/* clang-format off */
#define FIELD(member) .offset = offsetof(struct config, member)
#define VALUE(member) FIELD(member), .width = sizeof(((struct config *)0)->member)
#define TEXT_KEY(path, member, checker, ...)                                                       \
    {path, .type = CONFIG_TEXT, FIELD(member), .check = checker, __VA_ARGS__}
#define NUMBER_KEY(path, member, default_, from, to)                                               \
    {path, default_, CONFIG_NUMBER, VALUE(member), .minimum = from, .maximum = to}
#define TIMEOUT_KEY(name, number, default_)                                                        \
    NUMBER_KEY("nat.timeouts." name, nat.timeouts[number], default_, 1, WEEK)
#define CHOICE_KEY(path, member, default_, names, ...)                                             \
    {path, default_, CONFIG_CHOICE, VALUE(member), .choices = names, __VA_ARGS__}
#define TEXTS_KEY(path, member, checker, most, ...)                                                \
    {path, .type = CONFIG_TEXTS, FIELD(member), .check = checker, .items = most, __VA_ARGS__}
#define PREFIXES_KEY(path, member, most)                                                           \
    {path, .type = CONFIG_PREFIXES, FIELD(member), .items = most}

/* In the order in which they are printed: keys of a section stand together. */
const struct config_key config_keys[] = {
    TEXT_KEY("node", node, check_node),
    TEXT_KEY("cluster", cluster, check_cluster, .fallback = "default"),
    TEXT_KEY("source.kubernetes.kubeconfig", source.kubeconfig, check_path, .optional = true),
    CHOICE_KEY("source.kubernetes.in-cluster", source.in_cluster, "false", boolean_choices,
               .optional = true),
    TEXTS_KEY("source.manifests.directories", source.directories, check_path, 64,
              .optional = true),
    CHOICE_KEY("pods", pods, "auto", pods_choices),
    TEXTS_KEY("uplinks", uplinks, check_uplink, 64),
    PREFIXES_KEY("cluster-cidrs", cluster_cidrs, 1024),
    PREFIXES_KEY("pod-cidrs", pod_cidrs, 1024),
    CHOICE_KEY("unknown-endpoints", unknown_endpoints_drop, "drop", unknown_choices),
    NUMBER_KEY("tunnel.port", tunnel.port, "4789", 1, 65535),
    NUMBER_KEY("tunnel.vni", tunnel.vni, "59790", 1, 0xffffff),
    NUMBER_KEY("limits.endpoints", limits.endpoints, "131072", 1, MAP_LIMIT),
    NUMBER_KEY("limits.routes", limits.routes, "131072", 1, MAP_LIMIT),
    NUMBER_KEY("limits.nat", limits.nat, "524288", 1024, NAT_LIMIT),
    NUMBER_KEY("limits.nat-per-endpoint", limits.nat_per_endpoint, "65536", 1, NAT_LIMIT),
    TIMEOUT_KEY("tcp-established", NAT_TCP_ESTABLISHED, "7440"),
    TIMEOUT_KEY("tcp-transitory", NAT_TCP_TRANSITORY, "240"),
    TIMEOUT_KEY("tcp-closed", NAT_TCP_CLOSED, "10"),
    TIMEOUT_KEY("udp-answered", NAT_UDP_ANSWERED, "300"),
    TIMEOUT_KEY("udp-unanswered", NAT_UDP_UNANSWERED, "30"),
    TIMEOUT_KEY("icmp", NAT_ICMP, "60"),
    TIMEOUT_KEY("other", NAT_OTHER, "600"),
    TEXT_KEY("paths.runtime", paths.runtime, check_runtime, .fallback = "/run/egressgw"),
    TEXT_KEY("paths.bpf", paths.bpf, check_path, .fallback = "/sys/fs/bpf/egressgw"),
    TEXT_KEY("users.watcher", users.watcher, check_user, .fallback = "egressgw-watcher"),
    TEXT_KEY("users.planner", users.planner, check_user, .fallback = "egressgw-planner"),
    TEXT_KEY("users.loader", users.loader, check_user, .fallback = "egressgw-loader"),
    {"metrics.listen", "127.0.0.1:9965", CONFIG_LISTEN, FIELD(metrics)},
    CHOICE_KEY("log.level", log_level, "info", level_choices),
};
/* clang-format on */
const size_t config_key_count = ARRAY_SIZE(config_keys);
