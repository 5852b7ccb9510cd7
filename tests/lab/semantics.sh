# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The lab of the rows in semantics/: a worker and three gateways that all have both families, with
# further interfaces on the gateways; what the cluster says of them depends on the flavour. For
# scripts that have sourced lib.sh and families.sh.

semantics_fabric() {
    local address
    lab_fabric
    lab_fabric_v6
    ip -n fabric addr add 172.22.47.1/24 dev br0
    ip -n fabric addr add 2001:db8:47::1/64 dev br0 nodad
    ip -n fabric addr add 2001:db8:46::1/64 dev br0 nodad
    ip -n fabric route add 203.0.113.0/24 via "$LAB_SERVER"
    ip -n fabric route add 2001:db8:113::/48 via "$LAB_SERVER6"
    for address in 198.51.100.20 203.0.113.10 203.0.113.200; do
        ip -n outside addr add "$address/32" dev eth0
        lab_serve outside "$address"
    done
    for address in 2001:db8:51::20 2001:db8:113::10 2001:db8:113:1::10; do
        ip -n outside addr add "$address/128" dev eth0 nodad
        lab_serve outside "$address"
    done
}

# semantics_node NAME NUMBER RANGE RANGE6: eth0 has the number at the end of both addresses. The
# router knows its pods, so that those which leave as themselves get an answer.
semantics_node() {
    lab_node "$1" "$2" "$3"
    lab_node_v6 "$1" "2001:db8:48::${2##*.}" "$4"
    lab_firewall "$1"
    ip -n fabric route add "$3" via "$2"
    ip -n fabric route add "$4" via "2001:db8:48::${2##*.}"
}

# semantics_interface NODE INTERFACE ADDRESS...
semantics_interface() {
    local address
    lab_uplink "$1" "$2"
    for address in "${@:3}"; do ip -n "$1" addr add "$address" dev "$2"; done
    ip -n "$1" link set "$2" up
}

# semantics_pod FLAVOUR NAME NODE NUMBER RANGE RANGE6
semantics_pod() {
    local port=
    if [ "$1" != ipv6 ]; then
        lab_pod_plug "$2" "$3" "$5.$4"
        lab_serve "$2" "$5.$4"
        port=pod-$4
    fi
    [ "$1" != ipv4 ] || return 0
    lab_pod_plug_v6 "$2" "$3" "$6::$4" "$port"
    lab_serve "$2" "$6::$4"
}

semantics_lab() { # ipv4|ipv6|dual: the families that the cluster knows of
    local flavour=$1 node pod number=4
    local LAB_CONFIG="cluster: lab
cluster-cidrs: [203.0.113.128/25, '2001:db8:113:1::/64']"
    semantics_fabric
    semantics_node worker-1 172.22.50.7 172.22.48.0/25 2001:db8:a:1::/64
    semantics_node 172.22.49.119 172.22.49.119 172.22.54.0/24 2001:db8:a:2::/64
    semantics_node 172.22.49.147 172.22.49.147 172.22.53.0/24 2001:db8:a:3::/64
    semantics_node 172.22.49.20 172.22.49.20 172.22.52.0/24 2001:db8:a:4::/64
    semantics_interface 172.22.49.119 eth1 172.22.47.119/24 2001:db8:47::119/64
    semantics_interface 172.22.49.147 eth1 172.22.47.147/24 2001:db8:47::147/64
    semantics_interface 172.22.49.20 eth1 172.22.47.20/24
    semantics_interface 172.22.49.20 eth2 2001:db8:46::20/64
    for pod in web db api shop bare; do
        semantics_pod "$flavour" "$pod" worker-1 $number 172.22.48 2001:db8:a:1
        number=$((number + 1))
    done
    semantics_pod "$flavour" away 172.22.49.147 9 172.22.53 2001:db8:a:3
    for node in worker-1 172.22.49.119 172.22.49.147; do
        lab_serve "$node" "$(<"$LAB_DIR/nodes/$node/address")"
        lab_serve "$node" "$(<"$LAB_DIR/nodes/$node/address6")"
    done
    rm "$LAB_DIR"/manifests/*
    lab_daemons_start worker-1 172.22.49.119 172.22.49.147 172.22.49.20
}

# Runs the rows; each is a case of this script.
semantics_run() { # ipv4|ipv6|dual
    local line
    semantics_lab "$1"
    while read -r line; do
        [[ $line =~ ^(not )?ok\ ([0-9]+) ]] && LAB_NUMBER=${BASH_REMATCH[2]}
        [[ $line != 'not ok '* ]] || LAB_FAILED=$((LAB_FAILED + 1))
        echo "$line"
    done < <(python3 -B "$LAB_ROOT/tests/lab/semantics/run.py" "$1" "$LAB_DIR" "$LAB_BUILD" "$LAB_PATTERN" 2>&1)
    wait $! && return
    [ "$LAB_FAILED" != 0 ] || LAB_FAILED=1 # it has ended before its time
    lab_diagnose | sed 's/^/# /'
}
