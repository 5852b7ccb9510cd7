/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_keys.h"

#include <errno.h>
#include <stdio.h>

/* Decimal digits only: no sign, no leading zero, no other base. */
static int number_parse(struct text text, uint32_t minimum, uint32_t maximum, uint32_t *number)
{
    uint64_t value = 0;

    if (text.length == 0 || text.length > 10 || (text.length > 1 && text.data[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value < minimum || value > maximum)
        return -EINVAL;
    *number = (uint32_t)value;
    return 0;
}

static void field_store(const struct config_key *key, struct config *config, uint32_t number)
{
    uint8_t byte = (uint8_t)number;
    uint16_t half = (uint16_t)number;
    const void *value = key->width == 1   ? (const void *)&byte
                        : key->width == 2 ? (const void *)&half
                                          : (const void *)&number;

    memcpy(config_field(key, config), value, key->width);
}

uint32_t config_field_number(const struct config_key *key, const struct config *config)
{
    const void *field = config_field_const(key, config);
    uint8_t byte;
    uint16_t half;
    uint32_t word;

    switch (key->width) {
    case 1:
        memcpy(&byte, field, sizeof(byte));
        return byte;
    case 2:
        memcpy(&half, field, sizeof(half));
        return half;
    default:
        memcpy(&word, field, sizeof(word));
        return word;
    }
}

static int text_set(const struct config_key *key, struct text text, char **field,
                    char wanted[CONFIG_WANTED_SIZE])
{
    const char *wrong =
        memchr(text.data, '\0', text.length) ? "must not hold a NUL character" : key->check(text);

    if (wrong) {
        snprintf(wanted, CONFIG_WANTED_SIZE, "%s", wrong);
        return -EINVAL;
    }
    char *copy = strndup(text.data, text.length);
    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int number_set(const struct config_key *key, struct text text, struct config *config,
                      char wanted[CONFIG_WANTED_SIZE])
{
    uint32_t number;

    if (number_parse(text, key->minimum, key->maximum, &number)) {
        snprintf(wanted, CONFIG_WANTED_SIZE, "must be a whole number from %u to %u", key->minimum,
                 key->maximum);
        return -EINVAL;
    }
    field_store(key, config, number);
    return 0;
}

static int choice_set(const struct config_key *key, struct text text, struct config *config,
                      char wanted[CONFIG_WANTED_SIZE])
{
    size_t used = (size_t)snprintf(wanted, CONFIG_WANTED_SIZE, "must be one of ");

    for (uint32_t i = 0; key->choices[i]; i++) {
        if (text_equal(text, text_of(key->choices[i]))) {
            field_store(key, config, i);
            return 0;
        }
        used += (size_t)snprintf(wanted + used, CONFIG_WANTED_SIZE - used, "%s%s", i ? ", " : "",
                                 key->choices[i]);
    }
    return -EINVAL;
}

static bool address_is_loopback(const struct ip_addr *address)
{
    static const struct ip_prefix loopback_v6 = {.address = {.bytes = {[15] = 1}}, .length = 128};

    if (ip_addr_is_v4(address))
        return address->bytes[12] == 127;
    return prefix_contains(&loopback_v6, address);
}

/* "127.0.0.1:9965" or "[::1]:9965". */
static int listen_set(struct text text, struct config *config, char wanted[CONFIG_WANTED_SIZE])
{
    const char *colon = text.length ? memrchr(text.data, ':', text.length) : NULL;
    struct ip_addr address;
    uint32_t port;

    snprintf(wanted, CONFIG_WANTED_SIZE,
             "must be a loopback address and a port from 0 (none) to 65535, as 127.0.0.1:9965 or "
             "[::1]:9965");
    if (!colon)
        return -EINVAL;
    struct text host = {text.data, (size_t)(colon - text.data)};
    bool brackets = host.length > 2 && host.data[0] == '[' && host.data[host.length - 1] == ']';
    if (brackets)
        host = (struct text){host.data + 1, host.length - 2};
    if (address_parse(host, &address) || brackets == (bool)ip_addr_is_v4(&address) ||
        !address_is_loopback(&address) ||
        number_parse((struct text){colon + 1, text.length - (size_t)(colon + 1 - text.data)}, 0,
                     65535, &port))
        return -EINVAL;
    config->metrics.address = address;
    config->metrics.port = (uint16_t)port;
    return 0;
}

int config_value_set(const struct config_key *key, struct text text, struct config *config,
                     char wanted[CONFIG_WANTED_SIZE])
{
    switch (key->type) {
    case CONFIG_TEXT:
        return text_set(key, text, config_field(key, config), wanted);
    case CONFIG_NUMBER:
        return number_set(key, text, config, wanted);
    case CONFIG_CHOICE:
        return choice_set(key, text, config, wanted);
    case CONFIG_LISTEN:
        return listen_set(text, config, wanted);
    default:
        return config_item_add(key, text, config, wanted);
    }
}

int config_item_add(const struct config_key *key, struct text text, struct config *config,
                    char wanted[CONFIG_WANTED_SIZE])
{
    struct string_list *strings = config_field(key, config);
    struct prefix_list *prefixes = config_field(key, config);

    if (key->type == CONFIG_TEXTS) {
        int result = text_set(key, text, &strings->items[strings->count], wanted);

        strings->count += result == 0;
        return result;
    }
    if (prefix_parse(text, &prefixes->items[prefixes->count])) {
        snprintf(wanted, CONFIG_WANTED_SIZE, "must be a CIDR block such as 10.0.0.0/8 or fd00::/8");
        return -EINVAL;
    }
    prefixes->count++;
    return 0;
}

int config_items_reserve(const struct config_key *key, size_t count, struct config *config)
{
    struct string_list *strings = config_field(key, config);
    struct prefix_list *prefixes = config_field(key, config);

    if (count == 0)
        return 0;
    if (key->type == CONFIG_TEXTS)
        return (strings->items = calloc(count, sizeof(*strings->items))) ? 0 : -ENOMEM;
    return (prefixes->items = calloc(count, sizeof(*prefixes->items))) ? 0 : -ENOMEM;
}
