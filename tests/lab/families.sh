# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# IPv6 beside IPv4 in the lab, for scripts that have sourced lib.sh:
#
#   pods 2001:db8:a:…::/64 ── nodes 2001:db8:48::/64 ── router ── outside 2001:db8:51::10
#
# As with IPv4, the router knows no pod. IPv6 has no rp_filter of its own; a rule stands for it.

LAB_SERVER6=2001:db8:51::10
LAB_ROUTER6=2001:db8:51::1
LAB_UNDERLAY6=2001:db8:48::/64
LAB_PODS6=2001:db8:a::/48

lab_fabric_v6() {
    lab_sysctl fabric ipv6/conf/all/forwarding=1
    ip -n fabric addr add 2001:db8:48::1/64 dev br0 nodad
    ip -n fabric addr add $LAB_ROUTER6/64 dev out nodad
    ip -n outside addr add $LAB_SERVER6/64 dev eth0 nodad
    ip -n outside route add default via $LAB_ROUTER6
    lab_serve outside $LAB_SERVER6
}

# lab_node_v6 NAME ADDRESS PODCIDR: a node that there is gets IPv6 as well.
lab_node_v6() {
    local name=$1 node=$LAB_DIR/nodes/$1 other
    lab_sysctl "$name" ipv6/conf/all/forwarding=1 ipv6/conf/all/accept_dad=0 \
        ipv6/conf/default/accept_dad=0
    ip -n "$name" addr add "$2/64" dev eth0 nodad
    ip -n "$name" route add default via 2001:db8:48::1
    lab_in "$name" nft -f - <<'NFT'
table ip6 filter_by_path {
    chain prerouting {
        type filter hook prerouting priority raw;
        ip6 saddr fe80::/10 accept
        fib saddr . iif oif missing drop
    }
}
NFT
    printf '%s\n' "$2" >"$node/address6"
    printf '%s\n' "$3" >"$node/cidr6"
    for other in "$LAB_DIR"/nodes/*; do
        [ "$other" != "$node" ] && [ -e "$other/cidr6" ] || continue
        ip -n "$name" route add "$(<"$other/cidr6")" via "$(<"$other/address6")"
        ip -n "${other##*/}" route add "$3" via "$2"
    done
}

# lab_node_families NAME UNDERLAY: what the cluster says of such a node. UNDERLAY: v4, v6 or both,
# the families of its InternalIPs.
lab_node_families() {
    local name=$1 node=$LAB_DIR/nodes/$1 egress=false addresses=
    [[ $name != *[!0-9.]* ]] && egress=true
    [ "$2" = v6 ] || addresses+="
  - {address: $(<"$node/address"), type: InternalIP}"
    [ "$2" = v4 ] || addresses+="
  - {address: '$(<"$node/address6")', type: InternalIP}"
    lab_apply "node-$name" <<YAML
apiVersion: v1
kind: Node
metadata:
  labels:
    egress-node: "$egress"
    kubernetes.io/hostname: $name
  name: $name
  uid: $(lab_uid "node/$name")
spec:
  podCIDR: $(<"$node/cidr")
  podCIDRs: [$(<"$node/cidr"), '$(<"$node/cidr6")']
status:
  addresses:$addresses
  - {address: $name, type: Hostname}
  conditions:
  - {reason: KubeletReady, status: "True", type: Ready}
YAML
}

lab_masquerade_v6() { # NODE
    lab_in "$1" nft -f - <<NFT
table ip6 cni {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip6 daddr { $LAB_UNDERLAY6, $LAB_PODS6 } accept
        ip6 saddr $LAB_PODS6 oifname "eth*" masquerade random
    }
}
NFT
}

# lab_pod_plug_v6 NAME NODE ADDRESS [PORT]: IPv6 for the pod at that port of the node. Without a PORT
# the pod is new and has no other family.
lab_pod_plug_v6() {
    local name=$1 node=$2 address=$3 port=${4:-}
    if [ -z "$port" ]; then
        port=pod-${address##*:}-v6
        lab_namespace "$name"
        ip -n "$node" link add "$port" type veth peer name eth0 netns "$name"
        ip -n "$name" link set eth0 up
        ip -n "$node" link set "$port" up
    fi
    ip -n "$node" addr add fe80::1/64 dev "$port" nodad
    ip -n "$name" addr add "$address/128" dev eth0 nodad
    ip -n "$name" route add default via fe80::1 dev eth0
    ip -n "$node" route add "$address/128" dev "$port"
}

# lab_pod_families NAME NODE ADDRESS,... NAMESPACE LABEL=VALUE...: what the cluster says of a pod with
# those addresses.
lab_pod_families() {
    local name=$1 node=$2 addresses=$3 namespace=$4 label
    shift 4
    {
        printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n'
        for label; do printf '    %s: %s\n' "${label%%=*}" "${label#*=}"; done
        printf '  name: %s\n  namespace: %s\n  uid: %s\n' "$name" "$namespace" \
            "$(lab_uid "pod/$namespace/$name")"
        printf 'spec:\n  nodeName: %s\nstatus:\n  phase: Running\n' "$node"
        printf '  podIP: "%s"\n  podIPs:\n' "${addresses%%,*}"
        # shellcheck disable=SC2086
        printf '  - ip: "%s"\n' ${addresses//,/ }
    } | lab_apply "pod-$namespace-$name"
}

# A worker with one pod of both families, nginx, and the gateway A and A6; the addresses are the
# caller's: W, W6, POD, POD6. The daemons run, the policy is there.
lab_pair_families() {
    local node
    lab_fabric
    lab_fabric_v6
    lab_node worker-1 "$W" 172.22.48.0/25
    lab_node "$A" "$A" 172.22.54.0/24
    lab_node_v6 worker-1 "$W6" 2001:db8:a:1::/64
    lab_node_v6 "$A" "$A6" 2001:db8:a:2::/64
    LAB_NODES="worker-1 $A"
    for node in $LAB_NODES; do
        lab_firewall "$node"
        lab_node_families "$node" both
    done
    lab_kubernetes_namespace default
    lab_pod_plug nginx worker-1 "$POD"
    lab_pod_plug_v6 nginx worker-1 "$POD6" pod-4
    lab_pod_families nginx worker-1 "$POD,$POD6" default app=nginx
    lab_policy fixed
    # shellcheck disable=SC2086
    lab_daemons_start $LAB_NODES
}

# lab_pair_underlay both|v6 GATEWAY: the InternalIPs of the nodes, and the one that the worker is to use.
lab_pair_underlay() {
    local node
    for node in $LAB_NODES; do lab_node_families "$node" "$1"; done
    lab_wait 30 lab_rows_are worker-1 "$POD 0.0.0.0/0 0.0.0.0 $2
$POD6 ::/0 :: $2"
    lab_wait 30 lab_rows_are "$A" "$POD 0.0.0.0/0 $A $2
$POD6 ::/0 $A6 $2"
    lab_wait 30 lab_seen_is nginx "$A"
    LAB_SERVER=$LAB_SERVER6 lab_wait 30 lab_seen_is nginx "$A6"
}
