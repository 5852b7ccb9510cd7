/* SPDX-License-Identifier: Apache-2.0 */
/* Any configuration file: refused with one line, or printed as one that is read the same. */
#include "fuzz.h"

#include "common/config.h"

enum { MESSAGE_SIZE = 512 };

static char *config_text(const struct config *config, size_t *length)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, length);

    FUZZ_CHECK(file);
    FUZZ_CHECK(config_print(config, file) == 0);
    FUZZ_CHECK(fclose(file) == 0);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_config_ struct config config = {0}, again = {0};
    _cleanup_free_ char *copy = fuzz_copy(data, size), *first = NULL, *second = NULL;
    char message[MESSAGE_SIZE] = "";
    size_t first_length, second_length;

    if (config_parse("fuzz.yaml", copy, size, &config, message, sizeof(message)) < 0) {
        FUZZ_CHECK(message[0] && !strchr(message, '\n'));
        return 0;
    }
    first = config_text(&config, &first_length);
    if (config_parse("printed.yaml", first, first_length, &again, message, sizeof(message)) < 0) {
        fprintf(stderr, "%s\n%s", message, first);
        abort();
    }
    second = config_text(&again, &second_length);
    FUZZ_CHECK(first_length == second_length && memcmp(first, second, first_length) == 0);
    return 0;
}
