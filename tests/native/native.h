/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NATIVE_NATIVE_H
#define TESTS_NATIVE_NATIVE_H

/*
 * The datapath compiled for this machine, with stand-ins for the kernel's helpers and maps: for
 * counting branches and for fuzzing. Maps and programs are found by the names that the BPF object
 * gives them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>
#include <bpf/libbpf.h>

enum { NATIVE_HEADROOM = 256, NATIVE_ROOM = 65536 + 1024, NATIVE_MAPS = 64, NATIVE_TOUCHED = 64 };

/* A packet. The programs get `ctx`; its data lies where an address has 32 bits. */
struct native_skb {
    struct __sk_buff ctx;
    uint8_t *data;
    uint32_t linear; /* bytes that can be read without bpf_skb_pull_data(); grows by it */
    bool encapsulated;
    unsigned long nfct; /* as skb->_nfct of the kernel */
};

struct native_map {
    void *variable; /* the datapath's own */
    const char *name;
    enum bpf_map_type type;
    uint32_t key_size, value_size, max_entries, count;
    struct native_element **buckets; /* not of arrays */
    uint8_t *values;                 /* of arrays */
    /* Places of an array that may have been written to since it was cleared; more: all of them. */
    uint32_t touched[NATIVE_TOUCHED], touched_count;
};

/* What the programs learn from around them; a test may put others here. */
struct native_kernel {
    long (*fib_lookup)(struct bpf_fib_lookup *fib, uint32_t flags);
    long (*check_mtu)(uint32_t ifindex, uint32_t *mtu);
    long (*transmit)(uint32_t ifindex, const uint8_t *frame, size_t length); /* NULL: nowhere */
    uint64_t now; /* nanoseconds; 0: the machine's coarse clock */
    uint32_t random;
    uint32_t redirected; /* the interface of the last redirect, 0: none since it was cleared */
    unsigned long nfct;  /* of the packets that the harness gives to the programs */
    int ip_summed;       /* of them, as in the kernel's packet */
    /* Calls so far of helpers that can fail, and of look-ups; the one with the number fails. */
    uint32_t calls, failing_call;
    uint32_t lookups, failing_lookup;
    /* Is shown what a look-up is about to give to a program; NULL: nobody. */
    void (*found)(const struct native_map *map, void *value);
};

extern struct native_kernel native_kernel;

/* Whether this call of a helper is the one that has to fail. */
bool native_call_fails(void);

/* Makes the maps and sets the variables of the datapath as an object that is opened, but not
 * loaded, has them. Ends the process where the datapath has something else. */
void native_load(struct bpf_object *object);
void native_maps_clear(void);
struct native_map *native_map_named(const char *name);
struct native_map *native_map_at(int number); /* NULL: none */
int native_map_number(const struct native_map *map);
/* Bytes of a value as system calls see it. */
size_t native_value_size(const struct native_map *map);

/* Elements as system calls see them: of maps with a value for each processor, all of those. Errors
 * as those of the kernel, negative. */
int native_element_get(struct native_map *map, const void *key, void *value);
int native_element_put(struct native_map *map, const void *key, const void *value, uint64_t flags);
int native_element_delete(struct native_map *map, const void *key);
int native_element_next(struct native_map *map, const void *key, void *next);
/* Frees what programs have deleted, once none of them runs. */
void native_elements_settle(void);

/* Puts a frame into `skb`, with `linear` of its bytes (0: all) in one piece. */
void native_skb_fill(struct native_skb *skb, const void *frame, size_t length, uint32_t linear);
/* Runs a program by its name. Returns the verdict. */
int native_run(const char *program, struct native_skb *skb);

/* Asks this machine's kernel for ways, from the network namespace of the caller; needs root. */
void native_use_kernel(void);

/* The descriptor of a program that the kernel has loaded; bpf_program__fd() is that of native ones.
 */
int native_program_fd(const struct bpf_program *program);

#endif
