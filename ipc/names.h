/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_NAMES_H
#define IPC_NAMES_H

/* Private to ipc/: the syntax of names as the API and the kernel define it. */

#include "common/text.h"

/* RFC 1123 subdomain of at most 253 characters: names of most objects. */
bool names_is_subdomain(struct text name);
/* RFC 1123 label of at most 63 characters: names of namespaces. */
bool names_is_dns_label(struct text name);
/* `[subdomain/]name`. */
bool names_is_label_key(struct text key);
/* Empty, or at most 63 letters, digits, '-', '_', '.' with a letter or digit at both ends. */
bool names_is_label_value(struct text value);
/* What the kernel takes as the name of an interface. */
bool names_is_interface(struct text name);
/* 1 to `limit` printable ASCII characters without blanks. */
bool names_is_opaque(struct text name, size_t limit);

#endif
