# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A worker and a gateway with both families, and traffic that nothing may disturb, for scripts that
# have sourced lib.sh and families.sh: 200 TCP connections that stay open, 1,000 new ones a second, and
# 1,000 numbered datagrams a second, half of each in either family.

LOAD_GATEWAY=172.22.49.119 LOAD_GATEWAY6=2001:db8:48::119
LOAD_POD=172.22.48.4 LOAD_POD6=2001:db8:a:1::4
LOAD_CLIENTS="load4 load6 numbers4 numbers6"
LOAD_OPEN=100 LOAD_NEW=500 # in each family

load_cluster() {
    local node
    lab_fabric
    lab_fabric_v6
    lab_node worker-1 172.22.50.7 172.22.48.0/25
    lab_node $LOAD_GATEWAY $LOAD_GATEWAY 172.22.54.0/24
    lab_node_v6 worker-1 2001:db8:48::7 2001:db8:a:1::/64
    lab_node_v6 $LOAD_GATEWAY $LOAD_GATEWAY6 2001:db8:a:2::/64
    LAB_NODES="worker-1 $LOAD_GATEWAY"
    for node in $LAB_NODES; do
        lab_firewall "$node"
        lab_node_families "$node" both
    done
    lab_kubernetes_namespace default
    lab_pod_plug nginx worker-1 $LOAD_POD
    lab_pod_plug_v6 nginx worker-1 $LOAD_POD6 pod-4
    lab_pod_families nginx worker-1 $LOAD_POD,$LOAD_POD6 default app=nginx
    lab_policy fixed
}

load_rows_are() { # NODE: the tables of both nodes, and no row beside
    local egress=0.0.0.0 egress6=::
    [ "$1" = worker-1 ] || { egress=$LOAD_GATEWAY && egress6=$LOAD_GATEWAY6; }
    lab_rows_are "$1" "$LOAD_POD 0.0.0.0/0 $egress $LOAD_GATEWAY
$LOAD_POD6 ::/0 $egress6 $LOAD_GATEWAY"
}

load_settled() {
    lab_wait 30 load_rows_are worker-1
    lab_wait 30 load_rows_are $LOAD_GATEWAY
    lab_wait 10 lab_seen_is nginx $LOAD_GATEWAY
    LAB_SERVER=$LAB_SERVER6 lab_wait 10 lab_seen_is nginx $LOAD_GATEWAY6
}

load_begin() {
    # A busy machine lets the one that answers wait: half a minute before a datagram counts as lost.
    local client numbers=(-c 10000000 -i 2000 -t "$LAB_SECONDS" -w 30 -u)
    lab_sources_reset
    lab_client load4 nginx load $LAB_SERVER $LAB_PORT -o $LOAD_OPEN -n $LOAD_NEW -t 60 -e $LOAD_GATEWAY
    lab_client load6 nginx load $LAB_SERVER6 $LAB_PORT -o $LOAD_OPEN -n $LOAD_NEW -t 60 -e $LOAD_GATEWAY6
    lab_client numbers4 nginx sequence $LAB_SERVER $LAB_PORT "${numbers[@]}" -e $LOAD_GATEWAY
    lab_client numbers6 nginx sequence $LAB_SERVER6 $LAB_PORT "${numbers[@]}" -e $LOAD_GATEWAY6
    for client in $LOAD_CLIENTS; do lab_heard "$client" started; done
}

load_advance() { # waits until 200 new connections of each family have had their answer
    lab_advance load4 200
    lab_advance load6 200
}

load_end() {
    local client
    load_advance
    for client in $LOAD_CLIENTS; do lab_say "$client"; done
    for client in $LOAD_CLIENTS; do lab_finish "$client"; done
    lab_output_has load4 "^open $LOAD_OPEN lost 0 new [0-9]+ lost 0 late [0-9]+ foreign 0$"
    lab_output_has load6 "^open $LOAD_OPEN lost 0 new [0-9]+ lost 0 late [0-9]+ foreign 0$"
    lab_output_has numbers4 "lost 0 foreign 0$"
    lab_output_has numbers6 "lost 0 foreign 0$"
    lab_sources_only $LOAD_GATEWAY $LOAD_GATEWAY6 $LAB_ROUTER6
}
