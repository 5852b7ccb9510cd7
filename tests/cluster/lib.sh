# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A real kube-apiserver and etcd for the tests, with their own CA and RBAC. They live in the lab's
# fabric, where its nodes reach them, and nobody else: nothing listens outside of the namespaces.
# The rest (cases, waiting, nodes, daemons, packets) is the lab's.
#
# A script sources this file, calls cluster_begin "$@", then cluster_start, joins nodes, runs cases
# and ends with lab_end.

CLUSTER_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lab/lib.sh
. "$CLUSTER_HOME/../lab/lib.sh"

CLUSTER_ADDRESS=172.22.48.1
CLUSTER_URL=https://$CLUSTER_ADDRESS:6443
CLUSTER_SPACE=fabric
CLUSTER_WATCHER=64101 # the watcher's user, by number

# cluster_begin [PATTERN]: as lab_begin. Where the programs cannot be built, the script is skipped.
cluster_begin() {
    lab_begin "$@"
    CLUSTER_PROGRAMS=$("$CLUSTER_HOME/build" 2>"$LAB_DIR/build.log") || {
        sed 's/^/# /' "$LAB_DIR/build.log"
        echo "ok 1 - ${0##*/} # SKIP no Go toolchain, or the modules cannot be fetched"
        echo 1..1
        exit 0
    }
    CLUSTER_DIR=$LAB_DIR/cluster
    CLUSTER_PKI=$CLUSTER_DIR/pki
    export KUBECONFIG=$CLUSTER_DIR/admin.kubeconfig
    mkdir -p "$CLUSTER_PKI"
}

# ---- certificates and kubeconfigs --------------------------------------------------------------

# cluster_certificate NAME SUBJECT [ALTERNATIVE-NAMES [DAYS]]: NAME.crt and NAME.key by the CA.
cluster_certificate() {
    local usage=clientAuth
    [ -z "${3:-}" ] || usage=serverAuth
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$2" \
        -keyout "$CLUSTER_PKI/$1.key" -out "$CLUSTER_PKI/$1.csr" 2>/dev/null &&
        openssl x509 -req -in "$CLUSTER_PKI/$1.csr" -days "${4:-2}" -out "$CLUSTER_PKI/$1.crt" \
            -CA "$CLUSTER_PKI/ca.crt" -CAkey "$CLUSTER_PKI/ca.key" -CAcreateserial -extfile <(
                echo "extendedKeyUsage=$usage"
                [ -z "${3:-}" ] || echo "subjectAltName=$3"
            ) 2>/dev/null &&
        chmod 644 "$CLUSTER_PKI/$1.key" # the followers are no root
}

cluster_authority() { # the CA, new
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=egressgw test CA" -keyout "$CLUSTER_PKI/ca.key" -out "$CLUSTER_PKI/ca.crt" 2>/dev/null
}

cluster_pki() {
    cluster_authority
    cluster_certificate server /CN=kube-apiserver \
        "IP:$CLUSTER_ADDRESS,IP:127.0.0.1,DNS:localhost,DNS:api.example.com"
    cluster_certificate admin /O=system:masters/CN=admin
    cluster_certificate watcher /O=egressgw/CN=egressgw-watcher
    openssl ecparam -genkey -noout -name prime256v1 -out "$CLUSTER_PKI/accounts.key"
}

# cluster_kubeconfig USER-LINES [CLUSTER-LINES [SERVER]]: a kubeconfig on stdout.
cluster_kubeconfig() {
    cat <<YAML
apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {cluster: test, user: test}
clusters:
- name: test
  cluster:
    server: ${3:-$CLUSTER_URL}
    certificate-authority: $CLUSTER_PKI/ca.crt
${2:+    $2}
users:
- name: test
  user:
    $1
YAML
}

# ---- the servers -------------------------------------------------------------------------------

