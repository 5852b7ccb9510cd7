# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# One node without traffic, whose daemons are started one by one, behind other commands, and end in
# every way. A script sources lib.sh and this file, calls lab_begin, single_begin and single_node.

single_begin() {
    NODE=$LAB_DIR/nodes/worker-1
}

single_node() {
    lab_fabric
    lab_node worker-1 172.22.48.10 10.244.0.0/16
    lab_kubernetes_namespace default
    lab_policy fixed
}

single_start() { # DAEMON COMMAND...: the command stands before the daemon
    local daemon=$1
    shift
    (exec nsenter --net=/run/netns/worker-1 -- "$@" "$LAB_BUILD/egressgw-$daemon" --config \
        "$NODE/egressgw.yaml") > >(exec cat >>"$NODE/$daemon.log") 2>&1 {LAB_NEVER}>&- </dev/null &
    echo $! >"$NODE/$daemon.pid"
}

single_runs() { # DAEMON
    [ -d "/proc/$(<"$NODE/$1.pid")" ] && ! grep -q '^State:.Z' "/proc/$(<"$NODE/$1.pid")/status"
}

single_end() { # DAEMON: its status
    local pid
    pid=$(<"$NODE/$1.pid")
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
}

single_gateway() { # ADDRESS: a node that there is in the cluster's words alone
    lab_apply gateway <<YAML
apiVersion: v1
kind: Node
metadata: {name: $1, uid: $(lab_uid gateway), labels: {kubernetes.io/hostname: $1}}
status:
  addresses: [{address: $1, type: InternalIP}]
  conditions: [{reason: KubeletReady, status: "True", type: Ready}]
YAML
}

single_pod() { # ADDRESS
    lab_pod_manifest nginx worker-1 "$1" default app=nginx
}

# A policy beside the other one, for the same pods: all of them change their profile, and the server is
# reached by another route.
single_second_policy() {
    sed -e 's/name: egress-test/name: egress-second/' -e 's|0.0.0.0/0|198.51.100.0/24|' -e '/::/d' \
        "$LAB_ROOT/tests/lab/manifests/fixed.yaml" | lab_apply second
}

single_pods() { # COUNT: further pods, in one file
    local form='---\napiVersion: v1\nkind: Pod\nmetadata: {name: many-%d, namespace: default, uid: many-%d,
    labels: {app: nginx, n: "%d"}}\nspec: {nodeName: worker-1}
status: {phase: Running, podIP: 10.244.%d.%d, podIPs: [{ip: 10.244.%d.%d}]}\n'
    awk -v count="$1" -v form="${form//$'\n'/\\n}" 'BEGIN { for (i = 0; i < count; i++) printf form, i, i, i,
        2 + int(i / 250), 1 + i % 250, 2 + int(i / 250), 1 + i % 250 }' | lab_apply many
}

single_rows_at_least() { # COUNT
    [ "$(lab_rows worker-1 | wc -l)" -ge "$1" ]
}

single_row_is() { # ADDRESS
    lab_row_is worker-1 "$1 0.0.0.0/0 0.0.0.0 Not Found"
}
