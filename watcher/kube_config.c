/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "watcher/kube_reader.h"

/* Plain HTTP would show the token to the network; `kubectl proxy` on this machine is fine. */
static bool is_loopback_url(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://[::1]"};

    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        size_t length = strlen(hosts[i]);

        if (!strncasecmp(url, hosts[i], length) && strchr(":/", url[length]))
            return true; /* strchr finds the NUL as well */
    }
    return false;
}

static int add_server(struct kube_reader *reader, const char *field, const char *url)
{
    struct string_list *servers = &reader->config->servers;
    size_t length = strlen(url);

    if (strncasecmp(url, "https://", 8) && !is_loopback_url(url))
        return kube_reader_fail(reader, field,
                                "must be an https:// URL (http:// only to 127.0.0.1 or [::1])");
    if (strpbrk(url, "@?# \t\r\n") || length > 1024)
        return kube_reader_fail(reader, field, "must be a URL of scheme, host, port and path only");
    while (length && url[length - 1] == '/')
        length--;
    if (servers->count == KUBE_SERVERS_LIMIT)
        return kube_reader_fail(reader, field, "names more than %d servers", KUBE_SERVERS_LIMIT);
    if (!servers->items)
        servers->items = calloc(KUBE_SERVERS_LIMIT, sizeof(*servers->items));
    if (!servers->items)
        return -ENOMEM;
    servers->items[servers->count] = strndup(url, length);
    if (!servers->items[servers->count])
        return -ENOMEM;
    servers->count++;
    return 0;
}

/* extensions: [{name: egressgw, extension: {servers: [URL, ...]}}] lists further servers of the
 * same cluster: the place that kubeconfigs have for what other clients need not know. */
static int read_extension(struct kube_reader *reader, const struct kube_place *cluster)
{
    yaml_node_t *list = kube_reader_find(reader, cluster->node, "extensions");
    yaml_node_t *servers = NULL;
    yaml_node_item_t *item;
    char field[400];
    int error = 0;

    snprintf(field, sizeof(field), "%s.extensions[egressgw].extension.servers", cluster->name);
    if (!list || list->type != YAML_SEQUENCE_NODE)
        return 0;
    for (item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
        yaml_node_t *entry = yaml_document_get_node(&reader->document, *item);
        yaml_node_t *name = kube_reader_find(reader, entry, "name");

        if (name && name->type == YAML_SCALAR_NODE &&
            !strcmp((char *)name->data.scalar.value, "egressgw"))
            servers =
                kube_reader_find(reader, kube_reader_find(reader, entry, "extension"), "servers");
    }
    if (!servers)
        return 0;
    if (servers->type != YAML_SEQUENCE_NODE)
        return kube_reader_fail(reader, field, "must be a list of URLs");
    for (item = servers->data.sequence.items.start;
         !error && item < servers->data.sequence.items.top; item++) {
        yaml_node_t *url = yaml_document_get_node(&reader->document, *item);

        if (!url || url->type != YAML_SCALAR_NODE)
            return kube_reader_fail(reader, field, "must be a list of URLs");
        error = add_server(reader, field, (char *)url->data.scalar.value);
    }
    return error;
}

static int read_proxy(struct kube_reader *reader, const struct kube_place *cluster)
{
    const char *proxy;
    char field[400];
    int error = kube_reader_string(reader, cluster, "proxy-url", &proxy);

    snprintf(field, sizeof(field), "%s.proxy-url", cluster->name);
    if (error || !proxy)
        return error;
    /* Other clients let a SOCKS proxy resolve the name, which curl calls socks5h. */
    if (!strncasecmp(proxy, "socks5://", 9)) {
        if (asprintf(&reader->config->proxy, "socks5h://%s", proxy + 9) < 0) {
            reader->config->proxy = NULL;
            return -ENOMEM;
        }
        return 0;
    }
    if (strncasecmp(proxy, "http://", 7) && strncasecmp(proxy, "https://", 8))
        return kube_reader_fail(reader, field, "must be an http://, https:// or socks5:// URL");
    return kube_reader_copy(&reader->config->proxy, proxy);
}

