/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SOURCE "source: {manifests: {directories: [/etc/egressgw/manifests]}}\n"

static char message[1024];

static int parse(const char *text, struct config *config)
{
    message[0] = '\0';
    return config_parse("f.yaml", text, strlen(text), config, message, sizeof(message));
}

static void parse_ok(const char *text, struct config *config)
{
    int result = parse(text, config);

    if (result)
        print_error("%s\n", message);
    assert_int_equal(result, 0);
}

static void give_defaults(void **state)
{
    _cleanup_config_ struct config config = {0};
    char buffer[ADDRESS_TEXT_SIZE];

    (void)state;
    setenv("NODE_NAME", "worker-1", 1);
    parse_ok(SOURCE, &config);
    assert_string_equal(config.node, "worker-1");
    assert_string_equal(config.cluster, "default");
    assert_int_equal(config.source.type, SOURCE_MANIFESTS);
    assert_int_equal(config.source.directories.count, 1);
    assert_string_equal(config.source.directories.items[0], "/etc/egressgw/manifests");
    assert_null(config.source.kubeconfig);
    assert_false(config.source.in_cluster);
    assert_int_equal(config.pods, PODS_AUTO);
    assert_int_equal(config.uplinks.count + config.cluster_cidrs.count + config.pod_cidrs.count, 0);
    assert_true(config.unknown_endpoints_drop);
    assert_int_equal(config.tunnel.port, 4789);
    assert_int_equal(config.tunnel.vni, 59790);
    assert_int_equal(config.limits.endpoints, 131072);
    assert_int_equal(config.limits.routes, 131072);
    assert_int_equal(config.limits.nat, 524288);
    assert_int_equal(config.limits.nat_per_endpoint, 65536);
    assert_string_equal(config.paths.runtime, "/run/egressgw");
    assert_string_equal(config.paths.bpf, "/sys/fs/bpf/egressgw");
    assert_string_equal(config.users.watcher, "egressgw-watcher");
    assert_string_equal(config.users.planner, "egressgw-planner");
    assert_string_equal(config.users.loader, "egressgw-loader");
    assert_string_equal(address_format(&config.metrics.address, buffer), "127.0.0.1");
    assert_int_equal(config.metrics.port, 9965);
    assert_int_equal(config.log_level, LEVEL_INFO);
}

static const char everything[] = "# comment\n"
                                 "node: gw-1.example\n"
                                 "cluster: West_1\n"
                                 "source:\n"
                                 "  kubernetes: {kubeconfig: \"/etc/a b/\\u00fc: x\"}\n"
                                 "pods: all\n"
                                 "uplinks: [\"eth+\", bond0.100, 'on']\n"
                                 "cluster-cidrs:\n"
                                 "- 10.96.1.2/12\n"
                                 "- fd00::/8\n"
                                 "- ::/0\n"
                                 "pod-cidrs: [10.244.0.0/16]\n"
                                 "unknown-endpoints: pass\n"
                                 "tunnel: {port: 65535, vni: 16777215}\n"
                                 "limits: {endpoints: 1, routes: 16777216, nat: 1024, "
                                 "nat-per-endpoint: 2}\n"
                                 "nat: {timeouts: {tcp-established: 8000, icmp: 1}}\n"
                                 "paths: {runtime: /run/x, bpf: /sys/fs/bpf/x}\n"
                                 "users: {watcher: 1, planner: 4294967294, loader: _a.b-c}\n"
                                 "metrics: {listen: \"[::1]:0\"}\n"
                                 "log: {level: debug}\n";

