# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A cluster in network namespaces for the tests and the demo:
#
#   pods ── worker ──┐                              ┌── outside 198.51.100.10
#   (veth, /32)      ├── fabric (bridge, router) ───┘   (counts each source at its interface)
#           gateways ┘   172.22.48.1/20   198.51.100.1
#
# The router knows no pod: an answer comes back only to a node's own address. Each node has strict
# rp_filter, its own configuration, runtime directory, pins and three daemons. All of it lives in
# namespaces of the calling script, so that names cannot meet those of another run, and goes when the
# script ends, however it ends.
#
# A script sources this file, calls lab_begin "$@", builds what it needs, then either shows it (the
# demo) or runs cases (lab_case) and ends with lab_end.

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_SERVER=198.51.100.10
LAB_PORT=8080
LAB_DAEMONS="loader planner watcher"
LAB_UNDERLAY=172.22.48.0/20

# ---- beginning and end -------------------------------------------------------------------------

# lab_begin [PATTERN]: the script goes on in mount and process namespaces of its own, with a temporary
# directory. Only cases whose name holds PATTERN run. EGRESSGW_BUILD names the build directory; the
# nodes' logs and configurations are kept in EGRESSGW_LAB_LOGS, where that is set.
lab_begin() {
    if [ "$(id -u)" != 0 ]; then
        echo "$0: network namespaces and BPF need root: run it as root, or with sudo" >&2
        exit 1
    fi
    [ "${LAB_INSIDE:-}" = yes ] || lab_supervise "$@"
    unset LAB_INSIDE
    LAB_PATTERN=${1:-}
    LAB_BUILD=$(cd "${EGRESSGW_BUILD:-$LAB_ROOT/build}" && pwd) || exit 1
    LAB_TOOLS=$LAB_BUILD/tests/tools
    LAB_NUMBER=0 LAB_FAILED=0
    mkdir -p /run/netns "$LAB_DIR"/{bpf,manifests,staging,clients,nodes}
    mount -t tmpfs egw-netns /run/netns || exit 1
    mount -t bpf egw-bpf "$LAB_DIR/bpf" || exit 1
    exec {LAB_NEVER}<> <(:)
}

# Runs the script once more as the first process of its namespaces. Whatever becomes of it, and of
# this process short of SIGKILL, the kernel then ends every process in there and with them goes every
# network namespace, mount and pin; the directory goes here.
lab_supervise() {
    LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/egw-$$-XXXXXX") || exit 1
    chmod 755 "$LAB_DIR"
    export LAB_DIR
    trap lab_supervise_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    set -m # else the script inside could never again listen to an interrupt
    LAB_INSIDE=yes unshare --mount --propagation private --pid --fork --kill-child --mount-proc -- \
        "$BASH" "$0" "$@" &
    LAB_SCRIPT=$!
    set +m
    wait $LAB_SCRIPT
    exit
}

lab_supervise_end() {
    local inside state
    trap '' INT TERM HUP
    inside=$(cat "/proc/$LAB_SCRIPT/task/$LAB_SCRIPT/children" 2>/dev/null)
    inside=${inside%% *}
    if [ -n "$inside" ]; then
        # unshare stands still, else it would comment on its child's end. The first process inside is
        # over once all others are.
        kill -STOP "$LAB_SCRIPT"
        kill -KILL "$inside"
        while read -r _ _ state _ 2>/dev/null <"/proc/$inside/stat" && [ "$state" != Z ]; do
            read -rt 0.01 <> <(:)
        done
        kill -KILL "$LAB_SCRIPT"
    fi
    wait "$LAB_SCRIPT" 2>/dev/null
    [ -z "${EGRESSGW_LAB_LOGS:-}" ] || cp -r "$LAB_DIR/nodes" "$EGRESSGW_LAB_LOGS/${LAB_DIR##*/}"
    rm -rf "$LAB_DIR"
}

