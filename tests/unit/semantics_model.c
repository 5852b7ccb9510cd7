/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/semantics_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "watcher/object_parse.h"

/* ---- Words ---- */

struct words words_split(char *line)
{
    struct words words = {0};
    char *rest = line, *word;

    while ((word = strsep(&rest, " "))) {
        if (*word == '\0')
            continue;
        assert_true(words.count < MODEL_WORDS);
        words.items[words.count++] = word;
    }
    return words;
}

const char *words_value(const struct words *words, const char *key)
{
    size_t length = strlen(key);

    for (size_t i = 0; i < words->count; i++)
        if (strncmp(words->items[i], key, length) == 0 && words->items[i][length] == '=')
            return words->items[i] + length + 1;
    return NULL;
}

bool words_have(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->items[i], word) == 0)
            return true;
    return false;
}

/* ---- Fields ---- */

/* The member of `object`, made where it is not there. */
static json_t *member(json_t *object, const char *name, json_t *(*make)(void))
{
    if (!json_object_get(object, name))
        json_object_set_new(object, name, make());
    return json_object_get(object, name);
}

static json_t *list_split(const char *text)
{
    json_t *list = json_array();
    char *copy = strdup(text), *rest = copy, *item;

    while ((item = strsep(&rest, ",")))
        if (*item)
            json_array_append_new(list, json_string(item));
    free(copy);
    return list;
}

static void set_labels(json_t *object, const struct words *words, const char *const *reserved)
{
    json_t *labels = member(member(object, "metadata", json_object), "labels", json_object);

    for (size_t i = 2; i < words->count; i++) {
        char *word = words->items[i], *equals = strchr(word, '=');
        bool known = false;

        if (word[0] == '-' && !equals) {
            json_object_del(labels, word + 1);
            continue;
        }
        for (size_t j = 0; reserved[j]; j++) {
            size_t length = strlen(reserved[j]);

            known |= strncmp(word, reserved[j], length) == 0 &&
                     (word[length] == '\0' || word[length] == '=');
        }
        if (known)
            continue;
        if (!equals)
            fail_msg("'%s' is no word of a %s", word, words->items[0]);
        json_object_setn_new(labels, word, (size_t)(equals - word), json_string(equals + 1));
    }
}

static json_t *object_new(const char *name, const char *label)
{
    json_t *labels = json_object();

    if (label)
        json_object_set_new(labels, label, json_string(name));
    return json_pack("{s: {s: s, s: o}}", "metadata", "name", name, "labels", labels);
}

static char *format_time(long seconds)
{
    static char text[32];
    time_t when = seconds;
    struct tm parts;

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &parts));
    return text;
}

/* ---- Kinds ---- */

static void node_set_addresses(json_t *node, const char *type, const char *text)
{
    json_t *status = member(node, "status", json_object);
    json_t *addresses = member(status, "addresses", json_array);
    json_t *items = list_split(text), *item;
    size_t i;

    for (i = json_array_size(addresses); i > 0; i--)
        if (strcmp(json_string_value(json_object_get(json_array_get(addresses, i - 1), "type")),
                   type) == 0)
            json_array_remove(addresses, i - 1);
    json_array_foreach(items, i, item)
        json_array_append_new(addresses, json_pack("{s: s, s: O}", "type", type, "address", item));
    json_decref(items);
}

static void node_edit(json_t *node, const struct words *words)
{
    static const char *const reserved[] = {"ready", "notready", "cordoned", "deleted",
                                           "ip",    "external", "pods",     NULL};
    json_t *spec = member(node, "spec", json_object);
    json_t *status = member(node, "status", json_object);

    if (words_value(words, "ip"))
        node_set_addresses(node, "InternalIP", words_value(words, "ip"));
    if (words_value(words, "external"))
        node_set_addresses(node, "ExternalIP", words_value(words, "external"));
    if (words_value(words, "pods"))
        json_object_set_new(spec, "podCIDRs", list_split(words_value(words, "pods")));
    if (words_have(words, "cordoned"))
        json_object_set_new(spec, "unschedulable", json_true());
    if (words_have(words, "ready") || words_have(words, "notready"))
        json_object_set_new(status, "conditions",
                            json_pack("[{s: s, s: s}, {s: s, s: s}]", "type", "MemoryPressure",
                                      "status", "False", "type", "Ready", "status",
                                      words_have(words, "ready") ? "True" : "Unknown"));
    set_labels(node, words, reserved);
}