static int read_cluster(struct kube_reader *reader, const char *name)
{
    struct kube_config *config = reader->config;
    const char *server, *insecure, *tls_server_name;
    struct kube_place place = {0};
    char field[400];
    int error = kube_reader_named(reader, "clusters", name, "cluster", &place);

    if (!error)
        error = kube_reader_string(reader, &place, "server", &server);
    if (!error)
        error = kube_reader_string(reader, &place, "insecure-skip-tls-verify", &insecure);
    if (!error)
        error = kube_reader_string(reader, &place, "tls-server-name", &tls_server_name);
    if (error)
        return error;
    snprintf(field, sizeof(field), "%s.insecure-skip-tls-verify", place.name);
    if (insecure && strcmp(insecure, "false"))
        return kube_reader_fail(reader, field,
                                "is refused: set certificate-authority or "
                                "certificate-authority-data instead");
    snprintf(field, sizeof(field), "%s.server", place.name);
    if (!server)
        return kube_reader_fail(reader, field, "is missing");
    error = add_server(reader, field, server);
    if (!error)
        error = read_extension(reader, &place);
    if (!error)
        error = kube_reader_copy(&config->tls_server_name, tls_server_name);
    if (!error)
        error = read_proxy(reader, &place);
    if (!error)
        error = kube_reader_pair(reader, &place, "certificate-authority", &config->ca_file,
                                 &config->ca);
    return error;
}

/* Ways to authenticate that a sealed process cannot go, or that would be lost silently. */
static int refuse_unsupported(struct kube_reader *reader, const struct kube_place *user)
{
    static const struct {
        const char *key, *why;
    } refused[] = {
        {"exec", "credential plugins are not supported, since the sealed watcher starts no "
                 "programs; use a client certificate, token or tokenFile"},
        {"auth-provider", "is not supported; use a client certificate, token or tokenFile"},
        {"username", "is not supported; use a client certificate, token or tokenFile"},
        {"as", "impersonation is not supported"},
    };
    char field[400];

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        snprintf(field, sizeof(field), "%s.%s", user->name, refused[i].key);
        if (kube_reader_find(reader, user->node, refused[i].key))
            return kube_reader_fail(reader, field, "%s", refused[i].why);
    }
    return 0;
}

static int read_token(struct kube_reader *reader, const struct kube_place *user)
{
    struct kube_config *config = reader->config;
    const char *file, *token;
    int error = kube_reader_string(reader, user, "tokenFile", &file);

    if (!error)
        error = kube_reader_string(reader, user, "token", &token);
    if (error)
        return error;
    if (file) /* it wins over `token`, as in other clients, since it can be rotated */
        return kube_reader_path(reader, &config->token_file, file);
    error = kube_reader_copy(&config->token.data, token);
    config->token.length = config->token.data ? strlen(config->token.data) : 0;
    return error;
}

static int read_user(struct kube_reader *reader, const char *name)
{
    struct kube_config *config = reader->config;
    struct kube_place place = {0};
    int error = kube_reader_named(reader, "users", name, "user", &place);

    if (!error)
        error = refuse_unsupported(reader, &place);
    if (!error)
        error = kube_reader_pair(reader, &place, "client-certificate", &config->certificate_file,
                                 &config->certificate);
    if (!error)
        error = kube_reader_pair(reader, &place, "client-key", &config->key_file, &config->key);
    if (!error)
        error = read_token(reader, &place);
    if (error)
        return error;
    if ((config->certificate_file || config->certificate.data) !=
        (config->key_file || config->key.data))
        return kube_reader_fail(reader, place.name,
                                "client-certificate and client-key need each other");
    if (!config->certificate_file && !config->certificate.data && !config->token_file &&
        !config->token.data)
        return kube_reader_fail(
            reader, place.name,
            "has no credentials: set client-certificate and client-key, token or tokenFile");
    return 0;
}

