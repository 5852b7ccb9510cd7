/* SPDX-License-Identifier: Apache-2.0 */
/* Any kubeconfig: refused with one line, or with a server to speak to. */
#include "fuzz.h"

#include "watcher/kube_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_kube_config_ struct kube_config config = {0};
    _cleanup_free_ char *copy = fuzz_copy(data, size);
    char message[512] = "";

    if (kube_config_parse("/fuzz/kubeconfig", copy, size, &config, message, sizeof(message)) < 0) {
        FUZZ_CHECK(message[0] && !strchr(message, '\n'));
        return 0;
    }
    FUZZ_CHECK(config.servers.count > 0 && config.servers.count <= KUBE_SERVERS_LIMIT);
    FUZZ_CHECK(!(config.ca_file && config.ca.data));
    FUZZ_CHECK(!(config.key_file && config.key.data));
    FUZZ_CHECK(!(config.token_file && config.token.data));
    return 0;
}
