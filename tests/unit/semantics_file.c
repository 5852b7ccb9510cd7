/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"
#include "tests/unit/semantics_case.h"

static const char case_word[] = "case ";

static void file_add_line(struct semantics_file *file, char *line)
{
    file->lines = memory_resize(file->lines, file->line_count + 1, sizeof(*file->lines));
    file->lines[file->line_count++] = line;
}

static void file_add_case(struct semantics_file *file, const char *title)
{
    struct semantics_case *added;

    file->cases = memory_resize(file->cases, file->case_count + 1, sizeof(*file->cases));
    added = &file->cases[file->case_count++];
    *added = (struct semantics_case){.title = strdup(title), .first = file->line_count};
}

static struct semantics_file *file_read(const char *path, FILE *in)
{
    struct semantics_file *file = memory_new(1, sizeof(*file));
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    if (!in) {
        perror(path);
        abort();
    }
    file->path = path;
    while ((length = getline(&line, &size, in)) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, case_word, strlen(case_word)) == 0)
            file_add_case(file, line + strlen(case_word));
        file_add_line(file, strdup(line));
    }
    free(line);
    fclose(in);
    file->header = file->case_count ? file->cases[0].first : file->line_count;
    for (size_t i = 0; i < file->case_count; i++) {
        file->cases[i].file = file;
        file->cases[i].last =
            i + 1 < file->case_count ? file->cases[i + 1].first : file->line_count;
    }
    return file;
}

struct semantics_file *semantics_file_read(const char *path)
{
    return file_read(path, fopen(path, "re"));
}

struct semantics_file *semantics_file_of(const char *name, char *text)
{
    return file_read(name, fmemopen(text, strlen(text), "r"));
}

void semantics_file_free(struct semantics_file *file)
{
    for (size_t i = 0; i < file->line_count; i++)
        free(file->lines[i]);
    for (size_t i = 0; i < file->case_count; i++)
        free(file->cases[i].title);
    free(file->lines);
    free(file->cases);
    free(file);
}
