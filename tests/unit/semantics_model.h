/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SEMANTICS_MODEL_H
#define TESTS_SEMANTICS_MODEL_H

/*
 * The cluster of a case: every object as the JSON that the API server would send, so that it goes
 * through the watcher's own readers. Lines of a case make objects and edit them:
 *
 *   node NAME [ready|notready|cordoned|deleted] [ip=A,B] [external=A] [pods=CIDR,CIDR] LABELS
 *   namespace NAME [deleted] LABELS
 *   pod NAMESPACE/NAME [uid=U] [on=NODE] [ip=A,B] [sa=S] [created=N] [phase=P] [hostnetwork]
 *       [deleted] LABELS
 *   link NODE NAME [index=N] [up|down] [default4|nodefault4] [default6|nodefault6] [+ip=A] [-ip=A]
 *       [deleted]      an address with '!' behind it cannot be used (tentative, deprecated)
 *
 * What a line does not name stays as it was. LABELS are key=value, or -key to take one away. A node
 * has the label kubernetes.io/hostname, a namespace kubernetes.io/metadata.name, as in a cluster.
 * Links have no JSON of the API; theirs is our own.
 */

#include <jansson.h>

#include "ipc/objects.h"

enum { MODEL_WORDS = 64 };

struct model {
    json_t *objects[KINDS]; /* by key, in the order of lines */
};

struct words {
    char *items[MODEL_WORDS];
    size_t count;
};

/* Splits a line at blanks; the words point into it. */
struct words words_split(char *line);
/* The value of a word "key=value"; NULL: no word has that key. */
const char *words_value(const struct words *words, const char *key);
bool words_have(const struct words *words, const char *word);

void model_init(struct model *model);
void model_clear(struct model *model);

/* What a line did. */
struct model_change {
    const char *key;
    json_t *object; /* as it was last, also where it is gone: a reference */
    bool removed;
};

/* Edits the object of `kind` that words 1 and following name. */
struct model_change model_edit(struct model *model, enum object_kind kind,
                               const struct words *words);
/* Takes a reference to `policy`. */
void model_set_policy(struct model *model, const char *name, json_t *policy);

/* Reads an object of the model: links by ourselves, the others by object_parse(). */
void model_read(enum object_kind kind, const json_t *value, struct arena *arena,
                struct object *object);
/* The node that a link is on. */
const char *model_link_node(const json_t *link);

#endif
