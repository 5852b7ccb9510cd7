/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_CONFIG_KEYS_H
#define COMMON_CONFIG_KEYS_H

/* Private to the configuration: every key in one table, for reading, defaults and printing. */

#include "common/config.h"
#include "common/text.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_NUMBER,
    CONFIG_CHOICE,
    CONFIG_LISTEN,
    CONFIG_TEXTS, /* from here on: lists */
    CONFIG_PREFIXES,
};

struct config_key {
    const char *path;
    const char *fallback; /* NULL: none, or one that is found out at the start */
    enum config_type type;
    bool optional; /* not printed while it is empty */
    uint8_t width; /* bytes of a number or choice in the structure */
    size_t offset; /* in struct config */
    uint32_t minimum, maximum;
    const char *const *choices;             /* by value, NULL at the end */
    const char *(*check)(struct text text); /* what it must be, or NULL where it is right */
    size_t items;                           /* most items of a list */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

#define CONFIG_WANTED_SIZE 160

/* Sets a value that is no list. -EINVAL with "must be ..." in `wanted`; -ENOMEM. */
int config_value_set(const struct config_key *key, struct text text, struct config *config,
                     char wanted[CONFIG_WANTED_SIZE]) _must_check_;
/* Adds an item to a list that has room for it. The same errors. */
int config_item_add(const struct config_key *key, struct text text, struct config *config,
                    char wanted[CONFIG_WANTED_SIZE]) _must_check_;
/* Makes room for `count` items of a list. -ENOMEM. */
int config_items_reserve(const struct config_key *key, size_t count,
                         struct config *config) _must_check_;

static inline void *config_field(const struct config_key *key, struct config *config)
{
    return (char *)config + key->offset;
}

static inline const void *config_field_const(const struct config_key *key,
                                             const struct config *config)
{
    return (const char *)config + key->offset;
}

/* A number or choice. */
uint32_t config_field_number(const struct config_key *key, const struct config *config);

#endif
