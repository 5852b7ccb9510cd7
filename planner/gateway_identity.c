/* SPDX-License-Identifier: Apache-2.0 */
#include "planner/gateway_identity.h"

#include "planner/stable_hash.h"

static uint64_t text_identity(uint64_t start, struct text text)
{
    return stable_hash_mix(stable_hash_bytes(start, text.data, text.length));
}

static uint64_t requirement_identity(const struct requirement *requirement)
{
    uint64_t identity = text_identity(STABLE_HASH_START + requirement->match, requirement->key);
    uint64_t values = 0;

    for (size_t i = 0; i < requirement->value_count; i++)
        values += text_identity(STABLE_HASH_START, requirement->values[i]);
    return stable_hash_mix(identity ^ stable_hash_mix(values));
}

static uint64_t gateway_identity(const struct policy_gateway *gateway)
{
    uint64_t identity = text_identity(STABLE_HASH_START, gateway->interface);

    identity = stable_hash_bytes(identity, &gateway->egress_ip, sizeof(gateway->egress_ip));
    for (size_t i = 0; i < gateway->nodes.count; i++)
        identity += requirement_identity(&gateway->nodes.requirements[i]);
    return stable_hash_mix(identity);
}

void gateway_identities(const struct policy_gateway *gateways, size_t count, uint64_t *identities)
{
    uint64_t said[LIMIT_GATEWAYS];

    for (size_t i = 0; i < count; i++) {
        uint64_t before = 0;

        said[i] = gateway_identity(&gateways[i]);
        for (size_t j = 0; j < i; j++)
            before += said[j] == said[i];
        identities[i] = stable_hash_mix(said[i] + before);
    }
}
