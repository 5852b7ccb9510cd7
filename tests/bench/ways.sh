# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The ways out of the cluster that tests/bench/datapath measures beside each other, each with a pod, a
# worker and a gateway of its own: namespaces pod-WAY, worker-WAY and gateway-WAY. Everything is of one
# family, BENCH_FAMILY (4 or 6); with BENCH_FIREWALL=yes the workers track connections and filter, and
# masquerade what goes out directly, as most CNIs do.

WAYS=(plain masquerade kernel egressgw)
VXLAN_PORT=4790

# ways_family: the functions below for one family. Arguments are a way's number.
ways_family() {
    if [ "$BENCH_FAMILY" = 6 ]; then
        # shellcheck disable=SC2034
        LAB_SERVER=$LAB_SERVER6
        TABLE=ip6 INSIDE="$LAB_UNDERLAY6, $LAB_PODS6" EVERYWHERE=::/0
        worker_of() { echo "2001:db8:48::1:$((10 + $1))"; }
        gateway_of() { echo "2001:db8:48::2:$((10 + $1))"; }
        pods_of() { echo "2001:db8:a:$(($1 + 1))::/64"; }
        pod_of() { echo "2001:db8:a:$(($1 + 1))::4"; }
        tunnel_of() { echo "fd00:42::$1"; }
    else
        TABLE=ip INSIDE=$LAB_UNDERLAY EVERYWHERE=0.0.0.0/0
        worker_of() { echo "172.22.48.$((10 + $1))"; }
        gateway_of() { echo "172.22.49.$((10 + $1))"; }
        pods_of() { echo "10.244.$1.0/24"; }
        pod_of() { echo "10.244.$1.4"; }
        tunnel_of() { echo "192.0.2.$1"; }
    fi
}

way_ip() { # NAMESPACE ARGUMENT...
    ip "-$BENCH_FAMILY" -n "$@"
}

way_rules() { # NAMESPACE: nft's rules from stdin
    lab_in "$1" nft -f -
}

# way_place WAY NUMBER: the namespaces, and the routes that all ways have. IPv4 is there either way.
way_place() {
    local way=$1 i=$2 node
    lab_node "worker-$way" "172.22.48.$((10 + i))" "10.244.$i.0/24"
    lab_node "gateway-$way" "172.22.49.$((10 + i))" "10.245.$i.0/24"
    lab_pod "pod-$way" "worker-$way" "10.244.$i.4" default "app=$way"
    if [ "$BENCH_FAMILY" = 6 ]; then
        lab_node_v6 "worker-$way" "$(worker_of "$i")" "$(pods_of "$i")"
        lab_node_v6 "gateway-$way" "$(gateway_of "$i")" "2001:db8:a:10$i::/64"
        for node in worker gateway; do
            lab_node_families "$node-$way" v6
            lab_in "$node-$way" nft delete table ip6 filter_by_path # plain has another way back
        done
        lab_pod_plug_v6 "pod-$way" "worker-$way" "$(pod_of "$i")" pod-4
        lab_pod_families "pod-$way" "worker-$way" "$(pod_of "$i"),10.244.$i.4" default "app=$way"
    fi
    [ "${BENCH_FIREWALL:-}" != yes ] || way_firewall "$way" "$i"
}

way_firewall() { # WAY NUMBER
    lab_firewall "worker-$1"
    # The strongest peer: tunnels are not tracked. Ours never come by here.
    way_rules "worker-$1" <<NFT
table inet tunnel {
    chain in { type filter hook prerouting priority raw; udp dport $VXLAN_PORT notrack; }
    chain out { type filter hook output priority raw; udp dport $VXLAN_PORT notrack; }
}
insert rule inet firewall input udp dport $VXLAN_PORT accept
NFT
    [ "$1" = plain ] || way_masquerade "$1" "$2"
}

# The way back is another one.
way_unfiltered() { # NODE INTERFACE...
    local interface
    lab_sysctl "$1" ipv4/conf/all/rp_filter=0
    for interface in "${@:2}"; do lab_sysctl "$1" "ipv4/conf/$interface/rp_filter=0"; done
}

