/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of the datapath, as Linux 6.1 counts it: the frames of a chain of calls, each rounded
 * up to 32 bytes, may have 512 together. Newer kernels are content with more, so that only a chain
 * that is counted here is sure to load there. Branches that the configuration cuts out count too.
 */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STACK_LIMIT   512
#define FRAME_GRAIN   32
#define FUNCTIONS_MAX 256
#define CALLS_MAX     64
#define REGISTERS     16

struct function {
    const char *name;
    size_t section, start, end; /* instructions of that section */
    unsigned frame;             /* bytes, not rounded */
    size_t calls[CALLS_MAX], call_count;
};

struct object {
    Elf *elf;
    Elf_Data *symbols;
    size_t symbol_strings;
    struct function functions[FUNCTIONS_MAX];
    size_t count;
};

static size_t function_at(const struct object *object, size_t section, size_t instruction)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct function *function = &object->functions[i];

        if (function->section == section && function->start <= instruction &&
            instruction < function->end)
            return i;
    }
    fail_msg("no function at instruction %zu of section %zu", instruction, section);
    return 0;
}

static Elf_Data *section_data(const struct object *object, size_t section)
{
    Elf_Data *data = elf_getdata(elf_getscn(object->elf, section), NULL);

    assert_non_null(data);
    return data;
}

static void frame_reaches(struct function *function, int offset)
{
    if (offset < 0 && (unsigned)-offset > function->frame)
        function->frame = (unsigned)-offset;
}

/* How far below r10 a function reaches: by its own loads and stores, and by addresses it makes. */
static void frame_measure(struct function *function, const struct bpf_insn *code)
{
    bool is_frame[REGISTERS] = {[BPF_REG_10] = true};

    for (size_t i = function->start; i < function->end; i++) {
        const struct bpf_insn *insn = &code[i];
        __u8 class = BPF_CLASS(insn->code);

        if (class == BPF_LDX ? insn->src_reg == BPF_REG_10
                             : (class == BPF_ST || class == BPF_STX) && insn->dst_reg == BPF_REG_10)
            frame_reaches(function, insn->off);
        if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && is_frame[insn->dst_reg])
            frame_reaches(function, insn->imm);
        if (class == BPF_ALU64 || class == BPF_ALU || class == BPF_LDX || class == BPF_LD)
            is_frame[insn->dst_reg] =
                insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->src_reg == BPF_REG_10;
    }
}

static void call_add(struct function *function, size_t callee)
{
    assert_in_range(function->call_count, 0, CALLS_MAX - 1);
    function->calls[function->call_count++] = callee;
}

/* Calls to a function of the same section may have no relocation: they are relative then. */
static void calls_find_relative(struct object *object, struct function *function,
                                const struct bpf_insn *code)
{
    for (size_t i = function->start; i < function->end; i++) {
        const struct bpf_insn *insn = &code[i];

        if (insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL &&
            insn->imm != -1)
            call_add(function,
                     function_at(object, function->section, (size_t)((int64_t)i + insn->imm + 1)));
    }
}

/* A function that is handed to a helper, which calls it: its frame comes on top of its giver's. */
static bool callback_find(struct object *object, size_t section, size_t at,
                          const struct bpf_insn *insn, const GElf_Sym *symbol)
{
    Elf_Scn *target = elf_getscn(object->elf, symbol->st_shndx);
    size_t offset = symbol->st_value;
    GElf_Shdr header;

    if (insn->code != (BPF_LD | BPF_IMM | BPF_DW) || !target)
        return false;
    assert_non_null(gelf_getshdr(target, &header));
    if (!(header.sh_flags & SHF_EXECINSTR))
        return false;
    if (GELF_ST_TYPE(symbol->st_info) == STT_SECTION)
        offset = (size_t)insn->imm;
    call_add(&object->functions[function_at(object, section, at)],
             function_at(object, symbol->st_shndx, offset / sizeof(*insn)));
    return true;
}

/* A call by relocation: to a symbol, or by what the instruction holds where that is a section. */
static void call_find_relocated(struct object *object, size_t section, const GElf_Rel *relocation)
{
    const struct bpf_insn *code = section_data(object, section)->d_buf;
    size_t at = relocation->r_offset / sizeof(*code), callee;
    GElf_Sym symbol;

    assert_non_null(gelf_getsym(object->symbols, (int)GELF_R_SYM(relocation->r_info), &symbol));
    if (callback_find(object, section, at, &code[at], &symbol) ||
        code[at].code != (BPF_JMP | BPF_CALL) || code[at].src_reg != BPF_PSEUDO_CALL)
        return;
    callee = symbol.st_value / sizeof(*code);
    if (GELF_ST_TYPE(symbol.st_info) == STT_SECTION)
        callee = (size_t)(code[at].imm + 1);
    call_add(&object->functions[function_at(object, section, at)],
             function_at(object, symbol.st_shndx, callee));
}

