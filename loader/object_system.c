/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object_system.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/utsname.h>

#include "common/log.h"

#define BTF_PATH   "/sys/kernel/btf/vmlinux"
#define PORTS_PATH "/proc/sys/net/ipv4/ip_local_port_range"

enum { KERNEL_MAJOR = 6, KERNEL_MINOR = 1, VERIFIER_LINES = 12 };

static char verifier_end[LOG_LINE_SIZE];
static bool types_missing; /* the kernel has not taken the programs' BTF as it is */

static int kernel_check(void)
{
    unsigned long major = 0, minor = 0;
    struct utsname name;
    char *end;

    if (uname(&name) < 0)
        return -errno;
    major = strtoul(name.release, &end, 10);
    if (*end == '.')
        minor = strtoul(end + 1, NULL, 10);
    if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
        return 0;
    log_error("this kernel is too old: Linux 6.1 or later is needed",
              log_string("kernel", name.release));
    return -ENOSYS;
}

static int btf_check(void)
{
    if (access(BTF_PATH, R_OK) == 0)
        return 0;
    log_error("the kernel offers no types: it must be built with CONFIG_DEBUG_INFO_BTF",
              log_string("path", BTF_PATH), log_errno(errno));
    return -ENODATA;
}

static bool capability_held(cap_t held, cap_value_t value)
{
    cap_flag_value_t set = CAP_CLEAR;

    return cap_get_flag(held, value, CAP_EFFECTIVE, &set) == 0 && set == CAP_SET;
}

static int capabilities_check(void)
{
    static const struct {
        cap_value_t value;
        const char *name;
        bool admin; /* CAP_SYS_ADMIN contains it */
    } needed[] = {
        {CAP_BPF, "CAP_BPF", true},
        {CAP_PERFMON, "CAP_PERFMON", true},
        {CAP_NET_ADMIN, "CAP_NET_ADMIN", false},
    };
    cap_t held = cap_get_proc();
    int error = held ? 0 : -errno;

    for (size_t i = 0; !error && i < ARRAY_SIZE(needed); i++) {
        if (capability_held(held, needed[i].value) ||
            (needed[i].admin && capability_held(held, CAP_SYS_ADMIN)))
            continue;
        log_error("a capability is missing: start the loader as root or with this capability",
                  log_string("capability", needed[i].name));
        error = -EPERM;
    }
    if (held)
        cap_free(held);
    return error;
}

int system_check(void)
{
    int error = kernel_check();

    if (!error)
        error = btf_check();
    if (!error)
        error = capabilities_check();
    return error;
}

int system_ephemeral_ports(uint16_t *first, uint16_t *last)
{
    _cleanup_fclose_ FILE *file = fopen(PORTS_PATH, "re");
    unsigned long low = 0, high = 0;
    char line[64], *end;

    if (file && fgets(line, sizeof(line), file)) {
        low = strtoul(line, &end, 10);
        high = strtoul(end, NULL, 10);
    }
    if (low == 0 || low > high || high > UINT16_MAX) {
        log_error("the host's ephemeral ports cannot be read", log_string("path", PORTS_PATH));
        return -EINVAL;
    }
    *first = (uint16_t)low;
    *last = (uint16_t)high;
    return 0;
}

bool system_knows_conntrack(void)
{
    struct btf *btf = btf__load_vmlinux_btf();
    bool known = btf && btf__find_by_name_kind(btf, "nf_conn", BTF_KIND_STRUCT) > 0;

    btf__free(btf);
    return known;
}

/* The verifier's output comes as one message of many lines; what matters is at its end. */
static void verifier_keep(char *message)
{
    char *end = strstr(message, "-- END PROG LOAD LOG --");
    unsigned lines = 0;

    if (!end)
        return;
    *end = '\0';
    while (end > message && lines < VERIFIER_LINES) {
        end--;
        lines += *end == '\n';
    }
    snprintf(verifier_end, sizeof(verifier_end), "%s", end);
}

/* The BTF as the kernel has it, NULL where it has none. */
static struct btf *loaded_btf(int fd)
{
    _cleanup_free_ void *data = NULL;
    struct bpf_btf_info info = {0};
    uint32_t size = sizeof(info);

    if (fd <= 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
        return NULL;
    data = calloc(1, info.btf_size);
    if (!data)
        return NULL;
    info = (struct bpf_btf_info){.btf = (uintptr_t)data, .btf_size = info.btf_size};
    return bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? NULL : btf__new(data, info.btf_size);
}

static bool has_global_functions(const struct btf *btf)
{
    for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
        const struct btf_type *type = btf__type_by_id(btf, id);

        if (btf_is_func(type) && btf_vlen(type) == BTF_FUNC_GLOBAL)
            return true;
    }
    return false;
}

/* Where the kernel refuses the BTF, or only one of libbpf's trials of what it can do, libbpf goes
 * on without it or without its global functions. The kernel would then not check function by
 * function and take minutes until it gave up. */
static int program_prepare(struct bpf_program *program, struct bpf_prog_load_opts *options,
                           long cookie)
{
    struct btf *btf = loaded_btf((int)options->prog_btf_fd);

    (void)program;
    (void)cookie;
    types_missing = !btf || !has_global_functions(btf);
    btf__free(btf);
    return types_missing ? -EOPNOTSUPP : 0;
}

static int libbpf_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
    _cleanup_free_ char *message = NULL;
    char *line, *rest = NULL;

    (void)level;
    if (vasprintf(&message, format, arguments) < 0) {
        message = NULL;
        return 0;
    }
    if (strstr(message, "-- BEGIN PROG LOAD LOG --"))
        verifier_keep(message);
    for (line = strtok_r(message, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        log_debug("libbpf", log_string("text", line));
    return 0;
}

void system_log_libbpf(void)
{
    libbpf_set_print(libbpf_print);
}

void system_insist_on_types(void)
{
    LIBBPF_OPTS(libbpf_prog_handler_opts, handler, .prog_prepare_load_fn = program_prepare);
    int error = libbpf_register_prog_handler("tc", BPF_PROG_TYPE_SCHED_CLS, 0, &handler);

    if (error < 0)
        log_warning("the programs' types will not be insisted on", log_errno(error));
}

void system_report_load(int error)
{
    char *line, *rest = NULL;

    if (types_missing)
        log_error("the kernel does not take the programs' types (BTF), without which it cannot "
                  "check them function by function: it may lack memory");
    else if (error == -EPERM)
        log_error("the kernel does not let us load the programs: CAP_BPF, CAP_PERFMON and "
                  "CAP_NET_ADMIN are needed, and no lockdown of the kernel",
                  log_errno(error));
    else
        log_error("the kernel does not take the programs; log.level: debug shows all it says",
                  log_errno(error));
    for (line = strtok_r(verifier_end, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        log_error("verifier", log_string("text", line));
}