lab_daemons_run() {
    local status ended=
    for status in "$LAB_DIR"/nodes/*/*.status; do
        [ ! -e "$status" ] || ended+="${status#"$LAB_DIR/nodes/"} $(<"$status")"$'\n'
    done
    expect_equal "daemons that ended by themselves, with their status," "$ended" ""
}

# Ends a script of cases: what still has to run runs; the plan, and the status.
lab_end() {
    [ -z "$(ls "$LAB_DIR/nodes")" ] || lab_case "no daemon has ended by itself" lab_daemons_run
    echo "1..$LAB_NUMBER"
    [ "$LAB_FAILED" -eq 0 ]
    exit
}

# ---- waiting -----------------------------------------------------------------------------------

lab_pause() { # a fiftieth of a second
    read -rt 0.02 <&"$LAB_NEVER" || true
}

# lab_wait SECONDS COMMAND...: until the command succeeds; after SECONDS its output is shown.
lab_wait() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000)) output
    shift
    until output=$("$@" 2>&1); do
        if [ "${EPOCHREALTIME/./}" -gt "$end" ]; then
            echo "waited in vain for: $*" >&2
            [ -z "$output" ] || printf '%s\n' "$output" >&2
            return 1
        fi
        lab_pause
    done
}

# ---- cases -------------------------------------------------------------------------------------

# lab_case NAME FUNCTION: runs the function in a subshell in which any failing command ends it.
lab_case() {
    local status
    [[ $1 == *"$LAB_PATTERN"* ]] || return 0
    LAB_NUMBER=$((LAB_NUMBER + 1))
    (
        set -eE
        trap 'lab_trace "$BASH_COMMAND"' ERR
        "$2"
    ) >"$LAB_DIR/case.log" 2>&1
    status=$?
    if [ "$status" -eq 0 ]; then
        echo "ok $LAB_NUMBER - $1"
        return 0
    fi
    LAB_FAILED=$((LAB_FAILED + 1))
    echo "not ok $LAB_NUMBER - $1"
    sed 's/^/#   /' "$LAB_DIR/case.log"
    lab_diagnose | sed 's/^/# /'
    lab_clients_kill
}

# The command that failed and the lines that led there.
lab_trace() {
    local level=0 line
    echo "failed: $1" >&2
    while line=$(caller $level); do
        echo "  at $line" >&2
        level=$((level + 1))
    done
}

lab_skip() { # NAME REASON
    [[ $1 == *"$LAB_PATTERN"* ]] || return 0
    LAB_NUMBER=$((LAB_NUMBER + 1))
    echo "ok $LAB_NUMBER - $1 # SKIP $2"
}

expect_equal() { # WHAT ACTUAL EXPECTED
    [ "$2" = "$3" ] && return 0
    printf '%s is\n%s\nand should be\n%s\n' "$1" "$2" "$3" >&2
    return 1
}

expect_failure() { # COMMAND...: must fail
    local output
    output=$("$@" 2>&1) || return 0
    printf 'succeeded and should not have: %s\n%s\n' "$*" "$output" >&2
    return 1
}

# What helps to understand a failure: the ends of the logs, dumps, counters, the server's sources.
lab_diagnose() {
    local node log
    for node in "$LAB_DIR"/nodes/*; do
        [ -d "$node" ] || continue
        echo "--- ${node##*/}: dump"
        lab_dump "${node##*/}" 2>&1 | head -n 20
        echo "--- ${node##*/}: counters"
        lab_counters "${node##*/}" 2>&1 | head -n 30
        for log in "$node"/*.log; do
            [ -s "$log" ] || continue
            echo "--- ${node##*/}: ${log##*/}"
            tail -n 12 "$log"
        done
    done
    [ -e /run/netns/outside ] || return 0
    echo "--- sources at the server's interface"
    lab_sources 2>&1
}

# ---- namespaces --------------------------------------------------------------------------------

# lab_in NAMESPACE COMMAND...: not `ip netns exec`, which hides the BPF file system.
lab_in() {
    local namespace=$1
    shift
    nsenter --net="/run/netns/$namespace" -- "$@"
}

