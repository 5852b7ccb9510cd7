/* SPDX-License-Identifier: Apache-2.0 */
#include "common/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PORTS_SINCE = 4 };

/* In it: a/file, a/link -> ../b/file, b/file. */
static char directory[] = "/tmp/egressgw-test-landlock-XXXXXX";

static void path_of(const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

static int file_open(const char *name, int flags)
{
    char path[PATH_MAX];

    path_of(name, path);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int make_tree(void **state)
{
    char path[PATH_MAX];

    (void)state;
    if (!mkdtemp(directory))
        return -1;
    path_of("a", path);
    if (mkdir(path, 0700))
        return -1;
    path_of("b", path);
    if (mkdir(path, 0700) || file_open("a/file", O_CREAT | O_WRONLY) ||
        file_open("b/file", O_CREAT | O_WRONLY))
        return -1;
    path_of("a/link", path);
    return symlink("../b/file", path);
}

static int remove_tree(void **state)
{
    static const char *const names[] = {"a/file", "a/link", "a/new", "b/file", "a", "b", ""};
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        path_of(names[i], path);
        remove(path);
    }
    return 0;
}

static int allow(struct landlock *landlock, const char *name, unsigned rights, bool beside)
{
    char path[PATH_MAX];

    path_of(name, path);
    return beside ? landlock_allow_beside(landlock, path, rights)
                  : landlock_allow(landlock, path, rights);
}

/* Runs `body` in a child, whose ruleset it gets; each check that fails there has its own number. */
static void in_child(int (*body)(struct landlock *landlock))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct landlock landlock;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || landlock_open(&landlock))
            _exit(100);
        _exit(body(&landlock));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int nothing_body(struct landlock *landlock)
{
    if (landlock_enforce(landlock))
        return 1;
    if (file_open("a/file", O_RDONLY) != -EACCES || file_open("", O_RDONLY) != -EACCES)
        return 2;
    return file_open("a/new", O_CREAT | O_WRONLY) == -EACCES ? 0 : 3;
}

static int read_body(struct landlock *landlock)
{
    if (allow(landlock, "a", LANDLOCK_READ, false) || landlock_enforce(landlock))
        return 1;
    if (file_open("a/file", O_RDONLY) || file_open("b/file", O_RDONLY) != -EACCES)
        return 2;
    if (file_open("a/link", O_RDONLY) != -EACCES) /* leads out of what is allowed */
        return 3;
    if (file_open("a/file", O_WRONLY) != -EACCES || file_open("a", O_RDONLY) != -EACCES)
        return 4;
    return file_open("a/new", O_CREAT | O_WRONLY) == -EACCES ? 0 : 5;
}

static int beside_body(struct landlock *landlock)
{
    char old[PATH_MAX], new[PATH_MAX];

    path_of("a/file", old);
    path_of("a/new", new);
    if (allow(landlock, "a/link", LANDLOCK_READ | LANDLOCK_LIST | LANDLOCK_REPLACE, true) ||
        landlock_enforce(landlock))
        return 1;
    if (file_open("a/link", O_RDONLY) || file_open("b/file", O_RDONLY))
        return 2;
    if (rename(old, new) || file_open("a/new", O_RDONLY) || rename(new, old))
        return 3;
    return file_open("", O_RDONLY) == -EACCES ? 0 : 4;
}

/* What is not there yet belongs to the nearest directory above. */
static int missing_body(struct landlock *landlock)
{
    if (allow(landlock, "b/c/d/file", LANDLOCK_READ, true) ||
        allow(landlock, "nowhere", LANDLOCK_READ, false) || landlock_enforce(landlock))
        return 1;
    return file_open("b/file", O_RDONLY) == 0 && file_open("a/file", O_RDONLY) == -EACCES ? 0 : 2;
}

static int root_body(struct landlock *landlock)
{
    if (landlock_allow_beside(landlock, "/nowhere-at-all", LANDLOCK_READ | LANDLOCK_LIST) ||
        landlock_enforce(landlock))
        return 1;
    return file_open("a/file", O_RDONLY) == -EACCES ? 0 : 2;
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

static int serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

/* Nobody listens at port 1 or 2: the kernel gets to say so, or it does not. */
static int port_body(struct landlock *landlock)
{
    bool restricted = landlock->version >= PORTS_SINCE;

    if (landlock_allow_port(landlock, 1) || landlock_enforce(landlock))
        return 1;
    if (dial(1) != -ECONNREFUSED)
        return 2;
    return !restricted || (dial(2) == -EACCES && serve() == -EACCES) ? 0 : 3;
}

/* As a kernel says it that has no Landlock. */
static int absent_body(struct landlock *landlock)
{
    static const int errors[] = {EOPNOTSUPP, ENOSYS};

    landlock_close(landlock);
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

        if (!filter ||
            seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)errors[i]),
                             SCMP_SYS(landlock_create_ruleset), 0) ||
            seccomp_load(filter))
            return 1;
        seccomp_release(filter);
        if (landlock_open(landlock) || landlock->ruleset != -1)
            return 2;
        if (allow(landlock, "a", LANDLOCK_READ, false) ||
            allow(landlock, "a", LANDLOCK_READ, true) || landlock_allow_port(landlock, 1) ||
            landlock_enforce(landlock) || file_open("b/file", O_RDONLY))
            return 3;
    }
    return 0;
}

static void restrict_child(void **state)
{
    in_child(*(int (**)(struct landlock *)) * state);
}

static void is_absent(void **state)
{
    (void)state;
    in_child(absent_body);
}

#define BODY(name)                                                                                 \
    {                                                                                              \
#name, restrict_child, NULL, NULL, &name                                                   \
    }

int main(void)
{
    static int (*nothing)(struct landlock *) = nothing_body;
    static int (*read_only)(struct landlock *) = read_body;
    static int (*beside)(struct landlock *) = beside_body;
    static int (*missing)(struct landlock *) = missing_body;
    static int (*root)(struct landlock *) = root_body;
    static int (*port)(struct landlock *) = port_body;
    const struct CMUnitTest tests[] = {
        BODY(nothing), BODY(read_only), BODY(beside), BODY(missing), BODY(root), BODY(port),
    };
    const struct CMUnitTest absent[] = {cmocka_unit_test(is_absent)};
    struct landlock landlock;
    int failed = cmocka_run_group_tests(absent, make_tree, remove_tree);

    if (landlock_open(&landlock) || landlock.ruleset < 0) {
        for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
            printf("ok - %s # SKIP the kernel has no Landlock\n", tests[i].name);
        return failed;
    }
    landlock_close(&landlock);
    strcpy(strrchr(directory, '-') + 1, "XXXXXX");
    return failed + cmocka_run_group_tests(tests, make_tree, remove_tree);
}
