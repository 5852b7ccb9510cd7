/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the pinned maps hold: --dump prints whole lines, and JSON that is JSON. */
#include "fuzz.h"

#include <jansson.h>

#include "ipc/tables.h"
#include "loader/dump.h"

static void entry_take(struct entries *entries, const uint8_t **data, size_t *size)
{
    unsigned char key[64], value[64];

    FUZZ_CHECK(entries->key_size <= sizeof(key) && entries->value_size <= sizeof(value));
    fuzz_take(data, size, key, entries->key_size);
    fuzz_take(data, size, value, entries->value_size);
    FUZZ_CHECK(entries_put(entries, key, value, ENTRY_SET) == 0);
}

static char *dump_text(const struct entries *tables, enum show_format format, size_t *length)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, length);

    FUZZ_CHECK(file);
    FUZZ_CHECK(dump_print(&tables[TABLE_ENDPOINTS], &tables[TABLE_ROUTES], &tables[TABLE_GATEWAYS],
                          format, file) == 0);
    FUZZ_CHECK(fclose(file) == 0);
    FUZZ_CHECK(*length > 0 && text[*length - 1] == '\n');
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum table shown[] = {TABLE_ENDPOINTS, TABLE_ROUTES, TABLE_GATEWAYS};
    struct entries tables[TABLES] = {0};
    size_t length;
    char *text;
    json_t *json;

    for (size_t i = 0; i < TABLES; i++)
        tables[i] = ENTRIES(table_shapes[i].key_size, table_shapes[i].value_size);
    while (size > 0)
        entry_take(&tables[shown[fuzz_byte(&data, &size) % ARRAY_SIZE(shown)]], &data, &size);
    free(dump_text(tables, SHOW_TEXT, &length));
    text = dump_text(tables, SHOW_JSON, &length);
    json = json_loadb(text, length, 0, NULL);
    FUZZ_CHECK(json_is_array(json));
    json_decref(json);
    free(text);
    for (size_t i = 0; i < TABLES; i++)
        entries_release(&tables[i]);
    return 0;
}