lab_sysctl() { # NAMESPACE KEY=VALUE...; keys with slashes
    local namespace=$1 setting
    shift
    # shellcheck disable=SC2016
    lab_in "$namespace" sh -c \
        'for setting; do echo "${setting#*=}" >"/proc/sys/net/${setting%%=*}"; done' sh "$@"
}

lab_namespace() { # NAME
    ip netns add "$1"
    ip -n "$1" link set lo up
}

# The bridge that stands for the network between the nodes, the router, and the server outside.
lab_fabric() {
    local setting
    lab_namespace fabric
    lab_namespace outside
    ip -n fabric link add br0 type bridge
    for setting in iptables ip6tables arptables; do
        [ ! -e "/proc/sys/net/bridge/bridge-nf-call-$setting" ] ||
            lab_sysctl fabric "bridge/bridge-nf-call-$setting=0"
    done
    ip -n fabric addr add 172.22.48.1/20 dev br0
    ip -n fabric link set br0 up
    # The router forwards whatever comes, so that a packet with a wrong source is seen at the server.
    lab_sysctl fabric ipv4/ip_forward=1 ipv4/conf/all/rp_filter=0 ipv4/conf/br0/rp_filter=0
    ip -n fabric link add out type veth peer name eth0 netns outside
    lab_sysctl fabric ipv4/conf/out/rp_filter=0
    ip -n fabric addr add 198.51.100.1/24 dev out
    ip -n fabric link set out up
    lab_sysctl outside ipv4/conf/all/rp_filter=0 ipv4/conf/eth0/rp_filter=0
    ip -n outside addr add "$LAB_SERVER/24" dev eth0
    ip -n outside link set eth0 up
    ip -n outside route add default via 198.51.100.1
    lab_in outside nft -f - <<'NFT'
table netdev lab {
    set sources { type ipv4_addr; size 65535; flags dynamic; counter; }
    set sources6 { type ipv6_addr; size 65535; flags dynamic; counter; }
    chain in {
        type filter hook ingress device eth0 priority -500;
        update @sources { ip saddr }
        update @sources6 { ip6 saddr }
    }
}
NFT
    lab_serve outside "$LAB_SERVER"
}

# lab_serve NAMESPACE ADDRESS [PORT]: a server, ready when this returns.
lab_serve() {
    local ready=$LAB_DIR/clients/serve-$1-$2-${3:-$LAB_PORT}
    lab_in "$1" "$LAB_TOOLS/serve" "$2" "${3:-$LAB_PORT}" >"$ready" 2>&1 {LAB_NEVER}>&- &
    disown $!
    lab_wait 5 grep -q ready "$ready"
}

# lab_uplink NODE INTERFACE: a cable from the node to the bridge.
lab_uplink() {
    LAB_CABLES=$((${LAB_CABLES:-0} + 1))
    ip -n fabric link add "port$BASHPID-$LAB_CABLES" type veth peer name "$2" netns "$1"
    ip -n fabric link set "port$BASHPID-$LAB_CABLES" master br0 up
    lab_sysctl "$1" "ipv4/conf/$2/rp_filter=1"
}

# ---- nodes -------------------------------------------------------------------------------------

# Where a node's maps are pinned; the BPF file system allows no dot in a name.
lab_pins() { # NODE
    echo "$LAB_DIR/bpf/${1//./-}"
}