static void read_everything(void **state)
{
    _cleanup_config_ struct config config = {0};
    char buffer[PREFIX_TEXT_SIZE];

    (void)state;
    parse_ok(everything, &config);
    assert_string_equal(config.node, "gw-1.example");
    assert_string_equal(config.cluster, "West_1");
    assert_int_equal(config.source.type, SOURCE_KUBERNETES);
    assert_string_equal(config.source.kubeconfig, "/etc/a b/\xc3\xbc: x");
    assert_int_equal(config.pods, PODS_ALL);
    assert_int_equal(config.uplinks.count, 3);
    assert_string_equal(config.uplinks.items[0], "eth+");
    assert_string_equal(config.uplinks.items[2], "on");
    assert_int_equal(config.cluster_cidrs.count, 3);
    assert_string_equal(prefix_format(&config.cluster_cidrs.items[0], buffer), "10.96.0.0/12");
    assert_string_equal(prefix_format(&config.cluster_cidrs.items[2], buffer), "::/0");
    assert_int_equal(config.pod_cidrs.count, 1);
    assert_false(config.unknown_endpoints_drop);
    assert_int_equal(config.tunnel.port, 65535);
    assert_int_equal(config.tunnel.vni, 16777215);
    assert_int_equal(config.limits.endpoints, 1);
    assert_int_equal(config.limits.routes, 16777216);
    assert_int_equal(config.limits.nat, 1024);
    assert_int_equal(config.limits.nat_per_endpoint, 2);
    assert_int_equal(config.nat.timeouts[NAT_TCP_ESTABLISHED], 8000);
    assert_int_equal(config.nat.timeouts[NAT_TCP_TRANSITORY], 240);
    assert_int_equal(config.nat.timeouts[NAT_ICMP], 1);
    assert_string_equal(config.paths.runtime, "/run/x");
    assert_string_equal(config.paths.bpf, "/sys/fs/bpf/x");
    assert_string_equal(config.users.watcher, "1");
    assert_string_equal(config.users.planner, "4294967294");
    assert_string_equal(config.users.loader, "_a.b-c");
    assert_string_equal(address_format(&config.metrics.address, buffer), "::1");
    assert_int_equal(config.metrics.port, 0);
    assert_int_equal(config.log_level, LEVEL_DEBUG);
}

static char *print(const struct config *config)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    assert_int_equal(config_print(config, out), 0);
    fclose(out);
    return text;
}

/* What is printed reads back to the same, for every kind of source. */
static void print_and_read_back(void **state)
{
    static const char *const cases[] = {
        SOURCE,
        everything,
        "source: {kubernetes: {in-cluster: true}}\n",
        "source: {manifests: {directories: [/a, \"/b \\\"c\\\\ #\", '/d: [e]', /123]}}\n",
        "node: \"1234\"\ncluster: \"true\"\n" SOURCE,
        "node: null1\nuplinks: [\"1e3\", \"*x\", \"~\", \"null\", \"a#b\", '-']\n" SOURCE,
    };

    (void)state;
    setenv("NODE_NAME", "worker-1", 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_config_ struct config first = {0}, second = {0};

        parse_ok(cases[i], &first);
        _cleanup_free_ char *printed = print(&first);
        parse_ok(printed, &second);
        _cleanup_free_ char *again = print(&second);
        assert_string_equal(printed, again);
        assert_int_equal(first.source.type, second.source.type);
        assert_string_equal(first.node, second.node);
        assert_int_equal(first.uplinks.count, second.uplinks.count);
        for (size_t item = 0; item < first.uplinks.count; item++)
            assert_string_equal(first.uplinks.items[item], second.uplinks.items[item]);
        for (size_t item = 0; item < first.source.directories.count; item++)
            assert_string_equal(first.source.directories.items[item],
                                second.source.directories.items[item]);
        if (first.source.kubeconfig)
            assert_string_equal(first.source.kubeconfig, second.source.kubeconfig);
    }
}

