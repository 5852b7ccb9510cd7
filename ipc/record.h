/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_RECORD_H
#define IPC_RECORD_H

/*
 * One SOCK_SEQPACKET datagram = one record: the msgpack array [version, type, generation, body].
 *
 *   watcher -> planner                       planner -> watcher
 *     SYNC_BEGIN  kind                         ACKNOWLEDGE  (generation)
 *     OBJECT      an object                    SCOPE        which pods it needs
 *     DELETE      an identity
 *     SYNC_END    kind                         STATUS       a part of a report
 *
 *   planner -> loader                        loader -> planner
 *     SNAPSHOT    (a generation starts)        ACKNOWLEDGE  (generation is in the kernel)
 *     CHANGE      (a generation starts)        REFUSE       generation, errno, text
 *     ENTRIES     table entries
 *     COMMIT      (the generation is whole)    STATUS       a part of a report
 *
 * Towards the planner a snapshot of a kind stands between SYNC_BEGIN and SYNC_END: what it does
 * not name is gone. Each SCOPE is answered by a snapshot of pods that begins after it, also where
 * the scope stays what it was; the planner sends it after the first snapshot of pods, and again
 * after that answer. Every record carries a generation that grows by one with each record (watcher)
 * or with each snapshot or change (planner -> loader). ACKNOWLEDGE carries the last generation that
 * was taken in.
 */

#include <stdint.h>

#include "common/arena.h"
#include "ipc/objects.h"
#include "ipc/status.h"
#include "ipc/tables.h"

#define RECORD_VERSION 1

enum {
    RECORD_SIZE_LIMIT = 65536,
    RECORD_ENTRIES_LIMIT = 512, /* table entries in one record */
    RECORD_TEXT_LIMIT = 256,
};

enum record_type {
    RECORD_SYNC_BEGIN = 1,
    RECORD_OBJECT,
    RECORD_DELETE,
    RECORD_SYNC_END,
    RECORD_SCOPE,
    RECORD_ACKNOWLEDGE,
    RECORD_SNAPSHOT,
    RECORD_CHANGE,
    RECORD_ENTRIES,
    RECORD_COMMIT,
    RECORD_REFUSE,
    RECORD_STATUS,
    RECORD_TYPES,
};

const char *record_type_name(enum record_type type);

struct record {
    enum record_type type;
    uint64_t generation;
    union {
        enum object_kind kind;           /* SYNC_BEGIN, SYNC_END */
        struct object object;            /* OBJECT */
        struct object_identity identity; /* DELETE */
        bool all_pods;                   /* SCOPE */
        struct {
            struct table_entry *items;
            size_t count;
        } entries; /* ENTRIES */
        struct {
            int error; /* positive errno */
            struct text text;
        } refusal; /* REFUSE */
        struct {
            struct status_entry *items;
            size_t count;
            bool first, last; /* of the report's records */
        } status;             /* STATUS; its generation is 0 */
    };
};

/* A packed record; the memory belongs to whoever declared it. */
struct record_buffer {
    size_t length;
    unsigned char data[RECORD_SIZE_LIMIT];
};

/* Bytes that an entry of the table takes in a record, at most; ENTRIES with RECORD_ENTRIES_LIMIT of
 * them need not fit. */
size_t record_entry_size(enum table table);

/* Bytes of a record around its entries, at most. */
enum { RECORD_ENTRIES_HEAD = 16 };

/* -EMSGSIZE: does not fit into a record. -EINVAL: not a record that may be sent. */
int record_pack(const struct record *record, struct record_buffer *buffer) _must_check_;

/* Writes another generation into a packed record (it is packed at a fixed width). */
void record_set_generation(struct record_buffer *buffer, uint64_t generation);

/*
 * Reads a datagram. Everything in `record` lives in `arena` or points into `data`. -EBADMSG with
 * `why` set to a constant text: truncated, oversized, a count that the remaining bytes or the
 * type's limits do not allow, a duplicate key, trailing bytes, or a meaning that the validating
 * constructors refuse. -EPROTONOSUPPORT: another version. -ENOMEM.
 */
int record_unpack(const void *data, size_t length, struct arena *arena, struct record *record,
                  const char **why) _must_check_;

#endif
