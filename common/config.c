/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "common/config_keys.h"
#include "common/config_tree.h"

enum { CONFIG_FILE_LIMIT = 1 << 20 };

struct config_reader {
    const struct config_error *error;
    struct config *config;
};

static bool path_is_below(const char *path, const char *section)
{
    size_t length = strlen(section);

    return length == 0 || (strncmp(path, section, length) == 0 && path[length] == '.');
}

static const struct config_key *key_find(const char *path)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0)
            return &config_keys[i];
    return NULL;
}

static bool section_exists(const char *path)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (path_is_below(config_keys[i].path, path))
            return true;
    return false;
}

/* "unknown key; node, cluster, ... are known here" */
static int unknown_key(const struct config_reader *reader, const struct config_node *node)
{
    char section[CONFIG_PATH_SIZE], known[512] = "", last[64] = "";
    size_t used = 0;

    config_node_path(node->parent, section);
    size_t skipped = strlen(section) + (*section ? 1 : 0);
    for (size_t i = 0; i < config_key_count; i++) {
        if (!path_is_below(config_keys[i].path, section))
            continue;
        const char *name = config_keys[i].path + skipped;
        int length = (int)strcspn(name, ".");

        if (strncmp(last, name, (size_t)length) == 0 && last[length] == '\0')
            continue;
        snprintf(last, sizeof(last), "%.*s", length, name);
        used +=
            (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", last);
    }
    return config_fail_node(reader->error, node, "unknown key; known here: %s", known);
}

static int read_scalar(const struct config_reader *reader, const struct config_key *key,
                       const struct config_node *node,
                       int (*set)(const struct config_key *, struct text, struct config *, char *))
{
    char wanted[CONFIG_WANTED_SIZE], quoted[CONFIG_QUOTE_SIZE];

    if (node->type != CONFIG_SCALAR)
        return config_fail_node(reader->error, node, "must be a single value, not a %s",
                                node->type == CONFIG_SEQUENCE ? "list" : "mapping");
    if (node->null)
        return config_fail_node(reader->error, node, "has no value: give one or leave it out");
    int result = set(key, node->text, reader->config, wanted);
    if (result == -EINVAL)
        return config_fail_node(reader->error, node, "%s, not \"%s\"", wanted,
                                config_quote(node->text, quoted));
    return result;
}

static int read_list(const struct config_reader *reader, const struct config_key *key,
                     const struct config_node *node)
{
    if (node->type != CONFIG_SEQUENCE)
        return config_fail_node(reader->error, node, "must be a list, as [a, b]");
    if (node->count > key->items)
        return config_fail_node(reader->error, node, "must have at most %zu items, not %zu",
                                key->items, node->count);
    int result = config_items_reserve(key, node->count, reader->config);
    for (const struct config_node *item = node->first; item && !result; item = item->next)
        result = read_scalar(reader, key, item, config_item_add);
    return result;
}

static int read_section(const struct config_reader *reader, const struct config_node *section)
{
    char path[CONFIG_PATH_SIZE];
    int result = 0;

    for (const struct config_node *node = section->first; node && !result; node = node->next) {
        /* "limits.nat" as one word is no key */
        bool dotted = memchr(node->key.data, '.', node->key.length);
        const struct config_key *key = key_find(config_node_path(node, path));

        if (key && !dotted)
            result = key->type >= CONFIG_TEXTS ? read_list(reader, key, node)
                                               : read_scalar(reader, key, node, config_value_set);
        else if (dotted || !section_exists(path))
            result = unknown_key(reader, node);
        else if (node->type != CONFIG_MAPPING)
            result = config_fail_node(reader->error, node, "must be a mapping, as {key: value}");
        else
            result = read_section(reader, node);
    }
    return result;
}

static int set_defaults(struct config *config)
{
    char wanted[CONFIG_WANTED_SIZE];

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        int result =
            key->fallback ? config_value_set(key, text_of(key->fallback), config, wanted) : 0;

        if (result)
            return result;
    }
    return 0;
}

