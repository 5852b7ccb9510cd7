/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "watcher/check_private.h"
#include "watcher/object_parse.h"

static void check_unreadable(struct check *check, const char *path, const char *reason)
{
    check->unreadable++;
    check_write(stderr, path);
    fprintf(stderr, ": %s\n", reason);
}

static void visit_object(void *context, enum object_kind kind, const struct manifest_item *item)
{
    check_object(context, kind, item);
}

/* What the watcher passes over; also a policy of a version that it does not know, which is hardly
 * meant. */
static void visit_other(void *context, const struct manifest_item *item)
{
    static const char version[] = "cilium.io/v2";
    struct check *check = context;
    struct object_error error = {.field = "apiVersion"};
    enum object_kind kind;

    check->skipped++;
    if (object_kind_named(version, item->kind, &kind))
        return;
    snprintf(error.value, sizeof(error.value), "%s", item->api_version);
    snprintf(error.reason, sizeof(error.reason),
             "is a version that is not read, the policy is passed over: has to be %s", version);
    check_report(check, CHECK_WARNING, item, &error);
}

static void visit_stray(void *context, const struct manifest_item *item)
{
    check_report_line(context, CHECK_ERROR, item->line,
                      "is no object of the API: it needs apiVersion and kind");
}

static void check_data(struct check *check, const char *path, const char *data, size_t length)
{
    static const struct manifest_visitor visitor = {visit_object, visit_other, visit_stray};
    _cleanup_documents_ struct document_list documents = {0};
    struct document_error refused = {0};
    int error = manifest_parse(path, data, length, &documents, &refused);

    if (error == -EINVAL)
        check_report_line(check, CHECK_ERROR, refused.line, refused.reason);
    else if (error)
        check->error = error;
    for (size_t i = 0; i < documents.count && !check->error; i++)
        manifest_walk(&documents.items[i], &visitor, check);
}

static void check_descriptor(struct check *check, const char *path, int fd)
{
    _cleanup_free_ char *data = NULL;
    size_t length = 0;
    int error = manifest_load(fd, &data, &length);

    check->file = path;
    if (error == -EFBIG)
        check_report_line(check, CHECK_ERROR, 1, "the file is larger than 16 MiB: split it");
    else if (error == -ENOMEM)
        check->error = error;
    else if (error)
        check_unreadable(check, path, strerror(-error));
    else
        check_data(check, path, data, length);
}

static void check_file(struct check *check, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        check_unreadable(check, path, strerror(errno));
    else
        check_descriptor(check, path, fd);
}

static size_t check_directory(struct check *check, const char *path);

/* What lies in a directory: a manifest, or a directory of its own. Returns how many files. */
static size_t check_entry(struct check *check, const char *directory, const char *name)
{
    char path[PATH_MAX];
    struct stat status;

    if (snprintf(path, sizeof(path), "%s%s%s", directory,
                 directory[strlen(directory) - 1] == '/' ? "" : "/", name) >= (int)sizeof(path)) {
        check_unreadable(check, directory, strerror(ENAMETOOLONG));
        return 0;
    }
    /* A link to a directory is not followed: it may lead back. */
    if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return check_directory(check, path);
    if (!manifest_name_matches(name))
        return 0;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return 0;
    check_file(check, path);
    return 1;
}

static int entry_is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int entry_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static size_t check_directory(struct check *check, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, entry_is_visible, entry_compare);
    size_t files = 0;

    if (count < 0) {
        check_unreadable(check, path, strerror(errno));
        return 0;
    }
    for (int i = 0; i < count; i++) {
        if (!check->error)
            files += check_entry(check, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return files;
}

static void check_operand(struct check *check, const char *path)
{
    size_t unreadable = check->unreadable;
    struct stat status;

    if (strcmp(path, "-") == 0)
        check_descriptor(check, "<stdin>", STDIN_FILENO);
    else if (stat(path, &status) < 0)
        check_unreadable(check, path, strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        check_file(check, path);
    else if (check_directory(check, path) == 0 && check->unreadable == unreadable)
        check_unreadable(check, path, "no .yaml, .yml or .json file in this directory");
}

int check_files(const struct operands *files, FILE *out)
{
    _cleanup_free_ struct check *check = calloc(1, sizeof(*check));

    if (!check)
        return EXIT_FAILED;
    check->out = out;
    for (size_t i = 0; i < files->count && !check->error; i++)
        check_operand(check, files->items[i]);
    check_forget(check);
    if (check->error) {
        fprintf(stderr, "not everything was checked: %s\n", strerror(-check->error));
        return EXIT_FAILED;
    }
    fprintf(out, "%zu objects checked, %zu errors, %zu warnings", check->objects,
            check->findings[CHECK_ERROR], check->findings[CHECK_WARNING]);
    if (check->skipped)
        fprintf(out, " (%zu of other kinds skipped)", check->skipped);
    fputc('\n', out);
    if (fflush(out))
        return EXIT_FAILED;
    if (check->unreadable)
        return EXIT_USAGE;
    return check->findings[CHECK_ERROR] ? EXIT_FAILED : EXIT_DONE;
}