static void print_exactly(void **state)
{
    _cleanup_config_ struct config config = {0};

    (void)state;
    setenv("NODE_NAME", "worker-1", 1);
    parse_ok("uplinks: [\"eth+\"]\ncluster-cidrs: [10.0.0.0/8]\n" SOURCE, &config);
    _cleanup_free_ char *printed = print(&config);
    assert_string_equal(printed, "node: worker-1\n"
                                 "cluster: default\n"
                                 "source:\n"
                                 "  manifests:\n"
                                 "    directories: [/etc/egressgw/manifests]\n"
                                 "pods: auto\n"
                                 "uplinks: [eth+]\n"
                                 "cluster-cidrs: [\"10.0.0.0/8\"]\n"
                                 "pod-cidrs: []\n"
                                 "unknown-endpoints: drop\n"
                                 "tunnel:\n"
                                 "  port: 4789\n"
                                 "  vni: 59790\n"
                                 "limits:\n"
                                 "  endpoints: 131072\n"
                                 "  routes: 131072\n"
                                 "  nat: 524288\n"
                                 "  nat-per-endpoint: 65536\n"
                                 "nat:\n"
                                 "  timeouts:\n"
                                 "    tcp-established: 7440\n"
                                 "    tcp-transitory: 240\n"
                                 "    tcp-closed: 10\n"
                                 "    udp-answered: 300\n"
                                 "    udp-unanswered: 30\n"
                                 "    icmp: 60\n"
                                 "    other: 600\n"
                                 "paths:\n"
                                 "  runtime: /run/egressgw\n"
                                 "  bpf: /sys/fs/bpf/egressgw\n"
                                 "users:\n"
                                 "  watcher: egressgw-watcher\n"
                                 "  planner: egressgw-planner\n"
                                 "  loader: egressgw-loader\n"
                                 "metrics:\n"
                                 "  listen: \"127.0.0.1:9965\"\n"
                                 "log:\n"
                                 "  level: info\n");
}

/* Text of a file -> where the message starts and what it must hold. */
struct wrong {
    const char *text, *start, *part;
};

static void assert_wrong(const struct wrong *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct config config = {.log_level = LEVEL_DEBUG};
        int result = parse(cases[i].text, &config);

        if (result != -EINVAL || strncmp(message, cases[i].start, strlen(cases[i].start)) != 0 ||
            !strstr(message, cases[i].part))
            print_error("case %zu, %d: %s\n", i, result, message);
        assert_int_equal(result, -EINVAL);
        assert_int_equal(strncmp(message, cases[i].start, strlen(cases[i].start)), 0);
        assert_non_null(strstr(message, cases[i].part));
        assert_null(strchr(message, '\n'));
        assert_int_equal(config.log_level, LEVEL_DEBUG);
        assert_null(config.node);
    }
}