/* The kubelet registers a node under its host name in lower case, too. */
static int find_node_name(const struct config_reader *reader)
{
    char wanted[CONFIG_WANTED_SIZE], quoted[CONFIG_QUOTE_SIZE], host[HOST_NAME_MAX + 1] = "";
    const char *name = getenv("NODE_NAME"), *origin = "$NODE_NAME";

    if (reader->config->node)
        return 0;
    if (!name || !*name) {
        if (gethostname(host, sizeof(host) - 1))
            return -errno;
        for (char *c = host; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        name = host;
        origin = "the host name";
    }
    int result = config_value_set(key_find("node"), text_of(name), reader->config, wanted);
    if (result == -EINVAL)
        return config_fail(reader->error, 1, "node", "missing, and %s is \"%s\": %s", origin,
                           config_quote(text_of(name), quoted), wanted);
    return result;
}

static int check_kubernetes(const struct config_reader *reader, const struct config_node *node)
{
    const struct config *config = reader->config;

    if (config->source.kubeconfig && config->source.in_cluster)
        return config_fail_node(reader->error, node,
                                "give kubeconfig or in-cluster: true, not both");
    if (!config->source.kubeconfig && !config->source.in_cluster)
        return config_fail_node(reader->error, node,
                                "must have kubeconfig: FILE or in-cluster: true");
    return 0;
}

static int check_source(const struct config_reader *reader, const struct config_node *root)
{
    const struct config_node *source = config_tree_find(root, "source");
    const struct config_node *kubernetes = config_tree_find(root, "source.kubernetes");
    const struct config_node *manifests = config_tree_find(root, "source.manifests");

    if (!kubernetes && !manifests)
        return config_fail(reader->error, source ? source->line : root->line, "source",
                           "missing: give source.kubernetes or source.manifests");
    if (kubernetes && manifests)
        return config_fail_node(reader->error, source, "give kubernetes or manifests, not both");
    if (kubernetes) {
        reader->config->source.type = SOURCE_KUBERNETES;
        return check_kubernetes(reader, kubernetes);
    }
    reader->config->source.type = SOURCE_MANIFESTS;
    if (reader->config->source.directories.count == 0)
        return config_fail(reader->error, manifests->line, "source.manifests.directories",
                           "must name at least one directory");
    return 0;
}

/* Each daemon accepts its peer by the uid, so no two may share one. */
static int check_users(const struct config_reader *reader, const struct config_node *root)
{
    static const char *const paths[] = {"users.watcher", "users.planner", "users.loader"};
    const char *const names[] = {reader->config->users.watcher, reader->config->users.planner,
                                 reader->config->users.loader};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        for (size_t j = 0; j < i; j++) {
            const struct config_node *node = config_tree_find(root, paths[i]);

            if (strcmp(names[i], names[j]) != 0)
                continue;
            if (!node)
                node = config_tree_find(root, paths[j]);
            return config_fail(reader->error, node ? node->line : root->line, paths[i],
                               "must differ from %s: both are \"%s\"", paths[j], names[i]);
        }
    }
    return 0;
}

int config_parse(const char *name, const char *data, size_t length, struct config *config,
                 char *message, size_t size)
{
    const struct config_error error = {name, message, size};
    _cleanup_config_ struct config parsed = {0};
    _cleanup_arena_ struct arena arena = {.limit = (size_t)CONFIG_FILE_LIMIT * 64};
    struct config_reader reader = {&error, &parsed};
    struct config_node *root;
    int result;

    if (length > CONFIG_FILE_LIMIT)
        return config_fail(&error, 1, NULL, "larger than %d bytes", CONFIG_FILE_LIMIT);
    result = config_tree_parse(data, length, &arena, &root, &error);
    if (!result)
        result = set_defaults(&parsed);
    if (!result)
        result = read_section(&reader, root);
    if (!result)
        result = check_source(&reader, root);
    if (!result)
        result = check_users(&reader, root);
    if (!result)
        result = find_node_name(&reader);
    if (result && result != -EINVAL)
        snprintf(message, size, "%s: cannot be read: %s", name, strerrordesc_np(-result));
    if (result)
        return result;
    *config = parsed;
    parsed = (struct config){0};
    return 0;
}

/* Reads to the end, or to one byte behind the limit. */
static int file_read(const char *path, char *data, size_t size, size_t *length)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;

    if (fd < 0)
        return -errno;
    while (used < size) {
        ssize_t count = read(fd, data + used, size - used);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        used += (size_t)count;
    }
    *length = used;
    return 0;
}

int config_load(const char *path, struct config *config, char *message, size_t size)
{
    const size_t capacity = CONFIG_FILE_LIMIT + 1;
    _cleanup_free_ char *data = malloc(capacity);
    size_t length = 0;
    int result = data ? file_read(path, data, capacity, &length) : -ENOMEM;

    if (result) {
        snprintf(message, size, "%s: cannot be read: %s", path, strerrordesc_np(-result));
        return result;
    }
    return config_parse(path, data, length, config, message, size);
}

void config_clear(struct config *config)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        struct string_list *strings = config_field(key, config);
        struct prefix_list *prefixes = config_field(key, config);

        if (key->type == CONFIG_TEXT)
            free(*(char **)config_field(key, config));
        for (size_t item = 0; key->type == CONFIG_TEXTS && item < strings->count; item++)
            free(strings->items[item]);
        if (key->type == CONFIG_TEXTS)
            free(strings->items);
        if (key->type == CONFIG_PREFIXES)
            free(prefixes->items);
    }
    *config = (struct config){0};
}
