/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher/kube_client.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/notify.h"
#include "common/options.h"
#include "watcher/kube_backoff.h"
#include "watcher/kube_request.h"

#define AWAY_REMINDER_MS 600000
#define AWAY_CHANGE_MS   5000

const struct kube_timing kube_timing_default = {
    .head = 30000,
    .silence = 150000,
    .page = 120000,
    .sync = 600000,
    .watch = 300000,
    .grace = 30000,
};

uint64_t kube_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *kube_client_server(const struct kube_client *client)
{
    return client->config.servers.items[client->server];
}

static int config_read(struct kube_client *client, struct kube_config *config,
                       char message[KUBE_TEXT_SIZE])
{
    if (!client->kubeconfig)
        return kube_config_in_cluster(NULL, config, message, KUBE_TEXT_SIZE);
    return kube_config_load(client->kubeconfig, config, message, KUBE_TEXT_SIZE);
}

/* Puts a configuration in force. With several servers each node starts at another one. */
static void config_take(struct kube_client *client, struct kube_config *config)
{
    kube_config_clear(&client->config);
    client->config = *config;
    *config = (struct kube_config){0};
    client->server = kube_spread((unsigned)client->config.servers.count, kube_random());
    client->generation++;
    client->resolved.host[0] = '\0';
}

int kube_client_open(const char *kubeconfig, struct kube_client **opened)
{
    struct kube_client *client = calloc(1, sizeof(*client));
    _cleanup_kube_config_ struct kube_config config = {0};
    char message[KUBE_TEXT_SIZE];
    int error = client ? 0 : -ENOMEM;

    if (!error)
        error = kube_http_prepare();
    if (!error && kubeconfig) {
        client->kubeconfig = strdup(kubeconfig);
        if (!client->kubeconfig)
            error = -ENOMEM;
        else if (stat(kubeconfig, &client->kubeconfig_status) < 0)
            client->kubeconfig_status = (struct stat){0};
    }
    if (!error) {
        error = config_read(client, &config, message);
        if (error)
            log_error("the API server's configuration is wrong", log_string("reason", message));
    }
    if (error) {
        kube_client_close(client);
        return error;
    }
    client->timing = kube_timing_default;
    config_take(client, &config);
    *opened = client;
    return 0;
}

int kube_client_confine(struct kube_client *client, struct landlock *landlock)
{
    int error = kube_reach_make(client->kubeconfig, &client->config, &client->reach);

    client->confined = landlock->ruleset >= 0;
    return error ? error : kube_reach_allow(&client->reach, landlock);
}

int kube_client_start(struct kube_client *client, struct event_base *base)
{
    client->base = base;
    return kube_http_open(base, kube_request_ended, &client->http);
}

void kube_client_close(struct kube_client *client)
{
    if (!client)
        return;
    while (client->requests)
        kube_request_cancel(client->requests);
    kube_http_close(client->http);
    kube_config_clear(&client->config);
    kube_reach_clear(&client->reach);
    kube_credentials_clear(&client->credentials);
    free(client->kubeconfig);
    free(client);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* What was allowed cannot grow in a sealed process. */
static bool config_in_reach(const struct kube_client *client, const struct kube_config *config)
{
    struct kube_reach needed = {0};
    int error = kube_reach_make(client->kubeconfig, config, &needed);
    bool covered = !error && kube_reach_covers(&client->reach, &needed);

    kube_reach_clear(&needed);
    return covered;
}

/* The kubeconfig has been replaced, maybe: tokens and certificates can stand in it. */
static void config_refresh(struct kube_client *client)
{
    _cleanup_kube_config_ struct kube_config config = {0};
    char message[KUBE_TEXT_SIZE];
    struct stat status;

    if (!client->kubeconfig || stat(client->kubeconfig, &status) < 0 ||
        same_file(&status, &client->kubeconfig_status))
        return;
    client->kubeconfig_status = status;
    if (config_read(client, &config, message)) {
        log_warning("the new kubeconfig is wrong, the last good one stays in force",
                    log_string("reason", message));
        return;
    }
    if (client->confined && !config_in_reach(client, &config)) {
        log_error("the new kubeconfig names a port or a directory that the sealed watcher may not "
                  "reach, so it ends to be started again",
                  log_string("file", client->kubeconfig));
        loop_fail(client->base, EXIT_FAILED);
        return;
    }
    config_take(client, &config);
    log_info("kubeconfig has been read again", log_string("file", client->kubeconfig));
}

int kube_client_refresh(struct kube_client *client, char message[KUBE_TEXT_SIZE])
{
    config_refresh(client);
    return kube_credentials_read(&client->config, &client->credentials, message, KUBE_TEXT_SIZE);
}

void kube_client_failed(struct kube_client *client, uint64_t generation)
{
    if (generation != client->generation)
        return;
    client->generation++;
    client->server = (client->server + 1) % client->config.servers.count;
    client->resolved.host[0] = '\0';
}

void kube_client_renew(struct kube_client *client)
{
    uint64_t generation = client->generation;

    /* Those that are started while the others end belong to the new generation. */
    kube_client_failed(client, generation);
    kube_requests_break(client, generation);
    if (!client->requests && kube_http_renew(client->http))
        log_error("cannot renew the connections to the API server", log_errno(ENOMEM));
}

/* Whether an outage that goes on is to be said again: another reason may ask for another remedy. */
static bool away_is_news(const struct kube_client *client, int code, uint64_t now)
{
    uint64_t age = now - client->away_logged;

    return age >= AWAY_REMINDER_MS || (code != client->away_code && age >= AWAY_CHANGE_MS);
}

void kube_client_note_away(struct kube_client *client, int code, const char *reason)
{
    uint64_t now = kube_now();

    if (client->away && !away_is_news(client, code, now))
        return;
    if (!client->away) {
        client->away = true;
        client->away_since = now;
        notify_send("STATUS=API server cannot be reached, what is known stays in force");
    }
    client->away_logged = now;
    client->away_code = code;
    log_warning("API server cannot be reached, what is known stays in force",
                log_string("server", kube_client_server(client)), log_string("reason", reason),
                log_number("since_seconds", (int64_t)(now - client->away_since) / 1000));
}

void kube_client_note_back(struct kube_client *client)
{
    if (!client->away)
        return;
    client->away = false;
    notify_send("STATUS=API server answers");
    log_info("API server answers again", log_string("server", kube_client_server(client)),
             log_number("after_seconds", (int64_t)(kube_now() - client->away_since) / 1000));
}