# lab_node NAME ADDRESS PODCIDR: a node with eth0 on the bridge. LAB_RANGES=no: the cluster does not
# report the range.
# LAB_CONFIG holds further lines of configuration, LAB_UPLINKS another line for the uplinks.
lab_node() {
    local name=$1 address=$2 cidr=$3 node=$LAB_DIR/nodes/$1 other
    lab_namespace "$name"
    lab_sysctl "$name" ipv4/ip_forward=1 ipv4/conf/all/rp_filter=1 ipv4/conf/default/rp_filter=1
    lab_uplink "$name" eth0
    ip -n "$name" addr add "$address/20" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" route add default via 172.22.48.1
    mkdir -p "$node/run" "$(lab_pins "$name")"
    printf '%s\n' "$address" >"$node/address"
    printf '%s\n' "$cidr" >"$node/cidr"
    for other in "$LAB_DIR"/nodes/*; do
        [ "$other" != "$node" ] || continue
        lab_route "$name" "${other##*/}"
        lab_route "${other##*/}" "$name"
    done
    cat >"$node/egressgw.yaml" <<YAML
node: $name
source:
  manifests:
    directories: [$LAB_DIR/manifests]
${LAB_UPLINKS-uplinks: ["eth+"]}
paths: {runtime: $node/run, bpf: $(lab_pins "$name")}
users: {watcher: "64101", planner: "64102", loader: "64103"}
${LAB_CONFIG:-}
YAML
    lab_node_manifest "$name" True
}

# The node FROM reaches the pods of the node TO directly, as a cluster's network provides it.
lab_route() {
    ip -n "$1" route add "$(<"$LAB_DIR/nodes/$2/cidr")" via "$(<"$LAB_DIR/nodes/$2/address")"
}

# lab_node_manifest NAME READY: what the cluster says of a node, True or False. A node whose name is
# an address is an egress node, as in the guide.
lab_node_manifest() {
    local name=$1 ready=$2 address cidr ranges= egress=false
    [[ $name != *[!0-9.]* ]] && egress=true
    address=$(<"$LAB_DIR/nodes/$name/address")
    cidr=$(<"$LAB_DIR/nodes/$name/cidr")
    [ "${LAB_RANGES:-yes}" = no ] || ranges="
  podCIDR: $cidr
  podCIDRs:
  - $cidr"
    lab_apply "node-$name" <<YAML
apiVersion: v1
kind: Node
metadata:
  labels:
    egress-node: "$egress"
    kubernetes.io/hostname: $name
    kubernetes.io/os: linux
  name: $name
  uid: $(lab_uid "node/$name")
spec:
  providerID: lab://$name$ranges
status:
  addresses:
  - address: $address
    type: InternalIP
  - address: $name
    type: Hostname
  conditions:
  - message: kubelet is posting ready status
    reason: KubeletReady
    status: "$ready"
    type: Ready
YAML
}

# A firewall with connection tracking: what the node forwards is what pods opened and the answers;
# pods may be reached on the lab's port and by ping.
lab_firewall() { # NODE
    local cidr
    cidr=$(<"$LAB_DIR/nodes/$1/cidr")
    lab_in "$1" nft -f - <<NFT
table inet firewall {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "pod*" accept
        oifname "pod*" meta l4proto { tcp, udp } th dport $LAB_PORT accept
        oifname "pod*" meta l4proto { icmp, icmpv6 } accept
    }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        meta l4proto { icmp, icmpv6 } accept
        meta l4proto { tcp, udp } th dport $LAB_PORT accept
    }
}
NFT
}

# A CNI that masquerades: what leaves the cluster from a pod gets the node's address.
lab_masquerade() { # NODE PODCIDR
    lab_in "$1" nft -f - <<NFT
table ip cni {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip saddr $2 ip daddr != $LAB_UNDERLAY oifname "eth*" masquerade random
    }
}
NFT
}

# lab_cluster plain|firewall|masquerade: the server outside, a worker and three gateways without their
# daemons, and the namespaces default, prod and shop.
lab_cluster() {
    local node
    lab_fabric
    lab_node worker-1 172.22.50.7 172.22.48.0/25
    lab_node 172.22.49.119 172.22.49.119 172.22.54.0/24
    lab_node 172.22.49.147 172.22.49.147 172.22.53.0/24
    lab_node 172.22.49.20 172.22.49.20 172.22.52.0/24
    LAB_NODES="worker-1 172.22.49.119 172.22.49.147 172.22.49.20"
    for node in $LAB_NODES; do
        [ "$1" = plain ] || lab_firewall "$node"
        [ "$1" != masquerade ] || lab_masquerade "$node" "$(<"$LAB_DIR/nodes/$node/cidr")"
    done
    for node in default prod shop; do lab_kubernetes_namespace "$node"; done
}

