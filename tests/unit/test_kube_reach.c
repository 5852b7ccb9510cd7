/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watcher/kube_reach.h"

static char *servers[] = {"https://192.0.2.1:6443", "https://[2001:db8::1]:6443",
                          "https://192.0.2.2"};
static const struct kube_config plain = {
    .servers = {servers, 3},
    .ca_file = "/etc/egressgw/ca.crt",
    .token_file = "/run/secrets/token",
};

static struct kube_reach made;

static int clear(void **state)
{
    (void)state;
    kube_reach_clear(&made);
    return 0;
}

static void made_from_servers(void **state)
{
    (void)state;
    assert_int_equal(kube_reach_make("/etc/egressgw/kubeconfig", &plain, &made), 0);
    assert_int_equal(made.port_count, 2);
    assert_int_equal(made.ports[0], 6443);
    assert_int_equal(made.ports[1], 443);
    assert_false(made.names);
    assert_false(made.authorities);
    assert_string_equal(made.files[0], "/etc/egressgw/kubeconfig");
    assert_string_equal(made.files[4], "/run/secrets/token");
    assert_null(made.files[2]);
}

/* With a proxy nobody connects to the servers, nor resolves their names. */
static void made_from_proxy(void **state)
{
    struct kube_config config = plain;

    (void)state;
    config.proxy = "socks5h://192.0.2.9:1081";
    config.servers.items = (char *[]){"https://api.example.com"};
    config.servers.count = 1;
    assert_int_equal(kube_reach_make(NULL, &config, &made), 0);
    assert_int_equal(made.port_count, 1);
    assert_int_equal(made.ports[0], 1081);
    assert_false(made.names);
    clear(NULL);
    config.proxy = NULL;
    config.ca_file = NULL;
    assert_int_equal(kube_reach_make(NULL, &config, &made), 0);
    assert_int_equal(made.ports[0], 443);
    assert_true(made.names);
    assert_true(made.authorities);
}

static bool covered_with(void (*change)(struct kube_config *))
{
    struct kube_config config = plain;
    struct kube_reach needed = {0};
    bool covered;

    change(&config);
    assert_int_equal(kube_reach_make("/etc/egressgw/kubeconfig", &config, &needed), 0);
    covered = kube_reach_covers(&made, &needed);
    kube_reach_clear(&needed);
    return covered;
}

static void change_nothing(struct kube_config *config)
{
    (void)config;
}

static void change_file_beside(struct kube_config *config)
{
    config->certificate_file = "/etc/egressgw/new.crt";
    config->token_file = NULL;
}

static void change_directory(struct kube_config *config)
{
    config->token_file = "/run/secrets/other/token";
}

static void change_port(struct kube_config *config)
{
    static char *others[] = {"https://192.0.2.1:6444"};

    config->servers.items = others;
    config->servers.count = 1;
}

static void change_to_name(struct kube_config *config)
{
    static char *names[] = {"https://api.example.com:6443"};

    config->servers.items = names;
    config->servers.count = 1;
}

static void change_authorities(struct kube_config *config)
{
    config->ca_file = NULL;
}

static void covered_or_not(void **state)
{
    (void)state;
    assert_int_equal(kube_reach_make("/etc/egressgw/kubeconfig", &plain, &made), 0);
    assert_true(covered_with(change_nothing));
    assert_true(covered_with(change_file_beside));
    assert_false(covered_with(change_directory));
    assert_false(covered_with(change_port));
    assert_false(covered_with(change_to_name));
    assert_false(covered_with(change_authorities));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(made_from_servers, clear),
        cmocka_unit_test_teardown(made_from_proxy, clear),
        cmocka_unit_test_teardown(covered_or_not, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
