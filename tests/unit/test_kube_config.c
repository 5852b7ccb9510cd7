/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "watcher/kube_credentials.h"

#define PATH "/etc/egressgw/kubeconfig"

/* A kubeconfig with these lines for its cluster and its user. */
static char *make(const char *cluster, const char *user)
{
    char *text;

    assert_true(asprintf(&text,
                         "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                         "contexts:\n- {name: there, context: {cluster: x, user: x}}\n"
                         "- {name: here, context: {cluster: c, user: u}}\n"
                         "clusters:\n- name: c\n  cluster:\n    %s\n"
                         "users:\n- name: u\n  user:\n    %s\n",
                         cluster, user) > 0);
    return text;
}

static int parse(const char *cluster, const char *user, struct kube_config *config, char *message)
{
    _cleanup_free_ char *text = make(cluster, user);

    message[0] = '\0';
    return kube_config_parse(PATH, text, strlen(text), config, message, 512);
}

static void test_token_file(void **state)
{
    _cleanup_kube_config_ struct kube_config config = {0};
    char message[512];

    (void)state;
    assert_int_equal(parse("{server: 'https://10.0.0.1:6443/', certificate-authority: ca.crt, "
                           "tls-server-name: api, proxy-url: 'socks5://10.9.9.9:1080'}",
                           "{tokenFile: /run/token, token: old}", &config, message),
                     0);
    assert_int_equal(config.servers.count, 1);
    assert_string_equal(config.servers.items[0], "https://10.0.0.1:6443");
    assert_string_equal(config.ca_file, "/etc/egressgw/ca.crt");
    assert_string_equal(config.tls_server_name, "api");
    assert_string_equal(config.proxy, "socks5h://10.9.9.9:1080");
    assert_string_equal(config.token_file, "/run/token");
    assert_null(config.token.data);
}

static void test_data_and_further_servers(void **state)
{
    _cleanup_kube_config_ struct kube_config config = {0};
    char message[512];

    (void)state;
    assert_int_equal(
        parse("server: https://a:6443\n    certificate-authority-data: Q0E=\n    extensions:\n"
              "    - {name: other, extension: {servers: 7}}\n"
              "    - {name: egressgw, extension: {servers: ['https://b:6443', "
              "'https://[::1]:6443']}}",
              "{client-certificate-data: Y2VydA==, client-key-data: a2V5}", &config, message),
        0);
    assert_int_equal(config.servers.count, 3);
    assert_string_equal(config.servers.items[2], "https://[::1]:6443");
    assert_string_equal(config.ca.data, "CA");
    assert_string_equal(config.certificate.data, "cert");
    assert_string_equal(config.key.data, "key");
}

static void test_refused_with_the_field(void **state)
{
    static const struct {
        const char *cluster, *user, *message;
    } cases[] = {
        {"{server: 'https://a'}", "{exec: {command: aws}}",
         "users[u].user.exec: credential plugins"},
        {"{server: 'https://a'}", "{auth-provider: {name: gcp}}", "users[u].user.auth-provider: "},
        {"{server: 'https://a'}", "{username: a, password: hidden}", "users[u].user.username: "},
        {"{server: 'https://a'}", "{as: root, token: hidden}", "users[u].user.as: impersonation"},
        {"{server: 'https://a'}", "{}", "users[u].user: has no credentials"},
        {"{server: 'https://a'}", "{client-certificate: c}", "need each other"},
        {"{server: 'https://a'}", "{client-certificate: c, client-key-data: '*'}",
         "users[u].user.client-key-data: is not base64"},
        {"{server: 'https://a', insecure-skip-tls-verify: true}", "{token: hidden}",
         "clusters[c].cluster.insecure-skip-tls-verify: is refused"},
        {"{}", "{token: hidden}", "clusters[c].cluster.server: is missing"},
        {"{server: 'http://a'}", "{token: hidden}", "clusters[c].cluster.server: must be an https"},
        {"{server: 'http://127.0.0.1.example.com'}", "{token: hidden}", "must be an https"},
        {"{server: 'https://u:hidden@a'}", "{token: hidden}", "scheme, host, port and path only"},
        {"{server: [a]}", "{token: hidden}", "clusters[c].cluster.server: must be a string"},
        {"{server: 'https://a', proxy-url: 'ftp://a'}", "{token: hidden}",
         "clusters[c].cluster.proxy-url: must be"},
        {"{server: 'https://a'", "{token: hidden}", PATH ": line "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kube_config config = {0};
        char message[512];

        assert_int_equal(parse(cases[i].cluster, cases[i].user, &config, message), -EINVAL);
        if (!strstr(message, cases[i].message))
            fail_msg("\"%s\" does not hold \"%s\"", message, cases[i].message);
        assert_null(strstr(message, "hidden"));
        assert_null(config.servers.items);
    }
}

static void test_plain_http_to_this_machine(void **state)
{
    static const char *const servers[] = {"{server: 'http://127.0.0.1:8001'}",
                                          "{server: 'http://[::1]:8001'}",
                                          "{server: 'http://127.0.0.1'}"};
    char message[512];

    (void)state;
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        _cleanup_kube_config_ struct kube_config config = {0};

        assert_int_equal(parse(servers[i], "{token: t}", &config, message), 0);
    }
}