static void refuse_values(void **state)
{
    static const struct wrong cases[] = {
        {"node: UPPER\n", "f.yaml:1: node: must be", "not \"UPPER\""},
        {"node: -a\n", "f.yaml:1: node: ", ""},
        {"node: a-\n", "f.yaml:1: node: ", ""},
        {"node: a..b\n", "f.yaml:1: node: ", ""},
        {"node: a.-b\n", "f.yaml:1: node: ", ""},
        {"node: a.\n", "f.yaml:1: node: ", ""},
        {"node: \"a\\nb\"\n", "f.yaml:1: node: ", "not \"a?b\""},
        {"node: \"a\\0b\"\n", "f.yaml:1: node: ", "NUL"},
        {"node: \"\"\n", "f.yaml:1: node: ", ""},
        {"\ncluster: a b\n", "f.yaml:2: cluster: ", ""},
        {"cluster: .a\n", "f.yaml:1: cluster: ", ""},
        {"source: {kubernetes: {kubeconfig: etc/x}}\n",
         "f.yaml:1: source.kubernetes.kubeconfig: ", "absolute"},
        {"source:\n  manifests:\n    directories:\n    - /a\n    - b\n",
         "f.yaml:5: source.manifests.directories[1]: ", "absolute"},
        {"source: {kubernetes: {in-cluster: yes}}\n",
         "f.yaml:1: source.kubernetes.in-cluster: ", "false, true"},
        {"pods: some\n", "f.yaml:1: pods: ", "auto, local, all"},
        {"uplinks: [eth0, \"e+h\"]\n", "f.yaml:1: uplinks[1]: ", "\"+\""},
        {"uplinks: [\"+\"]\n", "f.yaml:1: uplinks[0]: ", ""},
        {"uplinks: [abcdefghijklmnop]\n", "f.yaml:1: uplinks[0]: ", "15"},
        {"uplinks: [a/b]\n", "f.yaml:1: uplinks[0]: ", ""},
        {"cluster-cidrs: [10.0.0.0]\n", "f.yaml:1: cluster-cidrs[0]: ", "CIDR"},
        {"pod-cidrs: [10.0.0.0/33]\n", "f.yaml:1: pod-cidrs[0]: ", "CIDR"},
        {"unknown-endpoints: Drop\n", "f.yaml:1: unknown-endpoints: ", "pass, drop"},
        {"tunnel: {port: 0}\n", "f.yaml:1: tunnel.port: ", "1 to 65535"},
        {"tunnel: {port: 65536}\n", "f.yaml:1: tunnel.port: ", "1 to 65535"},
        {"tunnel: {port: 0x10}\n", "f.yaml:1: tunnel.port: ", "whole number"},
        {"tunnel: {port: 010}\n", "f.yaml:1: tunnel.port: ", "whole number"},
        {"tunnel: {vni: 16777216}\n", "f.yaml:1: tunnel.vni: ", "16777215"},
        {"limits:\n  endpoints: 0\n", "f.yaml:2: limits.endpoints: ", "1 to 16777216"},
        {"limits: {routes: 16777217}\n", "f.yaml:1: limits.routes: ", ""},
        {"limits: {nat: 1023}\n", "f.yaml:1: limits.nat: ", "1024 to 67108864"},
        {"limits: {nat: -1}\n", "f.yaml:1: limits.nat: ", ""},
        {"limits: {nat: 18446744073709552640}\n", "f.yaml:1: limits.nat: ", ""},
        {"limits: {nat-per-endpoint: 1.5}\n", "f.yaml:1: limits.nat-per-endpoint: ", ""},
        {"paths: {runtime: run}\n", "f.yaml:1: paths.runtime: ", "absolute"},
        {"paths: {bpf: /a/../b}\n", "f.yaml:1: paths.bpf: ", ""},
        {"paths: {bpf: /a/}\n", "f.yaml:1: paths.bpf: ", ""},
        {"paths: {bpf: //a}\n", "f.yaml:1: paths.bpf: ", ""},
        {"paths: {bpf: /}\n", "f.yaml:1: paths.bpf: ", ""},
        {"users: {loader: root}\n", "f.yaml:1: users.loader: ", "other than root"},
        {"users: {loader: 0}\n", "f.yaml:1: users.loader: ", ""},
        {"users: {loader: 4294967295}\n", "f.yaml:1: users.loader: ", ""},
        {"users: {loader: 01}\n", "f.yaml:1: users.loader: ", ""},
        {"users: {loader: a/b}\n", "f.yaml:1: users.loader: ", ""},
        {"metrics: {listen: 9965}\n", "f.yaml:1: metrics.listen: ", "127.0.0.1:9965"},
        {"metrics: {listen: \"0.0.0.0:9965\"}\n", "f.yaml:1: metrics.listen: ", "loopback"},
        {"metrics: {listen: \"::1:9965\"}\n", "f.yaml:1: metrics.listen: ", ""},
        {"metrics: {listen: \"[::2]:9965\"}\n", "f.yaml:1: metrics.listen: ", ""},
        {"metrics: {listen: \"[127.0.0.1]:1\"}\n", "f.yaml:1: metrics.listen: ", ""},
        {"metrics: {listen: \"127.0.0.1:65536\"}\n", "f.yaml:1: metrics.listen: ", ""},
        {"log: {level: loud}\n", "f.yaml:1: log.level: ", "error, warning, info, debug"},
    };

    (void)state;
    assert_wrong(cases, ARRAY_SIZE(cases));
}