way_masquerade() { # WAY NUMBER
    way_rules "worker-$1" <<NFT
table $TABLE cni {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        $TABLE saddr $(pods_of "$2") $TABLE daddr != { $INSIDE } oifname "eth*" masquerade
    }
}
NFT
}

# Routed by worker and gateway, no translation: the bound.
way_plain() { # NUMBER
    way_ip worker-plain rule add from "$(pod_of "$1")" lookup 100
    way_ip worker-plain route add default via "$(gateway_of "$1")" table 100
    way_ip fabric route add "$(pods_of "$1")" via "$(gateway_of "$1")"
    way_unfiltered worker-plain eth0
    way_unfiltered gateway-plain eth0
}

# The worker masquerades and sends directly: one hop less, conntrack on the worker.
way_masquerade_alone() { # NUMBER
    [ "${BENCH_FIREWALL:-}" = yes ] || way_masquerade masquerade "$1"
}

way_vxlan() { # NODE ADDRESS LOCAL REMOTE
    ip -n "$1" link add tunnel type vxlan id 42 local "$3" remote "$4" dstport $VXLAN_PORT dev eth0
    if [ "$BENCH_FAMILY" = 6 ]; then
        ip -n "$1" addr add "$2/64" dev tunnel nodad
    else
        ip -n "$1" addr add "$2/24" dev tunnel
    fi
    ip -n "$1" link set tunnel up
    way_unfiltered "$1" eth0 tunnel
}

# nft mark, policy routing, VXLAN device, nft source NAT on the gateway.
way_kernel() { # NUMBER
    way_vxlan worker-kernel "$(tunnel_of 1)" "$(worker_of "$1")" "$(gateway_of "$1")"
    way_vxlan gateway-kernel "$(tunnel_of 2)" "$(gateway_of "$1")" "$(worker_of "$1")"
    way_ip worker-kernel route add default via "$(tunnel_of 2)" table 100
    # The mark is on the outer packet too: only the pods take this table.
    way_ip worker-kernel rule add fwmark 1 from "$(pods_of "$1")" lookup 100
    way_rules worker-kernel <<NFT
table $TABLE egress {
    chain towards_gateway {
        type filter hook prerouting priority mangle;
        $TABLE saddr $(pods_of "$1") $TABLE daddr != { $INSIDE } meta mark set 1
    }
    chain segment_size {
        type filter hook forward priority mangle;
        tcp flags syn tcp option maxseg size set rt mtu
    }
}
NFT
    way_ip gateway-kernel route replace "$(pods_of "$1")" via "$(tunnel_of 1)"
    way_rules gateway-kernel <<NFT
table $TABLE egress {
    chain translate {
        type nat hook postrouting priority srcnat;
        $TABLE saddr $(pods_of "$1") oifname "eth0" snat to $(gateway_of "$1")
    }
}
NFT
}

# This project.
way_egressgw() { # NUMBER
    lab_apply policy <<YAML
apiVersion: cilium.io/v2
kind: CiliumEgressGatewayPolicy
metadata:
  name: bench
spec:
  selectors:
  - podSelector: {matchLabels: {app: egressgw}}
  destinationCIDRs: ["$EVERYWHERE"]
  egressGateway:
    nodeSelector: {matchLabels: {kubernetes.io/hostname: gateway-egressgw}}
    egressIP: "$(gateway_of "$1")"
YAML
    lab_daemons_start worker-egressgw gateway-egressgw
    lab_wait 60 lab_seen_is pod-egressgw "$(gateway_of "$1")"
}

ways_build() {
    local i way
    for i in "${!WAYS[@]}"; do way_place "${WAYS[$i]}" "$i"; done
    for i in "${!WAYS[@]}"; do
        way=${WAYS[$i]}
        [ "$way" != masquerade ] || way=masquerade_alone
        "way_$way" "$i" || return 1
    done
}

ways_check() { # every variant is what it says
    lab_seen_is pod-plain "$(pod_of 0)" && lab_seen_is pod-masquerade "$(worker_of 1)" &&
        lab_seen_is pod-kernel "$(gateway_of 2)" && lab_seen_is pod-egressgw "$(gateway_of 3)"
}
