/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLANNER_GATEWAY_IDENTITY_H
#define PLANNER_GATEWAY_IDENTITY_H

#include "ipc/objects.h"

/*
 * A number for each gateway entry of a policy, made from what the entry says: selector, interface
 * and egress IP, whatever their order and whatever nodes they mean now. It stays with the entry
 * where others are added to the list or taken out of it. Entries that say the same count through.
 */
void gateway_identities(const struct policy_gateway *gateways, size_t count, uint64_t *identities);

#endif