static void refuse_structure(void **state)
{
    static const struct wrong cases[] = {
        {"nodes: a\n", "f.yaml:1: nodes: unknown key", "node, cluster, source, pods"},
        {"log:\n  lvl: info\n", "f.yaml:2: log.lvl: unknown key", "known here: level"},
        {"limits.nat: 4096\n", "f.yaml:1: limits.nat: unknown key", ""},
        {"node: a\ncluster: b\nnode: a\n", "f.yaml:3: node: given twice", "line 1"},
        {"tunnel:\n  port: 1\n  \"port\": 2\n", "f.yaml:3: tunnel.port: given twice", "line 2"},
        {"node: [a]\n", "f.yaml:1: node: ", "not a list"},
        {"node: {a: b}\n", "f.yaml:1: node: ", "not a mapping"},
        {"node:\ncluster: b\n", "f.yaml:1: node: ", "no value"},
        {"node: ~\n", "f.yaml:1: node: ", "no value"},
        {"uplinks: eth0\n", "f.yaml:1: uplinks: ", "must be a list"},
        {"uplinks: [[eth0]]\n", "f.yaml:1: uplinks[0]: ", "not a list"},
        {"uplinks: [null]\n", "f.yaml:1: uplinks[0]: ", "no value"},
        {"tunnel: 4789\n", "f.yaml:1: tunnel: ", "must be a mapping"},
        {"tunnel: [port]\n", "f.yaml:1: tunnel: ", "must be a mapping"},
        {"- node\n", "f.yaml:1: ", "must be a mapping"},
        {"just text\n", "f.yaml:1: ", "must be a mapping"},
        {"node: &a b\n", "f.yaml:1: node: ", "anchors"},
        {"&a node: b\n", "f.yaml:1: ", "anchors"},
        {"tunnel: &t {port: 1}\n", "f.yaml:1: tunnel: ", "anchors"},
        {"node: *a\n", "f.yaml:1: node: ", "aliases"},
        {"node: !!str a\n", "f.yaml:1: node: ", "tags"},
        {"? {a: b}\n: c\n", "f.yaml:1: ", "key"},
        {"---\nnode: a\n---\nnode: b\n", "f.yaml:3: ", "second document"},
        {"a: [[[[[[[[[[]]]]]]]]]]\n", "f.yaml:1: a", "nested deeper"},
        {"a:\n  b: [\n", "f.yaml:3: not YAML: ", "column"},
        {"a: b: c\n", "f.yaml:1: not YAML: ", "column"},
        {"a: b\nc: \xff\n", "f.yaml:2: not UTF-8", ""},
    };

    (void)state;
    assert_wrong(cases, ARRAY_SIZE(cases));
}

static void refuse_combinations(void **state)
{
    static const struct wrong cases[] = {
        {"", "f.yaml:1: source: missing", ""},
        {"---\n", "f.yaml:2: source: missing", ""},
        {"# nothing\n", "f.yaml:1: source: missing", ""},
        {"node: a\nsource: {}\n", "f.yaml:2: source: missing", "source.manifests"},
        {"node: a\nsource:\n  kubernetes: {in-cluster: true}\n  manifests: {directories: [/a]}\n",
         "f.yaml:3: source: ", "not both"},
        {"source: {kubernetes: {}}\n", "f.yaml:1: source.kubernetes: ", "in-cluster"},
        {"source: {kubernetes: {in-cluster: false}}\n", "f.yaml:1: source.kubernetes: ", ""},
        {"source: {kubernetes: {in-cluster: true, kubeconfig: /x}}\n",
         "f.yaml:1: source.kubernetes: ", "not both"},
        {"source: {manifests: {}}\n", "f.yaml:1: source.manifests.directories: ", "at least one"},
        {"source: {manifests: {directories: []}}\n",
         "f.yaml:1: source.manifests.directories: ", "at least one"},
        {SOURCE "users: {loader: egressgw-planner}\n", "f.yaml:2: users.loader: ", "users.planner"},
        {SOURCE "users:\n  watcher: \"7\"\n  planner: 7\n",
         "f.yaml:4: users.planner: ", "users.watcher"},
        {SOURCE "users:\n  watcher: egressgw-loader\n",
         "f.yaml:3: users.loader: ", "users.watcher"},
    };

    (void)state;
    assert_wrong(cases, ARRAY_SIZE(cases));
}