# The router outside knows the worker's pods from here on, or no longer: add, del.
lab_pods_routable() {
    ip -n fabric route "$1" 172.22.48.0/25 via 172.22.50.7
}

# ---- pods and other objects --------------------------------------------------------------------

# A UID that depends on a name only, so that a run is like the one before.
lab_uid() {
    local sum
    sum=$(printf '%s' "$1" | md5sum)
    printf '%s-%s-4%s-8%s-%s\n' "${sum:0:8}" "${sum:8:4}" "${sum:13:3}" "${sum:17:3}" "${sum:20:12}"
}

# lab_apply NAME: objects from stdin, put in place by a rename.
lab_apply() {
    local staged=$LAB_DIR/staging/$1.$BASHPID
    cat >"$staged"
    chmod 644 "$staged"
    mv "$staged" "$LAB_DIR/manifests/$1.yaml"
}

lab_remove() { # NAME
    rm -f "$LAB_DIR/manifests/$1.yaml"
}

lab_kubernetes_namespace() { # NAME [LABEL=VALUE...]
    local name=$1 label
    shift
    {
        printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  labels:\n'
        printf '    kubernetes.io/metadata.name: %s\n' "$name"
        for label; do printf '    %s: %s\n' "${label%%=*}" "${label#*=}"; done
        printf '  name: %s\nstatus:\n  phase: Active\n' "$name"
    } | lab_apply "namespace-$name"
}