static void namespace_edit(json_t *namespace, const struct words *words)
{
    static const char *const reserved[] = {"deleted", NULL};

    set_labels(namespace, words, reserved);
}

static void pod_set_addresses(json_t *status, const char *text)
{
    json_t *items = list_split(text), *addresses = json_array(), *item;
    size_t i;

    json_array_foreach(items, i, item)
        json_array_append_new(addresses, json_pack("{s: O}", "ip", item));
    json_object_set_new(status, "podIPs", addresses);
    json_decref(items);
}

static void pod_edit(json_t *pod, const struct words *words)
{
    static const char *const reserved[] = {"uid",   "on",          "ip",      "sa", "created",
                                           "phase", "hostnetwork", "deleted", NULL};
    json_t *metadata = member(pod, "metadata", json_object);
    json_t *spec = member(pod, "spec", json_object);
    json_t *status = member(pod, "status", json_object);

    if (words_value(words, "on"))
        json_object_set_new(spec, "nodeName", json_string(words_value(words, "on")));
    if (words_value(words, "sa"))
        json_object_set_new(spec, "serviceAccountName", json_string(words_value(words, "sa")));
    if (words_have(words, "hostnetwork"))
        json_object_set_new(spec, "hostNetwork", json_true());
    if (words_value(words, "ip"))
        pod_set_addresses(status, words_value(words, "ip"));
    if (words_value(words, "phase"))
        json_object_set_new(status, "phase", json_string(words_value(words, "phase")));
    if (words_value(words, "created"))
        json_object_set_new(metadata, "creationTimestamp",
                            json_string(format_time(atol(words_value(words, "created")))));
    set_labels(pod, words, reserved);
}

static void link_set_address(json_t *addresses, const char *text, bool add)
{
    size_t i;
    json_t *item;

    json_array_foreach(addresses, i, item) if (strcmp(json_string_value(item), text) == 0) break;
    if (i < json_array_size(addresses))
        json_array_remove(addresses, i);
    if (add)
        json_array_append_new(addresses, json_string(text));
}

static void link_edit(json_t *link, const struct words *words)
{
    static const char *const flags[] = {"up", "default4", "default6"};
    static const char *const cleared[] = {"down", "nodefault4", "nodefault6"};
    json_t *addresses = member(link, "addresses", json_array);

    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        if (words_have(words, flags[i]))
            json_object_set_new(link, flags[i], json_true());
        if (words_have(words, cleared[i]))
            json_object_set_new(link, flags[i], json_false());
    }
    if (words_value(words, "index"))
        json_object_set_new(link, "index", json_integer(atol(words_value(words, "index"))));
    for (size_t i = 3; i < words->count; i++)
        if (strncmp(words->items[i] + 1, "ip=", 3) == 0)
            link_set_address(addresses, words->items[i] + 4, words->items[i][0] == '+');
}

/* ---- The model ---- */

void model_init(struct model *model)
{
    for (int kind = 0; kind < KINDS; kind++)
        model->objects[kind] = json_object();
}

void model_clear(struct model *model)
{
    for (int kind = 0; kind < KINDS; kind++)
        json_decref(model->objects[kind]);
}

static json_t *pod_new(const struct words *words, const char *key)
{
    char *slash = strchr(words->items[1], '/');
    json_t *pod;

    if (!slash)
        fail_msg("%s is no NAMESPACE/NAME", words->items[1]);
    pod = json_pack("{s: {s: s#, s: s, s: s}}", "metadata", "namespace", words->items[1],
                    (int)(slash - words->items[1]), "name", slash + 1, "uid", key);
    return pod;
}