static int read_context(struct kube_reader *reader)
{
    struct kube_place root = {.node = yaml_document_get_root_node(&reader->document)};
    struct kube_place place = {0};
    const char *current, *cluster, *user;
    int error;

    if (!root.node || root.node->type != YAML_MAPPING_NODE)
        return kube_reader_fail(reader, NULL, "is no kubeconfig: it must be a YAML mapping");
    error = kube_reader_string(reader, &root, "current-context", &current);
    if (error)
        return error;
    if (!current)
        return kube_reader_fail(reader, "current-context", "is missing");
    error = kube_reader_named(reader, "contexts", current, "context", &place);
    if (!error)
        error = kube_reader_string(reader, &place, "cluster", &cluster);
    if (!error)
        error = kube_reader_string(reader, &place, "user", &user);
    if (error)
        return error;
    if (!cluster || !user)
        return kube_reader_fail(reader, place.name, "must name a cluster and a user");
    error = read_cluster(reader, cluster);
    return error ? error : read_user(reader, user);
}

/* Keys and tokens stand in the document, and in what the parser has read of the file. */
static void document_wipe(yaml_document_t *document)
{
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++) {
        if (node->type == YAML_SCALAR_NODE)
            explicit_bzero(node->data.scalar.value, node->data.scalar.length);
    }
    yaml_document_delete(document);
}

static void parser_wipe(yaml_parser_t *parser)
{
    explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    explicit_bzero(parser->raw_buffer.start,
                   (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    yaml_parser_delete(parser);
}

int kube_config_parse(const char *path, const char *data, size_t length, struct kube_config *config,
                      char *message, size_t size)
{
    _cleanup_kube_config_ struct kube_config read = {0};
    struct kube_reader reader = {.path = path, .config = &read, .message = message, .size = size};
    yaml_parser_t parser;
    int error;

    if (!yaml_parser_initialize(&parser)) {
        snprintf(message, size, "%s: out of memory", path);
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)data, length);
    if (!yaml_parser_load(&parser, &reader.document)) {
        error = kube_reader_fail(&reader, NULL, "line %zu: %s", parser.problem_mark.line + 1,
                                 parser.problem ? parser.problem : "is no YAML");
        yaml_parser_delete(&parser);
        return error;
    }
    error = read_context(&reader);
    document_wipe(&reader.document);
    parser_wipe(&parser);
    if (error == -ENOMEM)
        snprintf(message, size, "%s: out of memory", path);
    if (error)
        return error;
    *config = read;
    read = (struct kube_config){0};
    return 0;
}

int kube_config_load(const char *path, struct kube_config *config, char *message, size_t size)
{
    _cleanup_kube_blob_ struct kube_blob file = {0};
    int error = kube_blob_read(path, &file);

    if (error) {
        snprintf(message, size, "%s: cannot be read: %s", path, strerror(-error));
        return error;
    }
    return kube_config_parse(path, file.data, file.length, config, message, size);
}

int kube_config_in_cluster(const char *directory, struct kube_config *config, char *message,
                           size_t size)
{
    _cleanup_kube_config_ struct kube_config read = {0};
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    struct kube_reader reader = {
        .path = "in-cluster", .config = &read, .message = message, .size = size};
    char url[512];
    int error;

    if (!directory)
        directory = "/var/run/secrets/kubernetes.io/serviceaccount";
    if (!host || !*host || !port || !*port)
        return kube_reader_fail(&reader, NULL,
                                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: "
                                "not in a pod; use source.kubernetes.kubeconfig");
    snprintf(url, sizeof(url), strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    error = add_server(&reader, "KUBERNETES_SERVICE_HOST", url);
    if (error)
        return error;
    if (asprintf(&read.ca_file, "%s/ca.crt", directory) < 0)
        read.ca_file = NULL;
    if (asprintf(&read.token_file, "%s/token", directory) < 0)
        read.token_file = NULL;
    if (!read.ca_file || !read.token_file) {
        snprintf(message, size, "in-cluster: out of memory");
        return -ENOMEM;
    }
    *config = read;
    read = (struct kube_config){0};
    return 0;
}

void kube_config_clear(struct kube_config *config)
{
    for (size_t i = 0; i < config->servers.count; i++)
        free(config->servers.items[i]);
    free(config->servers.items);
    free(config->tls_server_name);
    free(config->proxy);
    free(config->ca_file);
    free(config->certificate_file);
    free(config->key_file);
    free(config->token_file);
    kube_blob_clear(&config->ca);
    kube_blob_clear(&config->certificate);
    kube_blob_clear(&config->key);
    kube_blob_clear(&config->token);
    *config = (struct kube_config){0};
}