# lab_pod_plug NAME NODE ADDRESS [MTU]: the pod's network only, nobody is told of it yet. As with
# cloud CNIs the pod has one address and one neighbour, the node.
lab_pod_plug() {
    local name=$1 node=$2 address=$3 mtu=${4:-1500} mac port
    port=pod-${address##*.}
    lab_namespace "$name"
    ip -n "$node" link add "$port" mtu "$mtu" type veth peer name eth0 mtu "$mtu" netns "$name"
    lab_sysctl "$node" "ipv4/conf/$port/rp_filter=1"
    ip -n "$node" link set "$port" up
    mac=$(lab_in "$node" ip -o link show "$port" | sed 's/.*link.ether \([^ ]*\).*/\1/')
    ip -n "$name" addr add "$address/32" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" route add 169.254.1.1 dev eth0 scope link
    ip -n "$name" neigh add 169.254.1.1 lladdr "$mac" dev eth0 nud permanent
    ip -n "$name" route add default via 169.254.1.1
    ip -n "$node" route add "$address/32" dev "$port"
}

# lab_pod_manifest NAME NODE ADDRESS NAMESPACE LABEL=VALUE...: what the cluster says of a pod.
lab_pod_manifest() {
    local name=$1 node=$2 address=$3 namespace=$4 label
    shift 4
    {
        printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n'
        for label; do printf '    %s: %s\n' "${label%%=*}" "${label#*=}"; done
        cat <<YAML
  name: $name
  namespace: $namespace
  uid: $(lab_uid "pod/$namespace/$name")
spec:
  containers:
  - image: nginx:latest
    name: nginx
  nodeName: $node
  serviceAccountName: default
status:
  phase: Running
  podIP: $address
  podIPs:
  - ip: $address
YAML
    } | lab_apply "pod-$namespace-$name"
}

# lab_pod NAME NODE ADDRESS NAMESPACE LABEL=VALUE...: both. LAB_POD_MTU (1500).
lab_pod() {
    lab_pod_plug "$1" "$2" "$3" "${LAB_POD_MTU:-1500}"
    lab_pod_manifest "$@"
}

# ---- daemons -----------------------------------------------------------------------------------

lab_daemon_start() { # NODE DAEMON
    local node=$LAB_DIR/nodes/$1
    rm -f "$node/$2.pid" "$node/$2.status"
    (
        trap - ERR
        set +e
        # By exec, so that the pid is the daemon's own and signals reach it.
        (exec nsenter --net="/run/netns/$1" -- "$LAB_BUILD/egressgw-$2" \
            --config "$node/egressgw.yaml") >>"$node/$2.log" 2>&1 {LAB_NEVER}>&- </dev/null &
        echo $! >"$node/$2.pid"
        wait $!
        echo $? >"$node/$2.status"
    ) 2>/dev/null &
    disown $!
    lab_wait 5 test -s "$node/$2.pid"
}

lab_daemons_start() { # NODE...
    local name daemon
    for name; do
        for daemon in $LAB_DAEMONS; do lab_daemon_start "$name" "$daemon"; done
    done
}

lab_daemon_end() { # NODE DAEMON SIGNAL: returns once it is gone, fails with another status than 0
    local node=$LAB_DIR/nodes/$1
    kill "-$3" "$(<"$node/$2.pid")"
    lab_wait 5 test -s "$node/$2.status"
    [ "$3" = KILL ] || expect_equal "the status of $2" "$(<"$node/$2.status")" 0
    rm -f "$node/$2.status"
}

lab_loader() { # NODE OPTION...: the loader as a command
    lab_in "$1" "$LAB_BUILD/egressgw-loader" --config "$LAB_DIR/nodes/$1/egressgw.yaml" "${@:2}"
}

lab_dump() { # NODE [OPTION...]
    lab_loader "$1" --dump "${@:2}"
}

# The dump's rows without its head, single blanks between the columns.
lab_rows() { # NODE
    lab_dump "$1" | tail -n +2 | sed 's/  */ /g; s/ $//'
}

lab_rows_are() { # NODE ROWS
    expect_equal "the dump of $1" "$(lab_rows "$1")" "$2"
}

lab_row_is() { # NODE ROW: the dump holds this row
    lab_rows "$1" | grep -qxF -- "$2" || { lab_rows "$1" >&2 && return 1; }
}

# NAME PACKETS for each counter that is not zero, straight from the map.
lab_counters() { # NODE
    local names
    names=$(sed -n '/^enum drop_reason/,/^};/s/^    \([A-Z_]*\).*/\1/p' \
        "$LAB_ROOT/include/egressgw/layout.h" | grep -vxE 'DROP_LIMIT|COUNTERS')
    bpftool map dump pinned "$(lab_pins "$1")/maps/counters" 2>/dev/null | awk -v names="$names" '
        BEGIN { split(names, name, "\n") }
        /"key":/ { gsub(/[^0-9]/, "", $2); key = $2 }
        /"packets":/ { gsub(/[^0-9]/, "", $2); sum[key] += $2 }
        END { for (key in sum) if (sum[key]) print name[key + 1], sum[key] }' | sort
}

lab_counter() { # NODE NAME
    local packets
    packets=$(lab_counters "$1" | sed -n "s/^$2 //p")
    echo "${packets:-0}"
}

# ---- traffic -----------------------------------------------------------------------------------

lab_ask() { # NAMESPACE tcp|udp [OPTION...]: "ADDRESS PORT" as the server outside saw it
    lab_in "$1" "$LAB_TOOLS/ask" "$2" "$LAB_SERVER" "$LAB_PORT" "${@:3}"
}

lab_seen() { # NAMESPACE [tcp|udp]: the address alone
    local answer
    answer=$(lab_ask "$1" "${2:-tcp}" -t 1000) || return
    echo "${answer% *}"
}

lab_seen_is() { # NAMESPACE ADDRESS [tcp|udp]
    expect_equal "what the server saw of $1" "$(lab_seen "$1" "${3:-tcp}" 2>&1)" "$2"
}

# A policy from the manifests beside this file, as it stands in the guide.
lab_policy() { # FILE
    lab_apply policy <"$LAB_ROOT/tests/lab/manifests/$1.yaml"
}

lab_ping() { # NAMESPACE [ADDRESS]
    lab_in "$1" "$LAB_TOOLS/ask" ping "${2:-$LAB_SERVER}" 0 -t 1000
}

# ADDRESS PACKETS for each source that came to the server's interface since the last reset.
lab_sources() {
    lab_in outside nft list table netdev lab |
        grep -oE '[0-9a-f.:]+ counter packets [0-9]+' | sed 's/ counter packets//' |
        grep -vE '^(fe80|::)' || true
}

lab_sources_reset() {
    lab_in outside nft 'flush set netdev lab sources; flush set netdev lab sources6'
}

# lab_sources_only ADDRESS...: no packet of any other source has come to the server's interface.
lab_sources_only() {
    local address packets foreign=
    while read -r address packets; do
        [[ " $* 198.51.100.1 " == *" $address "* ]] || foreign+="$address: $packets packets"$'\n'
    done < <(lab_sources)
    expect_equal "other sources at the server" "$foreign" ""
}

# Waits until no packet has come to the server for a while: late acknowledgements are through.
lab_quiet() {
    local end=$((${EPOCHREALTIME/./} + 10000000)) before="" now same=0
    while [ $same -lt 15 ]; do
        now=$(lab_sources)
        if [ "$now" = "$before" ]; then same=$((same + 1)); else same=0; fi
        before=$now
        [ "${EPOCHREALTIME/./}" -lt $end ] || { echo "the server gets packets on and on" >&2 && return 1; }
        lab_pause
    done
}

# lab_client NAME NAMESPACE PROGRAM ARGUMENT...: a program of tests/tools in the background, whose
# input is written by lab_say and whose output is waited for by lab_heard.
lab_client() {
    local client=$LAB_DIR/clients/$1 namespace=$2 program=$3
    shift 3
    rm -f "$client".*
    mkfifo "$client.in"
    (
        trap - ERR
        set +e
        (exec nsenter --net="/run/netns/$namespace" -- "$LAB_TOOLS/$program" "$@") \
            <>"$client.in" >"$client.out" 2>&1 &
        echo $! >"$client.pid"
        wait $!
        echo $? >"$client.status"
    ) &
    disown $!
}

lab_say() { # NAME
    echo go >"$LAB_DIR/clients/$1.in"
}

lab_output_has() { # NAME PATTERN
    grep -qE -- "$2" "$LAB_DIR/clients/$1.out" || { cat "$LAB_DIR/clients/$1.out" && return 1; }
}

lab_heard() { # NAME PATTERN: waits for a line of its output, or its end
    lab_wait 20 lab_output_or_end "$1" "$2"
    lab_output_has "$1" "$2"
}

lab_output_or_end() {
    [ -s "$LAB_DIR/clients/$1.status" ] || lab_output_has "$1" "$2"
}

# The last number that a running transfer has said, to wait for progress beyond it.
lab_progress() { # NAME
    sed -n 's/^at //p' "$LAB_DIR/clients/$1.out" | tail -n 1
}

lab_progressed() { # NAME BYTES
    [ "$(lab_progress "$1")" -gt "$2" ]
}

# lab_advance NAME: waits until the transfer has moved another megabyte or two.
lab_advance() {
    lab_wait 20 lab_progressed "$1" "$(($(lab_progress "$1") + 1048576))"
}

lab_finish() { # NAME: waits for its end, shows what it said, and fails where it failed
    lab_wait 30 test -s "$LAB_DIR/clients/$1.status"
    cat "$LAB_DIR/clients/$1.out"
    expect_equal "the status of $1" "$(<"$LAB_DIR/clients/$1.status")" 0
}

# The clients that a failed case has left running.
lab_clients_kill() {
    local client
    for client in "$LAB_DIR"/clients/*.pid; do
        [ -e "$client" ] || continue
        [ -s "${client%.pid}.status" ] || kill -KILL "$(<"$client")"
    done
}
