/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_easy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* A peer that is gone shows within a minute: unanswered data by the user timeout, an idle
 * connection by keepalive. What lives but does not speak, the request's own timer finds. */
static curl_socket_t socket_open(void *context _unused_, curlsocktype purpose _unused_,
                                 struct curl_sockaddr *address)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},          {IPPROTO_TCP, TCP_KEEPIDLE, 30},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},       {IPPROTO_TCP, TCP_KEEPCNT, 3},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
    };
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    if (fd < 0)
        return CURL_SOCKET_BAD;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0) {
            close(fd);
            return CURL_SOCKET_BAD;
        }
    }
    return fd;
}

/* The parts of a URL; each is copied into `text`, an array. */
static int url_part(CURLU *url, CURLUPart part, unsigned flags, char *text, size_t size)
{
    char *value = NULL;
    int error = 0;

    if (curl_url_get(url, part, &value, flags) || strlen(value) >= size)
        error = -EINVAL;
    else
        memcpy(text, value, strlen(value) + 1);
    curl_free(value);
    return error;
}

int kube_url_host(const char *text, char host[KUBE_HOST_SIZE], char port[KUBE_PORT_SIZE])
{
    CURLU *url = curl_url();
    int error = url ? 0 : -ENOMEM;

    if (!error && curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME))
        error = -EINVAL;
    if (!error)
        error = url_part(url, CURLUPART_HOST, 0, host, KUBE_HOST_SIZE);
    if (!error && url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, KUBE_PORT_SIZE))
        snprintf(port, KUBE_PORT_SIZE, "1080"); /* a SOCKS proxy without a port */
    curl_url_cleanup(url);
    return error;
}

static int list_add(struct curl_slist **list, const char *item)
{
    struct curl_slist *longer = curl_slist_append(*list, item);

    if (!longer)
        return -ENOMEM;
    *list = longer;
    return 0;
}

/* With tls-server-name the URL has that name, since it is what curl checks the certificate for,
 * and the connection goes to the server's host. */
static int easy_set_url(struct kube_easy *made, const struct kube_client *client, const char *path)
{
    const struct kube_config *config = &client->config;
    const char *server = kube_client_server(client);
    char host[KUBE_HOST_SIZE], port[KUBE_PORT_SIZE], connect_to[800];
    _cleanup_free_ char *url = NULL;
    const char *prefix = strchr(strstr(server, "//") + 2, '/');
    int error = kube_url_host(server, host, port);

    if (error)
        return error;
    if (config->tls_server_name) {
        if (asprintf(&url, "https://%s:%s%s%s", config->tls_server_name, port, prefix ? prefix : "",
                     path) < 0)
            url = NULL;
        snprintf(connect_to, sizeof(connect_to), "%s:%s:%s:%s", config->tls_server_name, port, host,
                 port);
        if (list_add(&made->connect_to, connect_to))
            return -ENOMEM;
        curl_easy_setopt(made->easy, CURLOPT_CONNECT_TO, made->connect_to);
    } else if (asprintf(&url, "%s%s", server, path) < 0) {
        url = NULL;
    }
    if (!url || curl_easy_setopt(made->easy, CURLOPT_URL, url))
        return -ENOMEM;
    return kube_url_host(config->proxy ? config->proxy : server, made->host, made->port);
}

static int set_blob(CURL *easy, CURLoption option, const struct kube_blob *blob)
{
    struct curl_blob copy = {blob->data, blob->length, CURL_BLOB_COPY};

    if (!blob->data)
        return 0;
    return curl_easy_setopt(easy, option, &copy) ? -ENOMEM : 0;
}

static int easy_set_credentials(struct kube_easy *made, const struct kube_client *client)
{
    const struct kube_credentials *credentials = &client->credentials;
    int error = set_blob(made->easy, CURLOPT_CAINFO_BLOB, &credentials->ca);

    if (!error)
        error = set_blob(made->easy, CURLOPT_SSLCERT_BLOB, &credentials->certificate);
    if (!error)
        error = set_blob(made->easy, CURLOPT_SSLKEY_BLOB, &credentials->key);
    if (!error)
        error = list_add(&made->headers, "Accept: application/json");
    if (!error && credentials->authorization.data)
        error = list_add(&made->headers, credentials->authorization.data);
    curl_easy_setopt(made->easy, CURLOPT_HTTPHEADER, made->headers);
    return error;
}

static void easy_set_options(struct kube_easy *made, const struct kube_client *client)
{
    const char *proxy = client->config.proxy;
    CURL *easy = made->easy;

    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : ""); /* never the environment's */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 65536L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "egressgw-watcher/" EGRESSGW_VERSION);
}

int kube_easy_make(const struct kube_client *client, const char *path, struct kube_easy *made)
{
    int error;

    made->easy = curl_easy_init();
    if (!made->easy)
        return -ENOMEM;
    easy_set_options(made, client);
    error = easy_set_url(made, client, path);
    return error ? error : easy_set_credentials(made, client);
}

int kube_easy_resolve(struct kube_easy *made, const char *addresses)
{
    char entry[1024];

    snprintf(entry, sizeof(entry), "%s:%s:%s", made->host, made->port, addresses);
    if (list_add(&made->resolved, entry))
        return -ENOMEM;
    return curl_easy_setopt(made->easy, CURLOPT_RESOLVE, made->resolved) ? -ENOMEM : 0;
}

/* The list has the token in it. */
static void list_wipe(struct curl_slist *list)
{
    for (; list; list = list->next)
        explicit_bzero(list->data, strlen(list->data));
}

void kube_easy_clear(struct kube_easy *made)
{
    curl_easy_cleanup(made->easy);
    list_wipe(made->headers);
    curl_slist_free_all(made->headers);
    curl_slist_free_all(made->resolved);
    curl_slist_free_all(made->connect_to);
    *made = (struct kube_easy){0};
}