static json_t *model_new(enum object_kind kind, const struct words *words, const char *key)
{
    if (kind == KIND_NODE)
        return object_new(words->items[1], "kubernetes.io/hostname");
    if (kind == KIND_NAMESPACE)
        return object_new(words->items[1], "kubernetes.io/metadata.name");
    if (kind == KIND_LINK)
        return json_pack("{s: s, s: s, s: b}", "node", words->items[1], "name", words->items[2],
                         "up", 1);
    if (kind == KIND_POD)
        return pod_new(words, key);
    fail_msg("policy %s is not there", key);
    return NULL;
}

static const char *model_key(enum object_kind kind, const struct words *words, char *buffer,
                             size_t size)
{
    const char *uid = words_value(words, "uid");

    if (words->count < (kind == KIND_LINK ? 3 : 2))
        fail_msg("a %s without a name", object_kind_name(kind));
    if (kind == KIND_LINK)
        snprintf(buffer, size, "%s/%s", words->items[1], words->items[2]);
    else
        snprintf(buffer, size, "%s", kind == KIND_POD && uid ? uid : words->items[1]);
    return buffer;
}

struct model_change model_edit(struct model *model, enum object_kind kind,
                               const struct words *words)
{
    static void (*const edits[KINDS])(json_t *, const struct words *) = {
        [KIND_POD] = pod_edit,
        [KIND_NAMESPACE] = namespace_edit,
        [KIND_NODE] = node_edit,
        [KIND_LINK] = link_edit,
    };
    static char key[256];
    json_t *objects = model->objects[kind];
    json_t *object = json_object_get(objects, model_key(kind, words, key, sizeof(key)));
    bool removed = words_have(words, "deleted");

    if (!object) {
        if (removed)
            fail_msg("%s %s is not there", object_kind_name(kind), key);
        object = model_new(kind, words, key);
        json_object_set_new(objects, key, object);
    }
    if (!removed && edits[kind])
        edits[kind](object, words);
    json_incref(object);
    if (removed)
        json_object_del(objects, key);
    return (struct model_change){key, object, removed};
}

void model_set_policy(struct model *model, const char *name, json_t *policy)
{
    json_object_set(model->objects[KIND_POLICY], name, policy);
}

const char *model_link_node(const json_t *link)
{
    return json_string_value(json_object_get(link, "node"));
}

static void link_read(const json_t *value, struct arena *arena, struct link *link)
{
    json_t *addresses = json_object_get(value, "addresses"), *item;
    size_t i;

    link->ifindex = (uint32_t)json_integer_value(json_object_get(value, "index"));
    link->name = text_of(json_string_value(json_object_get(value, "name")));
    link->up = json_is_true(json_object_get(value, "up"));
    link->default_route_v4 = json_is_true(json_object_get(value, "default4"));
    link->default_route_v6 = json_is_true(json_object_get(value, "default6"));
    link->addresses = arena_allocate(arena, json_array_size(addresses), sizeof(*link->addresses));
    json_array_foreach(addresses, i, item)
    {
        struct text text = text_of(json_string_value(item));
        struct link_address *address = &link->addresses[link->address_count++];

        address->usable = text.data[text.length - 1] != '!';
        text.length -= !address->usable;
        assert_int_equal(address_parse(text, &address->address), 0);
    }
}

void model_read(enum object_kind kind, const json_t *value, struct arena *arena,
                struct object *object)
{
    struct object_error error = {0};
    int result;

    if (kind == KIND_LINK) {
        *object = (struct object){.kind = KIND_LINK};
        link_read(value, arena, &object->link);
        result = object_check(object, &error);
    } else {
        result = object_parse(kind, value, arena, object, &error);
    }
    if (result)
        fail_msg("%s: %s %s (%s)", object_kind_name(kind), error.field, error.reason, error.value);
}
