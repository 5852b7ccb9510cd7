# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The lab's network: the bridge and router between the nodes, the server outside, nodes with their
# firewall or masquerade, and pods. lib.sh reads this file.

# lab_in NAMESPACE COMMAND...: not `ip netns exec`, which hides the BPF file system.
lab_in() {
    local namespace=$1
    shift
    nsenter --net="/run/netns/$namespace" -- "$@"
}

# lab_background OUTPUT NAMESPACE COMMAND...: the same in the background, $! is its pid. The output is
# empty from now on: what an earlier one has left there, as that it is ready, counts no more.
lab_background() {
    : >"$1"
    (exec nsenter --net="/run/netns/$2" -- "${@:3}") >"$1" 2>&1 </dev/null {LAB_NEVER}>&- &
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

# lab_serve NAMESPACE ADDRESS [PORT]: a server, ready when this returns. It ends after LAB_SECONDS.
lab_serve() {
    local ready=$LAB_DIR/clients/serve-$1-$2-${3:-$LAB_PORT}
    lab_background "$ready" "$1" "$LAB_TOOLS/serve" "$2" "${3:-$LAB_PORT}" "$LAB_SECONDS"
    disown $!
    lab_wait 20 grep -q ready "$ready"
}

# lab_uplink NODE INTERFACE: a cable from the node to the bridge.
lab_uplink() {
    LAB_CABLES=$((${LAB_CABLES:-0} + 1))
    ip -n fabric link add "port$BASHPID-$LAB_CABLES" type veth peer name "$2" netns "$1"
    ip -n fabric link set "port$BASHPID-$LAB_CABLES" master br0 up
    lab_sysctl "$1" "ipv4/conf/$2/rp_filter=1"
}

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
    local name=$1 ready=$2 address cidr ranges="" egress=false
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

# The router outside knows the worker's pods from here on, or no longer: add, del. What is not over by
# then would try again later.
lab_pods_routable() {
    [ "$1" = add ] || lab_quiet
    ip -n fabric route "$1" 172.22.48.0/25 via 172.22.50.7
}

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
