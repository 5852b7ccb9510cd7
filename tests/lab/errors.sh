# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# ICMP errors, fragments and protocols without ports through a gateway: cases for scripts that have
# sourced lib.sh and made a cluster.
# shellcheck disable=SC2034,SC2086

A=172.22.49.119
PROBE=$LAB_ROOT/tests/tools/probe.py
ECHO_PORT=8081
GRE=47 ESP=50 SCTP=132 UNKNOWN=253

probe() { # NAMESPACE WHAT ARGUMENT...
    lab_in "$1" "$PROBE" "${@:2}"
}

probe_serve() { # NAME WHAT ARGUMENT...
    lab_background "$LAB_DIR/clients/$1" outside "$PROBE" "${@:2}"
    disown $!
    lab_wait 10 grep -q ready "$LAB_DIR/clients/$1"
}

# errors_of v4|v6: what the cases use from here on.
errors_of() {
    if [ "$1" = v4 ]; then
        SERVER=$LAB_SERVER EGRESS=$A ROUTER=172.22.48.1 EXCEEDED="11 0" UNREACHABLE="3 3"
    else
        SERVER=$LAB_SERVER6 EGRESS=$A6 ROUTER=2001:db8:48::1 EXCEEDED="3 0" UNREACHABLE="1 4"
    fi
}

only_the_egress_ip() {
    lab_sources_only "$EGRESS" "${LAB_ROUTER6:-$EGRESS}"
}

# Behind the pod's node come the gateway, the router and the server, which has nothing there.
hops() {
    lab_sources_reset
    expect_equal "the gateway's answer" "$(probe nginx error $SERVER 9 2)" "$EXCEEDED $EGRESS"
    expect_equal "the router's answer" "$(probe nginx error $SERVER 9 3)" "$EXCEEDED $ROUTER"
    lab_sources_only $LAB_ROUTER6
    expect_equal "the server's answer" "$(probe nginx error $SERVER 9 64)" "$UNREACHABLE $SERVER"
    only_the_egress_ip
}

large() {
    local size
    lab_sources_reset
    for size in 2000 8192 60000; do
        expect_equal "a datagram of $size bytes" \
            "$(probe nginx datagram $SERVER $ECHO_PORT $size)" same
        expect_equal "a ping of $size bytes" "$(probe nginx ping $SERVER $size)" same
    done
    only_the_egress_ip
}

# The first part has to be the first; what follows it may come in any order.
out_of_order() {
    lab_sources_reset
    for order in 012 021; do
        expect_equal "a datagram in parts $order" \
            "$(probe nginx fragments $SERVER $ECHO_PORT $order)" same
    done
    only_the_egress_ip
}

protocols() {
    local protocol
    lab_sources_reset
    for protocol in $PROTOCOLS; do
        expect_equal "protocol $protocol" "$(probe nginx raw $SERVER $protocol)" same
    done
    only_the_egress_ip
}

# Less room behind the gateway than in the tunnel: it makes the fragments that the pod allows.
fragments_by_the_gateway() {
    local route before
    route=$(ip -n $A -4 route show default)
    ip -n $A route change $route mtu lock 1300
    lab_sources_reset
    before=$(lab_counter $A COUNT_TRANSLATED_OUT)
    expect_equal "a datagram of 1350 bytes" \
        "$(probe nginx datagram $SERVER $ECHO_PORT 1350 free)" same
    [ "$(lab_counter $A COUNT_TRANSLATED_OUT)" -ge $((before + 2)) ] # in two
    only_the_egress_ip
    ip -n $A route change $route mtu 1500
}

errors_cases() { # [WORDS]
    lab_case "${1:-}errors of the gateway, a router and the server reach the pod" hops
    lab_case "${1:-}large datagrams and pings go both ways as fragments" large
    lab_case "${1:-}fragments behind the first may come in any order" out_of_order
    lab_case "${1:-}protocols without ports go both ways" protocols
}

errors_run() { # PROTOCOL...
    local protocol
    PROTOCOLS=$*
    lab_pod nginx worker-1 172.22.48.4 default app=nginx
    # What fits the tunnel: fragments that do not are another matter.
    ip -n nginx route change default via 169.254.1.1 dev eth0 mtu 1400 2>/dev/null ||
        ip -n nginx link set eth0 mtu 1400
    ip -n outside route change default via 198.51.100.1 mtu 1400
    probe_serve echo serve $LAB_SERVER $ECHO_PORT
    for protocol in $PROTOCOLS; do
        probe_serve "raw-$protocol" serve_raw $LAB_SERVER $protocol
    done
    # shellcheck disable=SC2086
    lab_daemons_start $LAB_NODES
    lab_policy fixed
    lab_wait 30 lab_row_is worker-1 "172.22.48.4 0.0.0.0/0 0.0.0.0 $A"
    lab_wait 30 lab_row_is $A "172.22.48.4 0.0.0.0/0 $A $A"
    errors_of v4
    errors_cases
    lab_case "what may be fragmented is, by the gateway" fragments_by_the_gateway
}
