/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <string.h>

#include "common/address.h"

struct kube_resolve {
    struct event_base *base;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request;
    kube_resolved resolved; /* NULL: cancelled */
    void *context;
    bool answered;
    const char *error; /* NULL: `addresses` holds the answer */
    char addresses[KUBE_ADDRESSES_SIZE];
};

bool kube_resolve_is_address(const char *host)
{
    size_t length = strlen(host);
    struct ip_addr address;

    if (*host == '[')
        return length > 2 && host[length - 1] == ']';
    return address_parse((struct text){host, length}, &address) == 0;
}

/* The list as curl's CURLOPT_RESOLVE has it. */
static void addresses_format(const struct evutil_addrinfo *info, char text[KUBE_ADDRESSES_SIZE])
{
    size_t used = 0;

    text[0] = '\0';
    for (; info; info = info->ai_next) {
        char address[INET6_ADDRSTRLEN];
        bool v6 = info->ai_family == AF_INET6;
        const void *from = v6 ? (const void *)&((struct sockaddr_in6 *)info->ai_addr)->sin6_addr
                              : (const void *)&((struct sockaddr_in *)info->ai_addr)->sin_addr;
        char one[INET6_ADDRSTRLEN + 4];
        int length;

        if ((!v6 && info->ai_family != AF_INET) ||
            !inet_ntop(info->ai_family, from, address, sizeof(address)))
            continue;
        length = snprintf(one, sizeof(one), "%s%s%s%s", used ? "," : "", v6 ? "[" : "", address,
                          v6 ? "]" : "");
        if (used + (size_t)length >= KUBE_ADDRESSES_SIZE)
            return;
        memcpy(text + used, one, (size_t)length + 1);
        used += (size_t)length;
    }
}

/* Tells the answer from the loop: it may have come from inside of kube_resolve_start(), and the
 * resolver may not be freed from inside of its own callback. */
static void deliver(evutil_socket_t fd _unused_, short what _unused_, void *context)
{
    struct kube_resolve *resolve = context;
    kube_resolved resolved = resolve->resolved;
    void *whose = resolve->context;

    evdns_base_free(resolve->dns, 0);
    if (resolved)
        resolved(whose, resolve->error ? NULL : resolve->addresses, resolve->error);
    free(resolve);
}

static void answered(int error, struct evutil_addrinfo *info, void *context)
{
    static const struct timeval now = {0, 0};
    struct kube_resolve *resolve = context;

    resolve->request = NULL;
    resolve->answered = true;
    if (!error)
        addresses_format(info, resolve->addresses);
    if (info)
        evutil_freeaddrinfo(info);
    if (error)
        resolve->error = evutil_gai_strerror(error);
    else if (!resolve->addresses[0])
        resolve->error = "it has no address";
    event_base_once(resolve->base, -1, EV_TIMEOUT, deliver, resolve, &now);
}

int kube_resolve_start(struct event_base *base, const char *host, kube_resolved resolved,
                       void *context, struct kube_resolve **started)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct kube_resolve *resolve = calloc(1, sizeof(*resolve));

    if (!resolve)
        return -ENOMEM;
    resolve->base = base;
    resolve->context = context;
    resolve->dns = evdns_base_new(base, 0);
    if (!resolve->dns) {
        free(resolve);
        return -ENOMEM;
    }
    /* Where there is no usable file, it asks 127.0.0.1, as the C library does. */
    evdns_base_resolv_conf_parse(resolve->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    resolve->resolved = resolved;
    resolve->request = evdns_getaddrinfo(resolve->dns, host, NULL, &hints, answered, resolve);
    if (!resolve->request && !resolve->answered) {
        evdns_base_free(resolve->dns, 0);
        free(resolve);
        return -ENOMEM;
    }
    *started = resolve;
    return 0;
}

void kube_resolve_cancel(struct kube_resolve *resolve)
{
    if (!resolve)
        return;
    resolve->resolved = NULL;
    if (resolve->request)
        evdns_getaddrinfo_cancel(resolve->request);
}