static void find_the_node_name(void **state)
{
    _cleanup_config_ struct config config = {0};
    char host[256], lower[256] = "";

    (void)state;
    setenv("NODE_NAME", "Not_Valid", 1);
    assert_int_equal(parse(SOURCE, &config), -EINVAL);
    assert_non_null(strstr(message, "f.yaml:1: node: missing, and $NODE_NAME is \"Not_Valid\""));
    parse_ok("node: given\n" SOURCE, &config);
    assert_string_equal(config.node, "given");
    config_clear(&config);
    unsetenv("NODE_NAME");
    assert_int_equal(gethostname(host, sizeof(host)), 0);
    for (size_t i = 0; host[i]; i++)
        lower[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
    if (parse(SOURCE, &config) == 0)
        assert_string_equal(config.node, lower);
    else
        assert_non_null(strstr(message, "the host name is"));
}

static void limit_sizes(void **state)
{
    _cleanup_config_ struct config config = {0};
    const size_t limit = 1 << 20;
    _cleanup_free_ char *text = malloc(limit + 2);
    char name[400];

    (void)state;
    memset(text, '#', limit + 1);
    memcpy(text, SOURCE, strlen(SOURCE));
    text[limit + 1] = '\0';
    setenv("NODE_NAME", "worker-1", 1);
    assert_int_equal(parse(text, &config), -EINVAL);
    assert_non_null(strstr(message, "larger than"));
    text[limit] = '\0';
    parse_ok(text, &config);

    size_t used = (size_t)sprintf(text, "uplinks: [");
    for (int i = 0; i < 65; i++)
        used += (size_t)sprintf(text + used, "e%d,", i);
    sprintf(text + used, "]\n");
    assert_int_equal(parse(text, &config), -EINVAL);
    assert_non_null(strstr(message, "uplinks: must have at most 64 items"));

    used = 0;
    for (int i = 0; i < 5000; i++)
        used += (size_t)sprintf(text + used, "k%d: a\n", i);
    assert_int_equal(parse(text, &config), -EINVAL);
    assert_non_null(strstr(message, "more than 64 keys"));

    snprintf(name, sizeof(name), "node: %0253d\n" SOURCE, 1);
    config_clear(&config);
    parse_ok(name, &config);
    snprintf(name, sizeof(name), "node: %0254d\n", 1);
    assert_int_equal(parse(name, &config), -EINVAL);
    assert_null(strstr(message, "0000000000000000000000000000000000000000000000000000000000000000"
                                "0"));
}

/* A message never runs over its buffer. */
static void cut_messages(void **state)
{
    struct config config = {0};
    char small[16];

    (void)state;
    memset(small, 'x', sizeof(small));
    assert_int_equal(config_parse("f.yaml", "nodes: a\n", 9, &config, small, 12), -EINVAL);
    assert_string_equal(small, "f.yaml:1: n");
    assert_int_equal(small[12], 'x');
}

static void load_files(void **state)
{
    _cleanup_config_ struct config config = {0};
    char path[] = "/tmp/egressgw-test-config-XXXXXX";
    char expected[64];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, everything, strlen(everything)), strlen(everything));
    assert_int_equal(config_load(path, &config, message, sizeof(message)), 0);
    assert_string_equal(config.node, "gw-1.example");
    assert_int_equal(write(fd, "x: y\n", 5), 5);
    config_clear(&config);
    assert_int_equal(config_load(path, &config, message, sizeof(message)), -EINVAL);
    snprintf(expected, sizeof(expected), "%s:21: x: unknown key", path);
    assert_int_equal(strncmp(message, expected, strlen(expected)), 0);
    assert_int_equal(ftruncate(fd, 2 << 20), 0);
    assert_int_equal(config_load(path, &config, message, sizeof(message)), -EINVAL);
    assert_non_null(strstr(message, "larger than"));
    close(fd);
    unlink(path);
    assert_int_equal(config_load(path, &config, message, sizeof(message)), -ENOENT);
    assert_non_null(strstr(message, "cannot be read: No such file or directory"));
    assert_int_equal(config_load("/tmp", &config, message, sizeof(message)), -EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(give_defaults),       cmocka_unit_test(read_everything),
        cmocka_unit_test(print_and_read_back), cmocka_unit_test(print_exactly),
        cmocka_unit_test(refuse_values),       cmocka_unit_test(refuse_structure),
        cmocka_unit_test(refuse_combinations), cmocka_unit_test(find_the_node_name),
        cmocka_unit_test(limit_sizes),         cmocka_unit_test(cut_messages),
        cmocka_unit_test(load_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