# $CLUSTER_ETCD_PROGRAM is another etcd than the one that was built.
cluster_etcd_start() { # [FURTHER-OPTION...]
    (exec nsenter --net="/run/netns/$CLUSTER_SPACE" -- \
        "${CLUSTER_ETCD_PROGRAM:-$CLUSTER_PROGRAMS/etcd}" --data-dir "$CLUSTER_DIR/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --log-level warn "$@") \
        >>"$CLUSTER_DIR/etcd.log" 2>&1 </dev/null {LAB_NEVER}>&- &
    CLUSTER_ETCD=$!
    disown
}

cluster_api_start() { # [FURTHER-OPTION...]; returns at once
    (exec nsenter --net="/run/netns/$CLUSTER_SPACE" -- "$CLUSTER_PROGRAMS/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
        --secure-port 6443 --bind-address "$CLUSTER_ADDRESS" --advertise-address "$CLUSTER_ADDRESS" \
        --client-ca-file "$CLUSTER_PKI/ca.crt" --tls-cert-file "$CLUSTER_PKI/server.crt" \
        --tls-private-key-file "$CLUSTER_PKI/server.key" --authorization-mode RBAC \
        --endpoint-reconciler-type none --disable-admission-plugins ServiceAccount \
        --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.96.0.0/16 \
        --service-account-key-file "$CLUSTER_PKI/accounts.key" \
        --service-account-signing-key-file "$CLUSTER_PKI/accounts.key" "$@") \
        >>"$CLUSTER_DIR/apiserver.log" 2>&1 </dev/null {LAB_NEVER}>&- &
    CLUSTER_API=$!
    disown
}

cluster_listens() {
    kill -0 "$CLUSTER_API" && lab_in "$CLUSTER_SPACE" "$BASH" -c ": </dev/tcp/$CLUSTER_ADDRESS/6443"
}

# Returns when the port is free: until then another server would find it taken, and end.
cluster_api_end() { # SIGNAL [PID]
    kill "-$1" "${2:-$CLUSTER_API}"
    lab_wait 60 expect_failure lab_in "$CLUSTER_SPACE" "$BASH" -c ": </dev/tcp/$CLUSTER_ADDRESS/6443"
}

cluster_api_ready() { # the server answers, and RBAC's own roles are there
    lab_wait 60 cluster_listens && lab_wait 60 kubectl get --raw /readyz >/dev/null
}

kubectl() {
    lab_in "$CLUSTER_SPACE" "$CLUSTER_PROGRAMS/kubectl" --cache-dir "$CLUSTER_DIR/cache" "$@"
}

etcdctl() {
    lab_in "$CLUSTER_SPACE" "$CLUSTER_PROGRAMS/etcdctl" --endpoints http://127.0.0.1:2379 "$@"
}

cluster_compact() { # etcd forgets all but the present
    etcdctl compact "$(etcdctl get --write-out json none | sed 's/.*"revision":\([0-9]*\).*/\1/')" >/dev/null
}

# cluster_start [FURTHER-OPTION...]: the lab's fabric and both servers. Nothing of deploy/ is there yet.
cluster_start() {
    lab_fabric
    cluster_pki
    cluster_kubeconfig "client-certificate: $CLUSTER_PKI/admin.crt
    client-key: $CLUSTER_PKI/admin.key" >"$KUBECONFIG"
    cluster_etcd_start
    cluster_api_start "$@"
    cluster_api_ready
}

cluster_deploy() {
    kubectl apply -f "$LAB_ROOT/deploy/" >/dev/null &&
        lab_wait 20 kubectl wait --for=condition=Established --timeout=1s \
            crd/ciliumegressgatewaypolicies.cilium.io >/dev/null
}

# The watcher's token, for its service account, into FILE.
cluster_token() { # FILE [DURATION]
    kubectl create token egressgw-watcher -n egressgw --duration "${2:-1h}" >"$1.new" &&
        chown "$CLUSTER_WATCHER" "$1.new" && chmod 400 "$1.new" && mv "$1.new" "$1"
}

# cluster_join NAME ADDRESS PODCIDR [LABELS]: a node of the lab whose watcher asks the API server, with
# the kubeconfig that it has for that: nodes/NAME/kubeconfig, with the token in nodes/NAME/token.
cluster_join() {
    local node=$LAB_DIR/nodes/$1 LAB_CONFIG=${LAB_CONFIG:-'log: {level: debug}'}
    lab_node "$1" "$2" "$3"
    python3 - "$node/egressgw.yaml" "$node/kubeconfig" <<'PY'
import re, sys
path, kubeconfig = sys.argv[1:]
text = open(path).read()
text = re.sub(r"source:\n  manifests:\n.*\n", f"source:\n  kubernetes: {{kubeconfig: {kubeconfig}}}\n", text)
open(path, "w").write(text)
PY
    cluster_token "$node/token" || return 1
    cluster_kubeconfig "tokenFile: token" >"$node/kubeconfig"
    cluster_node "$1" "$2" "$3" "${4:-}"
}

# cluster_log NODE TEXT: the watcher's log holds this; cluster_log_mark: from here on.
cluster_log() {
    tail -n "+$(($(cat "$LAB_DIR/nodes/$1/mark" 2>/dev/null || echo 0) + 1))" \
        "$LAB_DIR/nodes/$1/watcher.log" | grep -F -- "$2"
}

cluster_log_mark() { # NODE
    wc -l <"$LAB_DIR/nodes/$1/watcher.log" >"$LAB_DIR/nodes/$1/mark"
}

# ---- one kind alone, and other peers -----------------------------------------------------------

# cluster_peer NAME ARGUMENT...: peer.py with these arguments; cluster_follow NAME ARGUMENT...:
# kube_follow, whose output is in $LAB_DIR/NAME.out. Both beside the API server.
cluster_peer() { # NAME ARGUMENT...
    lab_background "$LAB_DIR/$1.peer" "$CLUSTER_SPACE" python3 "$CLUSTER_HOME/peer.py" "${@:2}"
    echo $! >"$LAB_DIR/$1.peer.pid"
    disown
    lab_wait 20 grep -q ready "$LAB_DIR/$1.peer"
}

cluster_peer_end() { # NAME
    kill "$(<"$LAB_DIR/$1.peer.pid")"
}

cluster_follow() { # NAME ARGUMENT...
    lab_background "$LAB_DIR/$1.out" "$CLUSTER_SPACE" "$LAB_TOOLS/kube_follow" "${@:2}"
    echo $! >"$LAB_DIR/$1.pid"
    disown
}

cluster_follow_end() { # NAME
    kill "$(<"$LAB_DIR/$1.pid")"
    lab_wait 10 grep -q '^peak' "$LAB_DIR/$1.out"
}

# ---- objects -----------------------------------------------------------------------------------

# cluster_pod NAME NODE ADDRESS NAMESPACE LABELS: a running pod. LABELS: "app: web, tier: a".
cluster_pod() {
    kubectl apply -f - >/dev/null <<YAML &&
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: $4, labels: {$5}}
spec: {nodeName: "$2", containers: [{name: a, image: none}], ${6:-}}
YAML
        cluster_pod_status "$1" "$4" Running "$3"
}