static void test_missing_context(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "is no kubeconfig"},
        {"- a", "is no kubeconfig"},
        {"kind: Config", "current-context: is missing"},
        {"{current-context: x, contexts: []}", "contexts: has no entry \"x\""},
        {"{current-context: \"x\\ny\", contexts: []}", "contexts: has no entry \"x?y\""},
        {"{current-context: x, contexts: [{name: x, context: {user: u}}]}", "must name a cluster"},
        {"{current-context: x, contexts: [{name: x, context: {user: u, cluster: c}}], clusters: 1}",
         "clusters: must be a list"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kube_config config = {0};
        char message[512] = "";

        assert_int_equal(kube_config_parse(PATH, cases[i].text, strlen(cases[i].text), &config,
                                           message, sizeof(message)),
                         -EINVAL);
        if (!strstr(message, cases[i].message))
            fail_msg("\"%s\" does not hold \"%s\"", message, cases[i].message);
    }
}

static void test_base64(void **state)
{
    static const char *const refused[] = {"",         "=",    "A",    "AA",       "AA=", "AAA",
                                          "AAAAA===", "A=AA", "AA*A", "AA==AA==", "===="};
    _cleanup_kube_blob_ struct kube_blob blob = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(kube_blob_decode(refused[i], &blob), -EINVAL);
    assert_null(blob.data);
    assert_int_equal(kube_blob_decode("aGVs\n bG8h/+8=\n", &blob), 0);
    assert_int_equal(blob.length, 8);
    assert_memory_equal(blob.data, "hello!\xff\xef", 8);
}

/* ---- credentials */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_credentials_follow_their_files(void **state)
{
    char directory[] = "/tmp/kube-config-XXXXXX", token[64], message[512];
    _cleanup_kube_credentials_ struct kube_credentials first = {0}, second = {0};
    struct kube_config config = {.token_file = token};

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(token, sizeof(token), "%s/token", directory);
    assert_int_equal(kube_credentials_read(&config, &first, message, sizeof(message)), -ENOENT);
    assert_non_null(strstr(message, token));
    write_file(token, " \n");
    assert_int_equal(kube_credentials_read(&config, &first, message, sizeof(message)), -EINVAL);
    write_file(token, "two\r\nX-Header: lines");
    assert_int_equal(kube_credentials_read(&config, &first, message, sizeof(message)), -EINVAL);
    assert_null(strstr(message, "two"));
    write_file(token, "abc.def\n");
    assert_int_equal(kube_credentials_read(&config, &first, message, sizeof(message)), 0);
    assert_string_equal(first.authorization.data, "Authorization: Bearer abc.def");
    assert_int_equal(kube_credentials_read(&config, &second, message, sizeof(message)), 0);
    assert_true(kube_credentials_equal(&first, &second));
    write_file(token, "ghi");
    assert_int_equal(kube_credentials_read(&config, &second, message, sizeof(message)), 0);
    assert_string_equal(second.authorization.data, "Authorization: Bearer ghi");
    assert_false(kube_credentials_equal(&first, &second));
    unlink(token);
    /* Nothing is lost where the file has gone. */
    assert_int_equal(kube_credentials_read(&config, &second, message, sizeof(message)), -ENOENT);
    assert_string_equal(second.authorization.data, "Authorization: Bearer ghi");
    assert_int_equal(mkdir(token, 0700), 0);
    assert_int_equal(kube_credentials_read(&config, &second, message, sizeof(message)), -EINVAL);
    rmdir(token);
    rmdir(directory);
}

static void test_in_cluster(void **state)
{
    _cleanup_kube_config_ struct kube_config config = {0};
    char message[512];

    (void)state;
    unsetenv("KUBERNETES_SERVICE_HOST");
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_int_equal(kube_config_in_cluster("/sa", &config, message, sizeof(message)), -EINVAL);
    assert_non_null(strstr(message, "not in a pod"));
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    assert_int_equal(kube_config_in_cluster("/sa", &config, message, sizeof(message)), 0);
    assert_string_equal(config.servers.items[0], "https://[fd00::1]:443");
    assert_string_equal(config.ca_file, "/sa/ca.crt");
    assert_string_equal(config.token_file, "/sa/token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_file),
        cmocka_unit_test(test_data_and_further_servers),
        cmocka_unit_test(test_refused_with_the_field),
        cmocka_unit_test(test_plain_http_to_this_machine),
        cmocka_unit_test(test_missing_context),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_credentials_follow_their_files),
        cmocka_unit_test(test_in_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
