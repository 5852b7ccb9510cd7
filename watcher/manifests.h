/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCHER_MANIFESTS_H
#define WATCHER_MANIFESTS_H

/*
 * Inside of the source "manifests".
 *
 * A directory has files, a file has objects, each as its packed record. An object claims its
 * identity (kind and name, or UID); where several files claim the same one, the first by the order
 * of directories and file names has it, and the next one takes over when that one goes. What
 * changed hands, bytes or owner is on the `touched` list until manifests_flush() reports it, so
 * that a file that is renamed is no deletion.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/hash.h"
#include "ipc/record.h"
#include "watcher/manifest_walk.h"
#include "watcher/source.h"

enum {
    MANIFEST_FILES_LIMIT = 65536, /* files of a directory */
    MANIFEST_RETRY_SECONDS = 1,   /* until what could not be read is tried again */
};

struct manifest_object {
    TAILQ_ENTRY(manifest_object) of_file;
    TAILQ_ENTRY(manifest_object) of_claim; /* in the order of files */
    struct manifest_file *file;
    struct manifest_claim *claim;
    unsigned reading; /* of the file that last had it */
    bool local;       /* not a pod of another node */
    bool warned;      /* said that another file has its identity */
    size_t length;
    unsigned char *data; /* the packed record */
};

TAILQ_HEAD(manifest_objects, manifest_object);

struct manifest_claim {
    TAILQ_ENTRY(manifest_claim) touched_link;
    struct object_identity identity;
    struct manifest_objects holders; /* the first one has it */
    bool touched;
    char name[];
};

TAILQ_HEAD(manifest_claims, manifest_claim);

struct manifest_file {
    struct manifest_directory *directory;
    struct manifest_objects objects;
    unsigned reading; /* counts how often it was read */
    bool pending;     /* is to be read (again) */
    bool found;       /* by the scan that is going on */
    char name[];
};

struct manifest_directory {
    struct manifests *source;
    const char *path;
    char *parent; /* the directory that holds the path's last part, `base` */
    char *base;
    size_t index;     /* order of the configuration */
    int fd;           /* -1: cannot be read now */
    int watch;        /* inotify descriptor of the directory; -1: none */
    int parent_watch; /* and of its parent, in which the directory can be replaced */
    bool was_read;    /* all of it, once at least */
    bool missing;     /* said so */
    bool overfull;    /* said so */
    bool rescan;
    bool has_links;               /* some manifest was a symbolic link: others lead to it */
    struct manifest_file **files; /* sorted by name */
    size_t file_count;
};

struct manifests {
    struct manifest_directory *directories;
    size_t directory_count;
    char *node;        /* this node's name */
    bool follow_scope; /* `pods: auto` */
    bool all_pods;
    bool reported; /* the first lists are out: changes are reported one by one */
    int inotify;
    struct event *readable;
    struct event *retry;
    struct event_base *base;
    struct source_sink sink;
    struct hash_table claims[KINDS];
    struct manifest_claims touched;
    struct record_buffer buffer; /* for packing */
};

/* manifests.c */

/* Looks after what could not be read or reported, in a moment. */
void manifests_retry(struct manifests *source);

/* manifest_claims.c */

/* The object of `file` with this identity, or NULL. */
struct manifest_object *manifest_find(const struct manifest_file *file,
                                      const struct object_identity *identity);
/* Adds the object to its file or gives it another content; source->buffer holds the record. */
int manifest_put(struct manifest_file *file, const struct object_identity *identity,
                 bool local) _must_check_;
/* Takes an object out of its file. */
void manifest_drop(struct manifest_object *object);
/* Reports what was touched. */
void manifests_flush(struct manifests *source);
/* Reports all of a kind as a list. */
void manifests_list(struct manifests *source, enum object_kind kind);
void manifests_release_claims(struct manifests *source);

/* manifest_file.c */

/* Reads the file and replaces its objects; logs what is wrong and keeps what was good. -ENOENT:
 * there is no such file (any more). */
int manifest_file_read(struct manifest_file *file) _must_check_;
/* Takes out all objects and releases the file. */
void manifest_file_free(struct manifest_file *file);

/* manifest_directory.c */

int manifest_directory_open(struct manifest_directory *directory, struct manifests *source,
                            const char *path) _must_check_;
/* Opens and watches the directory anew where it was replaced, or could not be read. */
void manifest_directory_attach(struct manifest_directory *directory);
/* An inotify event of the directory's own watch. `name` may be NULL. */
void manifest_directory_event(struct manifest_directory *directory, unsigned mask,
                              const char *name);
/* Reads what events have marked. */
void manifest_directory_update(struct manifest_directory *directory);
void manifest_directory_close(struct manifest_directory *directory);

#endif