cluster_pod_status() { # NAME NAMESPACE PHASE ADDRESS
    kubectl patch pod "$1" -n "$2" --subresource=status --type=merge -p \
        "{\"status\":{\"phase\":\"$3\",\"podIP\":\"$4\",\"podIPs\":[{\"ip\":\"$4\"}]}}" >/dev/null
}

cluster_pod_delete() { # NAME NAMESPACE
    kubectl delete pod "$1" -n "$2" --grace-period=0 --force >/dev/null 2>&1
}

# cluster_node NAME ADDRESS PODCIDR LABELS
cluster_node() {
    kubectl apply -f - >/dev/null <<YAML &&
apiVersion: v1
kind: Node
metadata: {name: "$1", labels: {kubernetes.io/hostname: "$1"${4:+, $4}}}
spec: {podCIDR: $3, podCIDRs: [$3]}
YAML
        cluster_node_status "$1" "$2" True
}

cluster_node_status() { # NAME ADDRESS READY
    kubectl patch node "$1" --subresource=status --type=merge -p "{\"status\":{\"addresses\":[
        {\"type\":\"InternalIP\",\"address\":\"$2\"}],\"conditions\":[{\"type\":\"Ready\",
        \"status\":\"$3\",\"lastHeartbeatTime\":\"2026-01-01T00:00:00Z\",\"reason\":\"KubeletReady\",
        \"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"message\":\"\"}]}}" >/dev/null
}