static void calls_find(struct object *object)
{
    Elf_Scn *section = NULL;
    GElf_Rel relocation;
    GElf_Shdr header;

    for (size_t i = 0; i < object->count; i++)
        calls_find_relative(object, &object->functions[i],
                            section_data(object, object->functions[i].section)->d_buf);
    while ((section = elf_nextscn(object->elf, section))) {
        Elf_Data *data = elf_getdata(section, NULL);
        GElf_Shdr target;

        assert_non_null(gelf_getshdr(section, &header));
        if (header.sh_type != SHT_REL)
            continue;
        assert_non_null(gelf_getshdr(elf_getscn(object->elf, header.sh_info), &target));
        if (!(target.sh_flags & SHF_EXECINSTR))
            continue;
        for (int i = 0; gelf_getrel(data, i, &relocation); i++)
            call_find_relocated(object, header.sh_info, &relocation);
    }
}

static void functions_find(struct object *object)
{
    GElf_Sym symbol;

    for (int i = 0; gelf_getsym(object->symbols, i, &symbol); i++) {
        struct function *function = &object->functions[object->count];

        if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
            continue;
        assert_in_range(object->count, 0, FUNCTIONS_MAX - 1);
        function->name = elf_strptr(object->elf, object->symbol_strings, symbol.st_name);
        function->section = symbol.st_shndx;
        function->start = symbol.st_value / sizeof(struct bpf_insn);
        function->end = function->start + symbol.st_size / sizeof(struct bpf_insn);
        frame_measure(function, section_data(object, symbol.st_shndx)->d_buf);
        object->count++;
    }
}

static void object_read(struct object *object, int fd)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    assert_int_not_equal(elf_version(EV_CURRENT), EV_NONE);
    object->elf = elf_begin(fd, ELF_C_READ, NULL);
    assert_non_null(object->elf);
    while ((section = elf_nextscn(object->elf, section))) {
        assert_non_null(gelf_getshdr(section, &header));
        if (header.sh_type != SHT_SYMTAB)
            continue;
        object->symbols = elf_getdata(section, NULL);
        object->symbol_strings = header.sh_link;
    }
    assert_non_null(object->symbols);
    functions_find(object);
    calls_find(object);
}

/* The deepest chain that begins with a function, written into `text` from its end on. */
static unsigned chain_deepest(const struct object *object, size_t index, int depth, char *text,
                              size_t size)
{
    const struct function *function = &object->functions[index];
    unsigned grains = (function->frame + FRAME_GRAIN - 1) / FRAME_GRAIN, deepest = 0;
    char below[1024] = "", chain[1024];

    assert_in_range(depth, 0, 7); /* the kernel's own limit of frames is 8 */
    for (size_t i = 0; i < function->call_count; i++) {
        unsigned found = chain_deepest(object, function->calls[i], depth + 1, chain, sizeof(chain));

        if (found > deepest) {
            deepest = found;
            memcpy(below, chain, sizeof(below));
        }
    }
    snprintf(text, size, " %s(%u)%.900s", function->name, function->frame, below);
    return (grains ? grains : 1) * FRAME_GRAIN + deepest;
}

static void chains_fit(void **state)
{
    struct object object = {};
    const char *build = getenv("EGRESSGW_BUILD");
    unsigned programs = 0, too_deep = 0;
    char path[512], chain[1024];
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/bpf/egressgw.bpf.o", build ? build : "build");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    object_read(&object, fd);
    for (size_t i = 0; i < object.count; i++) {
        const char *name = object.functions[i].name;
        unsigned depth;

        if (strcmp(name, "egressgw_egress") != 0 && strcmp(name, "egressgw_ingress") != 0)
            continue;
        programs++;
        depth = chain_deepest(&object, i, 0, chain, sizeof(chain));
        print_message("# %u of %u bytes:%s\n", depth, STACK_LIMIT, chain);
        too_deep += depth > STACK_LIMIT;
    }
    elf_end(object.elf);
    close(fd);
    assert_int_equal(programs, 2);
    assert_int_equal(too_deep, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chains_fit)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
